#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_policy_million.sh - a million blocked addresses, with --pin: weir is killed, enforcement goes on until
# the lease ends, then all passes; the next weir takes over and enforces again, and every packet that was
# sent was either counted by the rule or let through. Then an update of the list, and a list that is too long.
. "$(dirname "$0")/lib.sh"
needs million jq pgrep ethtool || exit 0

export WEIR_POLICY_LEASE=4s WEIR_POLICY_ENTRIES=1572864
addresses=1000000
listed=1024 sources=4096 # of what flood sends: 10.97.0.0 and on
mkdir "$tmp/bpf"
mount -t bpf bpf "$tmp/bpf" || { skip "a million" "no BPF file system can be mounted"; exit 0; }
pin=$tmp/bpf/weir

# The mount goes, and with it all that is pinned, whatever happens.
unpin()
{
	find "$tmp/bpf" -type f ! -name '*.debug' -delete
	umount "$tmp/bpf" 2>/dev/null || true
}
trap 'unpin; finish' EXIT

shown() # JQ-FILTER
{
	in_a "$weir" policy show -o json | jq -sr "$1"
}

# What went on to the stack, by the driver's own count.
forwarded()
{
	in_a ethtool -S va | awk '/_xdp_packets:/ { n += $2 } /_xdp_drops:/ { n -= $2 } END { print n }'
}

sent=0
send() # ROUNDS over all sources
{
	local n

	n=$(in_b "$tools/flood" -n "$((sources * $1))" vb "$sources" | cut -d' ' -f1)
	sent=$((sent + n))
}

kill_all() # SIGNAL: both processes
{
	local p

	for p in $(pgrep -P "$weir_pid") "$weir_pid"; do
		kill -"$1" "$p"
	done
}

# A frame of a listed source (flow 0) gets through.
listed_pass()
{
	local before

	before=$(forwarded)
	in_b "$tools/flood" -n 1 vb 1 >/dev/null
	sent=$((sent + 1))
	settle
	[ "$(forwarded)" -gt "$before" ]
}

listed_stopped()
{
	! listed_pass
}

make_policies()
{
	awk -v n="$addresses" -v own="$listed" 'BEGIN {
		for (i = 0; i < own; i++) printf "10.97.%d.%d\n", i / 256, i % 256
		for (; i < n; i++) printf "45.%d.%d.%d\n", i / 65536, i / 256 % 256, i % 256 }' >"$tmp/list.txt"
	printf 'issuer feed\nlist l %s\ndrop src.ip in @l for 1h as million\n' "$tmp/list.txt" >"$tmp/feed.policy"
	"$weir" policy compile "$tmp/feed.policy" -w "$tmp/feed.bin" || die "the policy does not compile"
}

case_killed()
{
	local dropped before

	weir_start million -i va --pin "$pin" || exit 1
	in_a "$weir" policy apply "$tmp/feed.bin" >"$tmp/apply.out" 2>&1
	expect_match "a million: applied as a whole" "$(cat "$tmp/apply.out")" "1 rules, 100000[0-9] decisions"
	send 5
	kill_all KILL
	wait "$weir_pid" 2>/dev/null
	send 7
	settle
	expect "a million: enforced on after kill -9" "$(forwarded)" "$((12 * (sources - listed)))"
	expect_true "a million: open when the lease has ended" wait_for 10 listed_pass
	before=$(forwarded)
	send 3
	settle
	expect "a million: everything passes then" "$(($(forwarded) - before))" "$((3 * sources))"
	weir_start million2 -i va --pin "$pin" || exit 1
	expect_true "a million: the restarted one enforces again" wait_for 10 listed_stopped
	expect "a million: and knows them all" "$(shown '.[0].name')" million
	before=$(forwarded)
	send 5
	settle
	expect "a million: exactly those" "$(($(forwarded) - before))" "$((5 * (sources - listed)))"
	dropped=$(shown '.[0].packets')
	expect "a million: per rule + forwarded = sent" "$((dropped + $(forwarded)))" "$sent"
}

# The list as it is an hour later: most of it is there already, and keeps its place.
case_update()
{
	sed "1,${listed}d" "$tmp/list.txt" >"$tmp/list.new"
	awk 'BEGIN { for (i = 0; i < 20000; i++) printf "46.0.%d.%d\n", i / 256, i % 256 }' >>"$tmp/list.new"
	mv "$tmp/list.new" "$tmp/list.txt"
	in_a "$weir" policy apply "$tmp/feed.policy" >"$tmp/apply.out" 2>&1
	expect "an update of more than half the room fits" "$?" 0
	expect_true "an update: what left the list passes at once" listed_pass
	awk 'BEGIN { for (i = 0; i < 600000; i++) printf "47.%d.%d.%d\n", i / 65536, i / 256 % 256, i % 256 }' >>"$tmp/list.txt"
	in_a "$weir" policy apply "$tmp/feed.policy" >/dev/null 2>"$tmp/apply.err"
	expect_match "what does not fit is refused, with figures" "$(cat "$tmp/apply.err")" \
		"refused by the guard capacity: .* decisions of 157286[0-9]"
	expect_true "what does not fit changes nothing" listed_pass
}

pings()
{
	in_a ping -q -c 1 -W 1 "$ip_b" >/dev/null 2>&1
}

no_ping()
{
	! pings
}

# Without --pin nothing stays that could go on dropping.
case_unpinned()
{
	weir_start unpinned -i va || exit 1
	{
		echo "$ip_b"
		head -n "$((addresses - 1))" "$tmp/list.txt"
	} >"$tmp/list.new"
	mv "$tmp/list.new" "$tmp/list.txt"
	in_a "$weir" policy apply "$tmp/feed.policy" >/dev/null
	expect_true "a million without --pin: enforced" no_ping
	kill_all KILL
	wait "$weir_pid" 2>/dev/null
	expect_true "a million without --pin: everything passes at once" wait_for 1 pings
	expect_attached "a million without --pin" ""
}

net_new
make_policies
case_killed
case_update
weir_stop
unpin
rm -rf "$tmp/policy"
case_unpinned
