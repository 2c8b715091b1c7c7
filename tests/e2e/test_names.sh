#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_names.sh - real clients against real servers: every name in the servers' own logs is in weir's
# record of that very connection, while weir runs.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/servers.sh"

# Lines of nginx's log whose connection has no record with their name: `ADDRESS PORT SNI HOST`.
# shellcheck disable=SC2016 # jq's variables
unnamed='
def named($c; $sni; $host): any($c[];
	if $sni != "-" then .tls.sni == $sni
	else .http.host == $host or (.http.hosts // [] | index($host) != null) end);
(reduce .[] as $r ({}; .["\($r.src.ip) \($r.src.port) \($r.dst.port)"] += [$r])) as $flows |
$log | split("\n")[] | select(. != "") | split(" ") |
	select(named($flows["\(.[0]) \(.[1]) \(.[2])"] // []; .[3]; .[4]) | not) |
	"\(.[0]) \(.[1]) \(.[3]) \(.[4])"'

unnamed_in() # NAME
{
	jq -sr --rawfile log "$access_log" "$unnamed" "$tmp/$1.json"
}

all_named() # NAME
{
	[ -z "$(unnamed_in "$1")" ]
}

# While weir runs: all of nginx's requests are in records with their names.
expect_named() # CASE NAME REQUESTS
{
	expect "$1: requests in nginx's log" "$(wc -l <"$access_log")" "$3"
	if wait_for 60 all_named "$2"; then
		ok "$1: each of them was seen live with its name"
	else
		not_ok "$1: each of them was seen live with its name" "$(unnamed_in "$2" | head -n 5)"
	fi
}

names_start() # NAME ARG...
{
	: >"$access_log"
	weir_start "$@" -i va --idle-timeout "${idle:-1s}" --drain-interval 200ms
}

first_with() # NAME SNI FILTER
{
	records "$1" "map(select(.tls.sni == \"$2\"))[0] | $3"
}

case_tls() # NAME ARG...
{
	local name=$1 n

	names_start "$@" || return
	for n in www shop mail api; do
		fetch -4 "https://$n.example.test/"
		fetch -6 "https://$n.example.test/"
		fetch -4 --http1.1 --tls-max 1.2 "https://$n.example.test/old"
	done
	hello www.example.test "$ip_b:443" -alpn h2,http/1.1
	hello a.very.long.name.that.no.server.here.has.but.clients.may.ask.for.example.test "$ip_b:443"
	in_a wget -q --no-check-certificate -O /dev/null --header 'Host: shop.example.test' "http://$ip_b/wget"
	expect_named "$name" "$name" 13
	wait_for 60 has_line "$tmp/$name.json" 'a\.very\.long'
	weir_stop
	expect "$name: openssl's name, though it sent no request" \
		"$(records "$name" 'map(.tls.sni // "") | index("a.very.long.name.that.no.server.here.has.but.clients.may.ask.for.example.test") != null')" true
	expect "$name: version, highest offered and ALPN of curl" \
		"$(records "$name" 'map(select(.tls.sni == "mail.example.test") | [.tls.version, .tls.offered, .tls.alpn]) | unique | tojson')" \
		'[["TLSv1.2","TLSv1.2",["http/1.1"]],["TLSv1.3","TLSv1.3",["h2","http/1.1"]]]'
	expect "$name: no TLS connection is without name" \
		"$(records "$name" 'map(select(.dst.port == 443 and (.tls.sni | not))) | length')" 0
	expect_accounted "$name" "$name"
}

case_http() # NAME ARG...
{
	local name=$1 url=http://$ip_b ports

	names_start "$@" || return
	fetch -H 'Host: www.example.test' "$url/first?q=1" --next -sk -H 'Host: shop.example.test' "$url/second" \
		--next -sk -H 'Host: mail.example.test' -d 'a=b' "$url/third" --next -sk \
		-H 'Host: www.example.test' "$url/fourth"
	fetch -4 http://api.example.test/v1/items
	fetch -6 -I http://api.example.test/v6
	expect_named "$name" "$name" 6
	weir_stop
	ports=$(awk '$8 ~ /first|second|third|fourth/ { print $2 }' "$access_log" | sort -u | wc -l)
	expect "$name: curl kept its connection" "$ports" 1
	expect "$name: first host, others, method and path of a kept connection" \
		"$(records "$name" 'map(select(.http.host == "www.example.test") |
			[.http.hosts, .http.method, .http.path])[0] | tojson')" \
		'[["shop.example.test","mail.example.test"],"GET","/first?q=1"]'
	expect "$name: method and path over IPv6" \
		"$(records "$name" 'map(select(.http.path == "/v6") | "\(.http.host) \(.http.method)")[0]')" \
		'api.example.test HEAD'
	expect_accounted "$name" "$name"
}

query() # NAME QNAME FILTER: of the DNS records, first and further queries alike
{
	records "$1" "[.[] | select(.dns) | .dns, (.dns.queries // [])[] | select(.qname == \"$2\")] | $3"
}

case_dns() # NAME ARG...
{
	local name=$1 i idle=60s

	# five clients one after the other are one flow, however long each takes to start
	names_start "$@" || return
	client dig +short A www.example.test >"$tmp/dig.out"
	client dig +short AAAA shop.example.test >/dev/null
	client dig +short TXT nothing.missing.test >/dev/null
	client dig +short A unknown.invalid.test >/dev/null
	client dig +short +tcp A tcp.example.test >/dev/null
	in_a dig +short "@$ip6_b" A six.example.test >/dev/null
	for i in 1 2 3 4 5; do
		in_a dig +short -b "$ip_a#5353" "@$ip_b" A "many$i.example.test" >/dev/null
	done
	settle
	weir_stop
	expect "$name: the server answered" "$(cat "$tmp/dig.out")" "$ip_b"
	expect "$name: A" "$(query "$name" www.example.test 'map("\(.qtype) \(.rcode)") | join(",")')" 'A NOERROR'
	expect "$name: AAAA" "$(query "$name" shop.example.test 'map("\(.qtype) \(.rcode)") | join(",")')" \
		'AAAA NOERROR'
	expect "$name: a name that does not exist" \
		"$(query "$name" nothing.missing.test 'map("\(.qtype) \(.rcode)") | join(",")')" 'TXT NXDOMAIN'
	expect "$name: a query that is refused" \
		"$(query "$name" unknown.invalid.test 'map("\(.qtype) \(.rcode)") | join(",")')" 'A REFUSED'
	expect "$name: addresses that answers gave" \
		"$(records "$name" '[.[] | .dns.answers // [] | .[] | select(startswith("www.") or startswith("shop."))] | sort | map(split(" ") | [.[0], .[2]] | join(" ")) | join(", ")')" \
		"shop.example.test $ip6_b, www.example.test $ip_b"
	expect "$name: over TCP" \
		"$(records "$name" 'map(select(.dns.qname == "tcp.example.test") | "\(.proto) \(.dns.rcode)")[0]')" \
		'tcp NOERROR'
	expect "$name: over IPv6" "$(records "$name" 'map(select(.dns.qname == "six.example.test") | .src.ip)[0]')" \
		"$ip6_a"
	expect "$name: latency is there, and under a second" \
		"$(query "$name" www.example.test 'map(.latency_us > 0 and .latency_us < 1000000) | tojson')" '[true]'
	expect "$name: five queries from one port are in one record" \
		"$(records "$name" 'map(select(.src.port == 5353)) | map([.dns.qname] + [(.dns.queries // [])[].qname] | length) | tojson')" \
		'[5]'
	expect_accounted "$name" "$name"
}

case_quic()
{
	local n

	needs quic gtlsserver gtlsclient || return
	spawn quic_server "$ns_b" gtlsserver -q -d "$tmp/www/files" '*' 443 "$tmp/www/key.pem" \
		"$tmp/www/cert.pem"
	wait_for 60 listening "$ns_b" udp 443 ||
		die "gtlsserver does not start: $(tail -n 2 "$tmp/quic_server.err")"
	names_start quic || return
	for n in quic1 quic2; do
		client timeout 10 gtlsclient -q --exit-on-all-streams-close "$n.example.test" 443 \
			"https://$n.example.test/" >"$tmp/quic.client" 2>&1
	done
	for n in quic1 quic2; do
		wait_for 60 has_line "$tmp/quic.json" "\"sni\":\"$n.example.test\""
	done
	weir_stop
	stop_spawned quic_server
	for n in quic1 quic2; do
		expect "quic: $n: name of a real connection" \
			"$(first_with quic "$n.example.test" '"\(.proto) \(.dst.port) \(.state)"')" 'udp 443 established'
	done
	expect "quic: version 1" "$(first_with quic quic1.example.test .quic.version)" 1
	expect "quic: ALPN and version offered" \
		"$(first_with quic quic1.example.test '[.tls.alpn[0], .tls.offered] | tojson')" '["h3","TLSv1.3"]'
	expect_accounted quic quic
}

# Small segments: the hello arrives in many pieces.
case_small_segments()
{
	local n

	in_a ip link set va mtu 1280
	ip -n "$ns_a" route replace 10.77.1.2/32 dev va advmss 200
	ip -n "$ns_b" route replace 10.77.1.1/32 dev vb advmss 200
	names_start small || return
	for n in www shop mail api; do
		fetch -4 "https://$n.example.test/small"
		fetch -4 "http://$n.example.test/$(printf 'a%.0s' {1..400})"
	done
	expect_named small small 8
	weir_stop
	expect "small: hellos came in pieces" \
		"$(records small 'map(select(.tls.sni) | .out.packets > 6) | tojson')" '[true,true,true,true]'
	ip -n "$ns_a" route del 10.77.1.2/32
	ip -n "$ns_b" route del 10.77.1.1/32
	in_a ip link set va mtu 1500
}

case_no_names()
{
	names_start no_names --no-names || return
	fetch -4 https://www.example.test/
	settle
	weir_stop
	expect "--no-names: no name is read" \
		"$(records no_names 'map(select(.tls or .http or .dns or .quic or .no_name)) | length')" 0
	expect_accounted "--no-names" no_names
}

net_new
servers_start
if [ $# -gt 0 ]; then
	for c; do
		"case_$c" "$c"
	done
	exit
fi
case_tls tls
case_tls tls_tc --hook tc
case_http http
case_dns dns
case_quic
case_small_segments
case_no_names
offloads on
case_tls tls_offloads
case_http http_offloads --hook tc
