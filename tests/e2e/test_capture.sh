#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_capture.sh - packets of before and to come: as many as were sent, those that were dropped too, each
# either in the file or counted, and read by tshark without a word about the file.
. "$(dirname "$0")/lib.sh"
needs capture tshark capinfos jq setpriv || exit 0

capture() # NAME ARG...: to $tmp/NAME.pcapng, until it ends by itself; status in rc
{
	local name=$1

	shift
	in_a timeout -k 5 60 "$weir" capture -w "$tmp/$name.pcapng" "$@" 2>"$tmp/$name.err"
	rc=$?
}

capture_start() # NAME ARG...: in the background, once it is at work
{
	local name=$1

	shift
	spawn "$name" "$ns_a" "$weir" capture -w "$tmp/$name.pcapng" "$@"
	wait_for 20 test -s "$tmp/$name.pcapng" || not_ok "$name: capture starts" "$(cat "$tmp/$name.err")"
}

capture_stop() # NAME
{
	kill -INT "${spawned[$1]}"
	wait "${spawned[$1]}"
	rc=$?
}

fields() # NAME FIELD...
{
	local name=$1 f args=()

	shift
	for f; do
		args+=(-e "$f")
	done
	tshark -r "$tmp/$name.pcapng" -T fields "${args[@]}" 2>/dev/null
}

packets_in() # NAME [DISPLAY-FILTER]
{
	tshark -r "$tmp/$1.pcapng" ${2:+-Y "$2"} 2>/dev/null | wc -l
}

# What tshark finds wrong with the file itself, or with packets cut where they should not be.
expect_clean() # CASE NAME
{
	expect "$1: tshark has nothing to say about it" \
		"$(tshark -r "$tmp/$2.pcapng" -Y '_ws.malformed' 2>&1 | grep -v 'Running as user')" ''
}

said() # NAME -> PACKETS LOST, as the command said
{
	sed -n 's/^weir: \([0-9]*\) packets, \([0-9]*\) were written over.*/\1 \2/p' "$tmp/$1.err"
}

ping_b() # COUNT
{
	in_b ping -q -c "$1" -i 0.02 -W 1 "$ip_a" >/dev/null
}

# ---- none are kept ----

net_new
weir_start off -i va || exit 1
capture off-file
expect 'off: refused' "$rc" 1
expect_match 'off: and says which setting' "$(cat "$tmp/off-file.err")" 'capture\.ring is 0'
expect_true 'off: no file is made' test ! -e "$tmp/off-file.pcapng"
weir_stop

# ---- those of before, those to come, those that were dropped ----

weir_start on -i va --capture-ring 8Mi || exit 1
ping_b 20
capture_start pre 'proto icmp' --pre 30s
expect_true 'pre: those of before come at once' wait_for 20 eval '[ "$(packets_in pre)" -ge 40 ]'
in_a "$weir" block "src.ip == $ip_b and proto == icmp" --for 1m >"$tmp/block.out"
ping_b 5
expect_true 'pre: then those to come' wait_for 20 eval '[ "$(packets_in pre)" -ge 45 ]'
capture_stop pre
expect 'pre: Ctrl-C is a clean end' "$rc" 0
expect 'pre: all of them, none lost' "$(said pre)" '45 0'
expect 'pre: each way' "$(fields pre frame.packet_flags_direction | sort | uniq -c | tr -s ' ' | paste -sd,)" \
	' 25 0x00000001, 20 0x00000002'
expect 'pre: what was dropped says so' "$(fields pre frame.verdict.ebpf_xdp | sort | uniq -c | tr -s ' ' | paste -sd,)" ' 40 , 5 1'
expect 'pre: the interface has its name' "$(fields pre frame.interface_name | sort -u)" va
expect 'pre: in the order of time' "$(capinfos -Mo "$tmp/pre.pcapng" 2>/dev/null | sed -n 's/^Strict time order: *//p')" True
expect_clean pre pre
in_a "$weir" unblock "src.ip == $ip_b and proto == icmp" >"$tmp/block.out"

# ---- how it ends ----

capture count --pre 30s --count 7
expect 'count: ends by itself' "$rc $(packets_in count)" '0 7'
capture time --for 300ms
expect 'for: ends by itself' "$rc" 0
in_a timeout -k 5 60 "$weir" capture --pre 30s --for 300ms 'proto icmp' -w - 2>"$tmp/pipe.err" |
	tshark -r - >"$tmp/pipe.out" 2>/dev/null
expect 'pipe: tshark reads it' "$(wc -l <"$tmp/pipe.out")" 45
in_a timeout -k 5 60 "$weir" capture --pre 30s --for 1s -w - 2>"$tmp/gone.err" | head -c 100 >/dev/null
expect 'pipe: a reader that leaves is no error' "${PIPESTATUS[0]}" 0
capture bad 'port = nothing'
expect 'a filter that is wrong' "$rc" 2
expect_match 'and where' "$(cat "$tmp/bad.err")" 'col(umn)? 8'
capture nowhere -w /nonexistent/x
expect 'a file that cannot be' "$rc" 1
expect_match 'and which' "$(cat "$tmp/nowhere.err")" '/nonexistent/x'

# ---- only so much of each ----

in_b ping -q -c 3 -i 0.05 -s 1000 "$ip_a" >/dev/null
capture short 'proto icmp and bytes > 1000' --pre 5s --for 300ms --snaplen 60
expect 'snaplen: so much' "$(fields short frame.cap_len | sort -u)" 60
expect 'snaplen: and how long they were' "$(fields short frame.len | sort -u)" 1042
expect_clean snaplen short

# ---- who may ----

in_a chmod 0666 "$WEIR_CONTROL_SOCKET"
in_a setpriv --reuid 65534 --regid 65534 --clear-groups "$weir" capture --for 200ms -w - \
	>"$tmp/nobody.pcapng" 2>"$tmp/nobody.err"
expect 'nobody: refused' "$?" 3
expect_match 'nobody: and told who may' "$(cat "$tmp/nobody.err")" 'capture\.group'
expect_true 'nobody: has nothing' test ! -s "$tmp/nobody.pcapng"
weir_stop

# ---- more than the ring holds: each is there or counted ----

WEIR_CAPTURE_GROUP=nogroup weir_start flood -i va --capture-ring 512Ki || exit 1
in_a chmod 0666 "$WEIR_CONTROL_SOCKET"
in_a setpriv --reuid 65534 --regid 65534 --clear-groups "$weir" capture --pre 5s --for 200ms -w - \
	>"$tmp/group.pcapng" 2>"$tmp/group.err"
expect 'group: may' "$?" 0
capture_start flood 'dst.ip == 10.98.0.1'
kill -STOP "$weir_pid" # nobody reads meanwhile
for child in $(pgrep -P "$weir_pid"); do
	kill -STOP "$child"
done
sent=$(in_b "$tools/flood" -n 60000 vb 500)
for child in $(pgrep -P "$weir_pid"); do
	kill -CONT "$child"
done
kill -CONT "$weir_pid"
expect_true 'flood: read to its end' wait_for 30 eval '[ -n "$(fields flood frame.number | tail -n 1)" ]'
sleep 1 # time for what has not been read
capture_stop flood
read -r got lost <<<"$(said flood)"
expect 'flood: sent = in the file + written over' "$((got + lost))" "${sent%% *}"
expect_true 'flood: some were' test "$lost" -gt 0
expect 'flood: tshark counts the same' "$(packets_in flood)" "$got"
expect 'flood: and the file says what is not there' \
	"$(capinfos "$tmp/flood.pcapng" 2>/dev/null | grep -c 'Number of packets')" 2
expect_clean flood flood

# ---- weir is killed: what was written is whole ----

capture_start kill --pre 5s
ping_b 5
expect_true 'kill: some are there' wait_for 20 eval '[ "$(packets_in kill)" -ge 10 ]'
kill -KILL "$weir_pid"
wait "${spawned[kill]}"
expect 'kill: the command says that weir is gone' "$?" 5
expect_true 'kill: the file can be read' capinfos "$tmp/kill.pcapng"
expect_clean kill kill
