#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_node_rules.sh - rules that nodes decide by themselves: who talks to a service that is forbidden is stopped
# by the agent within moments, the collector hears of it, and can take it back; with the collector gone the
# agent goes on, and what it has decided ends by itself. The neighbour, who is exempt and who is forged are
# never stopped.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"
. "$(dirname "$0")/nodes.sh"
attackers=weir-x$$
server=10.77.21.1 attacker=10.77.21.2 neighbour=10.77.21.3 exempt=10.77.21.4 late=10.77.21.5 forged=10.77.21.99

c()
{
	"$collector" "$@"
}

greets() # SOURCE PORT: does the server greet it?
{
	ip netns exec "$attackers" timeout 5 nc -s "$1" -w 1 "$server" "$2" </dev/null 2>/dev/null | grep -q '^220 '
}

refuses()
{
	! greets "$@"
}

names() # K SOURCE RULE: does the node say that this rule is about it?
{
	in_node "$1" "$weir" why "$2" 2>/dev/null | grep -q "$3"
}

would_stop() # RULE: packets that would have been
{
	[ "$(in_node 1 "$weir" policy show -o json | jq -s "[.[] | select(.name == \"$1\") | .would_packets] | add // 0")" -gt 0 ]
}

mode_is() # K RULE drop|shadow: as node K has it
{
	[ "$(in_node "$1" "$weir" policy show -o json | jq -rs "[.[] | select(.name == \"$2\") |
		if .shadow then \"shadow\" else .action end] | unique | join(\",\")")" = "$3" ]
}

decided() # VALUE FILTER: has node1 told of it?
{
	c decisions list --state all -o json | jq -es "any(.[]; .value == \"$1\" and .node == \"node1\" and $2)"
}

agent_rule() # ID NAME PORT MODE TTL
{
	cat <<-EOF2
		  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a$1
		    name: $2
		    version: 1.0.0
		    where: proto == tcp and dst.port == $3 and state in {established, closed, reset}
		    by: [src.ip]
		    evidence: { handshake: required }
		    mode: $4
		    actions: [ { drop: { scope: src.ip, direction: ingress, ttl: $5 } } ]
		    exempt: [ "@never_block" ]
	EOF2
}

settings() # MODE_OF_FORBIDDEN
{
	cat >"$tmp/collector.conf" <<-EOF2
		[rules]
		directories = $tmp/rules
		[list local]
		values = 203.0.113.0/24
		[list never_block]
		values = $exempt
		[nodes]
		listen = 0.0.0.0:4741
		canary = ring=canary
		[rule forbidden]
		mode = $1
	EOF2
}

serve()
{
	collector_start --config "$tmp/collector.conf" --listen-udp 127.0.0.1:4739 --listen-tcp none
}

ns_new "$ns_a"
ns_new "$attackers"
node_new 1
node_new 2
pair_new "$node_ns_1" atk "$attackers" eth 21 1500
mac=$(ip netns exec "$attackers" cat /sys/class/net/eth/address)
for a in "$neighbour" "$exempt" "$late"; do
	ip -n "$attackers" addr add "$a/24" dev eth
	ip -n "$node_ns_1" neigh replace "$a" lladdr "$mac" nud permanent dev atk
done
ip -n "$node_ns_1" neigh replace "$forged" lladdr "$mac" nud permanent dev atk
mkdir "$tmp/rules"
{
	printf 'groups:\n- name: test\n  rules:\n'
	agent_rule 21 forbidden 2323 detect 10m
	agent_rule 22 brief 2424 prevent 4s
	agent_rule 23 some-nodes 2525 canary 10m
} >"$tmp/rules/test.yaml"
settings shadow
serve
node_enrol 1 --label ring=canary >"$tmp/enrol1.out" || die "node 1: $(cat "$tmp/enrol1.out")"
node_enrol 2 >"$tmp/enrol2.out" || die "node 2: $(cat "$tmp/enrol2.out")"
node_weir 1 -i atk
node_weir 2
node_follow 1
node_follow 2
spawn service "$node_ns_1" tests/e2e/attack_service.py serve 2323 2424 2525 8080
for port in 2323 2424 2525 8080; do
	wait_for 60 listening "$node_ns_1" tcp "$port" || die "no service: $(cat "$tmp/service.err")"
done
expect_true "both have the rules" wait_for 30 enforced node1 node2
expect_match "explained" "$(c rules explain "$tmp/rules/test.yaml")" 'class +A: on the node'
expect_true "canary: it acts there" mode_is 1 some-nodes drop
expect_true "canary: and counts elsewhere" mode_is 2 some-nodes shadow

# ---- shadow ----
expect_true "shadow: it is greeted" wait_for 20 greets "$attacker" 2323
expect_true "shadow: the agent would stop it" wait_for 20 names 1 "$attacker" forbidden
expect_true "shadow: the collector hears of it" wait_for 20 decided "$attacker" '.mode == "shadow" and .state == "active"'
expect_true "shadow: it gets through" wait_for 20 greets "$attacker" 8080
expect_true "shadow: and is counted" wait_for 20 would_stop forbidden

# ---- prevent ----
settings prevent
kill -HUP "$collector_pid"
expect_true "somebody lets the rule act" wait_for 30 mode_is 1 forbidden drop
expect_true "what was shadow acts now" wait_for 20 refuses "$attacker" 8080
expect_true "the neighbour gets through" wait_for 20 greets "$neighbour" 8080
why=$(in_node 1 "$weir" why "$attacker")
expect_match "why: the rule" "$why" "rule +[0-9]+ 'forbidden'"
expect_match "why: when it ends" "$why" 'expires +in [0-9]+m'
expect_match "why: how to undo" "$why" 'undo +.*where collector decides'
expect_true "who is exempt is greeted" wait_for 20 greets "$exempt" 2323
expect_true "and again" wait_for 20 greets "$exempt" 2323
expect_match "never stopped" "$(in_node 1 "$weir" why "$exempt" 2>&1)" 'no rule|nothing'

# ---- forged ----
forge() # FLAGS
{
	ip netns exec "$attackers" hping3 -q "$1" -a "$forged" -s 4000 -k -p 2323 -c 1 "$server" >"$tmp/hping.out" 2>&1
}
forge -S
forge -A
reset_seen()
{
	jq -es "any(.[]; .src.ip == \"$forged\" and .state == \"reset\")" "$tmp/weir1.out"
}
expect_true "forged: a handshake that is none has its record" wait_for 60 reset_seen
expect_match "forged: never stopped" "$(in_node 1 "$weir" why "$forged" 2>&1)" 'no rule|nothing'

# ---- taken back ----
expect_match "the audit log has it" "$(c audit list | tr -s ' ')" 'node:node1 decision.made'
id=$(c decisions list --rule forbidden -o json | jq -s "[.[] | select(.value == \"$attacker\" and .node == \"node1\")][0].id")
expect_match "taken back" "$(c decisions withdraw "$id")" "decision $id has ended"
expect_true "taken back: it gets through" wait_for 30 greets "$attacker" 8080
expect_true "taken back: it stays so" wait_for 20 greets "$attacker" 2323
expect_true "taken back: and goes on to" wait_for 20 greets "$attacker" 8080

# ---- the collector is gone ----
collector_kill
stopped() # what it is stopped for lasts seconds: tried together
{
	greets "$late" 2424 && wait_for 3 refuses "$late" 8080
}
expect_true "gone: the agent stops somebody else" wait_for 60 stopped
expect_true "gone: the neighbour gets through" wait_for 20 greets "$neighbour" 8080
expect_true "gone: it ends by itself" wait_for 60 greets "$late" 8080
serve
expect_true "back: it hears of what was decided" wait_for 60 decided "$late" '.rule == "brief"'
expect_true "back: all enforce what they shall" wait_for 90 enforced node1 node2
expect_true "the audit log is whole" c audit verify
collector_stop
expect "the collector ends" "$collector_rc" 0
