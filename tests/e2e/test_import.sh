#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_import.sh - files into the store by hand: IPFIX as an exporter sends it, put into a file (RFC 5655),
# gzip, one that was cut off, a flow log, what is no file of flows; while a collector has the store.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"

take() # FILE...: sets rc; what it says is in $tmp/said, $tmp/complained
{
	"$collector" import "$@" >"$tmp/said" 2>"$tmp/complained"
	rc=$?
}

sums()
{
	"$collector" query --raw -o json --last 1d | jq -c '[.flows, .packets, .bytes]'
}

said() # flows of the last file
{
	tail -n 1 "$tmp/said" | sed 's/.*: //; s/ flows.*//' | tr -dc 0-9
}

net_new
# what one connection brings, as it comes
cat >"$tmp/listen.py" <<'END'
import socket, sys
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
c = s.accept()[0]
with open(sys.argv[1], "wb") as f:
    while data := c.recv(1 << 20):
        f.write(data)
END
in_a python3 "$tmp/listen.py" "$tmp/flows.ipfix" >"$tmp/port" &
listener=$!
pids+=("$listener")
wait_for 20 test -s "$tmp/port" || die "no listener"
in_a "$build/tests/bench/bench_load" "$(cat "$tmp/port")" -p tcp -n 50000 -m 16384 >"$tmp/sent" ||
	die "nothing was sent"
wait "$listener"
sent=$(jq -c '[.flows, .packets, .bytes]' "$tmp/sent")

take "$tmp/flows.ipfix"
expect "a file: exit status" "$rc" 0
expect "a file: so many flows are said to have come" "$(said)" "$(jq .flows "$tmp/sent")"
expect "a file: flows, packets and bytes are what was sent" "$(sums)" "$sent"

gzip -k "$tmp/flows.ipfix"
export WEIR_COLLECTOR_STORE=$tmp/store.gz
take "$tmp/flows.ipfix.gz"
expect "gzip: flows, packets and bytes are what was sent" "$rc $(sums)" "0 $sent"

export WEIR_COLLECTOR_STORE=$tmp/store.cut
head -c -100 "$tmp/flows.ipfix" >"$tmp/cut.ipfix"
take "$tmp/cut.ipfix"
expect "cut off: exit status" "$rc" 1
expect_true "cut off: it is said" grep -q 'cut.ipfix: .*damaged from there on' "$tmp/complained"
expect "cut off: what came before is there" "$(sums | jq '.[0]')" "$(said)"
expect_true "cut off: which is nearly all" test "$(said)" -gt $(($(jq .flows "$tmp/sent") - 200))

export WEIR_COLLECTOR_STORE=$tmp/store.log
now=$(date +%s)
for ((i = 0; i < 23; i++)); do
	echo "2 1 eni-1 172.31.16.139 198.51.100.21 $((20000 + i)) 22 6 20 4249 $((now - 60)) $now ACCEPT OK"
done >"$tmp/vpc.log"
head -c 4000 /dev/zero | tr '\0' '\1' >"$tmp/noise"
take "$tmp/vpc.log" "$tmp/noise"
expect "a flow log, and noise: exit status of what was done in part" "$rc" 6
expect "a flow log: flows, packets and bytes" "$(sums)" "[23,$((23 * 20)),$((23 * 4249))]"
expect_true "noise: it is said" grep -q 'noise: no format that is known' "$tmp/complained"

export WEIR_COLLECTOR_STORE=$tmp/store
collector_start --listen-udp none --listen-tcp none
take "$tmp/vpc.log"
expect_true "while a collector has the store: refused" test "$rc" -ne 0
expect_true "while a collector has the store: what to do" grep -q 'stop the collector' "$tmp/complained"
expect "while a collector has the store: nothing comes of it" "$(sums)" "$sent"
collector_stop
expect "the collector's exit status" "$collector_rc" 0
