#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_capture_nodes.sh - packets that an alert of the collector has kept: the node that saw them leaves a file
# with what was before the alert, its alert and decision in it; the node that did not leaves none.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"
. "$(dirname "$0")/nodes.sh"
needs capture_nodes tshark jq nc || exit 0

c()
{
	"$collector" "$@"
}

listed() # FILTER_OF_JQ: true of the array of node 1's files?
{
	in_node 1 "$weir" captures list -o json | jq -es "$1"
}

counted() # K MEMBER LEAST
{
	[ "$(in_node "$1" "$weir" status -o json | jq -r ".policy.captures.$2")" -ge "$3" ]
}

suspect_new 'capture: { scope: src.ip, pre: 60s, post: 5s, max_bytes: 1Mi }'
for k in 1 2; do
	node_start "$k" --capture-ring 8Mi
done
expect_true "both have their policy" wait_for 30 enforced node1 node2
in_a ping -q -c 20 -i 0.02 -I "$suspect" 10.77.11.2 >/dev/null
suspect_knocks
expect_true "an alert, and a decision to capture" wait_for 60 eval \
	'[ "$(c decisions list --state all -o json | jq -rs ".[] | select(.action == \"capture\") | .value")" = "$suspect" ]'
expect_true "the node that saw them has a file" wait_for 30 listed 'length == 1'
expect_true "it is complete" wait_for 60 listed 'length == 1 and .[0].state == "complete"'
read -r id alert decision <<<"$(in_node 1 "$weir" captures list -o json | jq -r '"\(.id) \(.alert) \(.decision)"')"
expect "it says which decision" "$decision" "$(c decisions list --state all -o json | jq -rs '.[] | select(.action == "capture") | .id')"
expect "and which alert" "$alert" "$(c alerts list --state all -o json | jq -rs '.[] | select(.rule == "knocks-often") | .id')"
in_node 1 "$weir" captures get "$id" -w "$tmp/one.pcapng"
expect "packets from before the alert" "$(tshark -r "$tmp/one.pcapng" -Y icmp 2>/dev/null | wc -l)" 40
expect "and those that it was about" \
	"$(tshark -r "$tmp/one.pcapng" -Y 'tcp.flags.syn == 1' -T fields -e tcp.dstport 2>/dev/null | sort -u | paste -sd,)" \
	2601,2602,2603,2604,2605,2606
expect "of the suspect alone" "$(tshark -r "$tmp/one.pcapng" -Y "!(ip.addr == $suspect)" 2>/dev/null | wc -l)" 0
expect "tshark has nothing to say about it" \
	"$(tshark -r "$tmp/one.pcapng" -Y '_ws.malformed' 2>&1 | grep -v 'Running as user')" ''
expect_true "the other node had none of them" wait_for 30 counted 2 empty 1
expect "and leaves no file" "$(in_node 2 "$weir" captures list -o json | wc -l)" 0
expect_true "the decision ends with its time" wait_for 60 eval \
	'[ "$(c decisions list --state all -o json | jq -rs ".[] | select(.action == \"capture\") | .state")" = expired ]'
expect "it was one file" "$(in_node 1 "$weir" captures list -o json | wc -l)" 1
expect_match "the audit log has it" "$(c audit list | tr -s ' ')" 'rule:knocks-often decision.made'
expect_true "the audit log is whole" c audit verify
collector_stop
expect "the collector ends" "$collector_rc" 0
