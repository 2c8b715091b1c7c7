#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_rules.sh - rules at work in a running collector: they see what comes in, a reload takes over what has
# changed, a file with a mistake leaves the old rules in force and says where the mistake is, flows that the
# rules could not take are counted.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"

rule() # NAME DIGIT HAVING
{
	cat <<-EOF
		groups:
		- name: test
		  rules:
		  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a0$2
		    name: $1
		    version: 1.0.0
		    where: proto == tcp and dst.port == 22
		    window: { size: 60s, slide: 5s }
		    by: [src.ip, dst.ip]
		    having: $3
		    keep_firing_for: 1h
		    annotations: { summary: "{{src.ip}} tries {{dst.ip}}" }
	EOF
}

attack() # SOURCE COUNT
{
	in_a python3 tests/e2e/flows_attack.py 2055 5 "$1" 10.0.0.5 22 "$2"
}

fired() # RULE COUNT
{
	[ "$(collector_status ".rules.list[] | select(.rule == \"$1\") | .fired")" = "$2" ]
}

status_is() # FILTER VALUE
{
	[ "$(collector_status "$1")" = "$2" ]
}

for pack in packaging/rules/*.yaml; do
	expect "each rule has its page: $pack" "$("$collector" rules explain -o markdown "$pack")" \
		"$(cat "docs/rules/$(basename "$pack" .yaml).md")"
done

net_new
mkdir "$tmp/rules"
rule one 1 'count() >= 20' >"$tmp/rules/one.yaml"
cat >"$tmp/collector.conf" <<-EOF
	[rules]
	directories = $tmp/rules
	[metrics]
	listen = 127.0.0.1:9900
	[list local]
	values = 10.0.0.0/8
EOF
collector_start --config "$tmp/collector.conf" --listen-udp 127.0.0.1:2055 --listen-tcp none
expect "a rule is at work" "$(collector_status .rules.rules)" 1

attack 192.0.2.1 19
expect_true "the rules see the flows" wait_for 20 status_is .rules.flows 19
"$collector" rules explain one --config "$tmp/collector.conf" >"$tmp/explain.out" 2>&1
expect_match "it is explained by its name" "$(cat "$tmp/explain.out")" 'having +count\(\) >= 20'
"$collector" rules explain ona --config "$tmp/collector.conf" >"$tmp/explain.out" 2>&1
expect "one that is not there" "$? $(cat "$tmp/explain.out")" \
	"1 weir-collector: ona: no such file or rule, did you mean 'one'?"
expect "nineteen are too few" "$(collector_status '.rules.list[0].fired')" 0
attack 192.0.2.1 1
expect_true "twenty are not" wait_for 20 fired one 1
expect_match "the log says so" "$(cat "$tmp/collector.err")" 'alert: 192\.0\.2\.1 tries 10\.0\.0\.5'
expect_match "metrics have rules by name" "$(in_a curl -s http://127.0.0.1:9900/metrics)" \
	'weir_rule_fired_total\{rule="one",mode="detect"\} 1'

kill -HUP "$collector_pid"
expect_true "a reload" wait_for 20 status_is .rules.reloads 1
expect "without a change windows go on" "$(collector_status '.rules.list[0].fired')" 1

rule two 2 'count() >= 5' >"$tmp/rules/two.yaml"
kill -HUP "$collector_pid"
expect_true "a new rule is taken over" wait_for 20 status_is .rules.rules 2
attack 192.0.2.2 5
expect_true "and sees what comes" wait_for 20 fired two 1

rule two 2 'count() >= 5' | sed 's/dst.port/dst.prot/' >"$tmp/rules/two.yaml"
kill -HUP "$collector_pid"
expect_true "a broken file is named with its place" wait_for 20 has_line "$tmp/collector.err" \
	"two\.yaml:7:[0-9]+: unknown field 'dst.prot', did you mean 'dst.port'"
expect "in the status too" "$(collector_status '.rules.errors | length')" 1
expect_match "and in the table" "$("$collector" status)" 'not taken over: .*two\.yaml:7:'
expect "the old rules stay" "$(collector_status .rules.rules)" 2
attack 192.0.2.3 5
expect_true "and at work" wait_for 20 fired two 2

printf '[rule one]\nmode = shadow\n[rule three]\nmode = draft\n' >>"$tmp/collector.conf"
rule two 2 'count() >= 5' >"$tmp/rules/two.yaml"
kill -HUP "$collector_pid"
expect_true "a rule that is configured and not there is named" wait_for 20 has_line "$tmp/collector.err" \
	"collector\.conf:[0-9]+:[0-9]+: there is no rule 'three'"
sed -i 's/rule three/rule two/' "$tmp/collector.conf"
kill -HUP "$collector_pid"
expect_true "modes are the site's" wait_for 20 status_is '.rules.list[0].mode' shadow
expect "nothing was lost on the way to the rules" "$(collector_status '.rules.lost | add')" 0
collector_stop
expect "the end" "$collector_rc" 0

echo 'groups: 5' >"$tmp/rules/two.yaml"
: >"$tmp/collector.err"
in_a "$collector" serve --config "$tmp/collector.conf" 2>"$tmp/collector.err"
expect "a collector with broken rules does not start" "$?" 1
expect_match "and says why" "$(cat "$tmp/collector.err")" 'two\.yaml:1:'
