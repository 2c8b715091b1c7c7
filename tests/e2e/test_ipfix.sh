#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_ipfix.sh - IPFIX read by other people's collectors: nfcapd, nfacctd, libfixbuf's ipfixDump and
# tshark have the packets, bytes, endpoints and names that weir's own records of the same run have.
# shellcheck disable=SC2016,SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/servers.sh"

traffic()
{
	local n

	for n in www shop api; do
		fetch -4 "https://$n.example.test/"
		fetch -6 "https://$n.example.test/"
		fetch -4 "http://$n.example.test/path/$n"
	done
	client dig +short www.example.test >/dev/null
	client dig +short nothing.missing.test >/dev/null
	in_a ping -c 101 -i 0.002 -q "$ip_b" >/dev/null
	in_a ping -c 23 -i 0.002 -q "$ip6_b" >/dev/null
	in_b "$tools/frames" vb lldp >/dev/null
	in_b "$tools/frames" vb qinq >/dev/null
	settle
}

capture_start() # NAME PORT
{
	spawn "$1" "$ns_a" tcpdump -ni lo -w "$tmp/$1.pcap" -s 0 -U --immediate-mode -B 16384 "port $2"
	wait_for 60 has_line "$tmp/$1.err" 'listening on' || die "tcpdump does not start"
}

# A capture as tshark sees it: no message is malformed or draws a comment, none lacks its template.
expect_dissected() # CASE NAME udp|tcp PORT
{
	local text

	text=$(tshark -r "$tmp/$2.pcap" -d "$3.port==$4,cflow" -V 2>/dev/null)
	expect_true "$1: tshark sees IPFIX" grep -q 'Version: 10' <<<"$text"
	expect "$1: tshark has nothing to remark" \
		"$(grep -ciE 'malformed|expert info \((warn|error)|no template|undecoded|\[Truncated' <<<"$text")" 0
}

# ---- nfcapd ----

nfdump_sum() # FIELD...: of what nfcapd stored, both directions
{
	nfdump -q -R "$tmp/nf" -N -o "fmt:$*" 2>/dev/null
}

# start proto src dst packets bytes, per flow
nfdump_flows()
{
	nfdump_sum '%pr,%sa,%sp,%da,%dp,%ipkt,%ibyt,%opkt,%obyt' | tr -d ' ' | grep , | sort
}

weir_flows() # NAME: the same of weir's records; what is not IP has no addresses there
{
	records "$1" '{tcp: 6, udp: 17, icmp: 1, "ipv6-icmp": 58} as $numbers | .[] |
		[$numbers[.proto // ""] // 0, .src.ip // "0.0.0.0", .src.port // 0, .dst.ip // "0.0.0.0",
		if .icmp then "\(.icmp.type).\(.icmp.code)" else .dst.port // 0 end,
		.out.packets, .out.bytes, .in.packets, .in.bytes] | map(tostring) | join(",")' | sort
}

case_nfcapd()
{
	needs "nfcapd" nfcapd nfdump || return
	mkdir -p "$tmp/nf"
	spawn nfcapd "$ns_a" nfcapd -w "$tmp/nf" -l "$tmp/nf" -p 4739 -b 127.0.0.1 -t 3600
	wait_for 60 listening "$ns_a" udp 4739 || die "nfcapd does not start"
	capture_start udp 4739
	weir_start nf -i va --export ipfix://127.0.0.1:4739 || return
	traffic
	weir_stop
	expect "nfcapd: weir's exit status" "$weir_rc" 0
	stop_spawned nfcapd
	stop_spawned udp
	expect "nfcapd: sees no gap in the numbers" \
		"$(grep -c 'Sequence Errors: 0, Bad Packets: 0' "$tmp/nfcapd.err")" 1
	expect "nfcapd: packets and bytes of all flows" \
		"$(nfdump_flows | awk -F, '{ p += $6 + $8; b += $7 + $9 } END { print p, b }')" "$(sum_of nf)"
	nfdump_flows >"$tmp/nfdump.txt"
	weir_flows nf >"$tmp/weir.txt"
	expect "nfcapd: flow by flow, addresses, ports, counts both ways" \
		"$(diff "$tmp/nfdump.txt" "$tmp/weir.txt" | head -n 6)" ''
	expect_dissected "UDP" udp udp 4739
	expect "tshark: names of TLS servers" \
		"$(tshark -r "$tmp/udp.pcap" -d udp.port==4739,cflow -V 2>/dev/null | grep -c 'Type 294: Value')" \
		"$(records nf 'map(select(.tls or .no_name)) | length')"
}

# ---- nfacctd: one record per direction ----

case_nfacctd()
{
	needs "nfacctd" nfacctd || return
	cat >"$tmp/nfacctd.conf" <<-EOF
		daemonize: false
		nfacctd_ip: 127.0.0.1
		nfacctd_port: 4740
		plugins: print
		aggregate: src_host, dst_host, src_port, dst_port, proto
		print_output: csv
		print_output_file: $tmp/nfacctd.csv
		print_refresh_time: 1
		print_output_file_append: true
	EOF
	spawn nfacctd "$ns_a" nfacctd -f "$tmp/nfacctd.conf"
	wait_for 60 listening "$ns_a" udp 4740 || die "nfacctd does not start"
	weir_start acct -i va --export 'ipfix://127.0.0.1:4740?biflow=0' || return
	traffic
	weir_stop
	wait_for 60 test -s "$tmp/nfacctd.csv"
	# what is written at a refresh is complete when the process ends
	kill -INT "${spawned[nfacctd]}"
	wait "${spawned[nfacctd]}" 2>/dev/null
	records acct '.[] | select(.src.ip) | . as $r | [.src.ip, .dst.ip, .src.port // 0, .dst.port // 0,
		.proto, .out.packets, .out.bytes], (select(.in.packets > 0) | [.dst.ip, .src.ip, .dst.port // 0,
		.src.port // 0, .proto, .in.packets, .in.bytes]) | map(tostring) | join(",")' | sort >"$tmp/acct.weir"
	awk -F, '$1 ~ /[.:]/ { print $1 "," $2 "," $3 "," $4 "," $5 "," $6 "," $7 }' "$tmp/nfacctd.csv" |
		sort >"$tmp/acct.pmacct"
	expect "nfacctd: flow by flow, each direction" \
		"$(diff "$tmp/acct.pmacct" "$tmp/acct.weir" | head -n 6)" ''
}

# ---- libfixbuf: what comes over TCP is an IPFIX file ----

fixbuf_sum() # NAMES: of the numbers of all data records
{
	awk -v names="^($1)$" '/^\t\(/ && $(NF - 2) ~ names { n += $NF } END { printf "%.0f\n", n }' "$tmp/fixbuf.txt"
}

fixbuf_texts() # NAME: of data records, and of records in lists
{
	sed -En "s/^\t+\(.* $1 : \(len: [1-9][0-9]*\) (.*)/\1/p" "$tmp/fixbuf.txt" | sort | paste -sd' '
}

case_fixbuf()
{
	needs "ipfixDump" ipfixDump || return
	spawn sink "$ns_a" socat -u TCP-LISTEN:4741,bind=127.0.0.1 "OPEN:$tmp/tcp.ipfix,creat"
	wait_for 60 listening "$ns_a" tcp 4741 || die "socat does not start"
	capture_start tcp 4741
	weir_start tcp -i va --export ipfix+tcp://127.0.0.1:4741 || return
	traffic
	weir_stop
	expect "TCP: weir's exit status" "$weir_rc" 0
	stop_spawned tcp
	wait "${spawned[sink]}" 2>/dev/null
	ipfixDump --yaf --rfc5610 --in "$tmp/tcp.ipfix" >"$tmp/fixbuf.txt" 2>"$tmp/fixbuf.err"
	expect "ipfixDump: reads to the end" "$?,$(cat "$tmp/fixbuf.err")" '0,'
	expect "ipfixDump: packets both ways" "$(fixbuf_sum 'packetDeltaCount|reversePacketDeltaCount')" \
		"$(sum_of tcp | cut -d' ' -f1)"
	expect "ipfixDump: bytes both ways" "$(fixbuf_sum 'octetDeltaCount|reverseOctetDeltaCount')" \
		"$(sum_of tcp | cut -d' ' -f2)"
	expect "ipfixDump: sslServerName" "$(fixbuf_texts sslServerName)" \
		"$(records tcp 'map(.tls.sni // empty) | sort | join(" ")')"
	expect "ipfixDump: httpRequestTarget" "$(fixbuf_texts httpRequestTarget)" \
		"$(records tcp 'map(.http.path // empty) | sort | join(" ")')"
	expect "ipfixDump: dnsQName" "$(fixbuf_texts dnsQName)" \
		"$(records tcp '[.[] | .dns.qname // empty, (.dns.queries // [] | .[].qname)] | sort | join(" ")')"
	expect "ipfixDump: our own elements by name (RFC 5610)" "$(fixbuf_sum serverRoundTripMicroseconds)" \
		"$(records tcp 'map(select(.rtt or .response_us) | .rtt.server_us // 4294967295) | add')"
	expect "ipfixDump: no element without a name" "$(grep -c _alien "$tmp/fixbuf.txt")" 0
	expect_match "ipfixDump: interface names" "$(cat "$tmp/fixbuf.txt")" 'interfaceName.*va'
	expect_dissected "TCP" tcp tcp 4741
}

# ---- TLS: both sides show a certificate, and each refuses the wrong one ----

pki() # an authority, a collector named collector.test, an exporter; and an authority nobody knows
{
	local n

	mkdir -p "$tmp/pki"
	for n in ca other; do
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
			-keyout "$tmp/pki/$n.key" -out "$tmp/pki/$n.pem" -subj "/CN=$n" 2>/dev/null
	done
	for n in collector exporter; do
		openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$tmp/pki/$n.key" \
			-out "$tmp/pki/$n.csr" -subj "/CN=$n.test" 2>/dev/null
		openssl x509 -req -in "$tmp/pki/$n.csr" -CA "$tmp/pki/ca.pem" -CAkey "$tmp/pki/ca.key" -CAcreateserial \
			-days 2 -out "$tmp/pki/$n.pem" -extfile <(echo "subjectAltName=DNS:$n.test") 2>/dev/null
	done
}

tls_collector() # NAME PORT
{
	local p=$tmp/pki

	spawn "$1" "$ns_a" socat -u \
		"OPENSSL-LISTEN:$2,bind=127.0.0.1,reuseaddr,cert=$p/collector.pem,key=$p/collector.key,cafile=$p/ca.pem,verify=1" \
		"OPEN:$tmp/$1.ipfix,creat,append"
	wait_for 60 listening "$ns_a" tcp "$2" || die "socat does not start"
}

some_pings()
{
	in_a ping -c 101 -i 0.002 -q "$ip_b" >/dev/null
	settle
}

case_tls()
{
	local p=$tmp/pki mine

	needs "TLS" ipfixDump socat openssl || return
	pki
	mine="cert=$p/exporter.pem&key=$p/exporter.key"
	tls_collector tls 4742
	weir_start tls -i va --export "ipfix+tls://127.0.0.1:4742?ca=$p/ca.pem&$mine&server_name=collector.test" ||
		return
	traffic
	weir_stop
	expect "TLS: weir's exit status" "$weir_rc" 0
	wait "${spawned[tls]}" 2>/dev/null
	ipfixDump --yaf --in "$tmp/tls.ipfix" >"$tmp/fixbuf.txt" 2>&1
	expect "TLS: packets both ways" "$(fixbuf_sum 'packetDeltaCount|reversePacketDeltaCount')" \
		"$(sum_of tls | cut -d' ' -f1)"
	expect "TLS: all is sent, nothing lost" \
		"$(summary_of tls '.exports[0] | "\(.taken - .records) \([.lost[]] | add)"')" '0 0'

	tls_collector wrong_name 4743
	weir_start wrong_name -i va \
		--export "ipfix+tls://127.0.0.1:4743?ca=$p/ca.pem&$mine&server_name=elsewhere.test" || return
	some_pings
	weir_stop
	expect "TLS: nothing goes to a collector of another name" "$(stat -c %s "$tmp/wrong_name.ipfix" 2>/dev/null || echo 0)" 0
	expect "TLS: it is lost for want of time at the end" "$(summary_of wrong_name '.exports[0].lost.shutdown')" \
		"$(records wrong_name length)"
	stop_spawned wrong_name

	tls_collector unknown_ca 4744
	weir_start unknown_ca -i va \
		--export "ipfix+tls://127.0.0.1:4744?ca=$p/other.pem&$mine&server_name=collector.test" || return
	some_pings
	weir_stop
	expect "TLS: nor to one that an unknown authority signed" \
		"$(stat -c %s "$tmp/unknown_ca.ipfix" 2>/dev/null || echo 0)" 0
	stop_spawned unknown_ca

	tls_collector no_cert 4745
	weir_start no_cert -i va --export "ipfix+tls://127.0.0.1:4745?ca=$p/ca.pem&server_name=collector.test" ||
		return
	some_pings
	weir_stop
	expect "TLS: a collector that wants our certificate gets nothing without" \
		"$(stat -c %s "$tmp/no_cert.ipfix" 2>/dev/null || echo 0)" 0
}

net_new
servers_start
if [ $# -eq 0 ]; then
	set -- nfcapd nfacctd fixbuf tls
fi
for c; do
	"case_$c"
done
