#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_policy_net.sh - attackers and innocents on the wire: fragments, ICMP types, TCP flags,
# interfaces, tunnels by their inner and outer addresses and by VNI, a hello in pieces over several CPUs,
# and limits under real traffic. What was sent is what the rule counted plus what arrived.
. "$(dirname "$0")/lib.sh"
needs policy jq ping socat hping3 iperf3 || exit 0

# These rules drop most of what there is, on purpose.
export WEIR_POLICY_BREAKER=off

bad4=10.77.1.66 bad6=fd77::66

w() # ARG...
{
	in_a "$weir" "$@" >"$tmp/w.out" 2>"$tmp/w.err" || not_ok "weir $*" "$(cat "$tmp/w.err")"
}

shown() # JQ-FILTER
{
	in_a "$weir" policy show -o json | jq -sr "$1"
}

# How many of N come back: to the attacker's or an innocent address.
pings() # N ADDRESS [PING-ARG...]
{
	local n=$1 to=$2

	shift 2
	in_a ping -q -c "$n" -i 0.01 -W 1 "$@" "$to" | sed -n 's/.* \([0-9]*\) received.*/\1/p'
}

ping_once() # ADDRESS
{
	[ "$(pings 1 "$1")" = 1 ]
}

no_pings() # ADDRESS
{
	[ "$(pings 1 "$1")" = 0 ]
}

no_rules()
{
	w flush
}

attacker_known() # DEV: nobody has to ask for its address
{
	local mac

	mac=$(in_b cat /sys/class/net/vb/address)
	in_a ip neigh replace "$bad4" lladdr "$mac" nud permanent dev "$1"
	in_a ip neigh replace "$bad6" lladdr "$mac" nud permanent dev "$1" 2>/dev/null
}

attacker_new()
{
	in_b ip addr add "$bad4/24" dev vb
	in_b ip addr add "$bad6/64" dev vb nodad
	attacker_known va
}

case_fragments()
{
	w block "host $bad4 or host $bad6" --for 5m
	expect "fragments: the attacker's large packets don't come through" "$(pings 3 "$bad4" -s 6000)" 0
	expect "fragments: nor over IPv6" "$(pings 3 "$bad6" -s 6000)" 0
	expect "fragments: an innocent's do" "$(pings 5 "$ip_b" -s 6000)" 5
	expect "fragments: over IPv6 too" "$(pings 5 "$ip6_b" -s 6000)" 5
	no_rules
	w block 'proto udp and dst.port == 5201' --for 5m
	in_b "$tools/frames" vb fragments4 >/dev/null
	in_b "$tools/frames" vb fragments6 >/dev/null
	settle
	expect "fragments: a blocked port stops all of them, first and later" "$(shown '.[0].packets')" 138
	no_rules
}

case_packets()
{
	w block 'icmp.type == 8 and dst.ip == 10.77.1.66' --for 5m
	expect "ICMP type: no request to the attacker" "$(pings 3 "$bad4")" 0
	expect "ICMP type: the attacker's own requests are answered" \
		"$(in_b ping -q -c 3 -i 0.01 -W 1 -I "$bad4" "$ip_a" | sed -n 's/.* \([0-9]*\) received.*/\1/p')" 3
	no_rules
	w block "tcp.flags == F and dst.ip == $ip_a" --for 5m
	in_b hping3 -q -c 7 -i u1000 -F -p 99 "$ip_a" >/dev/null 2>&1
	in_b hping3 -q -c 5 -i u1000 -S -p 99 "$ip_a" >"$tmp/syn.out" 2>&1
	expect "TCP flags: the FIN scan is stopped, probe by probe" "$(shown '.[0].packets')" 7
	expect_match "TCP flags: SYNs are answered" "$(cat "$tmp/syn.out")" '5 packets received'
	no_rules
}

case_iface()
{
	w block "iface == \"va\" and host $bad4" --for 5m
	expect "interface: blocked where the rule says" "$(pings 2 "$bad4")" 0
	no_rules
	w block "iface == \"lo\" and host $bad4" --for 5m
	expect "interface: and not elsewhere" "$(pings 2 "$bad4")" 2
	no_rules
	w block "iface == \"vnew\" and host $bad4" --for 5m
	expect "interface: one that isn't there stops nothing" "$(pings 2 "$bad4")" 2
	in_a ip link set va down
	in_a ip link set va name vnew
	in_a ip link set vnew up
	attacker_known vnew
	expect_true "interface: and all the same when it comes" wait_for 60 no_pings "$bad4"
	in_a ip link set vnew down
	in_a ip link set vnew name va
	in_a ip link set va up
	attacker_known va
	expect_true "interface: no more when it has another name" wait_for 60 ping_once "$bad4"
	no_rules
}

# The same limit for all of a rule, and for each source of it; real senders.
case_limit()
{
	local passed dropped

	w limit 'proto udp and dst.port == 9' --rate 200pps --burst 50 --for 5m
	in_b "$tools/flood" -n 20000 vb 100 >/dev/null
	settle
	passed=$(shown '.[0].passed')
	dropped=$(shown '.[0].packets')
	expect "limit: each packet passed or was dropped" "$((passed + dropped))" 20000
	# at least the burst; at most that and the rate for as long as a slow machine may take (20 s)
	expect_true "limit: the burst passes, and no more than the rate after it" \
		test "$passed" -ge 50 -a "$passed" -le $((50 + 200 * 20))
	no_rules
	w limit 'proto udp and dst.port == 9' --rate 1pps --burst 5 --per-source --for 5m
	in_b "$tools/flood" -n 4000 -t 40 vb 100 >/dev/null
	settle
	passed=$(shown '.[0].passed')
	expect_true "limit per source: the burst of each of 100 sources, and a few more" \
		test "$passed" -ge 500 -a "$passed" -le 700
	no_rules
}

case_limit_bits()
{
	local bits

	spawn iperf "$ns_a" iperf3 -s -1 -p 5301
	wait_for 60 listening "$ns_a" tcp 5301 || die "iperf3 does not start"
	w limit 'proto udp and dst.port == 5301' --rate 8Mbps --for 5m
	in_b iperf3 -c "$ip_a" -p 5301 -u -b 40M -l 1000 -t 2 -J >"$tmp/iperf.json" 2>&1
	bits=$(jq '.end.sum | .bits_per_second * (100 - .lost_percent) / 100 | floor' "$tmp/iperf.json")
	# 8 Mbit/s with headers for two seconds, and a bucket of a second more
	expect_true "limit by bits: the rate and one bucket at most ($bits)" test "$bits" -le 12500000
	expect_true "limit by bits: and most of the rate" test "$bits" -ge 4000000
	expect_true "limit by bits: the rest was dropped and counted" test "$(shown '.[0].packets')" -gt 1000
	no_rules
	stop_spawned iperf
}

# ---- a hello in pieces, on several CPUs ----

case_pieces()
{
	local want

	printf 'issuer p\ndrop tls.sni == "www.example.test" for 1h as sni\n' >"$tmp/p.policy"
	want=$("$weir" replay tests/data/pieces.pcap --policy "$tmp/p.policy" -o json 2>/dev/null |
		jq -s 'map(select(.tls.sni == "www.example.test")) | length')
	expect "pieces: the capture has the name" "$want" 1
	w policy apply "$tmp/p.policy"
	in_b "$tools/inject" vb tests/data/pieces.pcap >/dev/null
	settle
	want=$(shown '.[0].packets')
	expect_true "pieces: the packet that completes the hello is dropped, and all after it" \
		test "$want" -ge 5
	in_a "$weir" flush p >/dev/null
	sed -i 's/www/other/' "$tmp/p.policy"
	w policy apply "$tmp/p.policy"
	in_b "$tools/inject" -c vb tests/data/pieces.pcap >/dev/null
	settle
	expect "pieces: another name is not" "$(shown '.[0].packets')" 0
	in_a "$weir" flush p >/dev/null
}

case_pieces_on_cpus()
{
	[ "$(nproc)" -gt 1 ] || { skip "pieces on several CPUs" "there is one"; return; }
	weir_start cpus -i va || return
	w block 'tls.sni == "www.example.test"' --for 5m
	in_b "$tools/inject" -c vb tests/data/pieces.pcap >/dev/null
	settle
	expect_true "pieces: on several CPUs as well" test "$(shown '.[0].packets')" -ge 5
	weir_stop
}

# ---- tunnels ----

case_inner()
{
	local k

	weir_start inner -i va --decap 4 || return
	w block 'src.ip == 10.99.1.1' --for 5m --as inner
	for k in vxlan geneve gre gtpu ipip; do
		in_b "$tools/frames" vb "$k" >/dev/null
	done
	settle
	expect "tunnels, opened: the inner address is blocked, in each of five" "$(shown '.[0].packets')" 115
	no_rules
	w block 'src.ip == 10.99.3.3' --for 5m --as outer
	in_b "$tools/frames" vb vxlan >/dev/null
	settle
	expect "tunnels, opened: the outer address is not what a rule means" "$(shown '.[0].packets')" 0
	no_rules
	tenants
	weir_stop
}

# Two tenants with the same addresses, in a VXLAN that the kernel ends.
tunnel_new() # VNI NET
{
	in_a ip link add "t$1" type vxlan id "$1" local "$ip_a" remote "$ip_b" dstport 4789 noudpcsum &&
		in_b ip link add "t$1" type vxlan id "$1" local "$ip_b" remote "$ip_a" dstport 4789 noudpcsum &&
		in_a ip addr add "10.80.$2.1/24" dev "t$1" && in_b ip addr add "10.80.$2.2/24" dev "t$1" &&
		in_b ip addr add "10.80.$2.3/24" dev "t$1" && in_a ip link set "t$1" up && in_b ip link set "t$1" up
}

tenants()
{
	tunnel_new 7 7 && tunnel_new 8 8 || { skip "VXLAN" "this kernel has none"; return; }
	wait_for 60 ping_once 10.80.7.2 || die "the tunnel does not come up"
	wait_for 60 ping_once 10.80.8.2 || die "the tunnel does not come up"
	w block 'host 10.80.7.2' --for 5m
	expect "VXLAN: an inner address is blocked" "$(pings 2 10.80.7.2)" 0
	expect "VXLAN: its neighbour in the tunnel is not" "$(pings 2 10.80.7.3)" 2
	no_rules
	w block 'vni == 8 and proto icmp' --for 5m
	expect "VNI: the tenant is blocked" "$(pings 2 10.80.8.2)" 0
	expect "VNI: the other one is not" "$(pings 2 10.80.7.2)" 2
	no_rules
}

case_outer()
{
	weir_start outer -i va || return
	w block 'src.ip == 10.99.1.1' --for 5m --as inner
	in_b "$tools/frames" vb vxlan >/dev/null
	settle
	expect "tunnels, closed: the inner address is not looked at" "$(shown '.[0].packets')" 0
	no_rules
	w block 'src.ip == 10.99.3.3' --for 5m --as outer
	in_b "$tools/frames" vb vxlan >/dev/null
	settle
	expect "tunnels, closed: the outer one is blocked" "$(shown '.[0].packets')" 23
	no_rules
	weir_stop
}

net_new
attacker_new
weir_start main -i 'v*' || exit 1
case_fragments
case_packets
case_iface
case_limit
case_limit_bits
case_pieces
weir_stop
expect "main: weir ends well" "$weir_rc" 0
case_pieces_on_cpus
case_inner
case_outer
