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

fds_of() # PID
{
	find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l
}

rss_of() # PID: KiB
{
	status_of "$1" VmRSS | tr -dc 0-9
}

# Mixed traffic: many flows, few flows, SYNs, TCP with payload, names, pings of both families; what
# users ask meanwhile; and a reload.
mixed() # SECONDS
{
	local end=$((SECONDS + $1))

	while [ "$SECONDS" -lt "$end" ]; do
		in_b "$tools/flood" -n 2000 vb 4000
		in_b "$tools/flood" -n 1000 vb 7
		in_b "$tools/flood" -s -n 1500 vb 1500
		in_a ping -c 5 -i 0.002 -q "$ip_b"
		in_a ping -c 5 -i 0.002 -q "$ip6_b"
		in_b timeout 5 curl -s "http://$ip_a:8000/"
		"$weir" flows --last 20 -o json
		"$weir" top --once
		"$weir" status
		in_a curl -s http://127.0.0.1:9477/metrics
		kill -HUP "$weir_pid"
		sleep 0.2
	done >/dev/null
}

# Adds up what is read from a pipe: with so many records no file is kept. "RECORDS PACKETS".
add_up()
{
	awk -F'"packets":' '{ split($2, n, ","); p += n[1]; r++ } END { printf "%d %d\n", r, p }'
}

soak_start()
{
	local common=(--drain-interval 200ms --idle-timeout 1s --active-timeout 2s --syn-timeout 1s --flows 16384)

	# what is kept for 'weir flows --last' would fill up first
	export WEIR_CONTROL_HISTORY=1000
	mkfifo "$tmp/soak.json"
	add_up <"$tmp/soak.json" >"$tmp/soak.sum" &
	adder=$!
	pids+=("$adder")
	mkdir -p "$tmp/soak-spool"
	spawn http "$ns_a" python3 -m http.server --bind "$ip_a" --directory "$tmp/soak-spool" 8000
	spawn sink "$ns_a" socat -u UDP-RECV:4739,bind=127.0.0.1 /dev/null
	wait_for 60 listening "$ns_a" tcp 8000 || die "no HTTP server"
	weir_start soak -i va "${common[@]}" --metrics-listen 127.0.0.1:9477 \
		--export 'ipfix://127.0.0.1:4739' \
		--export "ipfix+tcp://127.0.0.1:4740?spool=$tmp/soak-spool&spool_bytes=4Mi&queue_bytes=1Mi" \
		--export "file:$tmp/soak.eve?format=eve&rotate_bytes=4Mi&keep=2&gzip=yes"
}

# Memory of both processes in twenty steps; the last half may not be above the first. Descriptors come and go
# with connections and files that are changed: what leaks stays.
case_soak()
{
	local worker adder step now first=0 last=0 seen lost fds=0 fds_now fds_last=1000000

	needs soak curl socat python3 || return
	soak_start || return
	worker=$(pgrep -P "$weir_pid")
	mixed $((soak / 10 + 5))
	for ((step = 0; step < 20; step++)); do
		now=$(rss_of "$worker")
		fds_now=$(($(fds_of "$worker") + $(fds_of "$weir_pid")))
		echo "soak: after $((step * soak / 20)) s: worker $now KiB, core $(rss_of "$weir_pid") KiB," \
			"$fds_now descriptors"
		[ "$step" -lt 10 ] && first=$((now > first ? now : first)) && fds=$((fds_now > fds ? fds_now : fds))
		[ "$step" -ge 15 ] && fds_last=$((fds_now < fds_last ? fds_now : fds_last))
		last=$((now > last ? now : last))
		mixed $(((soak + 19) / 20))
	done
	settle
	weir_stop
	wait "$adder"
	expect "soak: exit status" "$weir_rc" 0
	expect "soak: memory is flat (at most $first KiB in the first half, $last KiB in all)" \
		"$((last <= first + first / 50 + 512))" 1
	expect "soak: descriptors are as many as before (at most $fds in the first half, $fds_last at least in the last quarter)" \
		"$((fds_last <= fds))" 1
	seen=$(summary_of soak '.counters | .xdp_frames + .tc_ingress_frames + .tc_egress_frames')
	lost=$(summary_of soak '.counters.lost_packets + .counters.busy_packets')
	echo "soak: $seen frames, $(cut -d' ' -f1 "$tmp/soak.sum") records, $lost packets in counted losses"
	expect "soak: frames seen = packets in records + counted losses" \
		"$(($(cut -d' ' -f2 "$tmp/soak.sum") + lost))" "$seen"
	expect "soak: every export: taken = sent + lost + waiting" \
		"$(summary_of soak '[.exports[] | .records + .waiting + ([.lost[]] | add) - .taken] | unique | @csv')" 0
	summary_of soak '.exports | to_entries[] | "soak: export \(.key): \(.value.taken) taken, \(.value.records) sent, \(.value.waiting) wait, lost \(.value.lost | with_entries(select(.value > 0)) | tojson)"'
}

net_new
if [ $# -eq 0 ]; then
	set -- privileges stopped stale_filter soak
fi
for c; do
	"case_$c"
	net_new
done
