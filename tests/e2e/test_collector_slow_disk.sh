#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_collector_slow_disk.sh - the store's file system is frozen while flows come: receiving goes on without
# it, blocks are as many as were allowed, what had no place is counted against its exporter, status answers;
# when the disk is back everything that was taken becomes durable, and stored + lost = sent.
# shellcheck disable=SC2016,SC2154,SC2317
export WEIR_COLLECTOR_STORE_BLOCKS=12 WEIR_COLLECTOR_LISTEN_BUFFER=1Mi
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"

frozen=''
thaw()
{
	[ -z "$frozen" ] || fsfreeze --unfreeze "$tmp/store"
	frozen=''
}

leave()
{
	local rc=$?

	thaw
	umount -l "$tmp/store"
	(exit "$rc")
	finish
}

all_stored()
{
	collector_status '.pool.queued == 0 and .store.pending == 0 and
		.store.appended == ([.exporters[].counts.records // 0] | add)' | grep -q true
}

lost()
{
	collector_status '[.exporters[].lost[]] | add // 0'
}

is_full()
{
	collector_status '.pool.free == 0' | grep -q true
}

has_lost()
{
	[ "$(lost)" -gt 0 ]
}

mkdir "$tmp/store"
truncate -s 512M "$tmp/disk"
if ! mkfs.ext4 -q "$tmp/disk" 2>/dev/null || ! mount -o loop "$tmp/disk" "$tmp/store" 2>"$tmp/mount.err"; then
	skip "a disk that stops" "no loop device: $(tail -n 1 "$tmp/mount.err" 2>/dev/null)"
	exit 0
fi
trap leave EXIT

net_new
in_a ip link set lo up
collector_start
in_a "$build/tests/bench/bench_load" 4739 -f ipfix -p udp -r 50000 -n 50000 >"$tmp/first" || die "bench_load fails"
expect_true "the first are durable" wait_for 60 all_stored

fsfreeze --freeze "$tmp/store" || die "fsfreeze"
frozen=1
in_a "$build/tests/bench/bench_load" 4739 -f ipfix -p udp -r 100000 -n 400000 >"$tmp/second" 2>&1 &
load_pid=$!
expect_true "all blocks wait for the disk" wait_for 30 is_full
expect_true "losses are counted while it stands still" wait_for 60 has_lost
expect "no more blocks than there are" "$(collector_status .pool.blocks)" 12
expect_true "and nothing is said to be durable" [ "$(collector_status .store.rows)" -eq "$(jq .flows "$tmp/first")" ]
wait "$load_pid" || die "bench_load fails"
thaw
expect_true "when it is back, what was taken becomes durable" wait_for 120 all_stored
sent=$(($(jq .flows "$tmp/first") + $(jq .flows "$tmp/second")))
expect "stored and counted as lost are what was sent" "$(($(stored_flows) + $(lost)))" "$sent"
came=$(collector_status '[.listeners[] | .datagrams + .kernel_drops] | add')
expect "datagrams that came and that the socket dropped are what was sent" "$came" \
	"$(($(jq .sent "$tmp/first") + $(jq .sent "$tmp/second")))"
expect_true "lost for want of a block is a reason" \
	[ "$(collector_status '[.exporters[].lost.lost_no_block // 0] | add')" -gt 0 ]
expect "roll-ups say the same" "$("$collector" query -o json --last 1d | jq .flows)" "$(stored_flows)"
collector_stop
expect "the collector ends well" "$collector_rc" 0
