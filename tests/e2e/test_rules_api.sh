#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_rules_api.sh - a rule is put in over the REST interface, fires, is replaced by who has seen what it was, outlasts a
# crash and is taken away; what is wrong with it is said with its place. What the interface says of a file of rules is
# what the command says.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"
. "$(dirname "$0")/api.sh"

c()
{
	"$collector" "$@"
}

rule() # NAME DIGIT PORT VERSION [LINE...]: its file
{
	cat <<-EOF
		groups:
		- name: test
		  rules:
		  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a2$2
		    name: $1
		    version: $4
		    where: proto == tcp and dst.port == $3
		    window: { size: 5s, slide: 1s }
		    by: [src.ip, dst.ip]
		    having: count() >= 5
		    keep_firing_for: 1h
	EOF
	shift 4
	[ $# -eq 0 ] || printf '%s\n' "$@"
}

put() # NAME [CURL-ARG...] <FILE
{
	local name=$1

	shift
	jq -Rs '{text: .}' >"$tmp/put"
	api PUT "/api/v1/rules/$name" "$author" "${json[@]}" -d "@$tmp/put" "$@"
}

expect_put() # NAME STATUS RULE [CURL-ARG...] <FILE
{
	local name=$1 want=$2

	shift 2
	put "$@"
	expect "$name" "$code" "$want"
}

fired() # RULE COUNT
{
	api GET "/api/v1/alerts?rule=$1" "$viewer"
	[ "$(body '.items | length')" = "$2" ]
}

attack() # SOURCE PORT [FLOWS]
{
	in_a python3 tests/e2e/flows_attack.py 2055 5 "$1" 10.0.0.5 "$2" "${3:-6}"
}

audited() # rule by rule, the first first
{
	c audit list -o json | jq -r 'select(.object == "rule mine" and .actor != "collector") |
		.actor + " " + .action' | paste -sd,
}

serve()
{
	collector_start --config "$tmp/collector.conf" --listen-tcp none --listen-udp 127.0.0.1:2055
}

net_new
mkdir "$tmp/rules"
rule theirs 1 22 1.0.0 | sed 's/size: 5s/size: 10m/; s/slide: 1s/slide: 10s/' >"$tmp/rules/theirs.yaml"
cat >"$tmp/collector.conf" <<-EOF
	[rules]
	directories = $tmp/rules
	behind = 1s
	[api]
	listen = 127.0.0.1:8080
	[list local]
	values = 10.0.0.0/8
EOF
unset WEIR_COLLECTOR_API_LISTEN
serve
api_tokens viewer analyst author approver

seen_by() # RULE FLOWS
{
	api GET /api/v1/rules "$viewer"
	[ "$(body ".items[] | select(.rule == \"$1\") | .matched")" = "$2" ]
}

# ---- put in ----
attack 192.0.2.8 22 3
expect_true "three flows for a rule that wants five" wait_for 60 seen_by theirs 3
rule mine 2 4444 1.0.0 >"$tmp/mine.yaml"
jq -Rs '{text: .}' <"$tmp/mine.yaml" >"$tmp/put"
for role in viewer analyst approver; do
	expect_api "a $role puts no rule in" 403 PUT /api/v1/rules/mine "${!role}" "${json[@]}" -d "@$tmp/put"
done
expect_put "an author does" 201 mine <"$tmp/mine.yaml"
expect "and is told what it is" "$(body '"\(.rule) \(.mode) \(.own) \(.class)"')" 'mine detect true C'
expect_api "it is at work" 200 GET /api/v1/rules "$viewer"
expect "beside the others" "$(body '[.items[].rule] | sort | join(",")')" mine,theirs
attack 192.0.2.8 22 2
expect_true "whose windows go on: the fifth of theirs" wait_for 60 fired theirs 1
attack 192.0.2.9 4444
expect_true "and fires" wait_for 60 fired mine 1
expect_api "it can be read" 200 GET /api/v1/rules/mine "$viewer"
expect "as it was written" "$(jq -j .text "$tmp/body" | cmp - "$tmp/mine.yaml" && echo same)" same
expect_api "so can one of the directories" 200 GET /api/v1/rules/theirs "$viewer"
expect "and where it stands" "$(body '"\(.own) \(.file):\(.line)"')" "false $tmp/rules/theirs.yaml:4"

# ---- what is wrong is said, and changes nothing ----
sed 's/dst.port/dst.prot/' "$tmp/mine.yaml" >"$tmp/wrong.yaml"
expect_put "a mistake in its filter" 400 mine <"$tmp/wrong.yaml"
expect "has line, column and the word" "$(body '"\(.member) \(.line):\(.column) \(.detail)"')" \
	"text 7:29 unknown field 'dst.prot', did you mean 'dst.port'?"
expect_put "another's name" 400 other <"$tmp/mine.yaml"
expect "has its place" "$(body '"\(.line):\(.column) \(.detail)"')" "4:5 rule 'mine': want rule 'other' alone"
rule mine 2 4444 1.0.0 '    mode: prevent' >"$tmp/wrong.yaml"
expect_put "it goes no further than detect" 400 mine <"$tmp/wrong.yaml"
expect_match "and hears what does" "$(body .detail)" "mode prevent: it detects at most here; ':promote'"
rule mine 3 4444 1.0.0 >"$tmp/wrong.yaml"
expect_put "it keeps its id" 409 mine <"$tmp/wrong.yaml"
rule theirs 1 23 1.0.0 >"$tmp/wrong.yaml"
expect_put "one of the directories is changed there" 409 theirs <"$tmp/wrong.yaml"
expect_match "and where that is" "$(body .detail)" "stands in $tmp/rules/theirs.yaml"
test_lines=('tests:' '- name: four do not fire'
	'  flows: [ { series: "tcp 192.0.2.1 -> 10.0.0.5:4444 closed", repeat: 4, every: 1s } ]'
	'  expect: [ { filter: { count: 0 } } ]' '- name: five do not fire'
	'  flows: [ { series: "tcp 192.0.2.1 -> 10.0.0.5:4444 closed", repeat: 5, every: 1s } ]'
	'  expect: [ { filter: { count: 0 } } ]')
rule mine 2 4444 1.1.0 "${test_lines[@]}" >"$tmp/tested.yaml"
expect_put "a test of it that fails" 400 mine <"$tmp/tested.yaml"
expect_match "is named" "$(body '"\(.line) \(.detail)"')" '^16 test failed: five do not fire: line 18: 0 alerts expected'
rule mine 2 4444 1.1.0 'tests:' '- name: a file' '  flows: [ { file: /etc/passwd } ]' \
	'  expect: [ { filter: { count: 0 } } ]' >"$tmp/wrong.yaml"
expect_put "tests read no files of the collector" 400 mine <"$tmp/wrong.yaml"
expect_match "and are told so" "$(body .detail)" 'these tests name no files'
api GET /api/v1/rules/mine "$viewer"
expect "all of this changed nothing" "$(body .version)" 1.0.0

# ---- replaced by who has seen it ----
seen=$(tag)
rule mine 2 4445 1.1.0 "${test_lines[@]:0:4}" >"$tmp/next.yaml"
expect_put "who has seen it replaces it" 200 mine -H "If-Match: $seen" <"$tmp/next.yaml"
expect_put "and who has not, does not" 412 mine -H "If-Match: $seen" <"$tmp/mine.yaml"
expect_put "nor who wants it to be new" 412 mine -H 'If-None-Match: *' <"$tmp/mine.yaml"
expect_api "nor takes it away" 412 DELETE /api/v1/rules/mine "$author" -H "If-Match: $seen"
attack 192.0.2.10 4445
expect_true "it is another then" wait_for 60 fired mine 2
api GET "/api/v1/alerts?rule=theirs" "$viewer"
expect "an alert of the others goes on, and is no new one" \
	"$(body '.items[] | "\(.state) \(.count)"')" "firing 1"
collector_kill
serve
expect_api "it outlasts kill -9" 200 GET /api/v1/rules/mine "$viewer"
expect "as it was last" "$(body .version)" 1.1.0

# ---- what the command says, too ----
both() # WORD JQ COMMAND...: the same of $tmp/file.yaml
{
	local word=$1 filter=$2

	shift 2
	jq -Rs '{text: .}' <"$tmp/file.yaml" >"$tmp/put"
	api POST "/api/v1/rules:$word" "$author" "${json[@]}" -d "@$tmp/put"
	expect "rules:$word says what the command says" "$code $(jq -cS "$filter" "$tmp/body")" \
		"200 $("$@" --list local=10.0.0.0/8 "$tmp/file.yaml" 2>"$tmp/err" | jq -cS .)"
}

cp "$tmp/tested.yaml" "$tmp/file.yaml"
both explain '.items[]' c rules explain -o json
both test '.items[] | .file |= "'"$tmp/file.yaml"'"' c rules test -o json
sed 's/port == 22/port == 23/; s/^    having/    mode: prevent\n&/' "$tmp/rules/theirs.yaml" >"$tmp/file.yaml"
both diff '.items[]' c rules diff -o json "$tmp/rules/theirs.yaml"
expect "which is where, and the mode" "$(body '[.items[].keys[].key] | join(",")')" mode,where
expect_api "compiled" 200 POST /api/v1/rules:compile "$author" "${json[@]}" -d "@$tmp/put"
expect "as the command does" "$(body .policy)" "$(c rules compile "$tmp/file.yaml")"

# ---- taken away ----
expect_api "one of the directories is not taken away" 409 DELETE /api/v1/rules/theirs "$author"
expect_api "a viewer takes none away" 403 DELETE /api/v1/rules/mine "$viewer"
expect_api "an author does" 204 DELETE /api/v1/rules/mine "$author"
expect_api "it is gone" 404 GET /api/v1/rules/mine "$viewer"
expect_api "once" 404 DELETE /api/v1/rules/mine "$author"
expect_api "others are at work" 200 GET /api/v1/rules "$viewer"
expect "all of them" "$(body '[.items[].rule] | join(",")')" theirs
expect "who did what is in the audit log" "$(audited)" \
	'token:the-author rule.made,token:the-author rule.replaced,token:the-author rule.removed'
expect_true "which is whole" c audit verify
collector_stop
expect "the end" "$collector_rc" 0
