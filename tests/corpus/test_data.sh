#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_data - the captures of tests/data, replayed: each flow that is in a capture comes out as one
# record with all the members that are known of it, and no other record comes out.
set -u
cd "$(dirname "$0")/../.." || exit 2
weir=${WEIR:-${BUILD:-build}/weir}
tmp=$(mktemp -d /tmp/weir-data.XXXXXX)
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0

# Lines that say what is wrong; none if all is well.
# shellcheck disable=SC2016 # jq's variables
compare='
def same($r; $e): all($e | paths(scalars); . as $p | ($r | getpath($p)?) == ($e | getpath($p)));
$want[] | . as $e | [$got[] | select(same(.; $e))] | length |
	select(. != 1) | "\(.) records like \($e | tojson)"'

for capture in tests/data/*.pcap; do
	name=$(basename "$capture" .pcap)
	if ! "$weir" replay "$capture" -o json --summary json >"$tmp/got" 2>"$tmp/err"; then
		problem="replay failed: $(tail -n 1 "$tmp/err")"
	else
		problem=$(jq -rn --slurpfile want "tests/data/$name.flows.json" --slurpfile got "$tmp/got" "$compare")
		want=$(wc -l <"tests/data/$name.flows.json")
		got=$(jq -s 'map(select(.proto != "ipv6-icmp" and .ethertype != 2054)) | length' "$tmp/got")
		if [ "$want" -ne "$got" ] || [ "$want" -eq 0 ]; then
			problem+="${problem:+; }$got records, want $want"
		fi
	fi
	if [ -z "$problem" ]; then
		passed=$((passed + 1))
		echo "ok   $name"
	else
		failed=$((failed + 1))
		echo "FAIL $name: $problem"
	fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
