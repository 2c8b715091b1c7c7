#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_eve.sh - alerts of Suricata in flows: written before and after the flow's record, to a file that is rotated
# and one that is cut, to sockets; each once over kill -9; a rule that asks for one fires.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"

eve=$tmp/eve.json

# COUNT flows to 10.0.0.5:22 that have ended just now, from ports 20000 and on.
flows() # SOURCE COUNT
{
	in_a python3 tests/e2e/flows_attack.py 2055 5 "$1" 10.0.0.5 22 "$2"
}

# What Suricata writes of such a flow.
alert() # SID SOURCE PORT
{
	printf '{"timestamp":"%s","flow_id":1,"event_type":"alert","src_ip":"%s","src_port":%d,' \
		"$(date +%Y-%m-%dT%H:%M:%S.%6N%z)" "$2" "$3"
	printf '"dest_ip":"10.0.0.5","dest_port":22,"proto":"TCP","community_id":"1:x=",'
	printf '"alert":{"action":"allowed","gid":1,"signature_id":%d,"rev":1,"signature":"TEST sid %d",' "$1" "$1"
	printf '"category":"Attempted Administrator Privilege Gain","severity":1},"app_proto":"ssh"}\n'
}

# sid, port and packets of what is stored with an alert, by sid.
signed() # FILTER
{
	"$collector" flows "exists(ids.sid) and $1" -o json --last 1h |
		jq -r '[.ids.sid, .src.port, .packets, .reason // "-"] | join(" ")' | sort -n
}

signed_are() # FILTER COUNT
{
	[ "$(signed "$1" | wc -l)" = "$2" ]
}

counted() # NAME [SOURCE]
{
	collector_status "[.eve.sources[] | select(.source == \"${2:-$eve}\") |
		(.counts + .lost + .malformed)[\"$1\"] // 0] | add"
}

counted_is() # NAME COUNT [SOURCE]
{
	[ "$(counted "$1" "${3:-}")" = "$2" ]
}

fires() # RULE
{
	[ -n "$("$collector" alerts list --rule "$1" -o json)" ]
}

net_new
mkdir "$tmp/rules"
cp packaging/rules/ids.yaml "$tmp/rules/"
cat >"$tmp/rules/a.yaml" <<-EOF2
	groups:
	- name: test
	  rules:
	  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a01
	    name: asked-for
	    version: 1.0.0
	    where: ids.sid == 1003 and dst.port == 22
	    by: [src.ip]
	    keep_firing_for: 1h
EOF2
cat >"$tmp/collector.conf" <<-EOF2
	[rules]
	directories = $tmp/rules
	[list local]
	values = 10.0.0.0/8
	[list never_block]
	values = 10.255.0.1
	[eve]
	files = $eve
	stream = $tmp/eve.stream
	datagram = $tmp/eve.dgram
	skew = 5m
EOF2
serve()
{
	collector_start --config "$tmp/collector.conf" --listen-udp 127.0.0.1:2055 --listen-tcp none
}

serve
flows 192.0.2.1 10
expect_true "flows are stored" wait_for 20 stored 10
{
	alert 1001 192.0.2.1 20003
	echo '{"timestamp":"2026-11-23T06:00:00.000000+0000","event_type":"flow","src_ip":"192.0.2.1"}'
	echo '{"event_type":"alert","alert"'
	alert 1002 192.0.2.1 20004
} >>"$eve"
expect_true "alerts that come after the record are joined" wait_for 20 counted_is joined 2
expect_true "and stored" wait_for 20 signed_are 'src.ip == 192.0.2.1' 2
expect "as further records without packets" "$(signed 'src.ip == 192.0.2.1')" "1001 20003 0 ids
1002 20004 0 ids"
expect "late ones" "$(counted late)" 2
expect "lines are counted" "$(counted lines) $(counted alerts) $(counted other) $(counted json)" '4 2 1 1'
expect "an ID of another seed does not keep them apart" "$(counted other_id)" 2
expect_true "severe ones fire no rule without a state" [ "$("$collector" alerts list -o json | wc -l)" = 0 ]

alert 1003 192.0.2.2 20001 >>"$eve"
alert 1004 192.0.2.2 20001 >>"$eve"
expect_true "alerts that come first wait" wait_for 20 counted_is alerts 4
flows 192.0.2.2 3
expect_true "and are joined" wait_for 20 counted_is joined 4
expect_true "and stored" wait_for 20 signed_are 'src.ip == 192.0.2.2' 2
expect "one in the record, the next beside it" \
	"$(signed 'src.ip == 192.0.2.2' | cut -d' ' -f2-)" "20001 14 -
20001 0 ids"
expect "sums know the flow once" \
	"$("$collector" query --raw -o json --last 1h 'src.ip == 192.0.2.2' | jq -r .packets)" 42
expect_true "a rule that asks for a signature fires" wait_for 20 fires asked-for
expect "once" "$("$collector" alerts list --rule asked-for -o json | jq -r .src.ip)" 192.0.2.2
expect "fields are what was written" "$("$collector" flows 'ids.sid == 1003' -o json --last 1h |
	jq -r '[.ids.signature, .ids.category, .ids.severity, .ids.action] | join("|")')" \
	'TEST sid 1003|Attempted Administrator Privilege Gain|1|allowed'

# rotation: the old file is written to until the new one is
mv "$eve" "$eve.1"
alert 1005 192.0.2.1 20005 >>"$eve.1"
alert 1006 192.0.2.1 20006 >>"$eve"
expect_true "a file that is renamed is read to its end, then the next" wait_for 20 counted_is joined 6
expect "it was rotated" "$(counted rotated)" 1
cp "$eve" "$eve.2"
: >"$eve"
expect_true "a file that is cut is seen to be" wait_for 20 counted_is truncated 1
alert 1007 192.0.2.1 20007 >>"$eve"
expect_true "and read from its begin" wait_for 20 counted_is joined 7
expect_true "each is stored" wait_for 20 signed_are 'src.ip == 192.0.2.1' 5

# kill -9: some are durable, some wait; half a line is there
alert 1008 192.0.2.3 20001 >>"$eve"
alert 1009 192.0.2.1 20008 >>"$eve"
line=$(alert 1010 192.0.2.3 20002)
printf %s "${line:0:100}" >>"$eve"
expect_true "one is durable" wait_for 20 signed_are 'ids.sid == 1009' 1
collector_kill
mv "$eve" "$eve.3"
printf '%s\n' "${line:100}" >>"$eve.3"
alert 1011 192.0.2.3 20003 >>"$eve"
serve
expect_true "those that wait are read again, and what came meanwhile" wait_for 20 counted_is alerts 10
expect_true "those that are stored are known" wait_for 20 counted_is repeated 7
flows 192.0.2.3 5
expect_true "the others are joined" wait_for 20 counted_is joined 3
expect_true "and stored" wait_for 20 signed_are 'src.ip == 192.0.2.3' 3
expect "all of it once" "$(signed 'proto == tcp' | cut -d' ' -f1 | tr '\n' ' ')" \
	'1001 1002 1003 1004 1005 1006 1007 1008 1009 1010 1011 '

# sockets
alert 1012 192.0.2.3 20001 | in_a socat -u - "UNIX-CONNECT:$tmp/eve.stream"
expect_true "lines of a stream" wait_for 20 counted_is joined 1 "$tmp/eve.stream"
alert 1013 192.0.2.3 20002 | in_a socat -u - "UNIX-SENDTO:$tmp/eve.dgram"
expect_true "and of datagrams" wait_for 20 counted_is joined 1 "$tmp/eve.dgram"
expect_match "status says what became of them" "$("$collector" status)" 'alerts of .*eve.dgram: 1, 1 of them in flows'
collector_stop
expect "it ends" "$collector_rc" 0
expect_true "sockets are gone" [ ! -e "$tmp/eve.stream" ]
expect "what was read is stored" "$(signed 'proto == tcp' | wc -l)" 13
