#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_capture_rules.sh - packets that rules ask for, on the node: a flow that a rule picks leaves a file with
# what its source sent and got before, dropped packets too, and after; one file for a rule and a value; never
# more than the quota, however many ask; killed at any moment, what is there can be read.
. "$(dirname "$0")/lib.sh"
needs capture_rules tshark capinfos jq setpriv nc || exit 0
collector=${WEIR_COLLECTOR:-$build/weir-collector}

rule() # PORT SCOPE PRE POST MAX_BYTES
{
	cat <<-EOF
		groups:
		- name: test
		  rules:
		  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d9a$1
		    name: knocks-$1
		    version: 1.0.0
		    where: proto == tcp and dst.port == 23$1
		    by: [src.ip, dst.ip]
		    mode: detect
		    actions: [ { capture: { scope: $2, pre: $3, post: $4, max_bytes: $5 } } ]
	EOF
}

apply() # the rule of standard input, instead of the one before
{
	cat >"$tmp/rules.yaml"
	"$collector" rules compile -w "$tmp/policy.bin" "$tmp/rules.yaml" >"$tmp/compile.out" 2>&1 || cat "$tmp/compile.out"
	# its generation is the time in seconds
	wait_for 5 in_a "$weir" policy apply "$tmp/policy.bin" || not_ok "the policy is applied" "$(in_a "$weir" policy apply "$tmp/policy.bin" 2>&1)"
}

knock() # PORT [FROM]: a connection that is refused
{
	in_b nc -n -w 1 -s "${2:-$ip_b}" "$ip_a" "23$1" </dev/null >/dev/null 2>&1
	true
}

listed() # FILTER_OF_JQ: true of the array of files?
{
	in_a "$weir" captures list -o json | jq -es "$1"
}

status_of() # MEMBER
{
	in_a "$weir" status -o json | jq -r ".policy.captures.$1"
}

counted() # MEMBER LEAST
{
	[ "$(status_of "$1")" -ge "$2" ]
}

packets_in() # FILE [DISPLAY-FILTER]
{
	tshark -r "$1" ${2:+-Y "$2"} 2>/dev/null | wc -l
}

expect_clean() # CASE FILE
{
	expect "$1: tshark has nothing to say about it" \
		"$(tshark -r "$2" -Y '_ws.malformed' 2>&1 | grep -v 'Running as user')" ''
}

ping_b() # COUNT
{
	in_b ping -q -c "$1" -i 0.02 -W 1 "$ip_a" >/dev/null
}

# ---- nothing is kept: the rule holds, and the node says what is missing ----

net_new
weir_start off -i va || exit 1
rule 01 src.ip 30s 2s 1Mi | apply
knock 01
expect_true 'off: refused, and counted' wait_for 20 counted off 1
expect_true 'off: and said' wait_for 20 has_line "$tmp/off.err" "'knocks-01' asks for packets: .*capture\.ring is 0"
weir_stop

# ---- those of before, those to come, those that were dropped ----

weir_start on -i va --capture-ring 8Mi || exit 1
# long enough for the second knock on a slow machine
rule 02 src.ip 30s 8s 1Mi | apply
expect_match 'explained' "$("$collector" rules explain "$tmp/rules.yaml")" 'capture src\.ip'
expect 'checked: no word of what is not supported' \
	"$("$collector" rules check "$tmp/rules.yaml" 2>&1 | grep -c 'not yet')" 0
ping_b 20
in_a "$weir" block "src.ip == $ip_b and proto == icmp" --for 1m >"$tmp/block.out"
ping_b 5
knock 02
expect_true 'a file is begun' wait_for 20 counted files 1
in_a "$weir" unblock "src.ip == $ip_b and proto == icmp" >"$tmp/unblock.out"
ping_b 3
knock 02
expect_true 'who knocks again has it go on' wait_for 20 counted again 1
expect_true 'it is complete' wait_for 30 listed 'length == 1 and .[0].state == "complete"'
id=$(in_a "$weir" captures list -o json | jq -r .id)
in_a "$weir" captures get "$id" -w "$tmp/one.pcapng"
expect 'got' "$?" 0
expect 'those of before, and after' "$(packets_in "$tmp/one.pcapng" icmp)" 51
expect 'those that were dropped say so' "$(packets_in "$tmp/one.pcapng" 'frame.verdict.ebpf_xdp == 1')" 5
expect_true 'and what the rule was about' test "$(packets_in "$tmp/one.pcapng" 'tcp.port == 2302')" -ge 2
expect_match 'the file says why' "$(capinfos -k "$tmp/one.pcapng" 2>/dev/null)" "\"rule\":\"knocks-02\".*\"value\":\"$ip_b\""
fired=$(in_a "$weir" captures list -o json | jq -r .fired)
first=$(tshark -r "$tmp/one.pcapng" -T fields -e frame.time_epoch 2>/dev/null | head -n 1)
expect_true 'its first packets are from before the rule' test "${first%.*}" -le "$(date -d "$fired" +%s)"
expect_true 'and of now' test "${first%.*}" -ge "$(($(date +%s) - 90))"
expect 'in the order of time' "$(capinfos -Mo "$tmp/one.pcapng" 2>/dev/null | sed -n 's/^Strict time order: *//p')" True
expect_clean one "$tmp/one.pcapng"
in_a "$weir" captures get "$id" -w - | cmp - "$tmp/one.pcapng"
expect 'and the same through a pipe' "$?" 0
expect_match 'listed for people' "$(in_a "$weir" captures list)" "$id .*complete .*knocks-02 +$ip_b"

# ---- who may ----

in_a setpriv --reuid 65533 --regid 65533 --clear-groups "$weir" captures list >"$tmp/nobody.out" 2>"$tmp/nobody.err"
expect 'nobody else may' "$?" 3
expect_match 'and is told who' "$(cat "$tmp/nobody.err")" 'capture\.group'
in_a "$weir" captures rm "$id"
expect_true 'removed' listed 'length == 0'
in_a "$weir" captures get "$id" -w - >"$tmp/gone.out" 2>"$tmp/gone.err"
expect 'and gone' "$? $(wc -c <"$tmp/gone.out")" '1 0'

# ---- killed ----

rule 03 pair 30s 60s 1Mi | apply
ping_b 3
knock 03
expect_true 'kill: it is being written' wait_for 20 eval 'f=$(echo "$tmp"/captures/*.part) && [ "$(packets_in "$f")" -ge 8 ]'
in_a "$weir" captures rm all
expect_true 'kill: what is being written stays' listed 'length == 1 and .[0].state == "open"'
kill_tree "$weir_pid"
wait "$weir_pid" 2>/dev/null
f=$(echo "$tmp"/captures/*.part)
expect_true 'kill: it can be read' capinfos "$f"
expect_true 'kill: all that was there' test "$(packets_in "$f" icmp)" -ge 6
expect_clean kill "$f"

# ---- more than there is room for ----

export WEIR_CAPTURE_QUOTA=300Ki
weir_start quota -i va --capture-ring 8Mi || exit 1
expect_true 'a weir that starts ends what another left' wait_for 20 listed 'length == 1 and .[0].state == "complete"'
rule 04 src.ip 30s 2s 100Ki | apply
knocks=()
(
	while :; do
		find "$tmp/captures" -type f -printf '%s\n' 2>/dev/null | awk '{ n += $1 } END { print n + 0 }'
		sleep 0.02
	done >"$tmp/sizes"
) &
sizes=$!
pids+=("$sizes")
for i in $(seq 11 22); do
	in_b ip addr add "10.77.1.$i/24" dev vb
	in_a ip neigh replace "10.77.1.$i" lladdr "$(in_b cat /sys/class/net/vb/address)" nud permanent dev va
done
for i in $(seq 11 22); do
	knock 04 "10.77.1.$i" &
	knocks[i]=$!
done
wait "${knocks[@]}"
for i in $(seq 11 22); do
	in_b ping -q -f -c 150 -s 1400 -I "10.77.1.$i" "$ip_a" >/dev/null
done
expect_true 'quota: files are cut at max_bytes' wait_for 30 counted cut 1
expect_true 'quota: some are refused meanwhile' wait_for 30 counted full 1
expect_true 'quota: it ends' wait_for 30 listed 'all(.[]; .state == "complete")'
has_again() # SOURCE: knocks until it is let in: those that were cut keep their places until their time is over
{
	# not while its own may keep one: who knocks meanwhile has that go on for longer
	[ "$((SECONDS - knocked))" -lt 4 ] || {
		knock 04 "$1"
		knocked=$SECONDS
	}
	listed "any(.[]; .value == \"$1\" and .fired > \"$since\")"
}
for i in 11 12; do
	since=$(date -u +%FT%T) knocked=-4
	expect_true "quota: there is room again, $i" wait_for 60 has_again "10.77.1.$i"
done
expect_true 'quota: it ends, too' wait_for 30 listed 'all(.[]; .state == "complete")'
expect_true 'quota: the oldest have gone' counted removed 1
kill "$sizes"
wait "$sizes" 2>/dev/null
most=$(sort -n "$tmp/sizes" | tail -n 1)
expect_true "quota: never more than that ($most)" test "$most" -le 307200
expect_true 'quota: nor any file more than it may' listed 'all(.[]; .bytes <= 102400)'
for f in "$tmp"/captures/*.pcapng; do
	expect_clean "quota: ${f##*/}" "$f"
done
weir_stop
expect 'weir ends' "$weir_rc" 0
expect_true 'and so does what writes' wait_for 10 eval '! find "$tmp/captures" -name "*.part" | grep .'
