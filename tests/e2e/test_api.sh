#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_api.sh - the REST interface as curl sees it: tokens and roles, alerts, silences, decisions and the panic as the
# commands see them too, errors with their place, what has not changed, HTTPS, and the audit log behind it all.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"
. "$(dirname "$0")/api.sh"

c()
{
	"$collector" "$@"
}

attack() # SOURCE DESTINATION
{
	in_a python3 tests/e2e/flows_attack.py 2055 5 "$1" "$2" 22 6
}

raised() # COUNT
{
	api GET /api/v1/alerts "$viewer"
	[ "$(body '.items | length')" = "$1" ]
}

serve() # ARG...
{
	collector_start --config "$tmp/collector.conf" --listen-tcp none "$@"
}

net_new
mkdir "$tmp/rules"
alert_rules "$tmp/rules/a.yaml" '{{src.ip}} tries {{dst.ip}}'
cat >"$tmp/rules/b.yaml" <<-EOF
	groups:
	- name: limited
	  rules:
	  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a03
	    name: slow-down
	    version: 1.0.0
	    where: proto == tcp and dst.port == 22
	    window: { size: 5s, slide: 1s }
	    by: [dst.ip, dst.port]
	    having: count() >= 5
	    keep_firing_for: 1h
	    mode: prevent
	    actions: [ { limit: { scope: dst.ip, direction: ingress, ttl: 10m, rate: 100pps } } ]
	    exempt: [ "@never_block" ]
EOF
cat >"$tmp/collector.conf" <<-EOF
	[rules]
	directories = $tmp/rules
	behind = 1s
	[api]
	listen = 127.0.0.1:8080
	[list local]
	values = 10.0.0.0/8
	[tls]
	cert = $tmp/cert.pem
	key = $tmp/key.pem
EOF
unset WEIR_COLLECTOR_API_LISTEN
serve --listen-udp 127.0.0.1:2055

# ---- tokens ----
c token create --for 1h 2>"$tmp/err"
expect "a token has a role" "$? $(grep -c -- 'give --role ROLE' "$tmp/err")" '2 1'
api_tokens viewer analyst author approver breaker admin
expect_match "a token" "$viewer" '^weirapi1-[0-9A-F]{64}$'
expect_match "and how it is undone" "$(cat "$tmp/err")" 'undo: weir-collector token revoke the-admin'
expect "they are listed without themselves" "$(c token list -o json | grep -c weirapi1)" 0
expect "all of them" "$(c token list -o json | jq -r .role | sort | paste -sd,)" \
	admin,analyst,approver,author,breaker,viewer
expect "a hash is kept, and no token" "$(cat "$tmp"/store/control.db* | grep -c "${viewer#weirapi1-}")" 0
expect_api "alive, without a token" 200 GET /healthz ''
expect_api "ready" 200 GET /readyz ''
expect_api "no token" 401 GET /api/v1/alerts ''
expect_match "says what is wanted" "$(cat "$tmp/head")" '^[Ww][Ww][Ww]-[Aa]uthenticate: Bearer'
expect_api "a wrong one" 401 GET /api/v1/alerts weirapi1-0
expect_api "a viewer looks" 200 GET /api/v1/alerts "$viewer"
expect_api "a breaker does not" 403 GET /api/v1/alerts "$breaker"
expect "and hears why" "$(body '.title + ": " + .detail')" \
	"Forbidden: token 'the-breaker' has role breaker, which may not 'see'"
expect_api "metrics" 200 GET /metrics "$viewer"
expect_match "of the interface too" "$(cat "$tmp/body")" '^weir_http_requests_total\{status="2xx"\} [1-9]'
expect_api "status" 200 GET /api/v1/status "$viewer"
expect "is that of the command" "$(body '.rules.rules')" "$(collector_status .rules.rules)"
expect_api "the document" 200 GET /api/v1/openapi.json ''
expect "has the paths" "$(body '.paths | has("/api/v1/alerts/{id}:acknowledge")')" true
expect_api "no such path" 404 GET /api/v1/alarms "$viewer"
expect "is a problem" "$(grep -ic '^content-type: application/problem+json' "$tmp/head")" 1
expect_api "not this method" 405 DELETE /api/v1/alerts "$viewer"

# ---- errors with their place ----
expect_api "a mistake in a filter" 400 GET /api/v1/alerts "$viewer" -G --data-urlencode \
	'filter=proto == tcp and dst.prot == 1'
expect "has line, column and the word" "$(body '"\(.line):\(.column) \(.detail)"')" \
	"1:18 filter: unknown field 'dst.prot', did you mean 'dst.port'?"
expect_api "an unknown parameter" 400 GET '/api/v1/alerts?lmit=1' "$viewer"
expect "has the nearest" "$(body .detail)" "unknown parameter 'lmit', did you mean 'limit'?"
sed s/where/wherex/ "$tmp/rules/b.yaml" | jq -Rs '{text: .}' >"$tmp/check"
expect_api "a viewer checks no rules" 403 POST /api/v1/rules:check "$viewer" "${json[@]}" -d "@$tmp/check"
expect_api "a mistake in rules" 400 POST /api/v1/rules:check "$author" "${json[@]}" -d "@$tmp/check"
expect "has line and column" "$(body '"\(.member) \(.line):\(.column)"')" "text 7:5"
expect_match "and the word" "$(body .detail)" "'wherex'.*did you mean 'where'"
jq -Rs '{text: .}' <"$tmp/rules/b.yaml" >"$tmp/check"
expect_api "rules without one" 200 POST /api/v1/rules:check "$author" "${json[@]}" -d "@$tmp/check"
expect "are counted" "$(body .rules)" 1
expect_api "rules at work" 200 GET /api/v1/rules "$viewer"
expect "all of them" "$(body '[.items[].rule] | sort | join(",")')" lasting,many,slow-down
expect_api "one of them" 200 GET /api/v1/rules/slow-down "$viewer"
expect "where it runs" "$(body '.class + " " + .mode')" 'C prevent'

# ---- alerts ----
attack 192.0.2.9 10.0.0.5
expect_true "alerts fire" wait_for 60 raised 3
id=$(body '.items[] | select(.rule == "lasting") | .id')
api GET '/api/v1/silences' "$viewer"
expect_api "what has not changed" 304 GET '/api/v1/silences' "$viewer" -H "If-None-Match: $(tag)"
expect_api "pages" 200 GET '/api/v1/alerts?limit=2' "$viewer"
next=$(body .next)
first=$(body '[.items[].id] | join(",")')
api GET "/api/v1/alerts?limit=2&cursor=$next" "$viewer"
expect "all of them, once" "$first,$(body '[.items[].id] | join(",")')" \
	"$(c alerts list --state all -o json | jq .id | sort -rn | paste -sd,)"
expect "and no more" "$(body '.next // "none"')" none
expect_api "a viewer changes nothing" 403 POST "/api/v1/alerts/$id:acknowledge" "$viewer"
expect_api "an analyst does" 200 POST "/api/v1/alerts/$id:acknowledge" "$analyst" "${json[@]}" -d '{"note":"mine"}'
expect "the answer is the alert" "$(body '.acknowledged.by + " " + .note')" 'token:the-analyst mine'
expect "the command sees it" "$(c alerts show "$id" -o json | jq -r '.acknowledged.by')" 'token:the-analyst'
expect_api "one that is not there" 404 POST /api/v1/alerts/4711:acknowledge "$analyst"
expect_api "ended by hand" 200 POST "/api/v1/alerts/$id:resolve" "$analyst"
expect_api "once" 409 POST "/api/v1/alerts/$id:resolve" "$analyst"
expect_api "a silence" 201 POST /api/v1/silences "$analyst" "${json[@]}" \
	-d '{"for":"1h","filter":"src.ip == 192.0.2.7"}'
silence=$(body .silence)
expect "the command sees it" "$(c alerts silences -o json | jq -r '.by + " " + .filter')" \
	'token:the-analyst src.ip == 192.0.2.7'
expect_api "is ended" 204 DELETE "/api/v1/silences/$silence" "$analyst"
expect_api "once" 404 DELETE "/api/v1/silences/$silence" "$analyst"
expect "the command sees that" "$(c alerts silences -o json)" ''

# ---- a back-test ----
answered()
{
	api GET "$result" "$analyst"
	[ "$code" != 202 ]
}

expect_true "flows are stored" wait_for 60 stored 6
expect_api "a viewer tries no rules" 403 POST /api/v1/backtest "$viewer"
expect_api "an analyst does" 202 POST /api/v1/backtest "$analyst" "${json[@]}" -d '{"last":"1d","rules":["many"]}'
result=$(location)
expect_true "there is an answer" wait_for 60 answered
expect "that says what it would have said" "$(body '"\(.items | length) \(.items[0].rule) \(.items[0].alerts) \(.summary.flows)"')" \
	'1 many 1 6'
expect_api "somebody else's is not shown" 403 GET "$result" "$author"
expect_api "forgotten" 204 DELETE "$result" "$analyst"
expect_api "it is gone" 410 GET "$result" "$analyst"
jq -Rs '{text: .}' <"$tmp/rules/a.yaml" >"$tmp/check"
expect_api "of rules that are not at work" 202 POST /api/v1/backtest "$analyst" "${json[@]}" -d "@$tmp/check"
result=$(location)
expect_true "too" wait_for 60 answered
expect "all of them" "$(body '[.items[].rule] | join(",")')" many,lasting

# ---- decisions ----
expect_api "decisions" 200 GET '/api/v1/decisions?state=active' "$viewer"
expect "what was decided" "$(body '.items[0] | .rule + " " + .action + " " + .value')" 'slow-down limit 10.0.0.5'
decision=$(body '.items[0].id')
generation=$(c policy show -o json | jq .generation)
expect_api "an analyst withdraws none" 403 POST "/api/v1/decisions/$decision:withdraw" "$analyst"
expect_api "a breaker stops them all" 200 POST /api/v1/policy:panic "$breaker"
expect "at once" "$(c policy show -o json | jq -r --argjson was "$generation" '"\(.breaker) \(.generation > $was)"')" \
	'true true'
expect_api "and can't undo it" 403 POST /api/v1/policy:resume "$breaker"
expect_api "an approver can" 200 POST /api/v1/policy:resume "$approver"
expect "the command sees it" "$(c policy show -o json | jq .breaker)" false
expect_api "once" 409 POST /api/v1/policy:resume "$approver"
expect_api "an approver withdraws" 200 POST "/api/v1/decisions/$decision:withdraw" "$approver"
expect "the command sees it" "$(c decisions show "$decision" -o json | jq -r '.state + " " + .reason')" \
	'withdrawn operator'
expect_api "what has ended is not approved" 409 POST "/api/v1/decisions/$decision:approve" "$approver"
c decisions panic >"$tmp/out"
expect "the command stops them too" "$(cat "$tmp/out")" \
	"automatic decisions only count; undo: weir-collector decisions resume"
c decisions resume >"$tmp/out"

# ---- agents, channels, tokens ----
expect_api "no nodes are listened to" 404 GET /api/v1/agents "$viewer"
expect_api "channels" 200 GET /api/v1/channels "$viewer"
expect_api "a token by token" 201 POST /api/v1/tokens "$admin" "${json[@]}" \
	-d '{"role":"viewer","for":"300d","name":"short"}'
short=$(body .token)
expect "ends with the one that made it" "$(body .until)" \
	"$(c token list -o json | jq -r 'select(.name == "the-admin") | .until')"
expect_api "and works" 200 GET /api/v1/me "$short"
c token revoke short >"$tmp/out"
expect_api "until it is revoked" 401 GET /api/v1/me "$short"
expect_api "who is no admin makes none" 403 POST /api/v1/tokens "$approver" "${json[@]}" \
	-d '{"role":"viewer","for":"1h"}'

# ---- wrong tokens have a rate ----
wrongs=0
for _ in $(seq 30); do
	api GET /api/v1/me weirapi1-1
	[ "$code" = 429 ] && wrongs=$((wrongs + 1))
done
expect_true "too many wrong tokens" test "$wrongs" -ge 1
expect_api "keep no good one out" 200 GET /api/v1/me "$viewer"

# ---- the audit log ----
expect_api "the audit log" 200 GET '/api/v1/audit?limit=1000' "$viewer"
expect "has who did what" "$(body '[.items[] | select(.actor | startswith("token:")) | .actor[10:] + " " + .action] |
	unique | join(", ")')" \
	"admin token.made, analyst alert.ack, analyst alert.resolve, analyst alert.silence, analyst alert.unsilence, \
approver breaker.resumed, approver decision.withdrawn, breaker breaker.tripped"
expect_api "is as it was written" 200 GET /api/v1/audit:verify "$viewer"
expect "all of it" "$(body .broken)" 0
expect_true "the command says so too" c audit verify

# ---- over a crash; HTTPS ----
collector_kill
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost \
	-addext subjectAltName=IP:127.0.0.1 -keyout "$tmp/key.pem" -out "$tmp/cert.pem" 2>"$tmp/openssl.err"
serve --listen-udp none --api-tls
url=https://127.0.0.1:8080
expect_api "HTTPS, after kill -9, the same token" 200 GET "/api/v1/alerts/$id" "$viewer" --cacert "$tmp/cert.pem"
expect "what was said is there" "$(body .note)" mine
expect_api "a revoked one is none" 401 GET /api/v1/me "$short" --cacert "$tmp/cert.pem"
collector_stop
expect "the end" "$collector_rc" 0
c serve --config "$tmp/collector.conf" --api-listen 0.0.0.0:8080 2>"$tmp/err"
expect "no token goes over a network in the clear" "$? $(grep -c 'api.tls' "$tmp/err")" '2 1'
