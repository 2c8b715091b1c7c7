#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_export_faults.sh - exports when things go wrong: the collector away and back, a full disk, a
# damaged spool, a reader that does not read, files that rotate. Each time every record is with the
# receiver, waits, or is in a loss with a name; and standard output, beside it, has them all.
# shellcheck disable=SC2016,SC2154
. "$(dirname "$0")/lib.sh"

# COUNT flows of one datagram each way; the ports tell them apart.
many_flows() # COUNT
{
	in_a python3 - "$1" "$ip_a" "$ip_b" <<-'EOF'
		import socket, sys
		n, a, b = int(sys.argv[1]), sys.argv[2], sys.argv[3]
		s = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range((n + 999) // 1000)]
		for x in s:
		    x.bind((a, 0))
		    x.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 64)
		for i in range(n):
		    s[i // 1000].sendto(b"x" * 10, (b, 20000 + i % 1000))
	EOF
}

start() # NAME EXPORT-URL...
{
	local name=$1 args=() u

	shift
	for u; do
		args+=(--export "$u")
	done
	weir_start "$name" -i va --idle-timeout 1s --drain-interval 100ms "${args[@]}"
}

export_of() # NAME JQ: of the first export in the summary
{
	summary_of "$1" ".exports[0] | $2"
}

# All that weir has was given to the export; and what it was given is accounted for.
expect_conserved() # CASE NAME
{
	expect "$1: the export was given every record" "$(export_of "$2" .taken)" "$(records "$2" length)"
	expect "$1: taken = sent + lost + waiting" \
		"$(export_of "$2" '.records + .waiting + ([.lost[]] | add)')" "$(export_of "$2" .taken)"
}

# It listens, or does no more: weir has found it already, and it takes one connection.
collector_is_up() # PORT
{
	in_a ss -Htan "sport = :$1" | grep -qE '^(LISTEN|ESTAB)'
}

collector_start() # NAME PORT: what comes goes to $tmp/NAME.ipfix
{
	spawn "$1" "$ns_a" socat -u "TCP-LISTEN:$2,bind=127.0.0.1,reuseaddr" "OPEN:$tmp/$1.ipfix,creat,append"
	wait_for 60 collector_is_up "$2" || die "socat does not start: $(tail -n 1 "$tmp/$1.err")"
}

# Flow records in IPFIX streams: those with a source port.
flows_in() # FILE...
{
	local f n=0

	for f; do
		n=$((n + $(ipfixDump --data --in "$f" 2>/dev/null | grep -c '[^a-zA-Z]sourceTransportPort')))
	done
	echo "$n"
}

case_collector_away()
{
	needs "collector away" ipfixDump socat || return
	mkdir -p "$tmp/spool"
	collector_start one 4801
	start away "ipfix+tcp://127.0.0.1:4801?spool=$tmp/spool&queue_bytes=1Mi" || return
	many_flows 1009
	wait_for 60 eval '[ "$(records away length)" -ge 1009 ]'
	wait_for 60 eval '[ "$(flows_in "$tmp/one.ipfix")" -ge 1009 ]'
	stop_spawned one
	many_flows 8009
	wait_for 60 ls "$tmp"/spool/*.ipfix
	expect_true "collector away: records are on disk" ls "$tmp"/spool/*.ipfix
	many_flows 5003
	sleep "${WEIR_AWAY:-2}"
	collector_start two 4801
	many_flows 503
	wait_for 20 eval '! ls "$tmp"/spool/*.ipfix'
	weir_stop
	wait "${spawned[two]}" 2>/dev/null
	expect "collector away: exit status" "$weir_rc" 0
	expect_conserved "collector away" away
	expect "collector away: nothing is lost" "$(export_of away '[.lost[]] | add')" 0
	expect "collector away: the collector has every flow once" \
		"$(flows_in "$tmp/one.ipfix" "$tmp/two.ipfix")" "$(records away 'map(select(.src.port)) | length')"
	expect "collector away: nothing is left on disk" "$(find "$tmp/spool" -name '*.ipfix' | wc -l)" 0
}

case_left_for_next_run()
{
	needs "left for the next run" ipfixDump socat || return
	mkdir -p "$tmp/next"
	start first "ipfix+tcp://127.0.0.1:4802?spool=$tmp/next" || return
	many_flows 4001
	settle
	weir_stop
	expect_conserved "left for the next run" first
	expect "left for the next run: all of it waits" "$(export_of first .waiting)" "$(records first length)"
	expect_true "left for the next run: libfixbuf reads the spool" \
		test "$(flows_in "$tmp"/next/*.ipfix)" = "$(records first 'map(select(.src.port)) | length')"
	collector_start three 4802
	start second "ipfix+tcp://127.0.0.1:4802?spool=$tmp/next" || return
	wait_for 20 eval '! ls "$tmp"/next/*.ipfix'
	weir_stop
	wait "${spawned[three]}" 2>/dev/null
	expect "left for the next run: sent by it" "$(export_of second .replayed)" "$(records first length)"
	expect "left for the next run: the collector has them" "$(flows_in "$tmp/three.ipfix")" \
		"$(records first 'map(select(.src.port)) | length')"
}

case_spool_damaged()
{
	local f size

	needs "spool damaged" ipfixDump socat || return
	mkdir -p "$tmp/bad"
	start hurt "ipfix+tcp://127.0.0.1:4803?spool=$tmp/bad&message_bytes=4Ki" || return
	many_flows 4001
	settle
	weir_stop
	f=$(find "$tmp/bad" -name '*.ipfix' | head -n 1)
	size=$(stat -c %s "$f")
	printf 'damage' | dd of="$f" bs=1 seek=$((size / 2)) conv=notrunc 2>/dev/null
	collector_start four 4803
	start heal "ipfix+tcp://127.0.0.1:4803?spool=$tmp/bad" || return
	wait_for 20 eval '! ls "$tmp"/bad/*.ipfix'
	weir_stop
	wait "${spawned[four]}" 2>/dev/null
	expect "spool damaged: replayed + lost = what was there" \
		"$(export_of heal '.replayed + .old_lost')" "$(export_of hurt .waiting)"
	expect_true "spool damaged: one message's records are lost, no more" \
		test "$(export_of heal .old_lost)" -gt 0 -a "$(export_of heal .old_lost)" -lt 100
}

# A disk of one MiB, seen by weir alone.
case_disk_full()
{
	mkdir -p "$tmp/small"
	cat >"$tmp/small.sh" <<-EOF
		mount -t tmpfs -o size=1m none $tmp/small && exec "\$@"
	EOF
	: >"$tmp/full.err"
	ip netns exec "$ns_a" unshare -m bash "$tmp/small.sh" "$weir" run -o json --summary json -i va \
		--idle-timeout 1s --drain-interval 100ms \
		--export "file:$tmp/small/out.json?queue_bytes=1Mi" >"$tmp/full.json" 2>"$tmp/full.err" </dev/null &
	weir_pid=$!
	pids+=("$weir_pid")
	wait_for 60 weir_is_up full 1 || die "weir does not start: $(cat "$tmp/full.err")"
	many_flows 20011
	settle
	wait_for 60 eval '[ "$(records full length)" -ge 10000 ]'
	weir_stop
	expect "disk full: exit status" "$weir_rc" 0
	expect_conserved "disk full" full
	expect_true "disk full: the loss has that name" test "$(export_of full .lost.disk_full)" -gt 0
	expect_true "disk full: what fitted is there" test "$(export_of full .records)" -gt 500
}

case_slow_reader()
{
	mkfifo "$tmp/pipe"
	sleep 60 <>"$tmp/pipe" & # holds it open and reads nothing
	pids+=($!)
	start slow "file:$tmp/pipe?queue_bytes=1Mi" || return
	many_flows 20011
	settle
	weir_stop
	expect_conserved "slow reader" slow
	expect_true "slow reader: the loss is of its queue" test "$(export_of slow .lost.queue_full)" -gt 0
	expect_accounted "slow reader: counting goes on" slow
}

case_rotation()
{
	local i

	start rotate "file:$tmp/rot.json?rotate_bytes=256Ki&keep=50&gzip=yes" || return
	for ((i = 0; i < 5; i++)); do
		many_flows 1009
		sleep 0.3
	done
	settle
	weir_stop
	expect_conserved "rotation" rotate
	expect "rotation: nothing is lost" "$(export_of rotate '[.lost[]] | add')" 0
	expect_true "rotation: old files are compressed" ls "$tmp/rot.json.1.gz" "$tmp/rot.json.2.gz"
	expect "rotation: every record in one of the files" \
		"$( (cat "$tmp/rot.json" && gzip -dc "$tmp"/rot.json.*.gz) | jq -s length)" "$(records rotate length)"
}

# What the end waits for: not for a collector that is away, and not longer than who stops weir wants.
case_end()
{
	local begin

	start gone 'ipfix+tcp://127.0.0.1:4809' || return
	many_flows 2003
	settle
	begin=${EPOCHREALTIME/./}
	weir_stop
	expect_true "end, nobody listens: at once ($(((${EPOCHREALTIME/./} - begin) / 1000)) ms)" \
		test $((${EPOCHREALTIME/./} - begin)) -lt 2500000
	expect "end, nobody listens: exit status" "$weir_rc" 0
	expect_conserved "end, nobody listens" gone
	expect "end, nobody listens: all are lost, and it is said why" \
		"$(export_of gone .lost.shutdown)" "$(records gone length)"

	# a collector that takes the connection and reads nothing
	spawn deaf "$ns_a" python3 -c 'import socket, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", 4810)); s.listen()
c = s.accept(); time.sleep(60)'
	wait_for 60 listening "$ns_a" tcp 4810 || die "no deaf collector"
	start patient 'ipfix+tcp://127.0.0.1:4810' || return
	many_flows 40009
	settle
	begin=${EPOCHREALTIME/./}
	kill -INT "$weir_pid"
	expect_true "end, a collector that reads nothing: it says what it waits for" \
		wait_for 8 has_line "$tmp/patient.err" 'exports: [0-9]+ records wait for their receivers, for [0-9] s at most'
	expect_true "end: and waits" kill -0 "$weir_pid"
	kill -INT "$weir_pid"
	weir_wait 5 || not_ok "end: a second Ctrl-C" "weir is still there"
	expect_true "end: a second Ctrl-C, at once ($(((${EPOCHREALTIME/./} - begin) / 1000)) ms)" \
		test $((${EPOCHREALTIME/./} - begin)) -lt 8000000
	expect "end: a second Ctrl-C: exit status" "$weir_rc" 0
	expect_conserved "end: a second Ctrl-C" patient
	expect_true "end: a second Ctrl-C: the loss has a name" test "$(export_of patient .lost.shutdown)" -gt 0
	stop_spawned deaf
}

net_new
if [ $# -eq 0 ]; then
	set -- end collector_away left_for_next_run spool_damaged disk_full slow_reader rotation
fi
for c; do
	"case_$c"
done
