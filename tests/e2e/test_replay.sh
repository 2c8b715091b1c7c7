#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_replay.sh - `weir replay` as a command: what it reads, its options, exit statuses, and that
# every frame is accounted for. Needs no network.
set -u
cd "$(dirname "$0")/../.." || exit 2
weir=${WEIR:-${BUILD:-build}/weir}
capture=tests/data/http.pcap
tmp=$(mktemp -d /tmp/weir-replay.XXXXXX)
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0

check() # WHAT CONDITION...: a command that must succeed
{
	local what=$1

	shift
	if "$@"; then
		passed=$((passed + 1))
		echo "ok   $what"
	else
		failed=$((failed + 1))
		echo "FAIL $what: $*"
		sed 's/^/     | /' "$tmp/err"
	fi
}

replay() # ARGUMENT...: status in $rc, output in $tmp/out and $tmp/err
{
	"$weir" replay "$@" >"$tmp/out" 2>"$tmp/err"
	rc=$?
}

says() # WORDS: on standard error
{
	grep -qF -- "$1" "$tmp/err"
}

holds() # JQ-CONDITION FILE: over all its lines
{
	jq -es "$1" "$2" >/dev/null
}

# The order of records is not promised.
records()
{
	jq -cS . "$1" | sort
}

replay "$capture" -o json --summary json
check "a capture is replayed" [ "$rc" -eq 0 ]
cp "$tmp/out" "$tmp/plain"
check "records are JSON" holds 'length > 0 and all(.[]; .packets > 0)' "$tmp/plain"
check "two lines of account, every frame in them" \
	holds 'length == 2 and .[0].frames == .[0].taken and .[0].taken == .[1].packets' "$tmp/err"
frames=$(jq -s '.[0].frames' "$tmp/err")
check "packets of all records are the frames" [ "$(jq -s 'map(.packets) | add' "$tmp/plain")" -eq "$frames" ]

replay - -o json <"$capture"
check "standard input" cmp -s <(records "$tmp/plain") <(records "$tmp/out")
gzip -c "$capture" >"$tmp/c.gz"
replay "$tmp/c.gz" -o json
check "gzip" cmp -s <(records "$tmp/plain") <(records "$tmp/out")
gzip -c "$capture" | "$weir" replay - -o json >"$tmp/out" 2>"$tmp/err"
check "gzip on a pipe" cmp -s <(records "$tmp/plain") <(records "$tmp/out")
if command -v editcap >/dev/null; then
	editcap -F pcapng "$capture" "$tmp/c.pcapng"
	replay "$tmp/c.pcapng" -o json
	check "pcapng" cmp -s <(records "$tmp/plain") <(records "$tmp/out")
	editcap -F nsecpcap "$capture" "$tmp/c.ns"
	replay "$tmp/c.ns" -o json
	check "nanoseconds" cmp -s <(records "$tmp/plain") <(records "$tmp/out")
fi
replay "$capture" -o csv
check "csv has a header and a line a record" \
	[ "$(wc -l <"$tmp/out")" -eq $(($(wc -l <"$tmp/plain") + 1)) ]
replay "$capture"
check "the table has a line a record" [ "$(wc -l <"$tmp/out")" -ge "$(wc -l <"$tmp/plain")" ]
check "the account is in words" says "$frames frames, $frames taken"

replay "$capture" -o json --sample 5 --summary json
check "sampling counts what it passes over" \
	holds '.[1].packets + .[1].counters.sampled_out == .[0].taken and .[1].counters.sampled_out > 0' \
	"$tmp/err"
replay "$capture" -o json --no-names
check "no names without looking" [ "$(jq -s 'map(select(.http)) | length' "$tmp/out")" -eq 0 ]
replay tests/data/tunnels.pcap -o json
inside=$(jq -s 'map(select(.tunnel)) | length' "$tmp/out")
check "tunnels are opened" [ "$inside" -gt 0 ]
replay tests/data/tunnels.pcap -o json --no-decap
check "--no-decap leaves them closed" [ "$(jq -s 'map(select(.tunnel)) | length' "$tmp/out")" -eq 0 ]

size=$(stat -c %s "$capture")
head -c $((size - 7)) "$capture" >"$tmp/cut"
replay "$tmp/cut" -o json --summary json
check "a cut capture: status 6" [ "$rc" -eq 6 ]
check "a cut capture: what is before the damage" \
	[ "$(jq -s 'map(.packets) | add' "$tmp/out")" -eq $((frames - 1)) ]
check "a cut capture: says where" says "record cut short"
head -c 30 "$tmp/c.gz" >"$tmp/cut.gz"
replay "$tmp/cut.gz"
check "cut gzip: status 1, nothing was read" [ "$rc" -eq 1 ]
echo hello >"$tmp/text"
replay "$tmp/text"
check "no capture: status 1" [ "$rc" -eq 1 ]
check "no capture: says so" says "neither pcap nor pcapng"
replay "$tmp/nothing"
check "no file: status 1" [ "$rc" -eq 1 ]
check "no file: says so" says "No such file"
replay
check "no argument: status 2" [ "$rc" -eq 2 ]
replay "$capture" -o xml
check "unknown format: status 2" [ "$rc" -eq 2 ]
check "unknown format: says which there are" says "table, json or csv"
replay "$capture" --sample 0
check "sample 0: status 2" [ "$rc" -eq 2 ]
check "nothing on standard output on an error" [ ! -s "$tmp/out" ]
setpriv --reuid=65534 --clear-groups --inh-caps=-all --bounding-set=-all \
	"$weir" replay - <"$capture" >"$tmp/out" 2>"$tmp/err"
check "without privileges: status 3" [ $? -eq 3 ]
check "without privileges: says what is missing" says "CAP_BPF"

"$weir" replay "$capture" -o json 2>"$tmp/err" | true
check "a reader that leaves is no message" [ "$(grep -c 'standard output' "$tmp/err")" -eq 0 ]

# Filters: the same records as jq selects; the account counts all.
all=tests/data/https.pcap
"$weir" replay "$all" -o json >"$tmp/all" 2>/dev/null
where() # FILTER JQ-CONDITION
{
	replay "$all" -o json --summary json --where "$1"
	check "--where $1" cmp -s <(jq -cS 'del(.start, .end)' "$tmp/out" | sort) \
		<(jq -cS "select($2) | del(.start, .end)" "$tmp/all" | sort)
	check "--where $1: the account" holds ".[0].matched == $(wc -l <"$tmp/out")
		and .[1].records == $(wc -l <"$tmp/all")" "$tmp/err"
}
where 'proto udp' '.proto == "udp"'
where 'tls.sni suffix ".example.test" and not dst.ip in fd00::/8' \
	'(.tls.sni // "" | endswith(".example.test")) and (.dst.ip | startswith("fd") | not)'
where 'not tls.sni == "www.example.test"' '.tls.sni and .tls.sni != "www.example.test"'
where 'dns.queries contains "example" or dns.qtype == A' \
	'([.dns.queries[]?.qname | contains("example")] | any) or .dns.qtype == "A"'
where 'bytes > 100k' 'false'
replay "$all" --where 'dst.port == 443 and prot == tcp'
check "a wrong filter: status 2" [ "$rc" -eq 2 ]
check "a wrong filter: which word" says "col 21: unknown field 'prot', did you mean 'proto'?"

# The manual's examples are filters.
examples=0
while IFS= read -r filter; do
	replay "$all" --where "$filter"
	check "manual: $filter" [ "$rc" -eq 0 ]
	examples=$((examples + 1))
done < <(sed -n '/^# EXAMPLES/,/^# SEE/s/^\t//p' docs/man/weir-filter.5.scd)
check "the manual has examples" [ "$examples" -ge 6 ]

# A pipe that stays open: interrupted, it prints what it has.
mkfifo "$tmp/pipe"
"$weir" replay - -o json <"$tmp/pipe" >"$tmp/out" 2>"$tmp/err" &
pid=$!
exec 9>"$tmp/pipe"
cat "$capture" >&9
for _ in $(seq 100); do
	[ "$(awk '$1 == "read_bytes:" || $1 == "rchar:" { print $2; exit }' "/proc/$pid/io")" -ge "$size" ] && break
	sleep 0.1
done
sleep 1
kill -INT "$pid"
wait "$pid"
check "interrupted: status 0" [ $? -eq 0 ]
check "interrupted: all that was read" \
	[ "$(jq -s 'map(.packets) | add' "$tmp/out")" -eq "$frames" ]
exec 9>&-

echo "$passed passed, $failed failed, 0 skipped"
