#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_lifecycle.sh - every way in which weir can end: what it has counted is written, traffic flows
# on, nothing stays on the interface, and the exit status says how it was.
. "$(dirname "$0")/lib.sh"

pings() # COUNT
{
	in_a ping -c "$1" -i 0.002 -q "$ip_b" >"$tmp/ping.out" 2>&1
}

expect_traffic() # CASE
{
	expect_true "$1: traffic flows" pings 23
}

worker_of() # PID
{
	pgrep -P "$1"
}

expect_no_process() # CASE PID...
{
	local name=$1 p left=''

	shift
	for p; do
		wait_for 60 pid_gone "$p" || left+="$p "
	done
	expect "$name: no process is left" "$left" ''
}

case_signal() # SIGNAL
{
	local name=sig_$1 worker

	weir_start "$name" -i va || return
	worker=$(worker_of "$weir_pid")
	pings 101
	settle
	weir_stop "$1"
	expect "$name: exit status" "$weir_rc" 0
	expect "$name: all is written" "$(sum_of "$name")" "202 $((202 * 84))"
	expect "$name: the reason is in the record" "$(records "$name" 'map(.reason) | unique | tojson')" '["shutdown"]'
	expect_accounted "$name" "$name"
	expect_attached "$name" ''
	expect_no_process "$name" "$worker"
	expect_traffic "$name"
}

some_frames() # NAMESPACE DEV COUNT: have so many come in?
{
	[ "$(link_stats "$1" "$2" | cut -d' ' -f1)" -gt "$3" ]
}

# The end comes in the middle of traffic: what was seen until then is all in the records.
case_under_load()
{
	local flood before

	before=$(link_stats "$ns_a" va | cut -d' ' -f1)
	weir_start under_load -i va || return
	spawn flood "$ns_b" "$tools/flood" -n 50000000 vb 1009
	flood=${spawned[flood]}
	wait_for 20 some_frames "$ns_a" va $((before + 100000)) || die "no frames come in"
	weir_stop
	expect_true "under load: traffic went on meanwhile" kill -0 "$flood"
	stop_spawned flood
	expect "under load: exit status" "$weir_rc" 0
	expect_accounted "under load" under_load
	expect_attached "under load" ''
}

# The words for people: packets, flows, losses, and that it has let go of the interface.
case_text_summary()
{
	"${exec_a[@]}" "$weir" run -i va -o table >"$tmp/text.out" 2>"$tmp/text.err" &
	weir_pid=$!
	pids+=("$weir_pid")
	wait_for 60 weir_is_up text 1
	pings 23
	weir_stop INT
	expect_match "summary for people" "$(cat "$tmp/text.err")" '^weir: 46 packets, 3,864 bytes, 1 flows, 0 lost'
	expect_match "summary for people: detached" "$(cat "$tmp/text.err")" '^weir: detached va$'
}

case_worker_killed()
{
	local worker

	weir_start worker_killed -i va || return
	worker=$(worker_of "$weir_pid")
	pings 23
	kill -KILL "$worker"
	if ! weir_wait 10; then
		not_ok "worker killed: the core ends" "still there after 10 s"
		weir_stop KILL
	fi
	expect "worker killed: exit status is not 0" "$((weir_rc != 0))" 1
	expect_match "worker killed: the core says so" "$(cat "$tmp/worker_killed.err")" 'worker'
	expect_attached "worker killed" ''
	expect_traffic "worker killed"
}

case_core_killed()
{
	local worker

	weir_start core_killed -i va || return
	worker=$(worker_of "$weir_pid")
	pings 23
	kill -KILL "$weir_pid"
	wait "$weir_pid" 2>/dev/null
	expect_no_process "core killed" "$worker"
	expect_attached "core killed" ''
	expect_traffic "core killed"
	expect "core killed: the worker wrote what was in the cache" "$(sum_of core_killed)" "46 $((46 * 84))"
}

case_both_killed()
{
	local worker

	weir_start both_killed -i va || return
	worker=$(worker_of "$weir_pid")
	kill -KILL "$weir_pid" "$worker"
	wait "$weir_pid" 2>/dev/null
	expect_no_process "both killed" "$worker"
	expect_attached "both killed" ''
	expect_traffic "both killed"
}

# The reader goes away (weir ... | head): weir ends, quietly, and lets go.
case_reader_gone()
{
	mkfifo "$tmp/fifo"
	"${exec_a[@]}" "$weir" run -i va -o json --drain-interval 100ms --idle-timeout 100ms >"$tmp/fifo" \
		2>"$tmp/reader_gone.err" &
	weir_pid=$!
	pids+=("$weir_pid")
	head -n 1 "$tmp/fifo" >/dev/null &
	wait_for 60 weir_is_up reader_gone 1
	pings 5
	wait_for 60 pid_gone $!
	pings 5
	if ! weir_wait 5; then
		not_ok "reader gone: weir ends" "still there after 5 s"
		weir_stop
	else
		expect "reader gone: weir ends, exit status" "$weir_rc" 0
	fi
	expect_attached "reader gone" ''
	expect_traffic "reader gone"
}

case_duration()
{
	"${exec_a[@]}" "$weir" run -i va --duration 200ms >"$tmp/duration.out" 2>"$tmp/duration.err" &
	weir_pid=$!
	pids+=("$weir_pid")
	if weir_wait 30; then
		expect "duration: it ends by itself, exit status" "$weir_rc" 0
	else
		not_ok "duration: it ends by itself" "still there after 30 s"
		weir_stop
	fi
}

case_disk_full()
{
	"${exec_a[@]}" "$weir" run -i va -o json --drain-interval 100ms --idle-timeout 100ms >/dev/full \
		2>"$tmp/disk_full.err" &
	weir_pid=$!
	pids+=("$weir_pid")
	wait_for 60 weir_is_up disk_full 1
	pings 5
	weir_wait 5 || weir_stop
	expect "disk full: exit status" "$weir_rc" 1
	expect_match "disk full: says so" "$(cat "$tmp/disk_full.err")" 'standard output: No space left'
	expect_attached "disk full" ''
}

case_interface_deleted()
{
	pair_new "$ns_a" va3 "$ns_b" vb3 3 1500
	settle "$ns_a" va3
	weir_start deleted -i va -i va3 || return
	in_a ping -c 101 -i 0.002 -q 10.77.3.2 >/dev/null
	settle "$ns_a" va3
	ip -n "$ns_a" link del va3
	pings 23
	settle
	expect_true "interface deleted: weir goes on" kill -0 "$weir_pid"
	weir_stop
	expect "interface deleted: exit status" "$weir_rc" 0
	expect "interface deleted: both interfaces' packets are in the records" \
		"$(records deleted 'map(select(.proto == "icmp")) | group_by(.iface) |
			map([.[0].iface, (map(.packets) | add)]) | tojson')" '[["va",46],["va3",202]]'
	expect_accounted "interface deleted" deleted
	expect_attached "interface deleted" ''
}

# The only interface goes, and its namespace with it.
case_namespace_deleted()
{
	local ns=weir-c$$

	ns_new "$ns"
	pair_new "$ns" vc "$ns_b" vbc 4 1500
	settle "$ns" vc
	weir_start ns_deleted -i vc || return
	ip netns exec "$ns" ping -c 23 -i 0.002 -q 10.77.4.2 >/dev/null
	settle "$ns" vc
	ip -n "$ns" link del vc
	weir_stop
	expect "only interface deleted: exit status" "$weir_rc" 0
	expect "only interface deleted: all is written" "$(sum_of ns_deleted '.proto == "icmp"')" \
		"46 $((46 * 84))"
	net_del "$ns"
}

case_again()
{
	local i

	for i in 1 2 3; do
		weir_start "again$i" -i va || return
		pings 5
		weir_stop
		expect "again, run $i: counts from nothing" "$(sum_of "again$i")" "10 840"
	done
	expect_attached "again" ''
}

net_new
case_signal TERM
case_signal INT
case_under_load
case_text_summary
case_duration
case_worker_killed
case_core_killed
case_both_killed
case_reader_gone
case_disk_full
case_interface_deleted
case_namespace_deleted
case_again
