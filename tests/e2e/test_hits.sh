#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_hits.sh - what decisions hit on two nodes is what their collector says: packet for packet what the nodes count,
# and what was sent; also of a decision that has ended, of a weir that began anew, and of a rule in shadow.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"
. "$(dirname "$0")/nodes.sh"
. "$(dirname "$0")/api.sh"
place=203.0.113.7 shade=203.0.113.9

c()
{
	"$collector" "$@"
}

wants() # K ADDRESS: does the node have a rule about it?
{
	in_node "$1" "$weir" why "$2" 2>/dev/null | grep -q -- -places
}

sends() # K N ADDRESS: N datagrams of 84 octets
{
	in_node "$1" python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(int(sys.argv[1])):
    s.sendto(bytes(56), (sys.argv[2], 9))' "$2" "$3"
}

hits() # VALUE: of its latest decision, as the collector has them
{
	c decisions list --state all -o json | jq -rs "[.[] | select(.value == \"$1\")] | max_by(.id).hits |
		\"\(.packets) \(.bytes) \(.nodes)\""
}

hits_are() # VALUE "PACKETS BYTES NODES"
{
	[ "$(hits "$1")" = "$2" ]
}

counted() # K RULE: packets that the node's own rule has, stopped or in shadow
{
	in_node "$1" "$weir" policy show -o json | jq -s "[.[] | select(.name == \"$2\") | .packets + .would_packets] | add // 0"
}

metric() # RULE: packets, from the metrics
{
	api GET /metrics "$viewer"
	sed -n "s/^weir_decision_packets_total{rule=\"$1\",.*} //p" "$tmp/body"
}

ns_new "$ns_a"
node_new 1
node_new 2
for k in 1 2; do
	ns=node_ns_$k
	ip -n "${!ns}" route add 203.0.113.0/24 via "10.77.1$k.1"
done
mkdir "$tmp/rules"
node_rules "$tmp/rules/test.yaml"
sed -i 's/mode: canary/mode: shadow/' "$tmp/rules/test.yaml"
cat >"$tmp/collector.conf" <<-EOF
	[rules]
	directories = $tmp/rules
	[nodes]
	listen = 0.0.0.0:4741
	[api]
	listen = 127.0.0.1:8080
EOF
unset WEIR_COLLECTOR_API_LISTEN
serve()
{
	collector_start --config "$tmp/collector.conf" --listen-udp 127.0.0.1:4739 --listen-tcp none
}
serve
api_tokens viewer
for k in 1 2; do
	node_enrol "$k" >"$tmp/enrol$k.out" || die "node $k: $(cat "$tmp/enrol$k.out")"
	node_weir "$k"
	node_follow "$k"
done
node_decide 4444 "$place"
node_decide 5555 "$shade"
for k in 1 2; do
	wait_for 60 wants "$k" "$place" && wait_for 60 wants "$k" "$shade" || die "node $k has no decision"
done
expect "before anything is hit nothing is said of it" "$(hits "$place")" 'null null null'

# ---- what is sent is what is told ----
sends 1 7 "$place"
sends 2 4 "$place"
sends 1 5 "$shade"
expect_true "packets of both nodes, and octets" wait_for 60 hits_are "$place" '11 924 2'
expect_true "shadow: what would have been" wait_for 60 hits_are "$shade" '5 420 1'
expect "as the nodes count them" "$(counted 1 bad-places) $(counted 2 bad-places) $(counted 1 worse-places)" '7 4 5'
id=$(c decisions list -o json | jq -s ".[] | select(.value == \"$place\") | .id")
shown=$(c decisions show "$id")
expect_match "shown: all of it" "$shown" 'hit +11 packets, 924 bytes, [0-9]+ flows, last 20'
expect_match "shown: node by node" "$shown" 'node2 +4 packets, 336 bytes'
expect_match "listed" "$(c decisions list | tr -s ' ')" ' 11 bad-places drop dst.ip 203.0.113.7'
alert=$(c decisions show "$id" -o json | jq .alert)
expect_match "its alert says it too" "$(c alerts show "$alert")" 'decisions hit +11 packets, 924 bytes'
expect_api "over HTTP" 200 GET "/api/v1/decisions/$id" "$viewer"
expect "over HTTP: node by node" "$(body '[.hits.by_node[] | "\(.node) \(.packets)"] | join(", ")')" 'node1 7, node2 4'
expect "the metrics have the sum" "$(metric bad-places) $(metric worse-places)" '11 5'

# ---- nothing twice, nothing lost ----
collector_stop
sends 2 3 "$place"
serve
expect_true "what was hit while the collector was away" wait_for 90 hits_are "$place" '14 1176 2'
stop_spawned follow1
sends 1 2 "$place"
node_follow 1
expect_true "who tells all anew tells nothing twice" wait_for 60 hits_are "$place" '16 1344 2'
stop_spawned weir1
node_weir 1
wait_for 60 wants 1 "$place" || die "node 1 has lost its decision"
sends 1 6 "$place"
expect_true "a weir that begins to count anew adds to it" wait_for 60 hits_are "$place" '22 1848 2'
sends 1 1 "$place"
sends 2 1 "$place"
c decisions withdraw "$id" >"$tmp/withdraw.out"
gone()
{
	! wants 1 "$place" && ! wants 2 "$place"
}
expect_true "an end" wait_for 60 gone
expect_true "its last packets are told when it has gone" wait_for 60 hits_are "$place" '24 2016 2'
expect "the metrics have the sum" "$(metric bad-places) $(metric worse-places)" '24 5'
expect "all of it was known" "$(collector_status .nodes.hits_unknown)" 0
collector_stop
expect "the collector ends" "$collector_rc" 0
