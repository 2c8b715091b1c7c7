#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_takeover.sh - with --pin nothing is lost when weir ends, however it ends: packets go on being
# counted, the next weir goes on with the cache, the flows and the records that were on their way. Sum of
# the records of all runs = what was sent, minus losses that have a name.
. "$(dirname "$0")/lib.sh"

kills=${WEIR_KILLS:-8}
often='--drain-interval 20ms --active-timeout 200ms --idle-timeout 100ms'
bpftool=${BPFTOOL:-/usr/sbin/bpftool}

mkdir "$tmp/bpf"
mount -t bpf bpf "$tmp/bpf" || { skip "takeover" "no BPF file system can be mounted"; exit 0; }
pin=$tmp/bpf/weir

forget_all()
{
	find "$tmp/bpf" -type f ! -name '*.debug' -delete
}

# The mount goes, and with it all that is pinned, whatever happens.
unpin()
{
	forget_all
	umount "$tmp/bpf" 2>/dev/null || true
}
trap 'touch "$tmp/enough"; unpin; finish' EXIT

# One run of weir, records appended to $tmp/NAME.json. Its processes: $weir_pid and the worker.
run_pinned() # NAME ARG...
{
	local name=$1

	shift
	: >"$tmp/$name.err"
	ip netns exec "$ns_a" "$weir" run -o json --summary json --pin "$pin" "$@" \
		>>"$tmp/$name.json" 2>"$tmp/$name.err" </dev/null &
	weir_pid=$!
	pids+=("$weir_pid")
	wait_for 60 weir_is_up "$name" 1 && ! pid_gone "$weir_pid"
}

killed() # core and worker at once, in the middle of what they do
{
	local worker

	worker=$(pgrep -P "$weir_pid")
	kill -KILL "$weir_pid" "$worker" 2>/dev/null
	wait "$weir_pid" 2>/dev/null
	wait_for 60 pid_gone "$worker"
}

# Traffic without an end, in bursts, until $tmp/enough is there; sums in $tmp/sent.
bursts() # FLOWS FRAMES
{
	local frames bytes ip sum_f=0 sum_b=0

	while [ -d "$tmp" ] && [ ! -e "$tmp/enough" ]; do
		read -r frames bytes ip < <(in_b "$tools/flood" -n "$2" vb "$1")
		sum_f=$((sum_f + frames)) sum_b=$((sum_b + ip))
		sleep 0.01
	done
	echo "$sum_f $sum_b" >"$tmp/sent"
}

# As expect_accounted(), and for the frames that were sent. Where records were more than the ledger keeps,
# kills may have lost so many packets, and no more.
expect_all() # CASE NAME SENT-FRAMES
{
	local unguarded missing noted

	expect "$1: the programs saw every frame" "$(counter "$2" xdp_frames)" "$3"
	unguarded=$(summary_of "$2" .pin.unguarded_packets)
	if [ "$unguarded" -eq 0 ]; then
		expect_accounted "$1" "$2"
		return
	fi
	noted=$(sum_of "$2")
	missing=$(($3 - ${noted% *} - $(counter "$2" lost_packets) - $(counter "$2" busy_packets)))
	expect_true "$1: no more is missing ($missing) than was unguarded ($unguarded)" \
		[ "$((missing >= 0 && missing <= unguarded))" -eq 1 ]
}

case_killed_again_and_again() # CASE FLOWS FRAMES ARG...
{
	local name=$1 flows=$2 frames=$3 i traffic
	# shellcheck disable=SC2206
	local sizes=(${flow_sizes:-})

	shift 3
	rm -f "$tmp/enough"
	: >"$tmp/$name.json"
	run_pinned "$name" -i va "$@" || die "$name: weir does not start: $(tail -n 2 "$tmp/$name.err")"
	bursts "$flows" "$frames" &
	traffic=$!
	for ((i = 0; i < kills; i++)); do
		sleep "0.$((RANDOM % 40 + 10))"
		killed
		sleep "0.0$((RANDOM % 10))"
		run_pinned "$name" -i va "$@" ${sizes[@]:+--flows "${sizes[i % ${#sizes[@]}]}"} ||
			die "$name: start $i: $(tail -n 2 "$tmp/$name.err")"
	done
	expect_match "$name: it says that it took over" "$(cat "$tmp/$name.err")" 'taken over'
	touch "$tmp/enough"
	wait "$traffic"
	settle
	weir_stop
	expect "$name: exit status" "$weir_rc" 0
	expect_all "$name" "$name" "$(cut -d' ' -f1 "$tmp/sent")"
	expect "$name: every line is whole" "$(jq -c . "$tmp/$name.json" | wc -l)" "$(wc -l <"$tmp/$name.json")"
	echo "     $kills kills, $(cut -d' ' -f1 "$tmp/sent") frames, $(wc -l <"$tmp/$name.json") records," \
		"$(counter "$name" evicted) evicted, $(counter "$name" lost_packets) lost," \
		"$(summary_of "$name" .pin.unguarded) unguarded ($(summary_of "$name" .pin.unguarded_packets) packets), $(summary_of "$name" .pin.undo_full) undo_full"
}

case_clean_restart()
{
	: >"$tmp/clean.json"
	run_pinned clean -i va || die "weir does not start"
	in_a ping -c 23 -i 0.002 -q "$ip_b" >/dev/null
	weir_stop
	expect "clean restart: exit status" "$weir_rc" 0
	expect_attached "clean restart: nobody at work" 'native xdp_flows,egress tc_egress'
	in_a ping -c 23 -i 0.002 -q "$ip_b" >/dev/null
	run_pinned clean -i va || die "weir does not start again"
	in_a ping -c 23 -i 0.002 -q "$ip_b" >/dev/null
	settle
	weir_stop
	expect "clean restart: packets of before, between and after" \
		"$(sum_of clean '.proto == "icmp"')" "138 $((138 * 84))"
	expect "clean restart: no record reaches into another" \
		"$(records clean 'map(select(.proto == "icmp")) | sort_by(.start) |
			[range(1; length) as $i | select(.[$i].start < .[$i - 1].end)] | length')" 0
}

case_two_at_once()
{
	run_pinned first -i va || die "weir does not start"
	ip netns exec "$ns_a" "$weir" run --pin "$pin" -i va >"$tmp/second.out" 2>"$tmp/second.err"
	expect "two at once: exit status of the second" $? 1
	expect_match "two at once: it says who is there" "$(cat "$tmp/second.err")" "pid $weir_pid"
	ip netns exec "$ns_a" "$weir" run --control-socket none -i va >"$tmp/second.out" 2>"$tmp/second.err"
	expect "two at once, without --pin: exit status of the second" $? 1
	expect_match "two at once, without --pin: it says who is there" "$(cat "$tmp/second.err")" "pid $weir_pid"
	weir_stop
}

# The core alone is killed: the worker writes what there is, and only then another begins.
case_core_killed()
{
	: >"$tmp/core.json"
	run_pinned core -i va || die "weir does not start"
	in_a ping -c 23 -i 0.002 -q "$ip_b" >/dev/null
	kill -KILL "$weir_pid"
	wait "$weir_pid" 2>/dev/null
	run_pinned core -i va || die "weir does not start again: $(cat "$tmp/core.err")"
	in_a ping -c 23 -i 0.002 -q "$ip_b" >/dev/null
	settle
	weir_stop
	expect "core killed: nothing lost, nothing twice" "$(sum_of core '.proto == "icmp"')" "92 $((92 * 84))"
}

ended() # the earlier tables are read and forgotten
{
	[ "$(find "$pin" -maxdepth 1 -name 'tables-*' | wc -l)" -eq 1 ]
}

# Killed when the ledger has it that some tables are read to the end, but they are still there. They are at
# work again, then others are: what they counted in between is neither lost nor counted twice.
case_killed_before_removal()
{
	local old f flows

	: >"$tmp/removal.json"
	run_pinned removal -i va --flows 1024 || die "weir does not start"
	in_a ping -c 23 -i 0.002 -q "$ip_b" >/dev/null
	killed
	old=$(find "$pin" -maxdepth 1 -name 'tables-*')
	mkdir "$tmp/bpf/kept"
	for f in "$old"/*; do
		"$bpftool" map pin pinned "$f" "$tmp/bpf/kept/${f##*/}"
	done
	run_pinned removal -i va --flows 2048 || die "weir does not start with other tables"
	wait_for 60 ended || not_ok "killed before removal: the tables of before are read to the end" ""
	killed
	mkdir "$old"
	for f in "$tmp/bpf/kept"/*; do
		"$bpftool" map pin pinned "$f" "$old/${f##*/}"
		rm "$f"
	done
	rmdir "$tmp/bpf/kept"
	for flows in 1024 2048; do
		run_pinned removal -i va --flows "$flows" || die "weir does not start with $flows again"
		in_a ping -c 23 -i 0.002 -q "$ip_b" >/dev/null
		killed
	done
	run_pinned removal -i va --flows 1024 || die "weir does not start in the end"
	settle
	weir_stop
	expect "killed before removal: nothing lost, nothing twice" \
		"$(sum_of removal '.proto == "icmp"')" "138 $((138 * 84))"
	expect_accounted "killed before removal" removal
}

# The last scan finds that a flow has begun anew in its slot; what it says is told now, not by the next weir.
case_begun_anew()
{
	local fast='--idle-timeout 300ms --drain-interval 20ms'

	: >"$tmp/anew.json"
	# shellcheck disable=SC2086
	run_pinned anew -i va $fast || die "weir does not start"
	in_a ping -c 23 -i 0.002 -q "$ip_b" >/dev/null
	expect_true "begun anew: the first life is told" wait_for 60 has_line "$tmp/anew.json" '"icmp"'
	weir_stop
	run_pinned anew -i va --idle-timeout 300ms --drain-interval 30s || die "weir does not start again: $(cat "$tmp/anew.err")"
	in_a ping -c 23 -i 0.002 -q "$ip_b" >/dev/null
	weir_stop
	expect "begun anew: both lives are told" "$(sum_of anew '.proto == "icmp"')" "92 $((92 * 84))"
}

# As long as older tables have not been read to the end they are there.
tables_are() # COUNT
{
	[ "$(find "$pin" -maxdepth 1 -name 'tables-*' | wc -l)" -eq "$1" ]
}

# Nobody was at work, and the next weir has tables of another size: what the old ones hold is read.
case_other_tables()
{
	local flows

	: >"$tmp/other.json"
	run_pinned other -i va || die "weir does not start"
	for flows in 4096 1024 65536; do
		in_a ping -c 23 -i 0.002 -q "$ip_b" >/dev/null
		killed
		in_a ping -c 23 -i 0.002 -q "$ip_b" >/dev/null
		run_pinned other -i va --flows "$flows" || die "--flows $flows: $(cat "$tmp/other.err")"
		expect_true "tables of another size: --flows $flows: the older ones go" wait_for 60 tables_are 1
	done
	in_a ping -c 23 -i 0.002 -q "$ip_b" >/dev/null
	settle
	weir_stop
	expect "tables of another size: packets of all" \
		"$(sum_of other '.proto == "icmp"')" "$((2 * 161)) $((2 * 161 * 84))"
	expect_all "tables of another size" other 161
}

# One version of weir can't read what another one counts in.
case_other_version()
{
	local tables

	tables=$(find "$pin" -maxdepth 1 -name 'tables-*')
	mv "$tables" "$pin/tables-v0-0123456789abcdef"
	ip netns exec "$ns_a" "$weir" run --pin "$pin" -i va >"$tmp/version.out" 2>"$tmp/version.err"
	expect "tables of another version: exit status" $? 1
	expect_match "tables of another version: it says what to do" "$(cat "$tmp/version.err")" 'weir detach --all'
	expect_attached "tables of another version: the programs go on" 'native xdp_flows,egress tc_egress'
	mv "$pin/tables-v0-0123456789abcdef" "$tables"
}

# The next one takes the place of one that is at work, under traffic: both write records, and together
# they have all.
case_replaced() # CASE ARG...: of the second
{
	local name=$1 first traffic

	shift
	net_new
	forget_all
	rm -f "$tmp/enough"
	: >"$tmp/$name.json"
	: >"$tmp/$name-1.json"
	run_pinned "$name-1" -i va || die "$name: weir does not start: $(cat "$tmp/$name-1.err")"
	first=$weir_pid
	bursts 97 5000 &
	traffic=$!
	sleep 0.5
	weir=${replaced_by:-$weir} run_pinned "$name" -i va --replace "$@" ||
		die "$name: $(cat "$tmp/$name.err" "$tmp/$name-1.err")"
	expect_true "$name: the first has left" wait_for 60 pid_gone "$first"
	wait "$first"
	expect "$name: its exit status" $? 0
	expect_match "$name: it says why" "$(cat "$tmp/$name-1.err")" "process $weir_pid takes over"
	sleep 0.5
	touch "$tmp/enough"
	wait "$traffic"
	settle
	expect_true "$name: tables of one layout are left" wait_for 60 tables_are 1
	if [ -n "${replaced_by:-}" ]; then
		expect "$name: they are of its version" "$(find "$pin" -maxdepth 1 -name 'tables-v65000-*' | wc -l)" \
			"$([ "$replaced_by" = "$tools/weir_next" ] && echo 1 || echo 0)"
	fi
	weir_stop
	expect "$name: exit status" "$weir_rc" 0
	cat "$tmp/$name-1.json" >>"$tmp/$name.json"
	expect_all "$name" "$name" "$(cut -d' ' -f1 "$tmp/sent")"
	echo "     $(wc -l <"$tmp/$name-1.json") of $(wc -l <"$tmp/$name.json") records by the first," \
		"$(cut -d' ' -f1 "$tmp/sent") frames, $(counter "$name" lost_packets) lost"
}

# The tables that the two count in are nothing to each other: each reads its own to the end.
case_replaced_by_other_version()
{
	local this=$weir next=$tools/weir_next replaced_by

	replaced_by=$next
	case_replaced newer
	weir=$next replaced_by=$this
	case_replaced older
	weir=$this
}

can_be_asked() # to leave
{
	in_a ss -Hxl | grep -q '@weir-replace-'
}

# The worker of a weir that has just begun to work, stopped before it has ended older tables; its process
# in stopped_worker. Often it is too quick for that.
begun_and_stopped() # NAME ARG...
{
	local name=$1 i

	shift
	: >"$tmp/$name.err"
	ip netns exec "$ns_a" "$weir" run -o json --summary json --pin "$pin" "$@" \
		>>"$tmp/$name.json" 2>"$tmp/$name.err" </dev/null &
	weir_pid=$!
	pids+=("$weir_pid")
	until stopped_worker=$(pgrep -P "$weir_pid") || pid_gone "$weir_pid"; do :; done
	for ((i = 0; i < 400; i++)); do
		kill -STOP "$stopped_worker" || return 1
		# interfaces come when the worker has said that it is ready; older tables end later
		wait_for 1 has_line "$tmp/$name.err" '\(ingress\) \+ ' && break
		kill -CONT "$stopped_worker"
		sleep "0.0$((i % 9 + 1))"
	done
	wait_for 60 can_be_asked && tables_are 2
}

# Tables that the weir at work has yet to read to the end, and will then remove, are those that the next one
# would count in: it begins with new ones.
case_replaced_while_older_are_read()
{
	local name=ending first try

	for ((try = 0; try < 10; try++)); do
		: >"$tmp/$name.json"
		: >"$tmp/$name-1.json"
		run_pinned "$name" -i va --flows 1024 || die "$name: weir does not start: $(cat "$tmp/$name.err")"
		in_a ping -c 23 -i 0.002 -q "$ip_b" >/dev/null
		killed
		begun_and_stopped "$name-1" -i va --flows 2048 && break
		killed
		forget_all
	done
	first=$weir_pid
	: >"$tmp/$name.err"
	ip netns exec "$ns_a" "$weir" run -o json --summary json --pin "$pin" -i va --flows 1024 --replace \
		>>"$tmp/$name.json" 2>"$tmp/$name.err" </dev/null &
	weir_pid=$!
	pids+=("$weir_pid")
	expect_true "$name: the next one waits" wait_for 20 has_line "$tmp/$name.err" 'reads it to the end first'
	expect "$name: and has asked nobody to leave" "$(grep -c 'takes over' "$tmp/$name-1.err")" 0
	kill -CONT "$stopped_worker"
	expect_true "$name: then it takes over" wait_for 60 weir_is_up "$name" 1
	expect_true "$name: the first has left" wait_for 20 pid_gone "$first"
	expect_true "$name: tables of one layout are left" wait_for 60 tables_are 1
	in_a ping -c 23 -i 0.002 -q "$ip_b" >/dev/null
	killed
	expect_true "$name: they stay when it is killed" wait_for 60 tables_are 1
	in_a ping -c 23 -i 0.002 -q "$ip_b" >/dev/null
	run_pinned "$name" -i va --flows 1024 || die "$name: weir does not start again: $(cat "$tmp/$name.err")"
	settle
	weir_stop
	cat "$tmp/$name-1.json" >>"$tmp/$name.json"
	expect "$name: nothing lost, nothing twice" "$(sum_of "$name" '.proto == "icmp"')" "138 $((138 * 84))"
	expect_all "$name" "$name" 69
}

# Nobody is there, or one that does not answer.
case_replace_nobody()
{
	run_pinned nobody -i va --replace || die "weir does not start: $(cat "$tmp/nobody.err")"
	weir_stop
	expect "replace where nobody is: exit status" "$weir_rc" 0
	ip netns exec "$ns_a" "$weir" run --replace -i va >"$tmp/nopin.out" 2>"$tmp/nopin.err"
	expect "replace without --pin: exit status" $? 2
}

unguarded()
{
	"$weir" status -o json | jq .pin.unguarded
}

some_unguarded()
{
	[ "$(unguarded)" -gt 0 ]
}

# More records than are kept for a collector that takes none: it is said how many a kill could lose.
case_unguarded()
{
	run_pinned guarded -i va --metrics-listen 127.0.0.1:9477 --idle-timeout 1s --drain-interval 200ms --flows 256Ki \
		--export 'ipfix+tcp://127.0.0.1:4811?queue_bytes=256Mi' || die "weir does not start: $(cat "$tmp/guarded.err")"
	in_a ping -c 23 -i 0.002 -q "$ip_b" >/dev/null
	expect "unguarded: none as long as there is room" "$(unguarded)" 0
	expect "unguarded: nothing about it in the table" "$("$weir" status | grep -c '^pin')" 0
	in_b "$tools/flood" vb 90000 >/dev/null
	expect_true "unguarded: counted when there is none" wait_for 20 some_unguarded
	expect_match "unguarded: a line in the table" "$("$weir" status)" '^pin ! [0-9,]+ records so far were more than it keeps'
	expect_match "unguarded: a metric" "$(in_a curl -s http://127.0.0.1:9477/metrics)" '^weir_unguarded_records_total [1-9]'
	weir_stop
	expect "unguarded: exit status" "$weir_rc" 0
}

case_no_bpffs()
{
	ip netns exec "$ns_a" "$weir" run --pin "$tmp/nobpf" -i va >"$tmp/no.out" 2>"$tmp/no.err"
	expect "not a BPF file system: exit status" $? 1
	expect_match "not a BPF file system: it says what to do" "$(cat "$tmp/no.err")" 'mount -t bpf'
	expect "not a BPF file system: nothing is left" "$([ -e "$tmp/nobpf" ] && echo there)" ''
}

# shellcheck disable=SC2086
case_busy()
{
	case_killed_again_and_again busy 97 5000 $often
}

# Many more flows than there is room for: nearly all records are of evicted entries.
# shellcheck disable=SC2086
case_crowded()
{
	case_killed_again_and_again crowded 3000 1500 $often --flows 1024
}

# shellcheck disable=SC2086
case_sizes()
{
	flow_sizes='65536 1024 8192 2048' case_killed_again_and_again sizes 1500 1500 $often
}

net_new
if [ $# -gt 0 ]; then
	for c; do
		"case_$c"
	done
	exit
fi
case_clean_restart
case_two_at_once
case_core_killed
case_begun_anew
forget_all
net_new
case_killed_before_removal
forget_all
net_new
case_unguarded
case_no_bpffs
net_new
forget_all
case_other_tables
case_other_version
forget_all
net_new
case_replace_nobody
case_replaced replaced
case_replaced wider --flows 1Mi
case_replaced narrower --flows 1024
net_new
forget_all
case_replaced_while_older_are_read
case_replaced_by_other_version
net_new
forget_all
case_busy
net_new
forget_all
case_crowded
net_new
forget_all
case_sizes
