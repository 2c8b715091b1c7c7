#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_backtest.sh - rules over what is stored: what would have been said and done, by address, the site's own
# marked; and what is different between two files of rules.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"

attack() # SOURCE COUNT
{
	in_a python3 tests/e2e/flows_attack.py 2055 5 "$1" 10.0.0.5 22 "$2"
}

net_new
collector_start --listen-udp 127.0.0.1:2055 --listen-tcp none
attack 192.0.2.1 20
attack 10.0.0.77 20
attack 192.0.2.2 19
expect_true "all are stored" wait_for 20 stored 59
expect_match "a store that a collector has is left alone" \
	"$("$collector" rules backtest packaging/rules/brute-force.yaml 2>&1)" 'collector'
collector_stop

cat >"$tmp/old.yaml" <<-EOF
	groups:
	- name: test
	  rules:
	  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a01
	    name: attempts
	    version: 1.0.0
	    where: proto == tcp and dst.port == 22
	    window: { size: 1h, slide: 1m }
	    by: [src.ip, dst.ip]
	    having: count() >= \$attempts
	    params: { attempts: { default: 20, min: 5, max: 1000 } }
	    actions:
	    - drop: { scope: src.ip, direction: ingress, ttl: 10m }
EOF
json=$("$collector" rules backtest "$tmp/old.yaml" --last 1d -o json)
expect "every flow was looked at" "$(tail -1 <<<"$json" | jq .flows)" 59
expect "two would have been blocked" "$(head -1 <<<"$json" | jq .hits)" 2
expect "one of them internal" \
	"$(head -1 <<<"$json" | jq -r '.targets[] | select(.internal) | .target')" 10.0.0.77
expect "the other not" \
	"$(head -1 <<<"$json" | jq -r '.targets[] | select(.internal | not) | .target')" 192.0.2.1
table=$("$collector" rules backtest "$tmp/old.yaml" --last 1d --param attempts.attempts=19)
expect_match "with nineteen attempts three" "$table" 'would have acted on 3, 1 of them internal'
expect_match "by name" "$table" 'drop  192\.0\.2\.2 '
expect_match "an hour in which nothing was" \
	"$("$collector" rules backtest "$tmp/old.yaml" --from 2020-01-01T00:00:00Z --to 2020-01-02T00:00:00Z)" \
	'no flows of that time'

sed 's/default: 20/default: 30/' "$tmp/old.yaml" >"$tmp/new.yaml"
diff=$("$collector" rules diff "$tmp/old.yaml" "$tmp/new.yaml")
expect "a difference" "$?" 1
expect_match "is named" "$diff" 'attempts = 30'
expect_match "and so is the version" "$diff" 'the version is the same'
"$collector" rules diff "$tmp/old.yaml" "$tmp/old.yaml"
expect "no difference" "$?" 0
