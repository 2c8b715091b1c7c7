#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_policy_faults.sh - what becomes of enforcement when weir is killed, stopped or restarted, when the
# clock is set, and when a rule stops nearly everything.
. "$(dirname "$0")/lib.sh"
needs faults jq pgrep || exit 0

export WEIR_POLICY_LEASE=3s
mkdir "$tmp/bpf"
mount -t bpf bpf "$tmp/bpf" || { skip "policy faults" "no BPF file system can be mounted"; exit 0; }
pin=$tmp/bpf/weir

forget_all()
{
	find "$tmp/bpf" -type f ! -name '*.debug' -delete
	rm -rf "$tmp/policy"
}

# The mount goes, and with it all that is pinned, whatever happens.
unpin()
{
	forget_all
	umount "$tmp/bpf" 2>/dev/null
}
trap 'unpin; finish' EXIT

pings()
{
	in_a ping -q -c 1 -W 1 "$ip_b" >/dev/null 2>&1
}

send_udp() # so many datagrams, exactly
{
	in_b "$tools/flood" -n "$1" vb 1 >/dev/null
}

no_ping()
{
	! pings
}

shown() # JQ-FILTER
{
	in_a "$weir" policy show -o json | jq -sr "$1"
}

kill_all() # SIGNAL: both processes
{
	local p

	for p in $(pgrep -P "$weir_pid") "$weir_pid"; do
		kill -"$1" "$p"
	done
}

case_killed()
{
	weir_start killed -i va || return
	in_a "$weir" block "$ip_b" --for 5m >/dev/null
	expect_true "kill -9 without --pin: blocked before" no_ping
	kill_all KILL
	wait "$weir_pid" 2>/dev/null
	expect_true "kill -9 without --pin: everything passes at once" wait_for 1 pings
}

case_pinned()
{
	weir_start pinned -i va --pin "$pin" || return
	in_a "$weir" block "proto udp or host $ip_b" --for 5m --as kept >/dev/null
	send_udp 10
	kill_all KILL
	wait "$weir_pid" 2>/dev/null
	send_udp 10
	expect_true "kill -9 with --pin: enforced on" no_ping
	expect_true "kill -9 fails open within the lease" wait_for 6 pings
	send_udp 10 # they pass
	weir_start pinned2 -i va --pin "$pin" || return
	expect_true "kill -9 with --pin: the restarted one enforces again" no_ping
	send_udp 10
	expect "kill -9 with --pin: and knows the rules" "$(shown 'map(.name) | unique | join(",")')" kept
	expect "kill -9 with --pin: what was counted is exact: before, between, after, and not what passed" \
		"$(shown 'map(select(.match | test("udp")))[0].packets')" 30
	kill -TERM "$weir_pid"
	weir_wait 20
	expect_true "an end with --pin: enforced on, for the lease" no_ping
	expect_true "an end with --pin: then open" wait_for 6 pings
	forget_all
}

case_stopped()
{
	weir_start stopped -i va || return
	in_a "$weir" block "$ip_b" --for 5m >/dev/null
	expect_true "SIGSTOP: blocked before" no_ping
	kill_all STOP
	expect_true "SIGSTOP fails open within the lease" wait_for 6 pings
	kill_all CONT
	expect_true "SIGCONT: enforced again" wait_for 6 no_ping
	weir_stop
}

case_worker()
{
	weir_start worker -i va || return
	in_a "$weir" block "$ip_b" --for 5m >/dev/null
	kill -STOP "$(pgrep -P "$weir_pid" | head -n 1)"
	expect_true "a worker that stalls: fails open" wait_for 20 pings
	kill -CONT "$(pgrep -P "$weir_pid" | head -n 1)"
	expect_true "and is back when the worker is" wait_for 6 no_ping
	weir_stop
}

case_breaker()
{
	WEIR_POLICY_BREAKER=50 weir_start breaker -i va || return
	in_a "$weir" block 'proto udp or proto icmp' --for 5m >/dev/null
	for _ in 1 2 3 4 5 6 7 8; do
		in_b "$tools/flood" -n 2000 vb 16
		sleep 1
	done >/dev/null &
	expect_true "breaker: drops above a share of the traffic put all into shadow" \
		wait_for 15 has_line "$tmp/breaker.err" BREAKER
	wait "$!"
	expect_true "breaker: nothing is stopped then" pings
	expect_true "breaker: what would have been is counted" \
		test "$(shown 'map(.would_packets) | add')" -gt 0
	in_a "$weir" panic --off >/dev/null
	expect_true "breaker: left by command" no_ping
	weir_stop
}

case_panic_kept()
{
	weir_start panic -i va --pin "$pin" || return
	in_a "$weir" block "$ip_b" --for 5m >/dev/null
	in_a "$weir" panic >/dev/null
	weir_stop
	weir_start panic2 -i va --pin "$pin" || return
	expect_true "panic holds over a restart" pings
	in_a "$weir" panic --off >/dev/null
	expect_true "panic: over by command" no_ping
	weir_stop
	forget_all
}

net_new
case_killed
case_pinned
case_stopped
case_worker
case_breaker
case_panic_kept
