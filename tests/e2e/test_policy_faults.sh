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
	umount "$tmp/bpf" 2>/dev/null || true
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

# UDP datagrams that reached weir's host.
arrived()
{
	in_a awk '/^Udp: [0-9]/ { print $2 + $3 }' /proc/net/snmp
}

# To a port where nobody is, until $tmp/enough is there.
datagrams()
{
	in_b python3 - "$ip_a" "$tmp/enough" <<-'EOF'
		import os, socket, sys, time
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		while not os.path.exists(sys.argv[2]):
		    for i in range(20):
		        s.sendto(b"x" * 64, (sys.argv[1], 9))
		    time.sleep(0.002)
	EOF
}

knows() # NAMES
{
	[ "$(shown 'map(.name) | unique | join(",")')" = "$1" ]
}

# Another weir takes the place of one that enforces: nothing that is blocked gets through meanwhile, whether
# it has the same tables or others, and however long the first one is at its end.
case_replaced() # CASE ARG...: of the second
{
	local name=$1 before first sender
	# longer than it takes the other to load on a busy machine: what is asked is whether it drops all that time
	local -x WEIR_POLICY_LEASE=120s

	shift
	rm -f "$tmp/enough"
	weir_start "$name-1" -i va --pin "$pin" --export 'ipfix+tcp://127.0.0.1:4821?queue_bytes=1Mi' || return
	first=$weir_pid
	# by address: nearly all of the traffic, which is what the breaker would stop
	in_a "$weir" block "host $ip_b" --for 5m --as kept >/dev/null
	before=$(arrived)
	datagrams &
	sender=$!
	weir_start "$name" -i va --pin "$pin" --replace "$@" || return
	expect_true "replaced, $name: the first has left" wait_for 60 pid_gone "$first"
	expect_true "replaced, $name: the rule holds" wait_for 60 knows kept
	expect_true "replaced, $name: and drops" wait_for 60 dropped_some
	touch "$tmp/enough"
	wait "$sender"
	expect "replaced, $name: nothing came through meanwhile" "$(($(arrived) - before))" 0
	weir_stop
	forget_all
}

dropped_some()
{
	[ "$(shown 'map(.packets) | add')" -gt 0 ]
}

# What nobody has confirmed is not there after a restart.
case_unconfirmed()
{
	weir_start unsure -i va --pin "$pin" || return
	in_a "$weir" block 'host 192.0.2.1' --for 5m --as sure >/dev/null
	in_a "$weir" block 'host 192.0.2.2' --for 5m --as asked --confirm 5m >/dev/null
	in_a "$weir" policy confirm >/dev/null
	in_a "$weir" block "host $ip_b" --for 5m --as unsure --confirm 5m >/dev/null
	expect_true "unconfirmed: it holds" no_ping
	weir_stop
	expect_match "unconfirmed: it is said at the end" "$(cat "$tmp/unsure.err")" 'nobody has confirmed'
	weir_start unsure2 -i va --pin "$pin" || return
	expect_true "unconfirmed: not after a restart" pings
	expect "unconfirmed: what was before it is there" "$(shown 'map(.name) | unique | join(",")')" asked,sure
	weir_stop
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
	expect_true "SIGCONT: enforced again" wait_for 60 no_ping
	weir_stop
}

case_worker()
{
	weir_start worker -i va || return
	in_a "$weir" block "$ip_b" --for 5m >/dev/null
	kill -STOP "$(pgrep -P "$weir_pid" | head -n 1)"
	expect_true "a worker that stalls: fails open" wait_for 20 pings
	kill -CONT "$(pgrep -P "$weir_pid" | head -n 1)"
	expect_true "and is back when the worker is" wait_for 60 no_ping
	weir_stop
}

case_breaker()
{
	WEIR_POLICY_BREAKER=50 weir_start breaker -i va || return
	in_a "$weir" block 'proto udp or proto icmp' --for 5m >/dev/null
	# until some have come after it acted, however much of a second's traffic a flood of 2000 is here
	for ((i = 0, acted = 0; i < 8 || (acted == 0 && i < 60); i++)); do
		acted=$(grep -c BREAKER "$tmp/breaker.err")
		in_b "$tools/flood" -n 2000 vb 16 >/dev/null
		sleep 1
	done &
	expect_true "breaker: drops above a share of the traffic put all into shadow" \
		wait_for 60 has_line "$tmp/breaker.err" BREAKER
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
case_replaced same
case_replaced other --flows 1Mi
case_replaced fewer --flows 1024 --policy-entries 1000
case_unconfirmed
case_stopped
case_worker
case_breaker
case_panic_kept
