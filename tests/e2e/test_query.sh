#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_query.sh - a store as an operator meets it: what is known of addresses in groups and filters, a
# reload with a database that is broken, mistakes and their suggestions, answers with and without a
# collector, a store whose state is gone, an exporter that samples.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"

flows=1000

ask() # ARG...: to standard output; messages in $tmp/ask.err
{
	"$collector" query --last 1d "$@" 2>"$tmp/ask.err"
}

all_there()
{
	stored "$flows"
}

reloaded()
{
	has_line "$tmp/collector.err" 'configuration reloaded'
}

is_parquet() # FILE
{
	[ "$(head -c 4 "$1")" = PAR1 ] && [ "$(tail -c 4 "$1")" = PAR1 ]
}

net_new
printf '192.0.2.0/24 64500 CZ First Org\n198.51.100.0/24 64501 DE Other\n' |
	"$tools/mmdb_make_tool" "$tmp/a.mmdb" || die "no database"
echo '10.0.0.0/8 local' >"$tmp/sites"
cat >"$tmp/collector.conf" <<-EOF
	[enrich]
	asn = "$tmp/a.mmdb"
	country = "$tmp/a.mmdb"
	sites = "$tmp/sites"
EOF
collector_start --config "$tmp/collector.conf" --listen-udp 127.0.0.1:2055 --listen-tcp none
in_a python3 tests/e2e/flows_v9.py "$flows" 77 2055
wait_for 20 all_there || die "not all flows are stored: $(stored_flows)"

expect "countries are those of the database" \
	"$(ask 'dst ip 192.0.2.80' --by dst.country -o json | jq -r '.["dst.country"]')" CZ
expect "systems that are not exported are looked up" \
	"$(ask 'dst ip 198.51.100.7 and dst as 64501' --by dst.as_org -o json | jq -r '.["dst.as_org"]')" Other
expect "a zone is its networks" \
	"$(ask 'src.zone = "local"' --measure flows -o json | jq .flows)" \
	"$(ask 'src net 10.0.0.0/8' --measure flows -o json | jq .flows)"
expect "a list of filters too" \
	"$(ask 'src.ip in @local' --measure flows -o json | jq .flows)" \
	"$(ask 'src net 10.0.0.0/8' --measure flows -o json | jq .flows)"

before=$(ask --measure flows -o json | jq .flows)
echo broken >"$tmp/a.mmdb"
kill -HUP "$collector_pid"
expect_true "a reload" wait_for 60 reloaded
expect_match "a broken database is named" "$(cat "$tmp/collector.err")" 'a\.mmdb: no database in MaxMind'
in_a python3 tests/e2e/flows_v9.py "$flows" 78 2055
flows=$((flows * 2))
wait_for 20 all_there || not_ok "flows after the reload" "$(stored_flows) of $flows"
expect "twice as many flows" "$(ask --measure flows -o json | jq .flows)" "$((before * 2))"
expect "the one before stays in force" \
	"$(ask 'dst country CZ' --measure flows -o json | jq .flows)" \
	"$(ask 'dst ip 192.0.2.80' --measure flows -o json | jq .flows)"
ask --by src.ip -o parquet >"$tmp/a.parquet"
expect_true "Parquet of the running collector" is_parquet "$tmp/a.parquet"

ask 'src.countrx CZ' >"$tmp/out"
expect "a mistake in the filter" "$?" 2
expect_match "its place and what was meant" "$(cat "$tmp/ask.err")" "col 1: unknown field 'src.countrx', did you mean 'src.country'"
ask --by src.countrx >"$tmp/out"
expect "a mistake in a field" "$?" 2
expect_match "what was meant" "$(cat "$tmp/ask.err")" "did you mean 'src.country'"
"$weir" replay tests/data/http.pcap --where 'src.as = 1' >"$tmp/out" 2>"$tmp/ask.err"
expect "weir has no such word" "$?" 2
expect_match "and says who has" "$(cat "$tmp/ask.err")" "known to the collector alone"

running=$(ask --by src.ip -o json | jq -cS .)
collector_stop
expect "the collector's exit status" "$collector_rc" 0
expect "the same answer without a collector" "$(ask --by src.ip -o json | jq -cS .)" "$running"
TMPDIR=$tmp ask --by src.ip -o parquet >"$tmp/a.parquet"
expect_true "Parquet without a collector" is_parquet "$tmp/a.parquet"
TMPDIR=/nonexistent ask --by src.ip -o parquet >"$tmp/out"
expect "no place for it" "$?" 1
mv "$tmp/store/state.db" "$tmp/state.db"
ask >"$tmp/out"
expect "a store without its state" "$?" 1
expect_match "says what to do" "$(cat "$tmp/ask.err")" 'without its state.db: .* by starting the collector'
collector_start --listen-udp none --listen-tcp none
expect_match "made anew, and said" "$(cat "$tmp/collector.err")" 'state.db was made anew from'
expect "the same answer from a state made anew" "$(ask --by src.ip -o json | jq -cS .)" "$running"
collector_stop

# sums of what was sampled stand for all of it, and say so; also of roll-ups, and when no collector runs
export WEIR_COLLECTOR_STORE=$tmp/store.sampled
printf '[exporter 127.0.0.1]\nsampling = 100\n' >"$tmp/sampled.conf"
flows=100
collector_start --config "$tmp/sampled.conf" --listen-udp 127.0.0.1:2055 --listen-tcp none
in_a python3 tests/e2e/flows_v9.py "$flows" 79 2055
wait_for 60 all_there || die "not all flows are stored: $(stored_flows)"
estimate=$(ask --unscaled -o json | jq -c '[.bytes * 100, .packets * 100, .flows, .flows]')
sums()
{
	ask -o json "$@" | jq -c '[.bytes, .packets, .flows, .sampled]'
}
expect "sampled: bytes and packets of the flows" "$(sums --raw)" "$estimate"
expect "sampled: of roll-ups" "$(sums)" "$estimate"
expect "sampled: nothing is said of what is not scaled" "$(ask --unscaled -o json | jq .sampled)" null
expect_match "sampled: status tells the rate" "$("$collector" status)" 'sampling: 1 packet in 100'
collector_stop
expect "sampled: without a collector" "$(sums --raw) $(sums)" "$estimate $estimate"
