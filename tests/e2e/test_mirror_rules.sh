#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_mirror_rules.sh - mirrors that rules ask for: of an alert of the collector at every node that has the target, of a
# node's own rule at once; to whom, and how much, the node's configuration says; they end with their time, their
# decision, panic and weir. What is mirrored, tshark and a second weir find; what is not is counted by name.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"
. "$(dirname "$0")/nodes.sh"
. "$(dirname "$0")/mirrors.sh"
needs mirror_rules tshark python3 jq nc || exit 0

c()
{
	"$collector" "$@"
}

session() # NUMBER JQ: of the session of rules
{
	in_node 1 "$weir" mirror -o json | jq -r "select(.session == $1) | $2"
}

rules_are() # K JQ: of what is counted
{
	in_node "$1" "$weir" status -o json | jq -e ".policy.mirrors | $2"
}

decision() # MEMBER
{
	c decisions list --state all -o json | jq -rs "[.[] | select(.action == \"mirror\")] | last | .$1"
}

no_session()
{
	[ -z "$(in_node 1 "$weir" mirror -o json)" ]
}

sent() # PORT NUMBER: from the suspect to node 1
{
	in_a python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 7000))
for i in range(int(sys.argv[3])):
    s.sendto(bytes(400), ("10.77.11.2", int(sys.argv[2])))
' "$suspect" "$1" "$2"
}

# What arrived, by the port within; the sentinel comes last.
is_heard() # PORT
{
	in_node 1 bash -c "echo >/dev/udp/$to_4/$1"
	grep -q "$1\$" "$tmp/heard.out"
}

heard() # FILTER
{
	tshark -r "$tmp/heard.pcap" -Y "vxlan.vni == 77 and !icmp and $1" 2>/dev/null | wc -l
}

suspect_new 'mirror: { scope: src.ip, to: suspects, ttl: 10m }' '  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a42
    name: odd-port
    version: 1.0.0
    where: proto == udp and dst.port == 2800
    by: [src.ip, dst.ip]
    mode: detect
    actions: [ { mirror: { scope: pair, to: suspects, ttl: 12s } } ]'
ns_new "$ns_t"
pair_new "$node_ns_1" vt "$ns_t" tv 9 1600
cat >"$tmp/n1.conf" <<-EOF
	[mirror-target suspects]
	to = vxlan:$to_4,vni=77
	length = 300
	budget = none
EOF
# a flow's record would have its rule fire again
node_start 1 --config "$tmp/n1.conf" --idle-timeout 10m
node_start 2 --idle-timeout 10m
expect_true "both have their policy" wait_for 30 enforced node1 node2
spawn heard "$ns_t" tshark -i tv -B 16 -l -P -w "$tmp/heard.pcap" -T fields -e udp.dstport
wait_for 20 is_heard 9999 || die "tshark hears nothing"
ns=$ns_t weir_start second -i tv --mirror-target --control-socket none --hook tc || exit 1

# ---- an alert of the collector ----
suspect_knocks
expect_true "alert: the node mirrors the suspect" wait_for 60 session_is 32766 '.from == "rules" and .reachable'
expect "alert: by a decision" "$(decision value) $(decision state)" "$suspect active"
expect_match "alert: whom, and why" "$(session 32766 .filter)" "^$suspect .knocks-often.$"
expect_match "alert: it is listed" "$(in_node 1 "$weir" mirror)" "32766 .*vxlan:$to_4:4789,vni=77"
sent 7001 300
sent 123 5
expect_conserved "alert: while it lasts" 32766 "$(session 32766 .matched)"
expect_true "alert: all that came" wait_for 10 session_is 32766 '.matched >= 305 and .exempt == 5 and .cut >= 300'
expect_true "alert: nothing is lost" session_is 32766 '.mirrored + .exempt == .matched'
expect_true "alert: the node without the target refuses it by name" wait_for 30 rules_are 2 \
	'.no_target >= 1 and .refused == 1 and .open == 0'
expect_true "alert: and says so" has_line "$tmp/weir2.err" "there is no \[mirror-target suspects\]"
expect_true "alert: the collector hears of it" wait_for 30 node_is node2 \
	'.enforced and (.error | test("knocks-often.*10.77.11.9 to .suspects.: there is no mirror-target"))'
expect_true "alert: of that node alone" node_is node1 '.enforced and (.error // "" | length) == 0'

# ---- the target is gone, and there again ----
ip -n "$ns_t" link set tv down
expect_true "gone: noticed" wait_for 20 session_is 32766 '.reachable | not'
sent 7002 20
expect_conserved "gone: counted" 32766 "$(session 32766 .matched)"
expect_true "gone: all of it" session_is 32766 '.no_way >= 20'
ip -n "$ns_t" link set tv up
expect_true "gone: and there again" wait_for 20 session_is 32766 .reachable
wait_for 20 is_heard 9998 || not_ok "tshark hears the last packet" "$(tail -n 2 "$tmp/heard.err")"

# ---- a node's own rule ----
sent 2800 1
expect_true "own: the pair is mirrored too" wait_for 30 session_is 32766 '.filter | test("odd-port")'
expect_true "own: as a second one" rules_are 1 '.open == 2 and .begun == 2'
sent 7003 40
expect_true "own: over with its time" wait_for 60 rules_are 1 '.open == 1 and .ended == 1'
expect_match "own: the other one goes on" "$(session 32766 .filter)" "^$suspect .knocks-often.$"
expect_conserved "own: no count was lost" 32766 "$(session 32766 .matched)"
expect_true "own: packets of both are mirrored once" session_is 32766 '.matched >= 366 and .matched < 700'

# ---- the end ----
expect_true "end: not by hand" eval 'in_node 1 "$weir" unmirror 32766 2>&1 | grep -q "what rules ask for"'
in_node 1 "$weir" panic >/dev/null
expect_true "end: with panic" wait_for 10 no_session
in_node 1 "$weir" panic --off >/dev/null
expect_true "end: panic is over" wait_for 10 session_is 32766 .reachable
sed -i 's/vni=77/vni=78/' "$tmp/n1.conf"
kill -HUP "${spawned[weir1]}"
expect_true "end: a reload has another target" wait_for 20 session_is 32766 '.reachable and (.to | test("vni=78"))'
c decisions withdraw "$(decision id)" >/dev/null
expect_true "end: with its decision" wait_for 30 no_session
expect_true "end: counted" rules_are 1 '.open == 0 and .refused == 0 and .begun == .ended'
expect_true "end: the private pair is gone" wait_for 10 eval '! ip -n "$node_ns_1" link show weir-mirror0'
sent 7004 5
wait_for 20 is_heard 9997 || not_ok "tshark hears the last packet" "$(tail -n 2 "$tmp/heard.err")"
stop_spawned heard
expect "tshark: what was sent" "$(heard 'udp.dstport == 7001') $(heard 'udp.dstport == 7003')" "300 40"
expect "tshark: never NTP, nothing after the end" "$(heard 'udp.dstport == 123') $(heard 'udp.dstport == 7004')" "0 0"
expect "tshark: nobody else" "$(heard "!(ip.addr == $suspect)")" 0
expect "tshark: cut behind the tunnel's header" "$(heard 'udp.dstport == 7001 and frame.len == 350')" 300
expect "tshark: has nothing to say about it" \
	"$(tshark -r "$tmp/heard.pcap" -Y '(_ws.expert.severity >= "Warn" && !tcp.analysis.flags) || _ws.malformed' \
		-T fields -e _ws.expert.message 2>/dev/null | sort -u)" ''
weir_stop
expect "second: the same" "$(sum_of second '.tunnel != null and .proto == "udp" and .dst.port == 7001')" '300 128400'
stop_spawned weir1
expect_true "no private pair is left" eval '! ip -n "$node_ns_1" link show weir-mirror0'
collector_stop
expect "the collector ends" "$collector_rc" 0
