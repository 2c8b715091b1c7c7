#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_control.sh - the local socket and the metrics of a running weir: status, flows, permissions,
# what clients may not do, and that a client which does not read harms nobody. Exact counts.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

socket=$WEIR_CONTROL_SOCKET

ask() # REQUEST...: lines of JSON; the answers on standard output
{
	printf '%s\n' "$@" | timeout 20 socat -t 20 - "UNIX-CONNECT:$socket"
}

rc_of() # COMMAND...: status in $rc, output in $tmp/out and $tmp/err
{
	timeout 30 "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	rc=$?
}

says() # NAME STATUS REGEX: of the last rc_of
{
	expect "$1: status" "$rc" "$2"
	expect_match "$1: message" "$(cat "$tmp/err")" "$3"
}

# The order of records of one drain is not promised.
same_records() # FILE FILE
{
	cmp -s <(jq -cS . "$1" | sort) <(jq -cS . "$2" | sort)
}

records_are() # N
{
	[ "$(wc -l <"$tmp/w.json")" -ge "$1" ]
}

no_weir()
{
	rc_of "$weir" status
	says "no weir" 5 'no weir is running here .*weir run'
	rc_of "$weir" flows
	says "no weir, flows" 5 'no weir is running here'
	rc_of "$weir" top --once
	says "no weir, top" 5 'no weir is running here'
	rc_of "$weir" status --socket "$tmp/nowhere/x.sock"
	says "--socket" 5 'nowhere/x.sock'
}

# Where the clients look: --socket, the environment, the file, the default.
places()
{
	printf '[control]\nsocket = %s\n[run]\nflows = wrong\n' "$socket" >"$tmp/at.conf"
	rc_of env -u WEIR_CONTROL_SOCKET WEIR_CONFIG="$tmp/at.conf" "$weir" status
	expect "the configuration names the socket" "$rc" 0
	rc_of env -u WEIR_CONTROL_SOCKET "$weir" top --once --config "$tmp/at.conf"
	expect "--config does, for top" "$rc" 0
	rc_of env -u WEIR_CONTROL_SOCKET "$weir" flows --config "$tmp/at.conf"
	expect "--config does, for flows" "$rc" 0
	printf '[control]\nsocket = %s/else.sock\n' "$tmp" >"$tmp/else.conf"
	rc_of env -u WEIR_CONTROL_SOCKET "$weir" status --config "$tmp/else.conf"
	says "another socket in the file" 5 "no weir is running here \\($tmp/else.sock"
	rc_of "$weir" status --config "$tmp/else.conf"
	expect "the environment beats the file" "$rc" 0
	rc_of env WEIR_CONTROL_SOCKET="$tmp/env.sock" "$weir" status --socket "$socket"
	expect "--socket beats the environment" "$rc" 0
	printf '[control]\nsocket = none\n' >"$tmp/none.conf"
	rc_of env -u WEIR_CONTROL_SOCKET "$weir" status --config "$tmp/none.conf"
	says "a file without a socket" 5 "control.socket is none \\($tmp/none.conf:2\\)"
	printf '[control]\nsocket = weir.sock\n' >"$tmp/wrong.conf"
	rc_of env -u WEIR_CONTROL_SOCKET "$weir" status --config "$tmp/wrong.conf"
	says "a wrong path in the file" 2 "^$tmp/wrong.conf:2:10: "
	rc_of env -u WEIR_CONTROL_SOCKET "$weir" status --config "$tmp/nosuch.conf"
	says "no such file" 2 "nosuch.conf: No such file"
}

# 23 pings, one HTTP request to a closed port: known packets.
traffic()
{
	in_b ping -q -c 23 -i 0.01 "$ip_a" >/dev/null
	in_b curl -s -o /dev/null "http://$ip_a:81/"
}

status_commands()
{
	local s

	rc_of "$weir" status -o json
	s=$(cat "$tmp/out")
	expect "status: packets of the interface" "$(jq '.interfaces[0].packets' <<<"$s")" 48
	expect "status: bytes" "$(jq '.interfaces[0].bytes' <<<"$s")" $((46 * 84 + 60 + 40))
	expect "status: interface" "$(jq -r '.interfaces[0] | .name, .role, .attached' <<<"$s" | xargs)" \
		"va uplink true"
	expect "status: lost" "$(jq '.counters.lost_packets' <<<"$s")" 0
	expect "status: export" "$(jq -r '.exports[0].target' <<<"$s")" stdout:
	expect "status: processes and what they may do" \
		"$(jq -c '.processes[] | [.process, .pid, .capabilities, .seccomp, .no_new_privileges]' <<<"$s" | paste -sd' ')" \
		"[\"core\",$weir_pid,[\"net_admin\",\"perfmon\",\"bpf\"],true,true] [\"worker\",$(pgrep -P "$weir_pid"),[],true,true]"
	rc_of "$weir" status
	expect "status: table" "$rc" 0
	expect_match "status: privileges of the core" "$(cat "$tmp/out")" \
		"^core $weir_pid: net_admin perfmon bpf, seccomp$"
	expect_match "status: privileges of the worker" "$(cat "$tmp/out")" '^worker [0-9]+: no capability, seccomp$'
	expect_match "status: a line for the interface" "$(cat "$tmp/out")" \
		'^va +native XDP \+ TCX +uplink +48 +[0-9.]+.* [0-9]+s$'
	expect_match "status: losses" "$(cat "$tmp/out")" '^packets lost 0, not parsed 0$'
	expect_match "status: export line" "$(cat "$tmp/out")" '^export stdout: .* 0 lost'
}

flows_commands()
{
	expect_true "both flows become records" wait_for 60 records_are 2
	rc_of "$weir" flows --last all -o json
	expect "flows: status" "$rc" 0
	expect_true "flows: the records that were written" same_records "$tmp/out" "$tmp/w.json"
	rc_of "$weir" flows proto icmp -o json
	expect "flows: a filter need not be quoted" "$(jq -r .packets "$tmp/out")" 46
	rc_of "$weir" flows --last 1 -o json
	expect "flows: --last 1" "$(wc -l <"$tmp/out")" 1
	expect_true "flows: the last one" cmp -s "$tmp/out" <(tail -n 1 "$tmp/w.json")
	rc_of "$weir" flows --since 1h -o csv
	expect "flows: csv has a header and two records" "$(wc -l <"$tmp/out")" 3
	rc_of "$weir" flows --since 1us -o json
	expect "flows: --since" "$(wc -l <"$tmp/out")" 0
	rc_of "$weir" flows 'dst.port == 81'
	expect_match "flows: a line for people" "$(cat "$tmp/out")" \
		"10.77.1.2:[0-9]+ > 10.77.1.1:81 +tcp +SRA.. +2 pkt +100 B"
	rc_of "$weir" flows 'dst.port == 81 and prot == tcp'
	says "flows: wrong filter" 2 "col 20: unknown field 'prot', did you mean 'proto'"
	rc_of "$weir" flows --last many
	says "flows: wrong number" 2 "--last 'many'"
	rc_of "$weir" flows --live --follow
	says "flows: what does not go together" 2 "--live goes with none"
	"$weir" flows --last all -o json 2>"$tmp/err" | head -n 1 >"$tmp/out"
	expect "flows: a reader that leaves is no error" "${PIPESTATUS[0]} $(wc -c <"$tmp/err")" "0 0"
}

follow()
{
	"$weir" flows --follow -o json 'icmp.type == 128' >"$tmp/follow.json" 2>"$tmp/follow.err" &
	pids+=($!)
	expect_true "follow: asked" wait_for 60 two_clients
	in_b ping -q -6 -c 7 -i 0.01 "$ip6_a" >/dev/null
	expect_true "follow: the flow comes when it has ended" wait_for 60 has_line "$tmp/follow.json" \
		'"packets":14'
	kill -INT "${pids[-1]}"
	wait "${pids[-1]}"
	expect "follow: Ctrl-C, status" $? 0
	expect "follow: Ctrl-C, summary" "$(cat "$tmp/follow.err")" "weir: 1 flows, 0 missed"
	expect "follow: nothing else came" "$(wc -l <"$tmp/follow.json")" 1
}

two_clients()
{
	[ "$(ask '{"v":1,"command":"status"}' | jq .control.clients)" -ge 2 ]
}

live()
{
	spawn pings "$ns_b" ping -q -c 200 -i 0.05 -s 100 "$ip_a"
	expect_true "live: a flow that has not ended" wait_for 60 is_live
	rc_of "$weir" flows --live 'proto icmp' -o json
	expect "live: has no reason" "$(jq -r .reason "$tmp/out")" null
	expect_match "live: has packets" "$(jq .packets "$tmp/out")" '^[1-9]'
	stop_spawned pings
}

is_live()
{
	[ "$("$weir" flows --live 'proto icmp and bytes > 1k' -o json | wc -l)" -eq 1 ]
}

permissions()
{
	expect "socket: permissions" "$(stat -c '%a %U %G' "$socket")" "660 root daemon"
	rc_of setpriv --reuid=65534 --regid=65534 --clear-groups "$weir" status
	says "another user" 3 'not permitted .*group'
	rc_of setpriv --reuid=65534 --regid=daemon --clear-groups "$weir" status
	expect "the group" "$rc" 0
	rc_of ip netns exec "$ns_b" "$weir" run -i vb --duration 1s
	says "a second weir on this socket" 1 'another weir is running'
}

# socat would stop at the first refused write, before it reads the answer.
endless_line()
{
	python3 - "$socket" <<'PY'
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect(sys.argv[1])
try:
    while True:
        s.sendall(b"x" * 4096)
except OSError:
    print(s.makefile().readline())
PY
}

bad_requests()
{
	expect "no JSON" "$(ask hello | jq -r '.type, .code' | xargs)" "error request"
	expect "unknown member" "$(ask '{"v":1,"command":"flows","lst":1}' | jq -r .message)" \
		"unknown member 'lst', did you mean 'last'?"
	expect "version" "$(ask '{"v":2,"command":"flows"}' | jq -r .code)" version
	expect "filter with column" \
		"$(ask '{"v":1,"command":"flows","filter":"proto tcp and x"}' | jq .column)" 15
	expect "two requests, two answers" \
		"$(ask '{"v":1,"command":"flows","last":0}' '{"v":1,"command":"flows","last":0}' |
			jq -r .type | xargs)" "end end"
	expect "an endless line" "$(endless_line | jq -r .message)" "the line is too long"
}

# More connections than there are places; those that hold them are not disturbed.
crowd()
{
	python3 - "$socket" >"$tmp/crowd.out" <<'PY'
import json, socket, sys
clients = []
for i in range(18):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(sys.argv[1])
    clients.append(s)
refused = [json.loads(s.makefile().readline())["code"] for s in clients[16:]]
clients[3].sendall(b'{"v":1,"command":"flows","last":0}\n')
print(refused, json.loads(clients[3].makefile().readline())["type"])
PY
	expect "clients beyond 16 are refused" "$(cat "$tmp/crowd.out")" "['busy', 'busy'] end"
	expect_true "there is room again" wait_for 60 one_client
}

one_client()
{
	[ "$(ask '{"v":1,"command":"status"}' | jq .control.clients)" -eq 1 ]
}

# A follower that stops reading: the drain goes on, and what it misses is counted and told.
slow_reader()
{
	local before after

	# none of earlier tests may end between the count and the question
	expect_true "slow: nothing is open" wait_for 60 no_flows
	before=$(wc -l <"$tmp/w.json")
	python3 - "$socket" "$tmp/slow.go" "$tmp/slow.ready" >"$tmp/slow.out" <<'PY' &
import json, os, socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.connect(sys.argv[1])
s.sendall(b'{"v":1,"command":"flows","last":0,"follow":true}\n')
open(sys.argv[3], "w").close()
while not os.path.exists(sys.argv[2]):
    time.sleep(0.05)
f, records, lost = s.makefile(), 0, 0
want = int(open(sys.argv[2]).read())
s.settimeout(20)
while records + lost < want:
    o = json.loads(f.readline())
    if o.get("type") == "lost":
        lost += o["records"]
    else:
        records += 1
print(records + lost, records > 0, lost > 0)
PY
	pids+=($!)
	expect_true "slow: asked" wait_for 60 test -e "$tmp/slow.ready"
	wait_for 60 two_clients
	in_b "$tools/flood" -n 20000 vb 20000 >/dev/null 2>"$tmp/flood.err" || cat "$tmp/flood.err"
	expect_true "slow: the flows are written all the same" wait_for 30 records_are $((before + 20000))
	after=$(wc -l <"$tmp/w.json")
	echo $((after - before)) >"$tmp/slow.tmp"
	mv "$tmp/slow.tmp" "$tmp/slow.go"
	wait "${pids[-1]}"
	expect "slow: read and lost are all there were" "$(cat "$tmp/slow.out")" \
		"$((after - before)) True True"
}

# Sorting that takes memory, in the sandbox.
large()
{
	in_b "$tools/flood" -n 5000 vb 5000 >/dev/null
	expect_true "large: all flows are live" wait_for 60 live_flows 5000
	rc_of "$weir" top --once -o json --by src.ip --limit 1000
	expect "large: groups" "$(wc -l <"$tmp/out")" 1000
	rc_of "$weir" top --once -o json --limit 1000
	expect "large: rows" "$(wc -l <"$tmp/out")" 1000
	rc_of "$weir" flows --live -o json "src.port in {$(seq -s, 1000 3 2999)}"
	expect "large: a set" "$rc" 0
	expect_true "large: what it has" holds_ports
}

no_flows()
{
	[ "$("$weir" status -o json | jq .flows.live)" -eq 0 ]
}

live_flows() # N
{
	[ "$("$weir" status -o json | jq .flows.live)" -ge "$1" ]
}

holds_ports()
{
	jq -es 'length > 0 and all(.[]; .src.port % 3 == 1)' "$tmp/out"
}

metrics()
{
	local m

	m=$(in_a curl -s "http://127.0.0.1:9477/metrics")
	expect "metrics: packets" "$(awk '$1 == "weir_packets_total{iface=\"va\"}" { print $2 }' <<<"$m")" 48
	expect "metrics: build" "$(grep -cE \
		'^weir_build_info\{version="[0-9.]+",commit="([0-9a-f]{12}|unknown)",libbpf="[0-9]+\.[0-9]+"\} 1$' <<<"$m")" 1
	expect "metrics: every line is one" "$(grep -cvE \
		'^(# (HELP|TYPE) weir_[a-z_]+ .+|weir_[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9]+(\.[0-9]{9})?)$' \
		<<<"$m")" 0
	expect "metrics: no name twice" "$(grep '^# TYPE' <<<"$m" | sort | uniq -d)" ""
	expect "metrics: another path" \
		"$(in_a curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9477/)" 404
	expect "metrics: another method" \
		"$(in_a curl -s -o /dev/null -w '%{http_code}' -d x http://127.0.0.1:9477/metrics)" 405
	expect "metrics: a head without an end" \
		"$(head -c 9000 /dev/zero | tr '\0' x | in_a timeout 20 socat -t 5 - TCP:127.0.0.1:9477 | head -n 1 | tr -d '\r')" \
		"HTTP/1.1 431 Request Header Fields Too Large"
}

# What a weir that was killed leaves behind is not in the way of the next.
stale_socket()
{
	weir_start stale -i va
	kill -KILL "$weir_pid"
	wait "$weir_pid" 2>/dev/null
	expect_true "killed: the socket file is still there" test -S "$socket"
	expect_true "killed: nobody answers" wait_for 60 nobody_answers
	weir_start after -i va
	rc_of "$weir" status
	expect "the next weir answers" "$rc" 0
	weir_stop
	expect_true "the socket file is gone at the end" test ! -e "$socket"
	weir_start none -i va --control-socket none
	expect_true "--control-socket none" test ! -e "$socket"
	weir_stop
}

# The kernel measures as long as somebody holds this descriptor (bpf(2): BPF_ENABLE_STATS).
hold_stats()
{
	python3 - "$tmp/stats.ready" <<'PY' &
import ctypes, os, signal, sys
attr = ctypes.create_string_buffer(128)
nr = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
fd = ctypes.CDLL(None, use_errno=True).syscall(nr, 32, attr, 128)
open(sys.argv[1], "w").write(str(fd))
signal.pause()
PY
	stats_pid=$!
	pids+=("$stats_pid")
	wait_for 60 test -s "$tmp/stats.ready"
}

prog_runs() # PROG METRIC
{
	in_a curl -s http://127.0.0.1:9477/metrics | awk -v name="weir_bpf_$2_total{prog=\"$1\"}" '$1 == name { print $2 }'
}

ran() # PROG N: so often at least
{
	[ "$(prog_runs "$1" runs || echo 0)" -ge "$2" ] 2>/dev/null
}

run_times()
{
	expect_true "run times: switched on" hold_stats
	weir_start times -i va --metrics-listen 127.0.0.1:9477
	in_b ping -q -c 23 -i 0.01 "$ip_a" >/dev/null
	expect_true "run times: XDP ran for each packet" wait_for 60 ran xdp 23
	expect_true "run times: TC ran for each answer" ran tc_egress 23
	expect_true "run times: between 1 ns and 1 s" awk -v s="$(prog_runs xdp run_seconds)" \
		'BEGIN { exit !(s > 0 && s < 1) }'
	weir_stop
	kill "$stats_pid"
	wait "$stats_pid" 2>/dev/null
}

nobody_answers()
{
	"$weir" status 2>&1 | grep -q 'Connection refused'
}

net_new
no_weir
export WEIR_CONTROL_GROUP=daemon WEIR_CONTROL_HISTORY=2048
weir_start w -i va --idle-timeout 2s --drain-interval 200ms --metrics-listen 127.0.0.1:9477 || exit 1
traffic
status_commands
metrics
places
flows_commands
permissions
bad_requests
follow
live
crowd
slow_reader
large
weir_stop
expect "weir ends well" "$weir_rc" 0
unset WEIR_CONTROL_GROUP
run_times
stale_socket
