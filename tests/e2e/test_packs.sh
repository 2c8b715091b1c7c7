#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_packs.sh - packs of rules in a running collector: what is installed is at work at once, an alert that is
# firing goes on, an update leaves the site's mode, whoever has changed a pack is told of with its alerts, and its
# decisions go with it.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"
export WEIR_COLLECTOR_CONFIG=$tmp/collector.conf WEIR_COLLECTOR_API_LISTEN=127.0.0.1:8080

pack() # VERSION ATTEMPTS: the pack in $tmp/pack, signed
{
	mkdir -p "$tmp/pack/rules" "$tmp/pack/tests"
	cat >"$tmp/pack/pack.yaml" <<-EOF
		name: telnet
		version: $1
		engine: 0.1.0
		licence: Apache-2.0
		title: Passwords tried at telnet
		params: { attempts: { default: $2, min: 2, max: 100 } }
	EOF
	cat >"$tmp/pack/rules/telnet.yaml" <<-EOF
		groups:
		- name: telnet
		  rules:
		  - id: 4bb7a2f0-93ad-4a39-a0de-6a9b6f2a7a01
		    name: telnet-dictionary
		    version: $1
		    where: proto == tcp and dst.port == 23
		    window: { size: 60s, slide: 5s }
		    by: [dst.ip]
		    having: count() >= \$attempts
		    keep_firing_for: 1h
		    labels: { severity: high }
		    mode: prevent
		    actions: [ { drop: { scope: dst.ip, ttl: 10m } } ]
		    exempt: [ "@never_block" ]
	EOF
	cat >"$tmp/pack/tests/telnet.yaml" <<-EOF
		rules: ../rules/telnet.yaml
		tests:
		- name: attempts fire
		  flows: [ { series: "tcp 192.0.2.7 -> 10.0.0.1:23 closed", repeat: $2 } ]
		  expect: [ { filter: { count: 1 } } ]
		- name: one less does not
		  flows: [ { series: "tcp 192.0.2.7 -> 10.0.0.1:23 closed", repeat: $(($2 - 1)) } ]
		  expect: [ { filter: { count: 0 } } ]
	EOF
	"$collector" pack sign --key "$tmp/key/private.pem" "$tmp/pack" >/dev/null
}

settings() # MODE
{
	cat >"$tmp/collector.conf" <<-EOF
		[rules]
		directories = $tmp/rules
		[packs]
		keys = $tmp/keys
		[metrics]
		listen = 127.0.0.1:9900
		[list local]
		values = 10.0.0.0/8
	EOF
	[ -z "$1" ] || printf '[rule telnet-dictionary]\nmode = %s\n' "$1" >>"$tmp/collector.conf"
}

attack() # DESTINATION COUNT PORT
{
	in_a python3 tests/e2e/flows_attack.py 2055 5 10.0.0.9 "$1" "$3" "$2"
}

rule_is() # FILTER VALUE: of the rule at work
{
	[ "$(collector_status ".rules.list[] | select(.rule == \"telnet-dictionary\") | $1")" = "$2" ]
}

alert() # FILTER: of the pack's alert
{
	"$collector" alerts list --state all --rule telnet-dictionary -o json | jq -r "$1"
}

alert_is() # FILTER VALUE
{
	[ "$(alert "$1")" = "$2" ]
}

net_new
mkdir "$tmp/rules" "$tmp/keys"
"$weir" policy keygen "$tmp/key" >/dev/null
cp "$tmp/key/public.pem" "$tmp/keys/us.pem"
alert_rules "$tmp/rules/own.yaml" 'ours'
settings ''
pack 1.0.0 5
collector_start --listen-udp 127.0.0.1:2055 --listen-tcp none
in_a python3 tests/e2e/flows_attack.py 2055 5 192.0.2.9 10.0.0.5 22 5
own_alerts()
{
	[ "$("$collector" alerts list --rule lasting --state firing -o json | wc -l)" = 1 ]
}
expect_true "a rule of the site's own has an alert" wait_for 60 own_alerts

# ---- put in ----
expect "a pack is right" "$("$collector" pack check "$tmp/pack" -o json | jq -c '[.ok, .tests.passed, .state]')" \
	'[true,2,"signed"]'
tar -C "$tmp" -czf "$tmp/telnet-1.0.0.tar.gz" pack
expect "a tar.gz is installed" "$("$collector" pack install "$tmp/telnet-1.0.0.tar.gz")" "telnet 1.0.0 is installed"
expect_true "its rule is at work when that is said" rule_is .mode detect
expect "status knows the pack" "$(collector_status '.rules.packs[] | [.name, .version, .tainted] | @csv')" \
	'"telnet","1.0.0",false'
expect_true "no alert is lost by it" own_alerts
attack 192.0.2.1 5 23
expect_true "it sees what comes" wait_for 60 alert_is '[.state, .pack] | join(" ")' "firing telnet 1.0.0"
expect "which is nothing to be marked" "$(alert .tainted)" null

# ---- updated ----
settings shadow
kill -HUP "$collector_pid"
expect_true "the site lets the rule count" wait_for 20 rule_is .mode shadow
pack 1.1.0 7
expect "a newer version" "$("$collector" pack update "$tmp/pack")" "telnet 1.1.0 is updated"
expect_true "the mode is still the site's, whatever the pack says" rule_is .mode shadow
"$collector" pack update "$tmp/telnet-1.0.0.tar.gz" >/dev/null 2>"$tmp/old.err"
expect_match "an older one is refused" "$(cat "$tmp/old.err")" 'older than 1\.1\.0; --downgrade'
sed -i 's/repeat: 7/repeat: 3/' "$tmp/pack/tests/telnet.yaml"
sed -i 's/1\.1\.0/1.2.0/' "$tmp/pack/pack.yaml"
"$collector" pack sign --key "$tmp/key/private.pem" "$tmp/pack" >/dev/null
"$collector" pack update "$tmp/pack" 2>"$tmp/bad.err"
expect_match "one whose test fails too" "$(cat "$tmp/bad.err")" \
	'1 of its 2 tests failed: tests/telnet\.yaml:3: attempts fire'
decided() # STATE COUNT
{
	[ "$("$collector" decisions list --rule telnet-dictionary --state "$1" -o json | wc -l)" = "$2" ]
}
attack 192.0.2.3 7 23
expect_true "a decision that only counts" wait_for 60 decided active 1
expect "what is at work stays" "$(collector_status '.rules.packs[0].version')" 1.1.0
expect_true "its own alerts as well" own_alerts

# ---- changed behind everybody's back ----
sed -i 's/dst.port == 23$/dst.port in {23, 2323}/' "$tmp/store/packs/telnet/rules/telnet.yaml"
expect_match "the list knows" "$("$collector" pack list)" '^! telnet +1\.1\.0 +changed'
kill -HUP "$collector_pid"
tainted()
{
	[ "$(collector_status '.rules.packs[0].tainted')" = true ]
}
expect_true "so does the status, once the rules are read again" wait_for 20 tainted
expect_match "with the file" "$("$collector" status)" \
	'pack telnet 1\.1\.0 is tainted: rules/telnet\.yaml is not as the manifest has it'
expect_match "and the metrics" "$(in_a curl -s http://127.0.0.1:9900/metrics)" \
	'weir_pack_tainted\{pack="telnet",version="1\.1\.0"\} 1'
attack 192.0.2.2 7 23
marked()
{
	[ "$(alert 'select(.dst.ip == "192.0.2.2") | .tainted')" = true ]
}
expect_true "alerts of its rules are marked" wait_for 60 marked

# ---- a restart, and away ----
pack 1.2.0 7
"$collector" pack update "$tmp/pack" >/dev/null
expect "an update mends it" "$(collector_status '.rules.packs[0].tainted')" false
collector_kill
collector_start --listen-udp 127.0.0.1:2055 --listen-tcp none
expect "after a kill it is at work again" "$(collector_status '.rules.packs[0].version')" 1.2.0
"$collector" pack remove telnet 2>"$tmp/remove.err"
expect_match "what the configuration speaks of is not removed" "$(cat "$tmp/remove.err")" \
	"collector\.conf:[0-9]+:[0-9]+: there is no rule 'telnet-dictionary'"
settings ''
kill -HUP "$collector_pid"
expect_true "the configuration speaks no more of it" wait_for 20 rule_is .mode detect

# ---- over HTTP, and what somebody has promoted ----
for role in author admin; do
	declare "$role=$("$collector" token create --role "$role" --for 1h --name "the-$role" 2>"$tmp/err")"
done
api() # ROLE METHOD PATH [CURL-ARG...]: the status; the answer is in $tmp/body
{
	local role=$1 method=$2 path=$3

	shift 3
	in_a curl -s --noproxy '*' --max-time 60 -X "$method" -H "Authorization: Bearer ${!role}" -o "$tmp/body" \
		-w '%{http_code}' -H 'Content-Type: application/gzip' "$@" "http://127.0.0.1:8080/api/v1/packs$path"
}
update() # VERSION ATTEMPTS
{
	pack "$1" "$2"
	tar -C "$tmp" -czf "$tmp/new.tar.gz" pack
	api author PUT /telnet --data-binary "@$tmp/new.tar.gz"
}
expect_match "somebody lets the rule count" \
	"$("$collector" rules promote telnet-dictionary --to shadow --force --note 'a test' 2>&1)" 'shadow, was detect, by force'
expect "HTTP: an update" "$(update 1.3.0 7)" 200
expect_true "the same rule keeps its mode" rule_is .mode shadow
expect "HTTP: a rule that is another one" "$(update 1.4.0 6)" 200
expect_true "falls back" rule_is .mode detect
expect "HTTP: it is shown" "$(api author GET /telnet) $(jq -r '.version + " " + .state' "$tmp/body")" '200 1.4.0 signed'
expect "HTTP: an older one is refused" "$(api author PUT /telnet --data-binary "@$tmp/telnet-1.0.0.tar.gz")" 409
expect "HTTP: one that is no pack too" "$(api author PUT /telnet --data-binary "@$tmp/collector.conf")" 400
rm "$tmp/pack/manifest"
sed -i 's/1\.4\.0/1.5.0/' "$tmp/pack/pack.yaml"
tar -C "$tmp" -czf "$tmp/new.tar.gz" pack
expect "HTTP: nobody has signed it" "$(api author PUT /telnet --data-binary "@$tmp/new.tar.gz")" 409
expect "HTTP: which an author does not pass over" \
	"$(api author PUT '/telnet?unsigned=true' --data-binary "@$tmp/new.tar.gz")" 403
expect "HTTP: an admin does" "$(api admin PUT '/telnet?unsigned=true' --data-binary "@$tmp/new.tar.gz")" 200
expect "HTTP: it is removed" "$(api author DELETE /telnet)" 204
expect "HTTP: and not there" "$(api author GET /telnet)" 404
expect_true "with its decisions" wait_for 20 decided active 0
expect "and its rule is gone" "$(collector_status '[.rules.list[] | select(.rule == "telnet-dictionary")] | length')" 0
expect "the audit log has it all" \
	"$("$collector" audit list -o json | jq -r 'select(.object == "pack telnet") | .action' | tr '\n' ' ')" \
	"pack.installed pack.updated pack.updated pack.updated pack.updated pack.updated pack.removed "
expect "by whom" "$("$collector" audit list -o json | jq -r 'select(.action == "pack.removed") | .actor')" token:the-author
expect_true "as it was written" "$collector" audit verify
collector_stop
expect "it ends in good order" "$collector_rc" 0
