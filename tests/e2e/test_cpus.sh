#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_cpus.sh - the captures of tests/data on a live interface, each frame from another CPU than the
# one before: the directions of a flow, the segments of a hello and retransmissions come together in
# one record with its name, as if one CPU had seen them.
. "$(dirname "$0")/lib.sh"

if [ "$(nproc)" -lt 2 ]; then
	skip cpus "one CPU only"
	exit 0
fi

# Flows that have no record with all that is known of them, but for the times, and for what takes one
# CPU to see all segments of a direction (receive side scaling keeps a flow on one CPU).
# shellcheck disable=SC2016 # jq's variables
compare='
def same($r; $e): all($e | paths(scalars); . as $p | ($r | getpath($p)?) == ($e | getpath($p)));
$want[] | del(.start, .end, .out.retransmits, .out.out_of_order, .in.retransmits) | . as $e | [$got[] | select(same(.; $e))] | length |
	select(. != 1) | "\(.) records like \($e | tojson)"'

case_capture() # NAME ARG...
{
	local name=$1 sent

	shift
	weir_start "$name" -i va "$@" || return
	sent=$(in_b "$tools/inject" -c vb "tests/data/$name.pcap")
	settle
	weir_stop
	expect "$name: every frame was seen" "$(counter "$name" xdp_frames)" "$sent"
	expect "$name: each flow is one record, whole and with its name" \
		"$(jq -rn --slurpfile want "tests/data/$name.flows.json" --slurpfile got "$tmp/$name.json" "$compare")" ''
	expect "$name: no other record" "$(records "$name" 'map(select(.ethertype != 2054)) | length')" \
		"$(wc -l <"tests/data/$name.flows.json")"
	expect_true "$name: several CPUs were at work" test "$(counter "$name" inserts)" -gt "$(records "$name" length)"
	expect_accounted "$name" "$name"
}

net_new
for name in https http dns pieces chromium quic odd; do
	case_capture "$name"
done
case_capture tunnels --role mirror --hook xdp
