#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_doctor.sh - what weir doctor finds is what happens: each finding is made true, and what weir run
# then does is compared. Nothing is attached by looking.
. "$(dirname "$0")/lib.sh"

rc=''
doctor() # ARG...: findings to $tmp/doctor.json
{
	"${exec_a[@]}" "$weir" doctor -o json --control-socket none "$@" >"$tmp/doctor.json" 2>"$tmp/doctor.err"
	rc=$?
}

finding() # CHECK-REGEX MEMBER
{
	jq -r --arg re "$1" --arg m "$2" '[.checks[] | select(.check | test($re)) | .[$m] // ""] | join(" | ")' \
		"$tmp/doctor.json"
}

run_for_a_moment() # ARG...: exit status and the line about va
{
	"${exec_a[@]}" "$weir" run -i va --duration 100ms "$@" >/dev/null 2>"$tmp/moment.err"
	echo "$? $(grep -oE '^weir: va: (native XDP|generic XDP|TCX|TC clsact)' "$tmp/moment.err")"
}

case_good()
{
	doctor -i va
	expect "all is well: exit status" "$rc" 0
	expect "kernel" "$(finding '^kernel$' status)" ok
	expect_match "kernel: what it can do" "$(finding '^kernel$' text)" 'XDP, ring buffer, mapped arrays'
	expect "capabilities" "$(finding '^capabilities$' text)" 'bpf net_admin perfmon'
	expect "programs" "$(finding '^programs$' status)" ok
	expect_match "memory" "$(finding '^memory$' text)" '^262144 flows need [0-9]+ MiB in the kernel'
	expect_match "interface: native XDP is said" "$(finding '^va' text)" '^native XDP.*; [0-9]+ queues?, MTU 1500'
	expect "and is what run does" "$(run_for_a_moment)" '0 weir: va: native XDP'
	expect_attached "looking attaches nothing" ''
	expect "every finding says ok, warn or fail" \
		"$(jq -r '[.checks[].status] - ["ok", "warn", "fail"] | length' "$tmp/doctor.json")" 0
	expect "what is not ok says what to do" \
		"$(jq -r '[.checks[] | select(.status != "ok" and (.todo // "") == "")] | length' "$tmp/doctor.json")" 0
}

case_text()
{
	"${exec_a[@]}" "$weir" doctor -i va >"$tmp/doctor.txt"
	expect_match "for people: a line a check" "$(cat "$tmp/doctor.txt")" '^  va \(veth\) +ok +native XDP'
	expect_match "for people: the count" "$(tail -n 1 "$tmp/doctor.txt")" '^  [0-9]+ warnings?, 0 failures$'
}

case_no_privileges()
{
	install -m 755 "$weir" "$tmp/weir"
	"${exec_a[@]}" setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all \
		"$tmp/weir" doctor -o json -i va >"$tmp/doctor.json"
	expect "no privileges: exit status" "$?" 3
	expect "no privileges: which are missing" "$(finding '^capabilities$' text)" 'missing: bpf net_admin perfmon'
	expect "no privileges: the kernel is not judged" "$(finding '^kernel$' status)" warn
	"${exec_a[@]}" setpriv --inh-caps=-all --bounding-set=-all,+bpf,+net_admin \
		"$tmp/weir" doctor -o json -i va >"$tmp/doctor.json"
	expect "one is missing: which" "$(finding '^capabilities$' text)" 'missing: perfmon'
}

case_interfaces()
{
	doctor -i nosuch
	expect "no such interface: exit status" "$rc" 1
	expect "no such interface" "$(finding '^nosuch$' text)" 'no such interface'
	ip -n "$ns_a" link add d0 type ifb
	ip -n "$ns_a" link set d0 up
	doctor -i d0 --hook xdp
	expect "no native XDP, asked for: exit status" "$rc" 4
	expect "no native XDP: what else" "$(finding '^d0' todo)" '--hook auto or tc'
	doctor -i d0
	expect "no native XDP, not asked for: exit status" "$rc" 0
	expect_match "no native XDP: ingress in TC" "$(finding '^d0' text)" 'ingress is read in TC'
	ip -n "$ns_a" link del d0
	ip -n "$ns_a" tuntap add t0 mode tun
	doctor -i t0
	expect "no Ethernet: exit status" "$rc" 4
	expect_match "no Ethernet" "$(finding '^t0' text)" 'no Ethernet header'
	ip -n "$ns_a" link del t0
	doctor -i 'v*,!va'
	expect "a pattern that leaves out: no finding of it" "$(finding '^va' status)" ''
	doctor
	expect "without -i: what is up, not loopback" "$(jq -r '[.checks[].iface // empty] | join(" ")' "$tmp/doctor.json")" va
}

case_veth()
{
	doctor -i va --role veth
	expect_match "a pod's veth: TC" "$(finding '^va' text)" '^TC, since XDP would take GSO'
	expect "a pod's veth: and is what run does" "$(run_for_a_moment --role veth)" '0 weir: va: TCX'
}

case_xdp_of_others()
{
	spawn other "$ns_a" "$tools/xdp_count" va
	wait_for 60 expect_occupied || not_ok "XDP of others" "xdp_count is not there"
	doctor -i va
	expect_match "XDP of others: said" "$(finding '^va' text)" 'XDP program [0-9]+ is attached already'
	expect_match "XDP of others: run refuses" "$(run_for_a_moment)" '^1 '
	expect "XDP of others: what to do works" "$(run_for_a_moment --hook tc)" '0 weir: va: TCX'
	stop_spawned other
}

expect_occupied()
{
	ip -n "$ns_a" -d link show va | grep -q 'prog/xdp'
}

case_memory()
{
	doctor -i va --flows 64Mi
	expect "too many flows: exit status" "$rc" 1
	expect "too many flows" "$(finding '^memory$' status | grep -cE 'fail|warn')" 1
	expect "too many flows: what to do" "$(finding '^memory$' todo)" 'lower --flows'
}

said() # WHICH: of the finding about memory, in MiB
{
	finding '^memory$' text | sed -E "s/.* need ([0-9]+) MiB in the kernel at once and ([0-9]+) MiB beside.*/\\$1/"
}

near() # NAME REAL SAID: within 15 %
{
	if [ $(($2 * 100)) -ge $(($3 * 85)) ] && [ $(($2 * 100)) -le $(($3 * 115)) ]; then
		ok "$1: $2 MiB, said $3"
	else
		not_ok "$1" "really $2 MiB, but said $3"
	fi
}

# Of the maps that weir has open, or has pinned and mapped: what the kernel accounts for them.
map_mib()
{
	local fd ids=''

	for fd in /proc/"$weir_pid"/fdinfo/*; do
		ids+=" $(sed -n 's/^map_id:[[:space:]]*//p' "$fd" 2>/dev/null)"
	done
	for fd in "$tmp"/bpf/weir/ledger "$tmp"/bpf/weir/tables-*/read; do
		[ -e "$fd" ] && ids+=" $("${BPFTOOL:-/usr/sbin/bpftool}" -j map show pinned "$fd" | jq .id)"
	done
	"${BPFTOOL:-/usr/sbin/bpftool}" -j map show |
		jq --arg ids "$ids" '($ids | split(" ")) as $i | [.[] | select(.id | tostring | IN($i[])) | .bytes_memlock] |
			add / 1048576 | floor'
}

# Core and worker, without the mappings of the maps.
anon_mib()
{
	sed -n 's/^RssAnon:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$weir_pid/status" \
		"/proc/$(cat "/proc/$weir_pid/task/$weir_pid/children" | tr -d ' ')/status" |
		awk '{ kib += $1 } END { printf "%d\n", kib / 1024 }'
}

all_written()
{
	[ "$("$weir" status -o json | jq .flows.kept)" -eq 65536 ]
}

# All flows are there at one time: none is idle for long enough while the others come, on a busy machine either.
case_memory_is_so() # WHICH INTERFACES [ARG...]
{
	local flows=131072 name="memory, $1"

	"${exec_a[@]}" "$weir" doctor -o json -i "$2" --flows $flows "${@:3}" >"$tmp/doctor.json"
	weir_start memory -i "$2" --flows $flows "${@:3}" --output none --idle-timeout 10s --drain-interval 500ms || return
	near "$name: the maps" "$(map_mib)" "$(said 1)"
	in_b "$tools/flood" vb $flows >/dev/null
	expect_true "$name: the flows have been there" wait_for 120 all_written
	near "$name: beside them" "$(anon_mib)" "$(said 2)"
	weir_stop
}

# What is read and not written yet is in maps too then.
case_memory_pinned()
{
	mkdir -p "$tmp/bpf"
	mount -t bpf bpf "$tmp/bpf" || { skip "memory, pinned" "no BPF file system can be mounted"; return; }
	case_memory_is_so "pinned" va --pin "$tmp/bpf/weir"
	"${exec_a[@]}" "$weir" detach --all --pin "$tmp/bpf/weir" >/dev/null
	expect "memory, pinned: nothing is left" "$(find "$tmp/bpf" -type f ! -name '*.debug' | wc -l)" 0
	umount "$tmp/bpf"
}

case_pin()
{
	doctor -i va --pin "$tmp"
	expect "pin outside a bpf file system: exit status" "$rc" 1
	expect_match "pin outside a bpf file system" "$(finding '^pin$' text)" 'is not in a bpf file system'
	doctor -i va --pin /nonexistent
	expect_match "pin: no directory" "$(finding '^pin$' text)" 'No such file'
}

case_running()
{
	"${exec_a[@]}" "$weir" doctor -o json >"$tmp/doctor.json"
	expect "no weir runs: nothing about one" "$(finding '^running weir$' status)" ''
	weir_start running -i va || return
	"${exec_a[@]}" "$weir" doctor -o json >"$tmp/doctor.json"
	expect "a weir runs: its privileges are as stated" "$(finding '^running weir$' status)" ok
	expect_match "a weir runs: which" "$(finding '^running weir$' text)" \
		"^core $weir_pid: net_admin perfmon bpf, seccomp; worker $(pgrep -P "$weir_pid"): no capability, seccomp$"
	expect "a weir runs: no warning about its own program" \
		"$(finding '^va' status | grep -c warn) $(finding '^va' text | grep -o 'a weir is at work here')" '0 a weir is at work here'
	weir_stop
	# one that listens there with a child, both of which may do everything
	spawn loud "$ns_a" python3 -c 'import os, socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(9)
if os.fork() == 0: time.sleep(20)
else: print("listens", flush=True); os.wait()' "$WEIR_CONTROL_SOCKET"
	wait_for 60 has_line "$tmp/loud.out" listens
	"${exec_a[@]}" "$weir" doctor -o json >"$tmp/doctor.json"
	expect_match "one with more than that: a warning" \
		"$(finding '^running weir$' status) $(finding '^running weir$' text)" '^warn the worker has capabilities: core'
	stop_spawned loud
}

case_config()
{
	printf '[run]\nflows = 5\n' >"$tmp/bad.conf"
	"$weir" doctor --config "$tmp/bad.conf" >"$tmp/doctor.json" 2>"$tmp/doctor.err"
	expect "a wrong configuration: exit status" "$?" 2
	expect_match "a wrong configuration: where" "$(cat "$tmp/doctor.err")" 'bad.conf:2:9: flows .5.: want a number'
}

net_new
if [ $# -gt 0 ]; then
	for c; do
		"case_$c"
	done
	exit
fi
case_good
case_text
case_no_privileges
case_interfaces
case_veth
case_xdp_of_others
case_memory
case_memory_is_so "one interface" va
ip -n "$ns_a" link add second type ifb
ip -n "$ns_a" link set second up
case_memory_is_so "two interfaces" va,second
ip -n "$ns_a" link del second
case_memory_pinned
case_pin
case_running
case_config
