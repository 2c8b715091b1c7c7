#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_query_api.sh - stored flows over the REST interface: row for row what the commands say, pages that have every flow
# once, words that the collector alone knows, mistakes with their place.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"
. "$(dirname "$0")/api.sh"

flows=1000

all_there()
{
	stored "$flows"
}

# NAME PATH [NAME=VALUE...] -- COMMAND...: the same rows
both()
{
	local name=$1 path=$2 parameters=()

	shift 2
	while [ "$1" != -- ]; do
		parameters+=(--data-urlencode "$1")
		shift
	done
	shift
	api GET "/api/v1/$path" "$viewer" -G "${parameters[@]}" --data-urlencode "from=$from" --data-urlencode "to=$to"
	expect "$name" "$code $(jq -cS '.items[]' "$tmp/body" | sha256sum)" \
		"200 $("$collector" "$@" --from "$from" --to "$to" -o json 2>"$tmp/err" | jq -cS . | sha256sum)"
}

net_new
echo '10.0.0.0/8 local' >"$tmp/sites"
cat >"$tmp/collector.conf" <<-EOF
	[enrich]
	sites = "$tmp/sites"
	[api]
	listen = 127.0.0.1:8080
EOF
unset WEIR_COLLECTOR_API_LISTEN
collector_start --config "$tmp/collector.conf" --listen-udp 127.0.0.1:2055 --listen-tcp none
from=$(date -u -d '-1 hour' +%FT%TZ)
in_a python3 tests/e2e/flows_v9.py "$flows" 77 2055
wait_for 60 all_there || die "not all flows are stored: $(stored_flows)"
to=$(date -u -d '+1 hour' +%FT%TZ)
api_tokens viewer breaker

both "sums" top -- query
expect "all flows are in them" "$(body '.items[0].flows')" "$flows"
both "the largest groups, the rest, shares" top by=src.ip,proto top=3 -- query --by src.ip,proto --top 3
expect "four rows, the last of all others" "$(body '"\(.items | length) \(.items[3].other)"')" '4 true'
expect "that are all of it" "$(body '[.items[].share] | add * 1e6 | round')" 1000000
both "other measures, the smallest" top by=dst.port 'measure=distinct(src.ip),flows' order=flows:asc -- \
	query --by dst.port --measure 'distinct(src.ip),flows' --order flows:asc
both "who with whom" pairs top=100 -- query --by src.ip,dst.ip --top 100
both "networks, of a filter" top 'filter=proto == tcp and dst.port < 1024' by=src.ip/24 -- \
	query 'proto == tcp and dst.port < 1024' --by src.ip/24
both "a zone" top 'filter=src.zone = "local"' -- query 'src.zone = "local"'
both "a list" top 'filter=src.ip in @local' -- query 'src.ip in @local'
both "a series, steps without flows among them" series step=5m by=proto top=2 previous=true -- \
	query --step 5m --by proto --top 2 --previous
both "flows" flows limit=1000 'filter=proto == udp' dedup=true -- flows 'proto == udp' --top 1000 --dedup

# who with whom, as nodes and links: names in place of numbers they are the pairs
api GET /api/v1/graph "$viewer" -G -d top=1000 --data-urlencode "from=$from" --data-urlencode "to=$to"
expect "a graph has the pairs for links" "$code $(body '.nodes as $n | [.links[] | [$n[.source].name, $n[.target].name, .value]] | sort | tostring')" \
	"200 $("$collector" query --by src.ip,dst.ip --top 1000 --from "$from" --to "$to" -o json |
		jq -s '[.[] | select(.other | not) | [."src.ip" // .src.ip, ."dst.ip" // .dst.ip, .bytes]] | sort | tostring' -r)"
api GET /api/v1/graph "$viewer" -G -d by=src.ip/24,proto,dst.port -d top=3 -d measure=flows --data-urlencode "from=$from" --data-urlencode "to=$to"
expect "of three layers all flows are in links or others" \
	"$code $(body '. as $g | [0, 1 | . as $l | [$g.links[] | select($g.nodes[.source].layer == $l).value] | add + $g.other] | tostring')" \
	"200 [$flows,$flows]"
expect_api "one layer is no graph" 400 GET '/api/v1/graph?by=src.ip' "$viewer"
expect_api "a breaker draws none" 403 GET /api/v1/graph "$breaker"

# all about a host
host=$("$collector" query --by src.ip --top 1 --from "$from" --to "$to" -o json | jq -rs '.[0] | ."src.ip" // .src.ip')
api GET "/api/v1/hosts/$host" "$viewer" -G --data-urlencode "from=$from" --data-urlencode "to=$to"
expect "a host: what it sent and got" "$code $(body '.as_source | "\(.flows) \(.bytes)"')" \
	"200 $("$collector" query "src.ip == $host" --from "$from" --to "$to" -o json | jq -r '"\(.flows) \(.bytes)"')"
expect "a host: with whom" "$(jq -cS '.talks_to[]' "$tmp/body" | sha256sum)" \
	"$("$collector" query "src.ip == $host" --by dst.ip --from "$from" --to "$to" -o json | jq -cS 'select(.other | not)' | sha256sum)"
expect "a host: what there is of it" "$(body 'keys | join(" ")')" \
	'alerts as_destination as_source asks_for decisions from ip server_names serves talked_to_by talks_to to uses'
expect_api "a host by IPv6" 200 GET '/api/v1/hosts/2001:db8::1' "$viewer"
expect_api "a host that is none" 400 GET '/api/v1/hosts/1.2.3' "$viewer"
expect_api "a breaker looks at no host" 403 GET "/api/v1/hosts/$host" "$breaker"

cursor='' pages=0
: >"$tmp/pages"
while [ "$pages" -lt 20 ]; do
	api GET "/api/v1/flows?limit=300&last=1d${cursor:+&cursor=$cursor}" "$viewer"
	jq -cS '.items[]' "$tmp/body" >>"$tmp/pages"
	cursor=$(body '.next // ""') pages=$((pages + 1))
	[ -n "$cursor" ] || break
done
expect "pages have every flow, once" "$pages $(sort -u "$tmp/pages" | wc -l) $(wc -l <"$tmp/pages")" "4 $flows $flows"
expect_api "what has not changed" 200 GET "/api/v1/top?by=proto&from=$from&to=$to" "$viewer"
expect_api "is not sent again" 304 GET "/api/v1/top?by=proto&from=$from&to=$to" "$viewer" -H "If-None-Match: $(tag)"

expect_api "a breaker does not look" 403 GET /api/v1/flows "$breaker"
expect_api "a mistake in a filter" 400 GET /api/v1/top "$viewer" -G --data-urlencode 'filter=proto == tcp and src.zoen = "a"'
expect "has its place and the word" "$(body '"\(.line):\(.column) \(.detail)"')" \
	"1:18 filter: unknown field 'src.zoen', did you mean 'src.zone'?"
expect_api "a series has steps" 400 GET /api/v1/series "$viewer"
expect "queries are counted" "$(collector_status '.queries.done >= 20')" true
collector_stop
expect "the collector's exit status" "$collector_rc" 0
