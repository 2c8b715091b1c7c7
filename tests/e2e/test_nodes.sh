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
