#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_modes.sh - a rule climbs from detect to prevent while two nodes, one of them a canary, go on fetching a page
# that it is about: each step is refused until what it asks for was seen, acts where it shall and nowhere else, is in
# the audit log, outlasts a crash, and ends when somebody takes it back or the rule becomes another.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"
. "$(dirname "$0")/nodes.sh"
page=203.0.113.7

c()
{
	"$collector" "$@"
}

rules() # COUNT
{
	cat >"$tmp/rules/test.yaml" <<-YAML
		groups:
		- name: test
		  rules:
		  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a11
		    name: climber
		    version: 1.0.0
		    where: proto == tcp and dst.port == 4444
		    window: { size: 60s, slide: 5s }
		    by: [dst.ip]
		    having: count() >= $1
		    keep_firing_for: 1h
		    actions: [ { drop: { scope: dst.ip, direction: egress, ttl: 10m } } ]
	YAML
}

gets() # K: does node K get the page?
{
	in_node "$1" curl -s --noproxy '*' --max-time 1 -o "$tmp/page" "http://$page:4444/"
}

blocked() # K
{
	! gets "$1"
}

ready() # traffic goes on meanwhile
{
	gets 1
	gets 2
	[ "$(c rules mode climber -o json | jq .ready)" = true ]
}

decided() # MODE
{
	gets 2
	[ "$(c decisions list -o json | jq -r .mode)" = "$1" ]
}

counts() # K: does the node count what it would drop?
{
	gets "$1"
	in_node "$1" "$weir" policy show -o json |
		jq -es '[flatten[] | select(.name == "climber") | .would_packets] | add > 0'
}

promote() # MODE ARG...
{
	c rules promote climber --to "$@" 2>&1
}

serve()
{
	collector_start --config "$tmp/collector.conf" --listen-udp none --listen-tcp 0.0.0.0:4739
}

ns_new "$ns_a"
ip -n "$ns_a" route add local "$page/32" dev lo
mkdir "$tmp/rules" "$tmp/www"
rules 1
cat >"$tmp/collector.conf" <<-EOF2
	[rules]
	directories = $tmp/rules
	[nodes]
	listen = 0.0.0.0:4741
	canary = ring=canary
	[api]
	listen = 127.0.0.1:8080
	[promote]
	detect = 2s
	shadow = 2s
	canary = 2s
EOF2
for k in 1 2; do
	node_new "$k"
	ip -n "weir-n$k-$$" route add "$page" via "10.77.1$k.1"
done
unset WEIR_COLLECTOR_API_LISTEN
serve
spawn www "$ns_a" python3 -m http.server --bind "$page" --directory "$tmp/www" 4444
wait_for 60 listening "$ns_a" tcp 4444 || die "no web server: $(cat "$tmp/www.err")"
node_enrol 1 --label ring=canary >"$tmp/enrol1.out" || die "node 1: $(cat "$tmp/enrol1.out")"
node_enrol 2 >"$tmp/enrol2.out" || die "node 2: $(cat "$tmp/enrol2.out")"
for k in 1 2; do
	node_weir "$k" --idle-timeout 1s --export "ipfix+tcp://198.51.100.1$k:4739"
	node_follow "$k"
done
expect_true "both nodes enforce what they shall" wait_for 30 enforced node1 node2

# ---- detect ----
expect_match "a rule that is new stays in detect" "$(promote shadow)" \
	'rule climber stays in detect: seen 0 of 2 s'
expect_match "none is left out" "$(promote canary)" 'one mode after the other, none is left out'
expect_true "detect: flows are seen" wait_for 30 ready
expect_true "detect: nothing is done" gets 1
expect "nor decided" "$(c decisions list --state all -o json)" ''
would()
{
	[ "$(c rules mode climber -o json | jq .would_decide)" = 1 ]
}
expect_true "what would be is counted" wait_for 30 would
expect_match "and said" "$(c rules mode climber)" 'would act on +1 alerts of it'

# ---- shadow ----
expect_match "to shadow" "$(promote shadow --note 'looks right')" \
	'rule climber: shadow, was detect; undo: weir-collector rules demote climber --to detect'
expect_match "shadow asks anew" "$(promote canary)" 'rule climber stays in shadow: seen [01] of 2 s'
expect_true "shadow: a decision that counts" wait_for 30 decided shadow
expect_true "shadow: the nodes count it" wait_for 30 counts 1
expect_true "shadow: and let it through" gets 1
expect_true "shadow: all has been seen" wait_for 30 ready

# ---- canary ----
expect_match "to canary" "$(promote canary)" 'rule climber: canary, was shadow'
expect_true "canary: a decision" wait_for 30 decided canary
expect_true "canary: it acts there" wait_for 30 blocked 1
expect_true "canary: and nowhere else" gets 2
expect_true "canary: all has been seen" wait_for 30 ready

# ---- prevent ----
expect_match "to prevent" "$(promote prevent)" 'rule climber: prevent, was canary'
expect_true "prevent: it acts on all" wait_for 30 blocked 2
expect "each step is in the audit log" "$(c audit list -o json |
	jq -r 'select(.action == "rule.promoted") | "\(.actor): \(.detail.from) \(.detail.to)"' | paste -sd,)" \
	'uid=0 (root): detect shadow,uid=0 (root): shadow canary,uid=0 (root): canary prevent'
expect_true "with what was seen" [ "$(c audit list -o json |
	jq -s '[.[] | select(.action == "rule.promoted") | .detail.seen >= 2] | all')" = true ]

# ---- a crash ----
collector_kill
serve
expect "after kill -9 it has its mode" "$(c rules mode climber -o json | jq -r '.mode + " " + .by')" \
	'prevent uid=0 (root)'
expect_true "and is enforced" wait_for 30 enforced node1 node2
expect_true "on all" blocked 2

# ---- by others ----
api() # ROLE METHOD PATH BODY: the status; the answer is in $tmp/body
{
	in_a curl -s --noproxy '*' --max-time 60 -X "$2" -H "Authorization: Bearer ${!1}" -o "$tmp/body" -w '%{http_code}' \
		-H 'Content-Type: application/json' -d "$4" "http://127.0.0.1:8080/api/v1/rules/climber$3"
}
for role in author approver; do
	declare "$role=$(c token create --role "$role" --for 1h --name "the-$role" 2>"$tmp/err")"
done
expect "an author takes no rule back" "$(api author POST :demote '{"to":"shadow"}')" 403
expect "nor its mode" "$(api author PUT /mode '{"to":"draft"}')" 403
expect "an approver does" "$(api approver POST :demote '{"to":"shadow","note":"too much"}')" 200
expect "and is told how it is" "$(jq -r '.mode + " " + .by' "$tmp/body")" 'shadow token:the-approver'
expect_true "what it decided is withdrawn" wait_for 30 gets 2
expect_true "everywhere" wait_for 30 gets 1
expect "not yet up again" "$(api approver POST :promote '{"to":"canary"}')" 409
expect_match "and why" "$(jq -r .detail "$tmp/body")" 'stays in shadow: seen'
expect "by force, with a reason" "$(api approver POST :promote '{"to":"canary","force":true,"note":"attack"}')" 200
expect "is in the audit log" "$(c audit list -o json | jq -r 'select(.detail.forced) | .actor + " " + .detail.note')" \
	'token:the-approver attack'

# ---- another rule ----
rules 2
kill -HUP "$collector_pid"
fell()
{
	[ "$(c rules mode climber -o json | jq -r '.mode + " " + .by')" = 'detect rules' ]
}
expect_true "a rule that has changed falls back to detect" wait_for 30 fell
expect "which is in the audit log" "$(c audit list -o json |
	jq -r 'select(.action == "rule.changed") | .object + " " + .detail.from + " " + .detail.to')" \
	'rule climber canary detect'
expect_true "the log is whole" c audit verify
collector_stop
expect "the collector ends" "$collector_rc" 0
