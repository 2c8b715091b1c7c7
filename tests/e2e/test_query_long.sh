#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_query_long.sh - questions that take their time, and back-tests: progress on a terminal and nowhere else,
# Ctrl-C that ends them in the engine too, as does a client of the REST interface that goes, pages, shares, and the same
# answer in every format.
# shellcheck disable=SC2154,SC2016
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"
. "$(dirname "$0")/api.sh"

flows=1000000
long=(--raw --last 1d --by "src.ip,src.port,dst.ip,start" --measure 'p95(bytes),distinct(dst.ip)')

ask() # ARG...
{
	"$collector" query --raw --last 1d "$@"
}

all_there()
{
	stored "$(jq .flows "$tmp/sent")"
}

running() # QUERIES
{
	[ "$(collector_status .queries.running)" = "$1" ]
}

# Standard error is a terminal; what was on it is in $tmp/terminal. With INT in $1 Ctrl-C is pressed as soon
# as something stands there. Return: the exit status.
on_terminal() # INT|- COMMAND...
{
	python3 - "$tmp/terminal" "$@" >"$tmp/out" <<-'EOF'
		import os, pty, subprocess, sys
		path, press, *command = sys.argv[1:]
		pid, fd = pty.fork()
		if not pid:
		    os.dup2(os.open(path + ".out", os.O_CREAT | os.O_TRUNC | os.O_WRONLY), 1)
		    os.execv(command[0], command)
		seen = b""
		while True:
		    try:
		        more = os.read(fd, 4096)
		    except OSError:
		        break
		    if not more:
		        break
		    seen += more
		    if press == "INT" and b"weir-collector: " in seen:
		        os.write(fd, b"\x03")
		        press = "-"
		open(path, "wb").write(seen)
		sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	EOF
}

net_new
unset WEIR_COLLECTOR_API_LISTEN
collector_start --listen-udp none --listen-tcp 127.0.0.1:4739 --api-listen 127.0.0.1:8080
in_a "$build/tests/bench/bench_load" 4739 -p tcp -n "$flows" >"$tmp/sent" || die "bench_load fails"
wait_for 30 all_there || die "not all flows are stored: $(stored_flows)"

on_terminal - "$collector" query "${long[@]}" -o csv
expect "a long query on a terminal" "$?" 0
expect_match "says how far it is" "$(tr '\r' '\n' <"$tmp/terminal")" 'weir-collector: +([0-9]+ %|working)'
expect_match "and takes it away at the end" "$(tail -c 4 "$tmp/terminal" | od -An -c)" '033 +\[ +K'
"$collector" query "${long[@]}" -o csv >"$tmp/csv" 2>"$tmp/ask.err"
expect "and nothing where there is none" "$(wc -c <"$tmp/ask.err")" 0
expect "the answer is the same" "$(cksum <"$tmp/terminal.out")" "$(cksum <"$tmp/csv")"

for format in json parquet; do
	cancelled=$(collector_status .queries.cancelled)
	on_terminal INT "$collector" query "${long[@]}" -o "$format"
	expect "$format: Ctrl-C ends it" "$?" 130
	expect "$format: nothing was written" "$(wc -c <"$tmp/terminal.out")" 0
	expect_true "$format: and in the engine" wait_for 60 running 0
	expect "$format: counted" "$(collector_status .queries.cancelled)" $((cancelled + 1))
done

# over HTTP, where what takes longer than two seconds is asked for later
api_tokens viewer
question=(-G --data-urlencode 'by=src.ip,src.port,dst.ip,start' --data-urlencode 'measure=p95(bytes),distinct(dst.ip)'
	-d raw=true -d last=1d)
answered()
{
	[ "$code" = 202 ] && api GET "$result" "$viewer"
	[ "$code" != 202 ]
}
left() # who asks goes while the query is at work: was it ended? What had been answered before is no such case
{
	local was

	was=$(collector_status .queries.cancelled)
	ip netns exec "$ns_a" curl -s --noproxy '*' -H "Authorization: Bearer $viewer" -o "$tmp/left" "${question[@]}" "$url/api/v1/top" &
	wait_for 20 running 1
	kill "$!" 2>/dev/null
	wait "$!" 2>/dev/null
	wait_for 60 running 0
	[ "$(collector_status .queries.cancelled)" -gt "$was" ]
}
expect_true "HTTP: who goes ends it in the engine" wait_for 60 left
api GET /api/v1/top "$viewer" "${question[@]}"
result=$(location)
expect_true "HTTP: who waits gets it" wait_for 60 answered
expect "the same" "$code $(jq -cS '.items[]' "$tmp/body" | cksum)" \
	"200 $("$collector" query "${long[@]}" -o json | jq -cS . | cksum)"

# a back-test that takes far longer than anybody looks at here
{
	echo 'groups:'
	echo '- name: many'
	echo '  rules:'
	for ((i = 100; i < 400; i++)); do
		echo "  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8$i"
		echo "    name: rule-$i"
		echo "    version: 1.0.0"
		echo "    window: { size: 10s, slide: 1s }"
		echo "    by: [src.ip, src.port]"
		echo "    having: distinct(dst.ip) >= $i"
		echo "    groups_max: 1000"
	done
} >"$tmp/many.yaml"
backtest=("$collector" rules backtest "$tmp/many.yaml" --last 1d)
cancelled=$(collector_status .queries.cancelled)
on_terminal INT "${backtest[@]}"
expect "a back-test: Ctrl-C ends it" "$?" 130
expect_match "it has said how far it was" "$(tr '\r' '\n' <"$tmp/terminal")" 'weir-collector: +([0-9]+ %|working)'
expect "nothing was written" "$(wc -c <"$tmp/terminal.out")" 0
expect_true "and in the engine" wait_for 20 running 0
expect "counted" "$(collector_status .queries.cancelled)" $((cancelled + 1))
"${backtest[@]}" >"$tmp/out" 2>&1 &
first=$!
expect_true "a back-test is under way" wait_for 20 running 1
"${backtest[@]}" >"$tmp/out" 2>"$tmp/ask.err"
expect "another one" "$?" 1
expect_match "has to wait" "$(cat "$tmp/ask.err")" 'one at a time'
kill -INT "$first"
wait "$first"
expect "the first is interrupted" "$?" 130
expect_true "in the engine too" wait_for 20 running 0
collector_stop
on_terminal INT "$collector" query "${long[@]}" -o json
expect "Ctrl-C where no collector runs" "$?" 130
on_terminal INT "${backtest[@]}"
expect "and of a back-test" "$?" 130
collector_start --listen-udp none --listen-tcp none

total=$(ask --measure bytes -o json | jq .bytes)
expect "all of them" "$total" "$(jq .bytes "$tmp/sent")"
ask --by src.ip --top 5 -o json >"$tmp/top"
expect "five groups and the rest" "$(jq -r '.other // false' "$tmp/top" | tr '\n' ' ')" \
	"false false false false false true "
expect "groups and the rest are all" "$(jq -s 'map(.bytes) | add' "$tmp/top")" "$total"
expect "so are their shares" "$(jq -s 'map(.share) | add | . * 1e6 | round' "$tmp/top")" 1000000
expect "a share is the group's part" "$(jq -s --argjson t "$total" '.[0].share == .[0].bytes / $t' "$tmp/top")" true
expect "no rest where all groups are shown" "$(ask --by proto --top 100 -o json | jq -s 'map(select(.other)) | length')" 0

cursor='' pages=0 seen=0
while :; do
	"$collector" flows "src.ip == 10.0.0.0" --last 1d --top 10000 ${cursor:+--cursor "$cursor"} -o csv >"$tmp/page" 2>"$tmp/ask.err"
	seen=$((seen + $(wc -l <"$tmp/page") - 1)) pages=$((pages + 1))
	cursor=$(sed -n 's/.*--cursor //p' "$tmp/ask.err")
	if [ -z "$cursor" ] || [ "$pages" -ge 20 ]; then break; fi
done
expect "pages have every flow" "$seen" "$(ask 'src.ip == 10.0.0.0' --measure flows -o json | jq .flows)"
expect_true "and are several" [ "$pages" -gt 2 ]
collector_stop
expect "the collector's exit status" "$collector_rc" 0
