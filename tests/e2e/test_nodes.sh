#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_nodes.sh - three nodes and their collector: a token lets each in once, a decision is enforced in the
# kernels of all and said to be, canaries act first, who has lost a policy gets it again, who is revoked
# hears no more.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"
. "$(dirname "$0")/nodes.sh"

c()
{
	"$collector" "$@"
}

wants() # NAME ADDRESS: does the node drop it?
{
	in_node "${1#node}" "$weir" why "$2" 2>/dev/null | grep -q "$3"
}

ns_new "$ns_a"
node_new 1
node_new 2
node_new 3
mkdir "$tmp/rules"
node_rules "$tmp/rules/test.yaml"
cat >"$tmp/collector.conf" <<-EOF
	[rules]
	directories = $tmp/rules
	[nodes]
	listen = 0.0.0.0:4741
	canary = ring=canary
EOF
serve()
{
	collector_start --config "$tmp/collector.conf" --listen-udp 127.0.0.1:4739 --listen-tcp none
}
serve

# ---- in ----
expect "the authority's key is for its owner" "$(stat -c %a "$tmp/store/nodes/ca.key")" 600
expect_true "a token lets a node in" node_enrol 1 --label ring=canary
cp "$tmp/token" "$tmp/used"
expect_match "once" "$(in_node 2 "$weir" enrol "$(node_url 2)" --token-file "$tmp/used" --name node2 2>&1; echo "$?")" \
	"refused: the token was used before"
expect "the key of a node is for its owner" "$(stat -c %a "$tmp/n1/collectors/collector/node.key")" 600
for k in 1 2 3; do
	[ "$k" = 1 ] || node_enrol "$k" >"$tmp/enrol$k.out" || die "node $k: $(cat "$tmp/enrol$k.out")"
	node_weir "$k"
	node_follow "$k"
done
expect_true "all enforce what they shall" wait_for 30 enforced node1 node2 node3

# ---- decisions ----
node_decide 4444 203.0.113.7
decided()
{
	[ "$(c decisions list -o json | jq -s "[.[] | select(.value == \"$1\")] | length")" = 1 ]
}
expect_true "a decision" wait_for 60 decided 203.0.113.7
expect_true "it is in the kernels" wait_for 20 wants node1 203.0.113.7 bad-places
for k in 2 3; do
	expect_true "of all" wait_for 20 wants "node$k" 203.0.113.7 bad-places
done
expect_true "and they say so" wait_for 20 enforced node1 node2 node3

# ---- canaries ----
mode_of() # K RULE: drop or shadow, as node K has it
{
	in_node "$1" "$weir" policy show -o json | jq -rs "[flatten[] | select(.name == \"$2\") |
		if .shadow then \"shadow\" else .action end] | unique | join(\",\")"
}
mode_is() # K RULE MODE
{
	[ "$(mode_of "$1" "$2")" = "$3" ]
}
node_decide 5555 203.0.113.9
expect_true "a rule in mode canary" wait_for 60 decided 203.0.113.9
expect_true "canary: it acts there" wait_for 20 mode_is 1 worse-places drop
expect_true "canary: and counts elsewhere" wait_for 20 mode_is 2 worse-places shadow
expect_true "canary: all enforce what they shall" wait_for 20 enforced node1 node2 node3
expect_match "another label" "$(c nodes label node2 --label ring=canary --label site=north)" \
	'node node2: ring=canary,site=north'
expect_true "canary: it acts there at once" wait_for 20 mode_is 2 worse-places drop

# ---- lost ----
stop_spawned weir3
absent()
{
	node_is node3 '.state == "no-weir"'
}
expect_true "who has no weir says so" wait_for 20 absent
node_weir 3
expect_true "lost: who begins without its policy gets it again" wait_for 30 enforced node3
expect_true "lost: in its kernel too" wants node3 203.0.113.7 bad-places
in_node 3 "$weir" panic >"$tmp/panic.out"
panicked()
{
	node_is node3 '.state == "panic" and (.enforced | not)'
}
expect_true "panic is seen" wait_for 20 panicked
in_node 3 "$weir" panic --off >"$tmp/panic.out"
expect_true "and its end" wait_for 20 enforced node3

# ---- revoked ----
expect_match "who is revoked" "$(c nodes revoke node3)" 'undo: weir-collector nodes token --name node3'
expect_true "revoked: it hears so" wait_for 30 has_line "$tmp/follow3.err" 'this node is revoked'
node_decide 4444 203.0.113.8
expect_true "revoked: a decision" wait_for 60 decided 203.0.113.8
expect_true "revoked: others have it" wait_for 20 wants node1 203.0.113.8 bad-places
expect_true "others say so" wait_for 20 enforced node1 node2
expect_match "it has not" "$(in_node 3 "$weir" why 203.0.113.8 2>&1)" 'no rule|nothing'
expect_true "a token with its name" node_enrol 3 --name node3
expect_true "lets it come again" wait_for 60 enforced node3
expect_match "all of it is in the audit log" "$(c audit list | tr -s ' ')" 'node.enrolled node node3'

# ---- what is seen ----
expect "status" "$(collector_status '.nodes | [.nodes, .enforced] | join(" ")')" '3 3'
expect_true "the audit log is whole" c audit verify
collector_stop
expect "the collector ends" "$collector_rc" 0
