#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_mirror_config.sh - mirror sessions of the configuration: filters of numbered entries, priority, a reload under
# traffic that loses no packet and no count, mistakes with their place.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/mirrors.sh"
needs mirror_config python3 jq || exit 0

conf() # the sessions, on standard input
{
	cat >"$tmp/weir.conf" <<-EOF
		[run]
		interfaces = va
		hook = tc
	EOF
	cat >>"$tmp/weir.conf"
}

reload()
{
	local n

	n=$(grep -c '^weir: reloaded' "$tmp/run.err")
	"$weir" reload --config "$tmp/weir.conf" >"$tmp/told" 2>&1
	wait_for 20 more_reloads "$n"
}

more_reloads() # THAN
{
	[ "$(grep -c '^weir: reloaded' "$tmp/run.err")" -gt "$1" ]
}

check_says() # CASE REGEX: of the configuration
{
	"$weir" config check "$tmp/weir.conf" >"$tmp/check" 2>&1
	expect_match "$1" "$(cat "$tmp/check")" "$2"
}

case_mistakes()
{
	conf <<-END
		[mirror-filter web]
		ingress.100 = accept prot tcp
		inress.110 = reject
		egress.120 = permit proto tcp
		[mirror-filter nothing]
		both.1 = reject
		[mirror 7]
		filter = wbe
		to = vxlan:$to_4
		lengths = 128
		[mirror 8]
		match = proto tcp and dst port 70000
		to = vxlan:224.0.0.1,vni=1
		budget = 200%
		[mirror many]
		filter = web
		to = vxlan:$to_4,vni=7
	END
	check_says 'mistakes: a filter'"'"'s word has its place' 'weir.conf:5:22: .*prot.*did you mean'
	check_says 'mistakes: an entry' "weir.conf:6:1: 'inress.110': want ingress.N"
	check_says 'mistakes: neither accept nor reject' "weir.conf:7:14: 'permit': want accept or reject"
	check_says 'mistakes: a filter that accepts nothing' 'weir.conf:8:2: .*accepts nothing'
	check_says 'mistakes: no such filter' "weir.conf:11:10: .*mirror-filter wbe.*did you mean 'web'"
	check_says 'mistakes: a target' 'weir.conf:12:6: .*want vxlan:ADDR'
	check_says 'mistakes: a key' "weir.conf:13:1: unknown key 'lengths', did you mean 'length'"
	check_says 'mistakes: a port' 'weir.conf:15:32: '
	check_says 'mistakes: a budget' "weir.conf:17:10: '200%': want"
	check_says 'mistakes: no number' "weir.conf:18:9: 'many': a session has a number"
	for n in 1 2 3 4; do
		printf '[mirror %s]\nmatch = proto tcp\nto = vxlan:%s,vni=1\n' "$n" "$to_4"
	done | conf
	check_says 'mistakes: a fourth session of an interface' 'weir.conf:13:2: every interface has more than 3'
}

# The lowest number whose filter accepts a packet has it; of entries the lowest number that a packet meets decides.
sessions() # WEB: entries of the filter
{
	conf <<-END
		[mirror-filter web]
		$1
		[mirror-filter rest]
		both.200 = accept proto udp
		both.100 = reject proto udp and port 7009
		both.300 = reject
		[mirror 10]
		filter = web
		to = vxlan:$to_4,vni=10
		budget = none
		length = 128
		[mirror 20]
		filter = rest
		to = geneve:$to_4,vni=20
		budget = none
		[mirror 30]
		match = proto udp and dst port 7001
		direction = ingress
		also = yes
		to = erspan:$to_4,id=30
		budget = none
	END
}

case_sessions()
{
	sessions 'ingress.50 = accept proto udp and dst port 7001-7002'
	weir_start run --config "$tmp/weir.conf" || exit 1
	expect_true 'sessions: they begin' wait_for 10 session_is 30 '.from == "config" and .reachable'
	udp "$ns_b" "$ip_a" 7001 11 500
	udp "$ns_b" "$ip_a" 7002 7 9
	udp "$ns_b" "$ip_a" 7003 5 9
	udp "$ns_b" "$ip_a" 7009 3 9
	udp "$ns_a" "$ip_b" 7001 2 9
	expect_conserved 'sessions: the first' 10 18
	expect_conserved 'sessions: what it leaves, but what is rejected before' 20 7
	expect_conserved 'sessions: also, one direction' 30 11
	expect_true 'sessions: cut to their length' session_is 10 '.cut == 11 and .length == 128'
	expect_match 'sessions: list' "$("$weir" mirror list)" '^ +10 .*vxlan:.*never +web$'
	expect_true 'sessions: not ended by hand' grep -q 'one of the configuration' <("$weir" unmirror 10 2>&1)
	expect_true 'sessions: nor replaced' mirror_refused 'one of the configuration' 'proto tcp' --session 20 \
		--to "vxlan:$to_4,vni=1" --for 1m
	expect_match 'sessions: all by hand, of which there is none' "$("$weir" unmirror all)" 'ended 0'
}

# Session 10 becomes another, 30 stays, while packets of both come: each is picked once, by the old one or the new.
case_reload()
{
	local sent i

	spawn traffic "$ns_b" python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 7000))
for i in range(20000):
    s.sendto(b"x", (sys.argv[1], 7001))
    if not i % 40:
        time.sleep(0.005)
' "$ip_a"
	sent=${spawned[traffic]}
	for i in 1 2 3; do
		sessions "ingress.$((50 + i)) = accept proto udp and dst port 7001-700$((i + 2))"
		reload || not_ok "reload: it says so" "$(tail -n 3 "$tmp/run.err")"
	done
	expect_true 'reload: packets were still coming' kill -0 "$sent"
	wait "$sent"
	settle
	expect_conserved 'reload: a session that was changed three times' 10 20018
	expect_conserved 'reload: one that stayed' 30 20011
	expect_conserved 'reload: what the first had none was seen of' 20 7
	echo 'filtre = web' >>"$tmp/weir.conf"
	kill -HUP "$weir_pid"
	expect_true 'reload: a mistake' wait_for 10 has_line "$tmp/run.err" 'settings stay as they are'
	expect_true 'reload: changes nothing' session_is 30 '.matched == 20011'
	conf <<-END
		[mirror 20]
		match = proto udp
		to = vxlan:192.0.2.1,vni=1
	END
	reload
	expect 'reload: what is gone from the file has ended' "$("$weir" mirror -o json | jq -c '[.session, .to]')" \
		'[20,"vxlan:192.0.2.1:4789,vni=1"]'
	udp "$ns_b" "$ip_a" 7001 3 9
	expect_conserved 'reload: its counts go on, where no way leads too' 20 10
	expect_true 'reload: counted' session_is 20 '.no_way == 3 and (.reachable | not)'
	conf </dev/null
	reload
	expect 'reload: none' "$("$weir" mirror)" 'no session'
	expect_nothing_left 'reload'
	weir_stop
	expect 'end: exit status' "$weir_rc" 0
	expect_attached 'end' ''
}

case_mistakes
net_new
target_new 1600
case_sessions
case_reload
