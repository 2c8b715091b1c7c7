#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_nodes_two.sh - a node of two collectors: what each wants holds beside what the other wants, about other
# addresses and about the same ones, of rules of other names and of the same ones; what happens to one collector
# does nothing to what the other has decided.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"
. "$(dirname "$0")/nodes.sh"
ns_other=weir-o$$
attackers=weir-x$$
server=10.77.21.1 attacker=10.77.21.2
other_env=(WEIR_COLLECTOR_CONTROL_SOCKET="$tmp/other.sock" WEIR_COLLECTOR_STORE="$tmp/other")

c()
{
	"$collector" "$@"
}

o() # the other collector
{
	env "${other_env[@]}" "$collector" "$@"
}

issuers() # ADDRESS: whose rules are about it on the node
{
	in_node 1 "$weir" why "$1" 2>/dev/null | sed -n 's/.*, issuer \(.*\)/\1/p' | sort | paste -sd,
}

issuers_are()
{
	[ "$(issuers "$1")" = "$2" ]
}

other_decides() # ADDRESS
{
	ip netns exec "$ns_other" python3 tests/e2e/flows_attack.py 4739 7 10.9.9.9 "$1" 4444 1
}

greets() # PORT
{
	ip netns exec "$attackers" timeout 5 nc -w 1 "$server" "$1" </dev/null 2>/dev/null | grep -q '^220 '
}

refuses()
{
	! greets "$@"
}

id_of() # COMMAND ADDRESS: of the decision that the collector has of it
{
	"$1" decisions list -o json | jq -s "[.[] | select(.value == \"$2\")][0].id"
}

settings() # ISSUER
{
	cat <<-EOF2
		[rules]
		directories = $tmp/rules
		[list local]
		values = 203.0.113.192/28
		[nodes]
		listen = 0.0.0.0:4741
		[policy]
		issuer = $1
	EOF2
}

ns_new "$ns_a"
ns_new "$ns_other"
ns_new "$attackers"
node_new 1
pair_new "$ns_other" n1 "$node_ns_1" eth2 12 1500
pair_new "$node_ns_1" atk "$attackers" eth 21 1500
mkdir "$tmp/rules"
node_rules "$tmp/rules/test.yaml"
cat >>"$tmp/rules/test.yaml" <<-EOF
	  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a13
	    name: forbidden
	    version: 1.0.0
	    where: proto == tcp and dst.port == 2323 and state in {established, closed, reset}
	    by: [src.ip]
	    evidence: { handshake: required }
	    mode: prevent
	    actions: [ { drop: { scope: src.ip, direction: ingress, ttl: 10m } } ]
EOF
settings first >"$tmp/collector.conf"
settings second >"$tmp/other.conf"
collector_start --config "$tmp/collector.conf" --listen-udp 127.0.0.1:4739 --listen-tcp none
spawn other "$ns_other" env "${other_env[@]}" "$collector" serve --config "$tmp/other.conf" \
	--listen-udp 127.0.0.1:4739 --listen-tcp none
wait_for 20 has_line "$tmp/other.err" ready || die "the other collector does not start: $(cat "$tmp/other.err")"
node_enrol 1 >"$tmp/enrol.out" || die "node 1: $(cat "$tmp/enrol.out")"
o nodes token >"$tmp/token"
expect_true "a node is enrolled with a second collector" \
	in_node 1 "$weir" enrol https://10.77.12.1:4741 --token-file "$tmp/token" --name node1
expect "each has a directory" "$(find "$tmp/n1/collectors" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | paste -sd,)" first,second
node_weir 1 -i eth2 -i atk
node_follow 1
other_enforced()
{
	o nodes show node1 -o json | jq -e .enforced
}
expect_true "it enforces what the first wants" wait_for 30 enforced node1
expect_true "and what the second wants" wait_for 30 other_enforced

# ---- beside each other ----
node_decide 4444 203.0.113.7 203.0.113.9
other_decides 203.0.113.8
other_decides 203.0.113.9
expect_true "what the first decided" wait_for 30 issuers_are 203.0.113.7 first
expect_true "what the second decided" wait_for 30 issuers_are 203.0.113.8 second
expect_true "what both decided" wait_for 30 issuers_are 203.0.113.9 first,second
c decisions withdraw "$(id_of c 203.0.113.9)" >"$tmp/withdraw.out"
expect_true "one takes it back: it is the other's still" wait_for 30 issuers_are 203.0.113.9 second
expect_true "each sees what it wants" wait_for 30 enforced node1
expect_true "each of them" wait_for 30 other_enforced

# ---- the same rule of both, decided by the agent ----
spawn service "$node_ns_1" tests/e2e/attack_service.py serve 2323 8080
wait_for 60 listening "$node_ns_1" tcp 8080 || die "no service: $(cat "$tmp/service.err")"
expect_true "the agent's rule of both: it is greeted" wait_for 20 greets 2323
expect_true "the agent's rule of both: it is stopped" wait_for 20 refuses 8080
expect_true "by the rule of each" wait_for 20 issuers_are "$attacker" first,second
heard()
{
	[ "$(id_of c "$attacker")" != null ] && [ "$(id_of o "$attacker")" != null ]
}
expect_true "both hear of it" wait_for 30 heard
o decisions withdraw "$(id_of o "$attacker")" >"$tmp/withdraw.out"
expect_true "one takes it back: the other's holds" wait_for 30 issuers_are "$attacker" first
expect_true "it is stopped still" refuses 8080

# ---- one is gone ----
collector_kill
other_decides 203.0.113.10
expect_true "one is gone: the other decides on" wait_for 30 issuers_are 203.0.113.10 second
expect "what the one decided stays" "$(issuers 203.0.113.7)" first
expect_true "its agent's decision too" refuses 8080
expect_true "flushed by hand" in_node 1 "$weir" flush second
expect_true "those of one are gone" wait_for 20 issuers_are 203.0.113.8 ''
expect "the others stay" "$(issuers 203.0.113.7)" first
stop_spawned other
