#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_faults.sh - what happens to a daemon in its life, each with the account at its end: stopped for
# ten seconds, a filter left by one that was killed, mixed traffic for WEIR_SOAK seconds with its
# memory looked at. And what core and worker may do. (Kills: test_takeover.sh; interfaces deleted and
# made again: test_ifaces.sh; reload under load: test_reload.sh; the clock: test_drain.)
. "$(dirname "$0")/lib.sh"

soak=${WEIR_SOAK:-15}
three=000000c000001000 # CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN

status_of() # PID WORD
{
	sed -n "s/^$2:[ \t]*//p" "/proc/$1/status"
}

case_privileges()
{
	local worker

	weir_start priv -i va || return
	worker=$(pgrep -P "$weir_pid")
	expect "core: capabilities" "$(status_of "$weir_pid" CapEff)" "$three"
	expect "core: bounding set" "$(status_of "$weir_pid" CapBnd)" "$three"
	expect "core: seccomp filter, no new privileges" \
		"$(status_of "$weir_pid" Seccomp) $(status_of "$weir_pid" NoNewPrivs)" '2 1'
	expect "worker: capabilities" "$(status_of "$worker" CapEff)" 0000000000000000
	expect "worker: bounding set" "$(status_of "$worker" CapBnd)" 0000000000000000
	expect "worker: seccomp filter, no new privileges" \
		"$(status_of "$worker" Seccomp) $(status_of "$worker" NoNewPrivs)" '2 1'
	expect "worker: user" "$(status_of "$worker" Uid | cut -f1)" "$(id -u weir 2>/dev/null || echo 65534)"
	weir_stop
}

case_stopped()
{
	local worker

	weir_start stopped -i va --drain-interval 100ms --idle-timeout 1s --flows 1024 || return
	worker=$(pgrep -P "$weir_pid")
	in_b "$tools/flood" -n 20000 vb 3000 >/dev/null
	kill -STOP "$weir_pid" "$worker"
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		in_b "$tools/flood" -n 10000 vb 3000 >/dev/null
		sleep 1
	done
	kill -CONT "$weir_pid" "$worker"
	in_b "$tools/flood" -n 20000 vb 3000 >/dev/null
	settle
	weir_stop
	expect "stopped for ten seconds: exit status" "$weir_rc" 0
	expect "stopped for ten seconds: every frame was seen" "$(counter stopped xdp_frames)" 140000
	expect_accounted "stopped for ten seconds" stopped
}

# A filter with our handle that nobody holds, as a kill -9 leaves it on a kernel without TCX.
case_stale_filter()
{
	in_a tc qdisc add dev va clsact
	in_a tc filter add dev va egress prio 49 handle 0x77656972 bpf obj "$build/tests/e2e/tc_count.bpf.o" \
		sec tc 2>"$tmp/tc.err" || { skip "stale filter" "$(tail -n 1 "$tmp/tc.err")"; return; }
	weir_start stale -i va || return
	expect "stale filter: it is gone" "$(in_a tc filter show dev va egress)" ''
	in_a ping -c 23 -i 0.002 -q "$ip_b" >/dev/null
	weir_stop
	expect "stale filter: counts once" "$(sum_of stale '.proto == "icmp"')" "46 $((46 * 84))"
}

rss_of() # PID: KiB
{
	status_of "$1" VmRSS | tr -dc 0-9
}

# Mixed traffic: many flows, few flows, SYNs, TCP with payload, pings of both families.
mixed() # SECONDS
{
	local end=$((SECONDS + $1))

	while [ "$SECONDS" -lt "$end" ]; do
		in_b "$tools/flood" -n 5000 vb 4000
		in_b "$tools/flood" -n 2000 vb 7
		in_b "$tools/flood" -s -n 3000 vb 3000
		in_a ping -c 5 -i 0.002 -q "$ip_b"
		in_a ping -c 5 -i 0.002 -q "$ip6_b"
		sleep 0.05
	done >/dev/null
}

case_soak()
{
	local worker warm after

	# what is kept for 'weir flows --last' would fill up first
	export WEIR_CONTROL_HISTORY=1000
	weir_start soak -i va --drain-interval 200ms --idle-timeout 1s --active-timeout 2s --syn-timeout 1s \
		--flows 16384 || return
	worker=$(pgrep -P "$weir_pid")
	mixed $((soak / 10 + 10))
	warm=$(rss_of "$worker")
	mixed "$soak"
	after=$(rss_of "$worker")
	settle
	weir_stop
	expect "soak: exit status" "$weir_rc" 0
	expect "soak: memory is flat (warm $warm KiB, after $soak s $after KiB)" "$((after <= warm + warm / 10 + 2048))" 1
	expect_accounted "soak" soak
}

net_new
case_privileges
case_stopped
net_new
case_stale_filter
net_new
case_soak
