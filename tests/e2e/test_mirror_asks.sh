#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_mirror_asks.sh - mirrors that a node's own rules ask for: to targets over IPv6, by Geneve and by ERSPAN; those
# that are refused, because an interface has three sessions already, or a target all the addresses that it can, are
# counted by that name, said, and begin when there is room.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/mirrors.sh"
needs mirror_asks tshark python3 jq || exit 0
collector=${WEIR_COLLECTOR:-$build/weir-collector}

rule() # PORT TARGET: who talks to that port is mirrored there
{
	cat <<-EOF
		  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d$1
		    name: to-$2
		    version: 1.0.0
		    where: proto == udp and dst.port == $1
		    by: [src.ip, dst.ip]
		    mode: detect
		    actions: [ { mirror: { scope: src.ip, to: $2, ttl: 10m } } ]
	EOF
}

apply() # the rules of standard input, instead of those before
{
	{
		printf 'groups:\n- name: test\n  rules:\n'
		cat
	} >"$tmp/rules.yaml"
	"$collector" rules compile -w "$tmp/policy.bin" "$tmp/rules.yaml" >"$tmp/compile.out" 2>&1 || cat "$tmp/compile.out"
	# its generation is the time in seconds
	wait_for 5 in_a "$weir" policy apply "$tmp/policy.bin" || not_ok "the policy is applied" "$(in_a "$weir" policy apply "$tmp/policy.bin" 2>&1)"
}

asks_are() # JQ: of what is counted
{
	in_a "$weir" status -o json | jq -e ".policy.mirrors | $1"
}

send='
import socket, sys
to, port, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for a in sys.argv[4:]:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((a, 7000))
    for i in range(n):
        s.sendto(bytes(100), (to, port))
'

sent() # PORT NUMBER ADDRESS...: to weir, of each
{
	in_b python3 -c "$send" "$ip_a" "$@"
}

has_session() # REGEX: of its target
{
	in_a "$weir" mirror -o json | jq -es "any(.[]; (.to | test(\"$1\")) and .reachable)"
}

# What arrived, by the port within; the sentinel comes last.
is_heard() # PORT
{
	udp "$ns_a" "$to_4" "$1" 1 9
	grep -q "$1\$" "$tmp/heard.out"
}

heard() # FILTER
{
	tshark -r "$tmp/heard.pcap" -Y "!icmp && !icmpv6 && $1" 2>/dev/null | wc -l
}

net_new
target_new 1700
for i in {11..60}; do
	in_b ip addr add "10.77.1.$i/24" dev vb
done
cat >"$tmp/weir.conf" <<-EOF
	[run]
	interfaces = va
	idle-timeout = 10m
	[mirror-target six]
	to = vxlan:[$to_6],vni=21
	budget = none
	[mirror-target generic]
	to = geneve:$to_4,vni=22
	budget = none
	[mirror-target switch]
	to = erspan:$to_4,id=23
	budget = none
	[mirror-target fourth]
	to = vxlan:$to_4,vni=24
	budget = none
EOF
weir_start run --config "$tmp/weir.conf" || exit 1
{
	rule 2801 six
	rule 2802 generic
	rule 2803 switch
	rule 2804 fourth
} | apply
spawn heard "$ns_t" tshark -i tv -B 16 -l -P -w "$tmp/heard.pcap" -T fields -e udp.dstport
wait_for 20 is_heard 9999 || die "tshark hears nothing"

# ---- three targets, each by its own tunnel ----
sent 2801 1 10.77.1.11
expect_true 'IPv6: it begins' wait_for 30 has_session "$to_6.*vni=21"
sent 2802 1 10.77.1.12
expect_true 'Geneve: it begins' wait_for 30 has_session 'geneve:.*vni=22'
sent 2803 1 10.77.1.13
expect_true 'ERSPAN: it begins' wait_for 30 has_session 'erspan:.*id=23'
sent 7001 101 10.77.1.11
sent 7002 103 10.77.1.12
sent 7003 107 10.77.1.13

# ---- a fourth: the interface has three sessions ----
sent 2804 1 10.77.1.14
expect_true 'failed: counted' wait_for 30 asks_are '.failed == 1 and .refused == 1 and .open == 3'
expect_true 'failed: said' has_line "$tmp/run.err" "the rule 'to-fourth' asks for 10\.77\.1\.14 to 'fourth': refused: "
sent 7004 5 10.77.1.14
expect_true 'failed: the others go on' asks_are '.open == 3'
{
	rule 2801 six
	rule 2802 generic
	rule 2804 fourth
} | apply
expect_true 'failed: begins when there is room' wait_for 30 asks_are '.open == 3 and .refused == 0 and .ended == 1'
expect_true 'failed: which is that one' wait_for 30 has_session 'vxlan:10.*vni=24'
sent 7005 109 10.77.1.14
sent 7003 5 10.77.1.13

# ---- as many addresses as a target can have ----
sent 2801 1 10.77.1.{20..55}
expect_true 'full: 32 of them, and the others by name' wait_for 30 asks_are '.open == 34 and .refused == 5 and .full == 5'
sent 7006 2 10.77.1.{20..55}
in_a "$weir" panic >/dev/null
expect_true 'full: all end with panic' wait_for 10 asks_are '.open == 0 and .refused == 0'
in_a "$weir" panic --off >/dev/null

wait_for 20 is_heard 9998 || not_ok "tshark hears the last packet" "$(tail -n 2 "$tmp/heard.err")"
stop_spawned heard
expect 'IPv6: all that was sent' "$(heard "ipv6.dst == $to_6 && vxlan.vni == 21 && udp.dstport == 7001")" 101
expect 'Geneve: all that was sent' "$(heard 'geneve.vni == 22 && udp.dstport == 7002')" 103
expect 'ERSPAN: all that was sent, and nothing after its end' "$(heard 'erspan.spanid == 23 && udp.dstport == 7003')" 107
expect 'failed: nothing before it began, all since' \
	"$(heard 'vxlan.vni == 24 && udp.dstport == 7004') $(heard 'vxlan.vni == 24 && udp.dstport == 7005')" '0 109'
expect 'full: 31 beside the first one are mirrored, who was refused is not' "$(heard 'udp.dstport == 7006 && vxlan')" 62
expect 'tshark has nothing to say about it' \
	"$(tshark -r "$tmp/heard.pcap" -Y '(_ws.expert.severity >= "Warn" && !tcp.analysis.flags) || _ws.malformed' \
		-T fields -e _ws.expert.message 2>/dev/null | sort -u)" ''
weir_stop
expect 'weir ends' "$weir_rc" 0
expect_nothing_left 'at the end'
