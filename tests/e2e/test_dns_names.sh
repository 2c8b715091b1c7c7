#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_dns_names.sh - names from DNS answers, from the wire to the query: dig asks a real server, weir
# exports what it was told, and the collector gives connections to those addresses that ask for no name
# the one that DNS gave them; over a chain of aliases, over IPv6, asked over TCP, and not beyond what was learnt.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/servers.sh"
. "$(dirname "$0")/collector.sh"

ask() # ARG...
{
	"$collector" query --last 1d -o json "$@"
}

answered() # NAME: flows whose answers have it
{
	ask --measure flows "dns.answers contains \"$1 \"" | jq .flows
}

has_answers() # NAME
{
	[ "$(answered "$1")" -gt 0 ]
}

silent() # ADDRESS: a TLS connection that asks for no name
{
	in_a openssl s_client -connect "$1" -noservername </dev/null >"$tmp/s_client.out" 2>&1
}

names_of() # FILTER
{
	ask --by dst.name,dst.name_from --measure flows "$1" |
		jq -r '"\(.["dst.name"]) \(.["dst.name_from"])"' | sort
}

connections() # FILTER N: are so many stored?
{
	[ "$(ask --measure flows "$1" | jq .flows)" -ge "$2" ]
}

net_new
servers_start
in_a ip link set lo up
printf '[enrich]\nnames = 4096\n' >"$tmp/collector.conf"
collector_start --config "$tmp/collector.conf" --listen-tcp 127.0.0.1:4739 --listen-udp none
weir_start dns -i va --idle-timeout 1s --active-timeout 2s --drain-interval 200ms \
	--export ipfix+tcp://127.0.0.1:4739

# nothing has been asked for yet
silent "$ip_b:443"
expect_true "a connection before any answer" wait_for 20 connections 'dst port 443' 1
expect "it has no name" "$(names_of 'dst port 443')" "null null"

client dig +short A www.chain.test >"$tmp/dig.out"
client dig +short AAAA six.example.test >>"$tmp/dig.out"
expect "the server answered" "$(cat "$tmp/dig.out")" "edge.chain.test.
$ip_b
$ip6_b"
expect_true "the answer over an alias is stored" wait_for 20 has_answers www.chain.test
expect_true "the answer over IPv6 is stored" wait_for 20 has_answers six.example.test
expect "under the name that was asked for" "$(answered edge.chain.test)" 0
silent "$ip_b:443"
silent "[$ip6_b]:443"
expect_true "connections after the answers" wait_for 20 connections 'dst port 443' 3
expect "IPv4 has the name that was asked for" "$(names_of "dst port 443 and dst ip $ip_b and exists(dst.name)")" \
	"www.chain.test dns"
expect "IPv6 too" "$(names_of "dst port 443 and dst ip $ip6_b")" "six.example.test dns"
client dig +tcp +short AAAA tcp.example.test >"$tmp/dig.out"
expect "the server answered over TCP" "$(cat "$tmp/dig.out")" "$ip6_b"
expect_true "the answer over TCP is stored" wait_for 20 has_answers tcp.example.test
silent "[$ip6_b]:443"
expect_true "a connection after it" wait_for 20 connections "dst port 443 and dst ip $ip6_b" 2
expect "has the name of the later answer" \
	"$(names_of "dst port 443 and dst ip $ip6_b and dst.name == \"tcp.example.test\"")" "tcp.example.test dns"
hello shop.example.test "$ip_b:443"
expect_true "a connection that asks for a name" wait_for 20 connections 'tls.sni == "shop.example.test"' 1
silent "$ip_b:443"
expect_true "one after it" wait_for 20 connections "dst port 443 and dst ip $ip_b" 4
expect "has that name, which came last" \
	"$(names_of "dst port 443 and dst.name == \"shop.example.test\" and not exists(tls.sni)")" \
	"shop.example.test sni"
weir_stop
expect "weir's exit status" "$weir_rc" 0
expect "the collector tells how many it learnt" \
	"$(collector_status '.enrich.names_of_answers >= 2')" true
collector_stop
expect "the collector's exit status" "$collector_rc" 0
expect_accounted "conservation" dns
