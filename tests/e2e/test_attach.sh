#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_attach.sh - where weir attaches, what it says about it, how it lives with programs of others,
# how it fails, and that nothing of it stays.
. "$(dirname "$0")/lib.sh"

# One run that is expected to end by itself: status, and a message that matches.
case_fails() # NAME STATUS REGEX COMMAND...
{
	local name=$1 status=$2 regex=$3 rc

	shift 3
	timeout 20 "$@" >"$tmp/fails.out" 2>"$tmp/fails.err" </dev/null
	rc=$?
	expect "$name: exit status" "$rc" "$status"
	expect_match "$name: says what is wrong" "$(cat "$tmp/fails.err")" "$regex"
	expect "$name: nothing on standard output" "$(cat "$tmp/fails.out")" ''
}

ping_both() # COUNT
{
	in_a ping -c "$1" -i 0.002 -q "$ip_b" >/dev/null
}

case_mode() # NAME SAYS ATTACHED ARG...
{
	local name=$1 says=$2 attached=$3

	shift 3
	weir_start "$name" -i va "$@" || return
	expect_match "$name: says where" "$(cat "$tmp/$name.err")" "$says"
	expect_attached "$name" "$attached"
	ping_both 101
	settle
	weir_stop
	expect "$name: exit status" "$weir_rc" 0
	expect "$name: 101 pings are 202 packets of one flow" "$(sum_of "$name" '.proto == "icmp"')" \
		"202 $((202 * 84))"
	expect_accounted "$name" "$name"
	expect_attached "$name, after its end" ''
}

case_modes()
{
	case_mode auto 'va: native XDP \(ingress\) \+ TCX \(egress\)' 'native xdp_flows,egress tc_egress'
	case_mode hook_xdp 'va: native XDP \(ingress\)' 'native xdp_flows,egress tc_egress' --hook xdp
	case_mode hook_tc 'va: TCX \(ingress\) \+ TCX \(egress\)' 'ingress tc_ingress,egress tc_egress' --hook tc
	case_mode hook_generic 'va: generic XDP \(ingress\)' 'generic xdp_flows,egress tc_egress' --hook generic
}

# A device without native XDP.
case_no_xdp()
{
	weir_start no_xdp -i lo || return
	expect_match "no_xdp: auto takes TC and says why" "$(cat "$tmp/no_xdp.err")" \
		'lo: TCX \(ingress\).*no native XDP'
	expect_attached no_xdp 'ingress tc_ingress,egress tc_egress' "$ns_a" lo
	weir_stop
	expect_attached "no_xdp, after its end" '' "$ns_a" lo
	case_fails "no_xdp, --hook xdp" 4 'lo: .*--hook tc' "${exec_a[@]}" "$weir" run -i lo --hook xdp --duration 1s
	expect_attached "no_xdp, after the failure" '' "$ns_a" lo
}

case_foreign_xdp()
{
	local id

	spawn xdp_count "$ns_a" "$tools/xdp_count" va
	wait_for 60 has_line "$tmp/xdp_count.out" ready || die "xdp_count does not start"
	id=$(ip -n "$ns_a" -j link show va | jq -r '.[0].xdp.prog.id')
	case_fails foreign_xdp 1 "va: XDP program $id .*--hook tc" "${exec_a[@]}" "$weir" run -i va --duration 1s
	case_fails "foreign_xdp, --hook generic" 1 "va: XDP program $id" \
		"${exec_a[@]}" "$weir" run -i va --hook generic --duration 1s
	expect_attached "foreign_xdp: only the other program" 'native xdp_count'
	case_mode_beside_xdp
	stop_spawned xdp_count
	expect "foreign_xdp: it saw its packets all the time" "$(tail -n 1 "$tmp/xdp_count.out" | cut -d' ' -f1)" 101
}

case_mode_beside_xdp()
{
	weir_start beside_xdp -i va --hook tc || return
	ping_both 101
	settle
	weir_stop
	expect "beside_xdp: --hook tc counts beside it" "$(sum_of beside_xdp '.proto == "icmp"')" \
		"202 $((202 * 84))"
}

case_foreign_tc() # tcx|clsact ingress|egress
{
	local name=foreign_$1_$2

	spawn "$name" "$ns_a" "$tools/tc_count" va "$1" "$2"
	wait_for 60 has_line "$tmp/$name.out" ready || die "tc_count does not start: $(cat "$tmp/$name.err")"
	weir_start "$name.weir" -i va --hook tc || return
	ping_both 101
	settle
	weir_stop
	expect "$name: weir counts all" "$(sum_of "$name.weir" '.proto == "icmp"')" "202 $((202 * 84))"
	expect_attached "$name: the other program is still there" "$2 tc_count"
	ping_both 23
	settle
	stop_spawned "$name"
	expect "$name: it saw all packets, before and after" "$(tail -n 1 "$tmp/$name.out")" 124
}

case_two_interfaces()
{
	pair_new "$ns_a" va2 "$ns_b" vb2 2 1500
	settle "$ns_a" va2
	weir_start two -i va -i va2 || return
	in_a ping -c 23 -i 0.002 -q "$ip_b" >/dev/null
	in_a ping -c 101 -i 0.002 -q 10.77.2.2 >/dev/null
	settle
	weir_stop
	expect "two: flows of each interface, by its name" \
		"$(records two 'group_by(.iface) | map([.[0].iface, (map(.packets) | add)]) | tojson')" \
		'[["va",46],["va2",202]]'
	expect_accounted two two
	expect_attached "two, after its end: first" ''
	expect_attached "two, after its end: second" '' "$ns_a" va2
	case_fails "two, the second does not exist" 1 'nosuch: no such interface' \
		"${exec_a[@]}" "$weir" run -i va -i nosuch --duration 1s
	expect_attached "two, the second does not exist: first" ''
}

# Two would both count, and both export, every packet.
case_second_weir()
{
	weir_start first -i va || return
	case_fails "second weir on the same interface" 1 "va: another weir is at work here .pid $weir_pid" \
		"${exec_a[@]}" "$weir" run --control-socket none -i va --duration 1s
	case_fails "second weir by TC" 1 "va: another weir is at work here .pid $weir_pid" \
		"${exec_a[@]}" "$weir" run --control-socket none -i va --hook tc --duration 1s
	ping_both 23
	settle
	expect_attached "second weir: the first is still there" 'native xdp_flows,egress tc_egress'
	weir_stop
	expect "first weir: counted all" "$(sum_of first '.proto == "icmp"')" "46 $((46 * 84))"
}

case_unprivileged()
{
	install -m 755 "$weir" "$tmp/weir"
	case_fails "no privileges" 3 'CAP_BPF' "${exec_a[@]}" setpriv --reuid 65534 --regid 65534 --clear-groups \
		--inh-caps=-all --bounding-set=-all "$tmp/weir" run -i va --duration 1s
	expect_attached "no privileges" ''
	if in_a setpriv --reuid 65534 --regid 65534 --clear-groups \
		--inh-caps=-all,+bpf,+net_admin,+perfmon --ambient-caps=-all,+bpf,+net_admin,+perfmon \
		"$tmp/weir" run --control-socket none -i va --duration 300ms >"$tmp/caps.out" 2>"$tmp/caps.err"; then
		ok "three capabilities are enough"
	else
		not_ok "three capabilities are enough" "$(tail -n 1 "$tmp/caps.err")"
	fi
}

case_usage()
{
	local bad

	case_fails "no command" 2 'usage: weir' "$weir"
	case_fails "unknown command" 2 "unknown command 'rnu', did you mean 'run'" "$weir" rnu
	case_fails "no interface" 2 '-i' "$weir" run
	case_fails "unknown option" 2 'nosuch' "$weir" run --nosuch
	for bad in '--hook sideways' '--role king' '-o xml' '--flows 0' '--flows 1e9' '--flows many' \
		'--sample 0' '--decap 9' '--idle-timeout 5' '--drain-interval 1ms' '--summary loud'; do
		# shellcheck disable=SC2086 # option and value
		case_fails "bad value: $bad" 2 "${bad#* }" "$weir" run -i va $bad
	done
	expect_match "--version" "$("$weir" --version)" '^weir [0-9]+\.[0-9]+\.[0-9]+$'
	expect_match "--help names the commands" "$("$weir" --help)" '^ +replay '
	expect_match "run --help ends in examples" "$("$weir" run --help)" 'weir run -i eth0'
}

net_new
case_modes
case_no_xdp
case_foreign_xdp
case_foreign_tc tcx ingress
case_foreign_tc tcx egress
case_foreign_tc clsact ingress
case_foreign_tc clsact egress
case_two_interfaces
case_second_weir
case_unprivileged
case_usage
