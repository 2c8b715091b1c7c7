#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_eviction.sh - many more flows than the cache has room for, all of them active: no packet is
# lost without being counted, and the records add up to what was sent.
. "$(dirname "$0")/lib.sh"

# Packets, IP bytes and different sources of all records; jq would need gigabytes for a million.
sums() # NAME
{
	python3 - "$tmp/$1.json" <<-'EOF'
		import sys
		packets = size = 0
		sources = set()
		for line in open(sys.argv[1], "rb"):
		    a = line.index(b'"packets":') + 10
		    b = line.index(b",", a)
		    c = line.index(b",", b + 1)
		    packets += int(line[a:b])
		    size += int(line[b + 9 : c])
		    a = line.index(b'"src":')
		    sources.add(line[a : line.index(b"}", a)])
		print(packets, size, len(sources))
	EOF
}

expect_sent() # CASE NAME FRAMES IPBYTES; the number of different sources is left in $sources
{
	local lost lost_bytes packets bytes

	read -r packets bytes sources < <(sums "$2")
	lost=$(counter "$2" lost_packets)
	lost_bytes=$(counter "$2" lost_bytes)
	expect "$1: weir saw every frame" "$(counter "$2" xdp_frames)" "$3"
	expect "$1: packets in records + counted losses = sent" "$((packets + lost))" "$3"
	expect "$1: IP bytes in records + counted losses = sent" "$((bytes + lost_bytes))" "$4"
	echo "     $1: $(counter "$2" evicted) evicted, $lost lost, $(summary_of "$2" .records) records"
}

case_flood() # NAME CACHE FLOWS PACKETS ARG...
{
	local name=$1 cache=$2 flows=$3 packets=$4 sent bytes

	shift 4
	weir_start "$name" -i va --flows "$cache" || return
	read -r sent _ bytes < <(in_b "$tools/flood" "$@" -n "$packets" vb "$flows")
	settle
	weir_stop
	expect_sent "$name" "$name" "$sent" "$bytes"
	expect_true "$name: at most 1 packet in 100 was lost, on however slow a machine" \
		test $((100 * $(counter "$name" lost_packets))) -le "$packets"
	expect "$name: each flow has a record" "$sources" "$flows"
	rm -f "$tmp/$name.json"
}

# The same pressure, and the worker stands still: the ring fills up, what is lost is counted.
case_stopped_worker()
{
	local worker sent bytes

	weir_start stopped -i va --flows 5000 || return
	worker=$(pgrep -P "$weir_pid")
	kill -STOP "$worker"
	read -r sent _ bytes < <(in_b "$tools/flood" -n 300000 vb 65536)
	kill -CONT "$worker"
	settle
	weir_stop
	expect_sent "stopped worker" stopped "$sent" "$bytes"
	expect_true "stopped worker: there were losses, and they are counted" \
		test "$(counter stopped lost_packets)" -gt 0
}

net_new
case_flood cache_fits 262144 65536 131072
case_flood few 5000 65536 262144
case_flood million 5000 1000000 1200000
case_flood syn_flood 5000 300000 300000 -s
case_stopped_worker
