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

backtest() # ARG...
{
	"$collector" rules backtest "$tmp/old.yaml" --last 1d "$@"
}

# What does not depend on how long it took.
without_time()
{
	sed 's/, in [0-9.]* s$//; s/"seconds":[^,}]*//'
}

net_new
cat >"$tmp/old.yaml" <<-EOF
	groups:
	- name: test
	  rules:
	  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a01
	    name: attempts
	    version: 1.0.0
	    mode: draft
	    where: proto == tcp and dst.port == 22
	    window: { size: 1h, slide: 1m }
	    by: [src.ip, dst.ip]
	    having: count() >= \$attempts
	    params: { attempts: { default: 20, min: 5, max: 1000 } }
	    actions:
	    - drop: { scope: src.ip, direction: ingress, ttl: 10m }
EOF
mkdir "$tmp/rules"
sed 's/name: attempts/name: at-work/; s/8a01/8a02/' "$tmp/old.yaml" >"$tmp/rules/work.yaml"
cat >"$tmp/site.conf" <<-EOF
	[rules]
	directories = $tmp/rules
	[list local]
	values = 192.0.2.1
	[rule at-work]
	attempts = 19
EOF
collector_start --config "$tmp/site.conf" --listen-udp 127.0.0.1:2055 --listen-tcp none
attack 192.0.2.1 20
attack 10.0.0.77 20
attack 192.0.2.2 19
expect_true "all are stored" wait_for 20 stored 59

# of the collector that has the store, with what its site says
json=$(backtest -o json)
expect "every flow was looked at" "$(tail -1 <<<"$json" | jq .flows)" 59
expect "two would have been blocked" "$(head -1 <<<"$json" | jq .hits)" 2
expect "internal is what this site's list says" \
	"$(head -1 <<<"$json" | jq -r '.targets[] | select(.internal) | .target')" 192.0.2.1
expect "unless another is given" "$(backtest -o json --list local=10.0.0.0/8 | head -1 |
	jq -r '.targets[] | select(.internal) | .target')" 10.0.0.77
work=$("$collector" rules backtest --last 1d)
expect_match "without a file those at work, with this site's parameters" "$work" '^at-work .* acted on 3, 1 of them internal'
expect_match "one of them by name" "$("$collector" rules backtest --last 1d --rule at-work)" '^at-work'
"$collector" rules backtest --rule at-wrok >"$tmp/out" 2>"$tmp/err"
expect "a name that is none" "$?" 2
expect_match "is said" "$(cat "$tmp/err")" 'no rule at-wrok'
sed 's/proto ==/prot ==/' "$tmp/old.yaml" >"$tmp/wrong.yaml"
"$collector" rules backtest "$tmp/wrong.yaml" >"$tmp/out" 2>"$tmp/err"
expect "rules with errors" "$?" 1
expect_match "which are said by place" "$(cat "$tmp/err")" "^$tmp/wrong.yaml:8:[0-9]+: .*did you mean 'proto'"
expect "and nothing else" "$(wc -c <"$tmp/out")" 0
"$collector" rules backtest "$tmp/none.yaml" >"$tmp/out" 2>&1
expect "a file that is not there" "$?" 1
live=$(backtest --list local=10.0.0.0/8 | without_time)
expect_match "what it says to people" "$live" 'would have acted on 2, 1 of them internal, 0 exempt'
collector_stop
expect "the collector's exit status" "$collector_rc" 0

# and of the store itself
expect "the store says the same" "$(backtest --list local=10.0.0.0/8 | without_time)" "$live"
json=$(backtest -o json)
expect "one of them internal" \
	"$(head -1 <<<"$json" | jq -r '.targets[] | select(.internal) | .target')" 10.0.0.77
expect "the other not" \
	"$(head -1 <<<"$json" | jq -r '.targets[] | select(.internal | not) | .target')" 192.0.2.1
table=$(backtest --param attempts.attempts=19)
expect_match "with nineteen attempts three" "$table" 'would have acted on 3, 1 of them internal'
expect_match "by name" "$table" 'drop  192\.0\.2\.2 '
expect_match "the first of them, and how many more" "$(backtest --top 1)" 'and 1 more'
expect_match "an hour in which nothing was" \
	"$("$collector" rules backtest "$tmp/old.yaml" --from 2020-01-01T00:00:00Z --to 2020-01-02T00:00:00Z)" \
	'no flows of that time'
"$collector" rules backtest "$tmp/old.yaml" --socket "$tmp/none" >"$tmp/out" 2>&1
expect "a collector that is asked for by name and is not there" "$?" 5

sed 's/default: 20/default: 30/' "$tmp/old.yaml" >"$tmp/new.yaml"
diff=$("$collector" rules diff "$tmp/old.yaml" "$tmp/new.yaml")
expect "a difference" "$?" 1
expect_match "is named" "$diff" 'attempts = 30'
expect_match "and so is the version" "$diff" 'the version is the same'
"$collector" rules diff "$tmp/old.yaml" "$tmp/old.yaml"
expect "no difference" "$?" 0
