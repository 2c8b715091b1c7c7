#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_ifaces.sh - interfaces by pattern, appearing, vanishing, renamed and made again while weir
# runs: every packet that passed while the programs were there is in a record, under the right name.
. "$(dirname "$0")/lib.sh"

says() # REGEX: weir has said so on standard error
{
	wait_for 60 has_line "$tmp/ifs.err" "$1"
}

said_times() # COUNT REGEX
{
	[ "$(grep -cE -- "$2" "$tmp/ifs.err")" -ge "$1" ]
}

pings() # ADDRESS
{
	in_a ping -c 23 -i 0.002 -q "$1" >/dev/null
}

packets_of() # IFACE
{
	records ifs "map(select(.iface == \"$1\" and .proto == \"icmp\") | .packets) | add // 0"
}

# Nothing is there when it starts.
case_appear()
{
	net_new
	weir_start ifs -i 'pod*' || return
	says 'no interface matches yet' || not_ok "patterns: it says that nothing matches" "$(cat "$tmp/ifs.err")"
	pair_new "$ns_a" pod1 "$ns_b" peer1 11 1500
	says '^weir: pod1: .* \(ingress\)' || die "pod1 was not attached"
	ok "patterns: an interface that appears is attached"
	pair_new "$ns_a" other "$ns_b" peer2 12 1500
	pair_new "$ns_a" pod3 "$ns_b" peer3 13 1500
	says '^weir: pod3: .* \(ingress\)' || die "pod3 was not attached"
	expect "patterns: one that does not match is left alone" "$(attached "$ns_a" other)" ''
	expect "patterns: lo is left alone" "$(attached "$ns_a" lo)" ''
	settle "$ns_a" pod1
	pings 10.77.11.2
	pings 10.77.13.2
}

# pod1 goes and comes back as another device of the same name.
case_made_again()
{
	settle "$ns_a" pod1
	ip -n "$ns_a" link del pod1
	says '^weir: pod1: gone' || die "the end of pod1 went unnoticed"
	ok "made again: its end is told"
	pair_new "$ns_a" pod1 "$ns_b" peer1 11 1500
	wait_for 60 said_times 2 '^weir: pod1: .* \(ingress\)' || die "the new pod1 was not attached"
	settle "$ns_a" pod1
	pings 10.77.11.2
}

case_renamed()
{
	settle "$ns_a" pod3
	ip -n "$ns_a" link set pod3 down
	ip -n "$ns_a" link set pod3 name pod4
	ip -n "$ns_a" link set pod4 up
	says '^weir: pod4: was pod3' || not_ok "renamed: it is told" "$(tail -n 3 "$tmp/ifs.err")"
	ip -n "$ns_a" neigh replace 10.77.13.2 lladdr "$(in_b cat /sys/class/net/peer3/address)" \
		nud permanent dev pod4
	wait_for 60 is_up "$ns_a" pod4
	settle "$ns_a" pod4
	pings 10.77.13.2
	settle "$ns_a" pod4
	ip -n "$ns_a" link set pod4 down
	ip -n "$ns_a" link set pod4 name mine
	says 'pod4 is called mine now' || not_ok "renamed: away from the pattern" "$(tail -n 3 "$tmp/ifs.err")"
	expect_attached "renamed away from the pattern" '' "$ns_a" mine
}

case_bare()
{
	ip -n "$ns_a" tuntap add pod9 mode tun
	says '^weir: pod9: .*no Ethernet header' || not_ok "tun device: refused" "$(tail -n 3 "$tmp/ifs.err")"
	ip -n "$ns_a" link set pod9 up
	ip -n "$ns_a" link set pod9 mtu 1400
	pair_new "$ns_a" pod5 "$ns_b" peer5 15 1500
	says '^weir: pod5: .* \(ingress\)' || die "pod5 was not attached"
	expect "tun device: said once" "$(grep -c '^weir: pod9' "$tmp/ifs.err")" 1
	"${exec_a[@]}" "$weir" run --control-socket none -i pod9 >"$tmp/bare.out" 2>"$tmp/bare.err"
	expect "tun device by name: exit status" $? 4
}

case_account()
{
	weir_stop
	expect "interfaces come and go: exit status" "$weir_rc" 0
	expect "made again: both devices' packets" "$(packets_of pod1)" 92
	# a record bears the name that the interface has when it is written
	expect "renamed: packets under its names" "$(($(packets_of pod3) + $(packets_of pod4) + $(packets_of mine)))" 92
	expect_accounted "interfaces come and go" ifs
	expect_attached "interfaces come and go" '' "$ns_a" pod1
}

case_appear
case_made_again
case_renamed
case_bare
case_account
