#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_records.sh - what is in a record: members and their types, times, state, TCP facts of a
# connection with known faults, timeouts that split a flow without losing a packet.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/servers.sh"

# The frozen format, as a jq function: "" or the path of the first member that breaks it.
schema='
def num: type == "number" and . == floor and . >= 0;
def str: type == "string" and length > 0;
def time: type == "string" and test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}Z$");
def word(w): . as $v | any(w; . == $v);
def strs: type == "array" and length > 0 and all(.[]; str);
def query: type == "object" and (.qname | str) and (keys - ["latency_us", "qname", "qtype", "rcode"] == []);
def endpoint: type == "object" and (keys - ["ip", "port"] == []) and (.ip | str) and
	(if has("port") then .port | num and . < 65536 else true end);
def direction: type == "object" and (.packets | num) and (.bytes | num) and all(.[]; num) and
	(keys - ["bytes", "dscp", "out_of_order", "packets", "retransmits", "ttl_max", "ttl_min", "zero_windows"] == []);
def member($k): if $k == "start" or $k == "end" then time
	elif $k == "src" or $k == "dst" then endpoint
	elif $k == "proto" then str
	elif $k == "packets" or $k == "bytes" or $k == "ethertype" or $k == "response_us" or $k == "vni"
		or $k == "sampling" then num
	elif $k == "out" or $k == "in" then direction
	elif $k == "tcp" then keys == ["flags"] and (.flags | test("^F?S?R?P?A?U?E?C?$"))
	elif $k == "state" then word("new", "established", "closed", "reset", "no_reply", "one_way")
	elif $k == "icmp" then keys - ["code", "type"] == [] and all(.[]; num)
	elif $k == "tls" then keys - ["alpn", "ech", "offered", "sni", "version"] == [] and
		(del(.alpn) | all(.[]; str)) and (if .alpn then .alpn | strs else true end)
	elif $k == "http" then keys - ["host", "hosts", "method", "path"] == [] and
		(del(.hosts) | all(.[]; str)) and (if .hosts then .hosts | strs else true end)
	elif $k == "dns" then keys - ["answers", "latency_us", "qname", "qtype", "queries", "rcode"] == [] and
		(if .qname then .qname | str else true end) and
		(if .latency_us then .latency_us | num else true end) and
		(if .queries then .queries | type == "array" and all(.[]; query) else true end)
	elif $k == "quic" then keys == ["version"] and (.version | str)
	elif $k == "no_name" or $k == "iface" or $k == "node" then str
	elif $k == "rtt" then keys - ["client_us", "server_us"] == [] and all(.[]; num)
	elif $k == "tunnel" then keys - ["src", "type"] == [] and all(.[]; str)
	elif $k == "vlan" then type == "array" and length > 0 and all(.[]; num and . < 4096)
	elif $k == "community_id" then test("^1:[A-Za-z0-9+/]{27}=$")
	elif $k == "reason" then word("idle", "active", "end", "evicted", "shutdown")
	else false end;
def sums: .packets == .out.packets + .in.packets and .bytes == .out.bytes + .in.bytes;
def needed: ["start", "end", "packets", "bytes", "out", "in", "iface", "node", "reason"] - keys == [];
def no_null: [.. | select(. == null)] == [];
def broken: [to_entries[] | select(.key as $k | .value | . == null or (member($k) | not)) | .key] +
	(if sums then [] else ["sums"] end) + (if needed then [] else ["needed"] end) +
	(if no_null then [] else ["null"] end);
'

expect_schema() # CASE NAME
{
	expect "$1: every line is one JSON object" "$(wc -l <"$tmp/$2.json")" "$(records "$2" length)"
	expect "$1: members and types are the frozen ones" \
		"$(jq -rn "$schema [inputs | broken[]] | unique | join(\" \") | if . == \"\" then \"all\" else . end" \
			"$tmp/$2.json")" all
}

# The check itself finds what is wrong.
case_schema_check()
{
	expect "schema: the check finds faults" "$(jq -rn "$schema"'{start: "now", packets: "1", bytes: 2,
		out: {packets: 1, bytes: 1}, in: {packets: 0, bytes: 1, color: 3}, tcp: {flags: "AF"}, x: 1,
		rtt: null} | broken | sort | join(" ")')" 'in needed null packets rtt start sums tcp x'
}

case_schema()
{
	local k

	weir_start schema -i va --idle-timeout 1s --drain-interval 200ms || return
	fetch https://www.example.test/ https://shop.example.test/
	fetch http://api.example.test/x
	client dig +short nothing.missing.test >/dev/null
	in_a ping -c 3 -i 0.01 -q "$ip6_b" >/dev/null
	for k in vlan qinq lldp icmp sctp tcp_faults; do
		in_b "$tools/frames" vb "$k" >/dev/null
	done
	settle
	wait_for 60 eval '[ "$(wc -l <"$tmp/schema.json")" -ge 8 ]'
	weir_stop
	expect_schema schema schema
	weir_start schema_mirror -i va --role mirror || return
	for k in vxlan gre 6in4 gtpu; do
		in_b "$tools/frames" vb "$k" >/dev/null
	done
	settle
	weir_stop
	expect_schema "schema, tunnels" schema_mirror
	expect "schema: node is the host's name" "$(records schema 'map(.node) | unique | join(" ")')" "$(uname -n)"
}

# RFC 3339 as microseconds.
to_us='def us: (.[0:19] + "Z" | fromdate) * 1000000 + (.[20:26] | tonumber);'

# The time a packet passed, by another's clock: tcpdump on the same interface.
case_times()
{
	local first last tick

	tick=$((1000000 / $(getconf CLK_TCK) * 2)) # a jiffy is 1 to 10 ms; so is this
	spawn tcpdump "$ns_a" tcpdump -ni va -w "$tmp/times.pcap" --immediate-mode -U icmp
	wait_for 60 has_line "$tmp/tcpdump.err" 'listening on' || die "tcpdump does not start"
	weir_start times -i va || return
	in_a ping -c 23 -i 0.05 -q "$ip_b" >/dev/null
	settle
	weir_stop
	stop_spawned tcpdump
	first=$(tcpdump -nr "$tmp/times.pcap" -tt 2>/dev/null | awk 'NR == 1 { print $1 }' | tr -d .)
	last=$(tcpdump -nr "$tmp/times.pcap" -tt 2>/dev/null | awk 'END { print $1 }' | tr -d .)
	expect "times: start within a clock tick of tcpdump's" \
		"$(records times "$to_us map(.start | us)[0] - $first | fabs <= $tick")" true
	expect "times: end within a clock tick of tcpdump's" \
		"$(records times "$to_us map(.end | us)[0] - $last | fabs <= $tick")" true
}

case_tcp()
{
	weir_start tcp -i va || return
	fetch -4 http://www.example.test/hello
	settle
	weir_stop
	expect "tcp: who asked whom" \
		"$(records tcp 'map(select(.proto == "tcp") | "\(.src.ip) > \(.dst.ip):\(.dst.port)")[0]')" \
		"$ip_a > $ip_b:80"
	expect "tcp: state, flags, reason" \
		"$(records tcp 'map(select(.proto == "tcp") | "\(.state) \(.tcp.flags)")[0]')" 'closed FSPA'
	expect "tcp: round trips and response time are there, and short" \
		"$(records tcp 'map(select(.proto == "tcp") | [.rtt.client_us, .rtt.server_us, .response_us] |
			map(type == "number" and . < 1000000))[0] | tojson')" '[true,true,true]'
}

# A connection that another end refuses, one that nobody answers.
case_states()
{
	weir_start states -i va --syn-timeout 1s --drain-interval 200ms || return
	in_a nc -w 1 "$ip_b" 4444 </dev/null >/dev/null 2>&1
	in_a nc -w 1 10.77.1.77 80 </dev/null >/dev/null 2>&1 # nobody has this address
	ip -n "$ns_a" neigh replace 10.77.1.78 lladdr 02:00:00:00:00:99 nud permanent dev va
	in_a nc -w 1 10.77.1.78 80 </dev/null >/dev/null 2>&1
	wait_for 60 has_line "$tmp/states.json" no_reply
	expect "states: an unanswered SYN is written after the SYN timeout" \
		"$(records states 'map(select(.dst.ip == "10.77.1.78") | "\(.state) \(.in.packets)") | unique | join(",")')" \
		'no_reply 0'
	weir_stop
	expect "states: a refused connection" \
		"$(records states 'map(select(.dst.port == 4444) | "\(.state) \(.tcp.flags)") | join(",")')" 'reset SRA'
	expect "states: ARP is counted by its Ethertype" \
		"$(records states 'map(select(.ethertype == 2054) | .packets > 0) | any')" true
	expect_accounted states states
}

case_faults()
{
	weir_start faults -i va || return
	in_b "$tools/frames" vb tcp_faults >"$tmp/faults.sent"
	settle
	weir_stop
	expect "faults: one connection, closed" \
		"$(records faults 'map("\(.state) \(.packets) \(.src.ip)") | join(",")')" 'closed 16 10.99.1.1'
	expect "faults: client: one retransmission, one segment out of order, no zero window" \
		"$(records faults '.[0].out | [.retransmits, .out_of_order, .zero_windows] | tojson')" '[1,1,null]'
	expect "faults: server: two retransmissions, two zero windows" \
		"$(records faults '.[0].in | [.retransmits, .out_of_order, .zero_windows] | tojson')" '[2,null,2]'
}

# A flow that lives on: records at the active timeout, which together hold every packet.
case_active()
{
	weir_start active -i va --active-timeout 1s --drain-interval 200ms || return
	in_a ping -c 211 -i 0.02 -q "$ip_b" >/dev/null
	settle
	weir_stop
	expect_true "active: the flow was split" test "$(records active length)" -ge 4
	expect "active: the records say why" \
		"$(records active 'map(.reason) | .[:3] == ["active", "active", "active"] and
			(.[3:] - ["active", "shutdown"] == [])')" true
	expect "active: together they hold every packet" "$(sum_of active)" "422 $((422 * 84))"
	expect "active: each begins where the one before ended" \
		"$(records active '[range(1; length) as $i | .[$i].start == .[$i - 1].end] | all')" true
	expect "active: one connection has one Community ID" \
		"$(records active 'map(.community_id) | unique | length')" 1
}

case_idle()
{
	weir_start idle -i va --idle-timeout 500ms --drain-interval 100ms || return
	in_a ping -c 7 -i 0.01 -q "$ip_b" >/dev/null
	wait_for 60 has_line "$tmp/idle.json" idle
	expect "idle: written while weir runs" "$(records idle 'map("\(.reason) \(.packets)") | join(",")')" 'idle 14'
	in_a ping -c 5 -i 0.01 -q "$ip_b" >/dev/null
	settle
	weir_stop
	expect "idle: the next packets are counted once" "$(sum_of idle)" "24 $((24 * 84))"
}

# The other formats show the same flows.
case_formats()
{
	"${exec_a[@]}" "$weir" run -i va -o csv --duration 700ms >"$tmp/csv.out" 2>"$tmp/csv.err" &
	weir_pid=$!
	pids+=("$weir_pid")
	wait_for 60 weir_is_up csv 1
	in_a ping -c 3 -i 0.01 -q "$ip_b" >/dev/null
	weir_wait 10 || weir_stop
	expect "csv: a header and a line with as many columns" \
		"$(python3 -c 'import csv, sys; r = list(csv.reader(open(sys.argv[1], newline="")));
print(len(r), len(r[0]) == len(r[1]), dict(zip(r[0], r[1]))["packets"])' "$tmp/csv.out")" '2 True 6'
}

net_new
servers_start
case_schema_check
case_schema
case_times
case_tcp
case_states
case_faults
case_active
case_idle
case_formats
