#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_chromium.sh - Chromium, headless: its ClientHello carries a post-quantum key share and does not
# fit one segment. Every name it asks nginx for is seen live; over QUIC the name is in the Initials.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/servers.sh"
needs chromium chromium tcpdump tshark || exit 0

browse() # FLAG... URL: load a page in a fresh profile
{
	rm -rf "$tmp/profile"
	in_a timeout -k 5 60 chromium --headless --no-sandbox --disable-gpu --no-first-run \
		--disable-background-networking --disable-component-update --disable-sync \
		--ignore-certificate-errors --user-data-dir="$tmp/profile" \
		--host-resolver-rules="MAP *.example.test $ip_b, MAP * ~NOTFOUND" --virtual-time-budget=4000 \
		--dump-dom "$@" >"$tmp/dom.html" 2>"$tmp/chromium.err"
}

# A page that loads something from every other name.
page()
{
	local n

	echo '<!doctype html><title>names</title>'
	for n in shop mail api; do
		echo "<img src=https://$n.example.test/pixel.png><script src=http://$n.example.test/s.js></script>"
	done
}

logged() # -> SNIs of nginx's log
{
	awk '$4 != "-" { print $4 }' "$access_log" | sort -u
}

unnamed() # NAME -> connections of nginx's log whose record has another name, or none
{
	awk '$4 != "-" { print $1, $2, $4 }' "$access_log" | sort -u | while read -r address port sni; do
		records "$1" "map(select(.src.ip == \"$address\" and .src.port == $port and
			.tls.sni == \"$sni\")) | length" | grep -q '^0$' && echo "$port $sni"
	done
}

all_seen() # NAME
{
	[ -z "$(unnamed "$1")" ]
}

case_pages() # NAME
{
	local name=$1

	: >"$access_log"
	spawn tcpdump "$ns_a" tcpdump -ni va -s 0 -w "$tmp/$name.pcap" -U --immediate-mode tcp port 443
	wait_for 60 has_line "$tmp/tcpdump.err" 'listening on' || die "tcpdump does not start"
	weir_start "$name" -i va --idle-timeout 1s --drain-interval 200ms || return
	browse --disable-quic https://www.example.test/page.html ||
		not_ok "$name: chromium runs" "$(tail -n 1 "$tmp/chromium.err")"
	expect_true "$name: chromium asked for every name" test "$(logged | wc -l)" -eq 4
	if wait_for 60 all_seen "$name"; then
		ok "$name: each connection's name was seen live"
	else
		not_ok "$name: each connection's name was seen live" "$(unnamed "$name" | head -n 5)"
	fi
	weir_stop
	stop_spawned tcpdump
	# of one that was silent for longer than the timeout, on a slow machine, the rest has no beginning
	expect "$name: no TLS connection with payload is without name" \
		"$(records "$name" 'map(select(.dst.port == 443 and .response_us and (.tls.sni | not) and
			(.tcp.flags | test("S")))) | length')" 0
	expect "$name: TLS 1.3, ALPN h2, and an encrypted hello beside (GREASE)" \
		"$(records "$name" 'map(select(.tls.sni == "www.example.test"))[0].tls |
			"\(.version) \(.alpn[0]) \(.ech)"')" 'TLSv1.3 h2 ech'
	expect_accounted "$name" "$name"
}

spanning() # NAME -> number of first payload segments that hold less than the TLS record they begin
{
	tshark -r "$tmp/$1.pcap" -o tcp.desegment_tcp_streams:FALSE -Y 'tcp.seq == 1 and tcp.dstport == 443 and tcp.len > 0' \
		-T fields -e tcp.len -e tcp.payload 2>/dev/null |
		while read -r len payload; do
			[ $((16#${payload:6:4} + 5)) -gt "$len" ] && echo "$len"
		done | wc -l
}

case_quic()
{
	weir_start quic -i va --idle-timeout 10s --drain-interval 200ms || return
	spawn sink "$ns_b" socat -u UDP4-RECV:443,bind="$ip_b" OPEN:/dev/null
	wait_for 60 listening "$ns_b" udp 443 || die "socat does not listen"
	browse --enable-quic --origin-to-force-quic-on=quic.example.test:443 https://quic.example.test/ ||
		true # nobody answers: the Initials alone hold the name
	weir_stop
	stop_spawned sink
	expect "quic: the name in Chromium's Initials" \
		"$(records quic 'map(select(.quic) | .tls.sni) | unique | join(",")')" quic.example.test
	expect_true "quic: it came in more than one packet" \
		test "$(records quic 'map(select(.quic) | .out.packets) | max')" -gt 1
	expect_accounted quic quic
}

net_new
servers_start
page >"$tmp/www/files/page.html"
sed -i 's|default_type text/plain;|default_type text/html;|' "$tmp/www/nginx.conf"
kill -HUP "$(cat "$tmp/www/nginx.pid")"
case_pages pages
expect_true "pages: the hellos did span segments" test "$(spanning pages)" -gt 0
offloads on # as on a real client: the hello leaves in one piece, and is segmented by the device
case_pages pages_offloads
case_quic
