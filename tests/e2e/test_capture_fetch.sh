#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_capture_fetch.sh - packets that an alert has kept on a node are listed at the collector, and fetched through
# it by who may; the node goes away, the collector comes back, files are removed.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"
. "$(dirname "$0")/nodes.sh"
needs capture_fetch tshark jq nc curl || exit 0
export WEIR_COLLECTOR_API_LISTEN=127.0.0.1:8080
api=http://$WEIR_COLLECTOR_API_LISTEN/api/v1

c()
{
	"$collector" "$@"
}

captures() # FILTER_OF_JQ [ARG...]: true of the array of what the collector lists?
{
	local f=$1

	shift
	c captures list "$@" -o json | jq -es "$f"
}

ask() # TOKEN PATH [ARG...]: the status; the body in $tmp/body, the head in $tmp/head
{
	local token=$1 path=$2

	shift 2
	in_a curl -s --max-time 40 -o "$tmp/body" -D "$tmp/head" -w '%{http_code}' -H "Authorization: Bearer $token" "$@" "$api$path"
}

suspect_new 'capture: { scope: src.ip, pre: 60s, post: 5s, max_bytes: 4Mi }'
for k in 1 2; do
	node_start "$k" --capture-ring 16Mi
done
viewer=$(c token create --role viewer --for 1h)
reader=$(c token create --role viewer --capture --for 1h --name reader)
admin=$(c token create --role admin --for 1h --name boss)
expect_true "both have their policy" wait_for 30 enforced node1 node2
# much that is kept, so that a fetch is many pieces
in_a ping -q -f -c 1500 -s 1400 -I "$suspect" 10.77.11.2 >/dev/null
suspect_knocks

# ---- listed ----
expect_true "the collector lists the file while it is written" wait_for 60 captures 'length == 1'
expect_true "and when it is complete" wait_for 60 captures 'length == 1 and .[0].state == "complete"'
c captures list -o json >"$tmp/row"
read -r id file alert <<<"$(jq -r '"\(.id) \(.file) \(.alert)"' "$tmp/row")"
expect "of the node that saw the packets" "$(jq -r .node "$tmp/row")" node1
expect "its file" "$file" "$(in_node 1 "$weir" captures list -o json | jq -r .id)"
in_node 1 "$weir" captures get "$file" -w "$tmp/node.pcapng"
expect "as long as it is" "$(jq .bytes "$tmp/row")" "$(stat -c %s "$tmp/node.pcapng")"
expect "as many packets" "$(jq .packets "$tmp/row")" "$(tshark -r "$tmp/node.pcapng" 2>/dev/null | wc -l)"
expect "the first of them" "$(jq -r '.first[:23]' "$tmp/row")" \
	"$(TZ=UTC tshark -r "$tmp/node.pcapng" -c 1 -T fields -e frame.time_epoch 2>/dev/null |
		xargs -I{} date -u -d @{} +%Y-%m-%dT%H:%M:%S.%3N)"
expect "the alert has it" "$(c alerts list --state all -o json | jq -c "select(.id == $alert) | .captures")" "[$id]"
expect_match "and shows it" "$(c alerts show "$alert" 2>/dev/null || c alerts list)" "captures +$id"
expect "HTTP: the alert has it" "$(ask "$viewer" "/alerts/$alert") $(jq -c .captures "$tmp/body")" "200 [$id]"
expect "HTTP: the list" "$(ask "$viewer" "/captures?alert=$alert") $(jq -c '[.items[].id]' "$tmp/body")" "200 [$id]"
expect "HTTP: one" "$(ask "$viewer" "/captures/$id") $(jq -r .value "$tmp/body")" "200 $suspect"

# ---- fetched ----
expect "who may look may not have the packets" "$(ask "$viewer" "/captures/$id/file") $(jq -r .code "$tmp/body")" "403 role"
expect "nor may an admin" "$(ask "$admin" "/captures/$id/file")" 403
expect "who may read them has them" "$(ask "$reader" "/captures/$id/file")" 200
expect_true "octet for octet" cmp "$tmp/body" "$tmp/node.pcapng"
expect_match "as what they are" "$(tr -d '\r' <"$tmp/head")" 'Content-Type: application/x-pcapng'
expect "tshark has nothing to say about it" "$(tshark -r "$tmp/body" -Y _ws.malformed 2>&1 | grep -v 'Running as user')" ''
expect "it holds what was before the alarm" "$(tshark -r "$tmp/body" -Y 'icmp.type == 8' 2>/dev/null | wc -l)" 1500
head -c 300000 "$tmp/node.pcapng" >"$tmp/half"
in_a curl -s -C - -o "$tmp/half" -H "Authorization: Bearer $reader" "$api/captures/$id/file"
expect_true "it goes on where it was broken off" cmp "$tmp/half" "$tmp/node.pcapng"
for k in 1 2 3 4; do
	in_a curl -s -o "$tmp/many$k" -H "Authorization: Bearer $reader" "$api/captures/$id/file" &
	many[k]=$!
done
wait "${many[@]}"
expect "several at once" "$(cat "$tmp"/many? | sha256sum)" \
	"$(cat "$tmp/node.pcapng" "$tmp/node.pcapng" "$tmp/node.pcapng" "$tmp/node.pcapng" | sha256sum)"
c captures get "$id" -w "$tmp/cli.pcapng"
expect_true "the command has it too" cmp "$tmp/cli.pcapng" "$tmp/node.pcapng"
expect "whoever is unknown" "$(ask "$reader" /captures/99/file) $(jq -r .code "$tmp/body")" "404 unknown"
expect_match "all of it is in the audit log" "$(c audit list | tr -s ' ')" "token:reader capture.fetched capture $id"

# ---- the collector comes back, the node goes ----
collector_stop
suspect_collector
expect_true "after its restart the collector knows, and the node is there" wait_for 40 captures 'length == 1 and .[0].available'
expect "the same" "$(c captures list -o json | jq -c .)" "$(jq -c . "$tmp/row")"
# what the sockets between would hold is all of the file
in_a sysctl -qw net.ipv4.tcp_wmem='4096 65536 131072' net.ipv4.tcp_rmem='4096 65536 131072'
in_a curl -s --limit-rate 200k -o "$tmp/cut" -H "Authorization: Bearer $reader" "$api/captures/$id/file" &
slow=$!
expect_true "a fetch is under way" wait_for 20 test -s "$tmp/cut"
kill -9 "${spawned[follow1]}"
wait "$slow"
expect "the node is killed in mid-fetch: what is short is seen to be" "$?" 18
expect "the node is not there" "$(ask "$reader" "/captures/$id/file") $(jq -r .code "$tmp/body")" "503 offline"
expect_match "and when to come again" "$(tr -d '\r' <"$tmp/head")" 'Retry-After: [0-9]+'
c captures get "$id" -w "$tmp/none" 2>"$tmp/err"
expect "the command says so" "$? $(test -e "$tmp/none" || echo none)" "5 none"
expect_match "and what to do" "$(cat "$tmp/err")" "node1 is not there: see that 'weir policy follow'"
expect_true "the policy of the others is enforced" enforced node2
node_follow 1
expect_true "the node is there again" wait_for 40 captures '.[0].available'
expect "and its packets" "$(ask "$reader" "/captures/$id/file") $(cmp "$tmp/body" "$tmp/node.pcapng" && echo same)" "200 same"

# ---- removed ----
expect "a reader removes nothing" "$(ask "$reader" "/captures/$id" -X DELETE)" 403
expect "an admin does" "$(ask "$admin" "/captures/$id" -X DELETE)" 204
expect "it is gone from the node" "$(in_node 1 "$weir" captures list -o json | wc -l)" 0
expect "and can't be had" "$(ask "$reader" "/captures/$id/file") $(jq -r .code "$tmp/body")" "410 gone"
expect_match "by whom is known" "$(jq -r .detail "$tmp/body")" 'removed by token:boss'
expect_match "and in the audit log" "$(c audit list | tr -s ' ')" "token:boss capture.removed capture $id"
expect "the list is empty" "$(c captures list -o json | wc -l)" 0
expect_true "what was is known" captures 'length == 1 and .[0].state == "removed"' --state all
expect_true "the audit log is whole" c audit verify
collector_stop
expect "the collector ends" "$collector_rc" 0
