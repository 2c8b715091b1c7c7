#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_capture_disk.sh - all packets on disk, as they come, and those of a time and an address out of there: each
# exactly once, from files that the index does not rule out; never more than the quota under a flood; the process that
# writes is killed and comes back, weir is killed, the disk is full.
. "$(dirname "$0")/lib.sh"
needs capture_disk tshark capinfos jq python3 || exit 0

send='
import socket, sys
to, port, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[4], 0))
for i in range(n):
    s.sendto(i.to_bytes(4, "big") + bytes(196), (to, port))
'

sent() # PORT NUMBER [FROM]: to weir, each with its number
{
	in_b python3 -c "$send" "$ip_a" "$1" "$2" "${3:-$ip_b}"
}

past() # NAME ARG...: to $tmp/NAME.pcapng; status in rc
{
	local name=$1

	shift
	in_a timeout -k 5 60 "$weir" capture -o json -w "$tmp/$name.pcapng" "$@" >"$tmp/$name.json" 2>"$tmp/$name.err"
	rc=$?
}

said() # NAME JQ
{
	jq -r "$2" "$tmp/$1.json"
}

once() # NAME PORT -> NUMBER: of them there, "twice" if one is more than once
{
	tshark -r "$tmp/$1.pcapng" -Y "udp.dstport == $2 && !icmp" -T fields -e udp.payload 2>/dev/null | cut -c 1-8 | sort |
		uniq -c | awk '{ n++; if ($1 > 1) twice = " twice" } END { print n + 0 twice }'
}

has_all() # PORT NUMBER: on the disk by now?
{
	past all --from -1h "proto udp and dst port $1"
	[ "$(said all .packets)" = "$2" ]
}

disk() # MEMBER
{
	in_a "$weir" status -o json | jq -r ".disk.$1"
}

disk_is() # JQ-CONDITION
{
	in_a "$weir" status -o json | jq -e ".disk | $1"
}

size() # of the directory's files
{
	find "$tmp/captures/disk" -type f -printf '%s\n' 2>/dev/null | awk '{ n += $1 } END { print n + 0 }'
}

expect_clean() # CASE FILE
{
	expect "$1: tshark has nothing to say about it" \
		"$(tshark -r "$2" -Y '_ws.malformed' 2>&1 | grep -v 'Running as user')" ''
}

conf() # QUOTA
{
	cat >"$tmp/weir.conf" <<-EOF2
		[capture]
		ring = 8Mi
		disk = $1
		disk-file = 128Ki
	EOF2
}

writer()
{
	in_a "$weir" status -o json | jq -r .recorder.pid
}

# ---- settings, and no ring ----

printf '[capture]\ndisk = 1Gi\n' >"$tmp/bad.conf"
"$weir" config check "$tmp/bad.conf" >"$tmp/check.out" 2>&1
expect 'a disk ring without packets is a mistake' "$? $(grep -c 'bad.conf:2:8:.*capture.ring' "$tmp/check.out")" '1 1'
net_new
past none --from -1m
expect 'there is none' "$rc" 1
expect_match 'and where it would be' "$(cat "$tmp/none.err")" "$tmp/captures.*capture\.ring"
past both --from -1m --pre 1m
expect 'those of before are another thing' "$rc" 2
past never --from yesterday
expect 'a time that is none' "$rc $(grep -c -- "--from 'yesterday': want a time" "$tmp/never.err")" '2 1'
past back --from -1m --to -2m
expect 'a time that ends before it begins' "$rc" 2

# ---- three times, three addresses ----

for i in 11 12 13; do
	in_b ip addr add "10.77.1.$i/24" dev vb
	in_a ip neigh replace "10.77.1.$i" lladdr "$(in_b cat /sys/class/net/vb/address)" nud permanent dev va
done
conf 64Mi
weir_start one -i va --config "$tmp/weir.conf" || exit 1
sent 7001 997 10.77.1.11
expect_true 'written at once, while the file goes on' wait_for 30 has_all 7001 997
between=$(date -u +%FT%T.%NZ)
sent 7002 1009 10.77.1.12
expect_true 'and the next' wait_for 30 has_all 7002 1009
after=$(date -u +%FT%T.%NZ)
sent 7003 991 10.77.1.13
expect_true 'and the last' wait_for 30 has_all 7003 991
past range --from "$between" --to "$after"
expect 'of a time: all that was sent then, once' "$rc $(once range 7002)" '0 1009'
expect 'of a time: nothing else' \
	"$(tshark -r "$tmp/range.pcapng" -Y '!icmp' -T fields -e udp.dstport 2>/dev/null | grep -c '^700[13]')" 0
expect 'of a time: as many as it says' "$(tshark -r "$tmp/range.pcapng" 2>/dev/null | wc -l)" "$(said range .packets)"
expect 'of a time: in its order' "$(capinfos -Mo "$tmp/range.pcapng" 2>/dev/null | sed -n 's/^Strict time order: *//p')" True
expect_clean 'of a time' "$tmp/range.pcapng"
past range2 --from "$after" 'proto udp'
expect 'of a time: the rest' "$(once range2 7003) $(said range2 .packets)" '991 991'
past host --from -1h 'proto udp and host 10.77.1.12'
expect 'of an address: all, once' "$(once host 7002) $(said host .packets)" '1009 1009'
expect_true 'of an address: by the index' test "$(said host .files.passed_over)" -ge 2
expect_true 'of an address: few files are opened' test "$(said host '.files.read <= .files.passed_over + 3')" = true
past port --from -1h 'proto udp and port 7003' -v
expect 'of a port: all, once' "$(once port 7003)" 991
expect_match 'of a port: each file is told' "$(cat "$tmp/port.err")" '[0-9a-f]{16}: passed over: '
past nobody --from -1h 'host 192.0.2.77'
expect 'of nobody: none, and hardly a file' "$(said nobody .packets) $(said nobody '.files.read <= 1')" '0 true'
past some --from -1h --count 13 --snaplen 60
expect 'so many, so much of each' "$(tshark -r "$tmp/some.pcapng" -T fields -e frame.cap_len 2>/dev/null | sort | uniq -c | tr -s ' ')" ' 13 60'
in_a "$weir" capture --from -1h 'proto udp and port 7001' -w - 2>"$tmp/pipe.err" | tshark -r - 2>/dev/null | grep -c ' 7001 ' >"$tmp/pipe.out"
expect 'through a pipe' "$(cat "$tmp/pipe.out")" 997
in_a setpriv --reuid 65533 --regid 65533 --clear-groups "$weir" capture --from -1h -w - >"$tmp/nobody.out" 2>"$tmp/nobody.err"
expect 'nobody else may' "$?" 3
for f in "$(ls "$tmp"/captures/disk/*.pcapng | head -n 1)" "$(ls "$tmp"/captures/disk/*.part)"; do
	expect_clean "${f##*.}" "$f"
done
expect_true 'status' disk_is '.kept_files >= 3 and .lost == 0 and .unwritten == 0 and .quota == 67108864'
expect_match 'status, for people' "$(in_a "$weir" status)" '^disk .*B of 67\.1 MB in [0-9]+ files, from .* ago, 0 packets lost'

# ---- who writes is killed ----

first=$(writer)
sent 7004 499
kill -KILL "$first"
sent 7004 499 10.77.1.11
is_another()
{
	local now

	now=$(writer)
	[ "$now" != 0 ] && [ "$now" != "$first" ]
}
expect_true 'killed: another one takes its place' wait_for 30 is_another
expect 'killed: counted' "$(in_a "$weir" status -o json | jq .recorder.restarts)" 1
expect_match 'killed: said' "$(in_a "$weir" status)" '^recorder ! has died 1 times: another one took its place'
expect_true 'killed: in the log' has_line "$tmp/one.err" 'has died \(signal 9\)'
sent 7005 97
expect_true 'killed: it goes on' wait_for 30 has_all 7005 97
past killed --from -1h 'proto udp and dst port 7004'
# two lots of the same numbers
expect 'killed: each packet, before and meanwhile, is there once' "$(said killed .packets)" 998
expect_true 'killed: its file is whole' eval '! ls "$tmp"/captures/disk/*.part | grep -v "$(ls -t "$tmp"/captures/disk/*.part | head -n 1)"'

# ---- more than there is room for ----

sent_flood=$(in_b "$tools/flood" -n 20000 vb 500)
expect_true 'flood: written' wait_for 60 eval '[ "$(($(disk packets) + $(disk lost)))" -ge "$((20000 + 4000))" ]'
flood_is_there() # sent = found + said to be missing
{
	past flood --from -1h 'dst.ip == 10.98.0.1'
	[ "$(said flood '.packets + .lost')" -ge "${sent_flood%% *}" ]
}
expect_true 'flood: is on the disk' wait_for 60 flood_is_there
expect 'flood: sent = found + said to be missing' "$(said flood '.packets + .lost')" "${sent_flood%% *}"
conf 1Mi
kill -HUP "$weir_pid"
expect_true 'quota: a reload makes it smaller' wait_for 30 disk_is '.quota == 1048576 and .kept_bytes <= 1048576'
expect_true 'quota: the oldest have gone' disk_is '.removed >= 1'
(
	while :; do
		size
		sleep 0.02
	done >"$tmp/sizes"
) &
sizes=$!
pids+=("$sizes")
before=$(disk packets) lost_before=$(disk lost)
in_b "$tools/flood" -n 40000 vb 500 >"$tmp/flood.out"
expect_true 'quota: all of a flood is written, or counted' wait_for 60 eval \
	'[ "$(($(disk packets) - before + $(disk lost) - lost_before))" -ge 40000 ]'
kill "$sizes"
wait "$sizes" 2>/dev/null
most=$(sort -n "$tmp/sizes" | tail -n 1)
expect_true "quota: never more than that ($most)" test "$most" -le 1048576 -a "$most" -gt 500000
past late --from -1h 'dst.ip == 10.98.0.1'
expect_true 'quota: the newest are there' test "$(said late .packets)" -gt 1000

# ---- weir is killed ----

sent 7006 211
expect_true 'kill: written' wait_for 30 has_all 7006 211
kill_tree "$weir_pid"
wait "$weir_pid" 2>/dev/null
expect_true 'kill: a file has no end' eval 'ls "$tmp"/captures/disk/*.part'
past dead --from -1h 'proto udp and dst port 7006'
expect 'kill: all of it can be had without weir' "$(once dead 7006)" 211
conf 8Mi
weir_start two -i va --config "$tmp/weir.conf" || exit 1
expect_true 'kill: the next weir ends it' wait_for 30 eval '! ls "$tmp"/captures/disk/*.part'
past again --from -1h 'proto udp and dst port 7006'
expect 'kill: nothing is lost by that, or there twice' "$(once again 7006)" 211
past again2 --from -1h 'host 192.0.2.77'
expect 'kill: and it has its index' "$(said again2 .files.read)" 0
# ---- who writes dies again and again ----
dies()
{
	local now

	now=$(writer)
	[ "$now" = 0 ] || kill -KILL "$now"
	has_line "$tmp/two.err" 'nothing is recorded any more'
}
expect_true 'again and again: given up' wait_for 60 dies
expect_match 'again and again: said' "$(in_a "$weir" status)" '^recorder ! has died [0-9]+ times: nothing is recorded'
sent 7007 101
weir_stop
expect 'again and again: weir goes on, and ends as ever' "$weir_rc" 0
expect_accounted 'again and again' two

# ---- a full disk ----

mkdir "$tmp/small"
conf 64Mi
: >"$tmp/full.err"
ip netns exec "$ns_a" unshare -m bash -c "mount -t tmpfs -o size=1m none $tmp/small && exec \"\$@\"" - \
	env WEIR_CAPTURE_DIR="$tmp/small" "$weir" run -o json --summary json -i va --config "$tmp/weir.conf" \
	>"$tmp/full.json" 2>"$tmp/full.err" </dev/null &
weir_pid=$!
pids+=("$weir_pid")
wait_for 180 weir_is_up full 1 || die "weir does not start: $(tail -n 3 "$tmp/full.err")"
in_b "$tools/flood" -n 20000 vb 500 >"$tmp/flood.out"
expect_true 'full: counted' wait_for 60 disk_is '.unwritten > 0 and .failed > 0'
expect_true 'full: the oldest give way' wait_for 60 disk_is '.removed > 0'
expect_true 'full: said' has_line "$tmp/full.err" 'No space left.*capture\.disk'
expect_match 'full: status' "$(in_a "$weir" status)" '^disk .* ! the disk did not take'
sent 7008 53
in_a nsenter -t "$weir_pid" -m "$weir" capture --from -1h --dir "$tmp/small" -w - >"$tmp/full.pcapng" 2>"$tmp/full.said"
expect_clean full "$tmp/full.pcapng"
weir_stop
expect 'full: weir ends' "$weir_rc" 0
expect_accounted 'full: no packet of flows is lost by that' full
