#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_alerts.sh - what becomes of alerts: one for each value, acknowledged, silenced, ended by time or by
# hand, the same again when it comes again soon, and all of it there after kill -9.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"

attack() # SOURCE DESTINATION COUNT
{
	in_a python3 tests/e2e/flows_attack.py 2055 5 "$1" "$2" 22 "$3"
}

alerts() # ARG...
{
	"$collector" alerts "$@"
}

member() # ID FILTER_OF_JQ
{
	alerts show "$1" -o json | jq -r "$2"
}

count_is() # COUNT ARG...
{
	local n=$1

	shift
	[ "$(alerts list -o json "$@" | wc -l)" = "$n" ]
}

state_is() # ID STATE
{
	[ "$(member "$1" .state)" = "$2" ]
}

member_is() # ID FILTER_OF_JQ VALUE
{
	[ "$(member "$1" "$2")" = "$3" ]
}

net_new
mkdir "$tmp/rules"
alert_rules "$tmp/rules/a.yaml" '{{src.ip}} tries {{dst.ip}}'
cat >"$tmp/collector.conf" <<-EOF
	[rules]
	directories = $tmp/rules
	behind = 1s
	[alerts]
	reopen = 30s
EOF
serve()
{
	collector_start --config "$tmp/collector.conf" --listen-udp 127.0.0.1:2055 --listen-tcp none
}

serve
expect "no alert yet" "$(alerts list)" "$(alerts list | head -n 1)
(none)"
attack 192.0.2.9 10.0.0.5 6
expect_true "two rules fire" wait_for 20 count_is 2
many=$(alerts list --rule many -o json | jq .id)
lasting=$(alerts list --severity low -o json | jq .id)
expect "what it says" "$(member "$many" .annotations.summary)" '192.0.2.9 tries 10.0.0.5'
expect_match "for people too" "$(alerts list)" " $many firing +high .* 192\.0\.2\.9 tries 10\.0\.0\.5"
expect "what is by is a filter's" "$(alerts list 'dst.ip in 10.0.0.0/24' -o json | jq -r .rule)" many
expect "and what is not, is not" "$(alerts list 'dst.ip == 10.0.0.6' -o json)" ''
alerts list 'dst.pi == 10.0.0.6' 2>"$tmp/err"
expect "a mistake in a filter" "$?" 2
expect_match "is explained" "$(cat "$tmp/err")" "unknown field 'dst.pi', did you mean 'dst.ip'"
expect_true "it ends when its window is empty" wait_for 40 state_is "$many" resolved
expect "and says why" "$(member "$many" .reason)" ended

attack 192.0.2.9 10.0.0.5 6
expect_true "it comes again: the same" wait_for 20 state_is "$many" firing
expect "counted" "$(member "$many" .count)" 2
expect "the lasting one has not ended" "$(member "$lasting" .count)" 1

alerts ack "$lasting" --note 'asked its owner' >"$tmp/out"
expect "acknowledged" "$(cat "$tmp/out")" "alert $lasting acknowledged"
expect "by whom" "$(member "$lasting" '.acknowledged.by')" "uid=0 (root)"
alerts ack "$lasting" --note $'\e[2Jred\u009b31m' >"$tmp/out"
expect "a terminal is not spoken to" "$(alerts show "$lasting" | grep -c $'\e\\|\u009b')" 0
expect "what was written is kept" "$(member "$lasting" .note)" $'\e[2Jred\u009b31m'
alerts ack "$lasting" --note 'asked its owner' >"$tmp/out"
alerts list --state all >/dev/full 2>"$tmp/err"
expect "what can't be written is said" "$? $(cat "$tmp/err")" \
	"1 weir-collector: standard output: No space left on device"
alerts ack 4711 2>"$tmp/err"
expect "one that is not there" "$? $(cat "$tmp/err")" "1 weir-collector: there is no alert 4711"
alerts ack x 2>"$tmp/err"
expect "no number" "$?" 2

collector_kill
serve
expect "after kill -9 it is there" "$(member "$lasting" .state)" firing
expect "with what was said of it" "$(member "$lasting" '.note')" 'asked its owner'
attack 192.0.2.9 10.0.0.5 6
expect_true "a new engine confirms it" wait_for 20 member_is "$lasting" .count 2
expect "it is no second one" "$(alerts list --rule lasting --state all -o json | wc -l)" 1

silence=$(alerts silence 'dst.ip == 10.0.0.7' --for 1h -o json | jq .silence)
attack 192.0.2.7 10.0.0.7 6
expect_true "a silenced alert is kept" wait_for 20 count_is 1 --state silenced
expect "it is not said" "$(grep -c '192.0.2.7' "$tmp/collector.err")" 0
expect_match "silences in force" "$(alerts silences)" "dst.ip == 10.0.0.7"
alerts unsilence "$silence" >"$tmp/out"
expect "a silence that has ended silences nothing" "$(alerts list --state silenced -o json)" ''
alerts silence --for 1h 2>"$tmp/err"
expect "a silence of everything is none" "$?" 2

alerts resolve "$lasting" >"$tmp/out"
expect "ended by hand" "$(member "$lasting" '.state + " " + .reason')" 'resolved operator'

for i in 1 2 3; do
	attack 192.0.2.20 "10.0.1.$i" 6
done
three()
{
	[ "$(alerts list --group 'src.ip == 192.0.2.20' --state all -o json | jq .alerts)" = 3 ]
}
expect_true "three alerts of one host are one group" wait_for 20 three
expect "a line" "$(alerts list --group 'src.ip == 192.0.2.20' --state all -o json | wc -l)" 1

# what is no question is refused; the rest goes on
odd()
{
	printf '%s\n' "$1" | timeout 20 socat -t 20 - "UNIX-CONNECT:$WEIR_COLLECTOR_CONTROL_SOCKET" | jq -r '.code + " " + .message'
}
expect "a request without a command" "$(odd '{"v":1}')" 'request no such command'
expect "a command that is no text" "$(odd '{"v":1,"command":7,"what":{}}')" 'request no such command'
expect "members of other types" "$(odd '{"v":1,"command":"alerts","what":"ack","id":"x"}')" \
	'unknown there is no alert 0'

expect "nothing was lost" "$(collector_status '.alerts.lost')" 0
collector_stop
expect "the end" "$collector_rc" 0
"$collector" import --store "$tmp/store" "$tmp/none" "$tmp/neither" >"$tmp/out" 2>"$tmp/err"
expect "an import of nothing that can be read has failed" "$?" 1
