#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# record.sh - make the captures of this folder anew (as root): real clients and servers in two
# namespaces, tcpdump between them, and beside each capture the flows that are in it, as an
# independent reader, the servers' logs and the sender of crafted frames know them.
no_totals=1
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
# shellcheck source=tests/e2e/servers.sh
. tests/e2e/servers.sh
data=tests/data

record() # NAME COMMAND...: what passes while the command runs
{
	local name=$1

	shift
	: >"$access_log"
	spawn tcpdump "$ns_a" tcpdump -ni va -s 0 -w "$tmp/$name.pcap" -U --immediate-mode
	wait_for 5 has_line "$tmp/tcpdump.err" 'listening on' || die "tcpdump does not start"
	"$@" || die "$name failed"
	settle
	stop_spawned tcpdump
	cp "$tmp/$name.pcap" "$data/$name.pcap"
}

derive() # NAME [QUIC-NAME]
{
	python3 "$data/expect.py" "$data/$1.pcap" "$access_log" "${@:2}" >"$data/$1.flows.json"
}

https()
{
	fetch -4 https://www.example.test/ https://shop.example.test/
	fetch -6 https://mail.example.test/
	fetch -4 --http1.1 --tls-max 1.2 https://api.example.test/old
}

http()
{
	fetch -H 'Host: www.example.test' "http://$ip_b/first" --next -sk -H 'Host: shop.example.test' \
		"http://$ip_b/second"
	fetch -6 http://api.example.test/v6
	in_a ping -c 5 -i 0.01 -q "$ip_b" >/dev/null
}

dns()
{
	client dig +short A www.example.test >/dev/null
	client dig +short TXT nothing.missing.test >/dev/null
	client dig +short +tcp AAAA shop.example.test >/dev/null
	in_a dig +short "@$ip6_b" A six.example.test >/dev/null
}

pieces()
{
	ip -n "$ns_a" route replace 10.77.1.2/32 dev va advmss 200
	ip -n "$ns_b" route replace 10.77.1.1/32 dev vb advmss 200
	fetch -4 https://www.example.test/
	fetch -4 "http://api.example.test/$(printf 'a%.0s' {1..400})"
	ip -n "$ns_a" route del 10.77.1.2/32
	ip -n "$ns_b" route del 10.77.1.1/32
}

browse() # URL FLAG...
{
	in_a timeout -k 5 60 chromium --headless --no-sandbox --disable-gpu --no-first-run \
		--disable-background-networking --disable-component-update --disable-sync \
		--ignore-certificate-errors --user-data-dir="$tmp/profile" --virtual-time-budget=1000 \
		--host-resolver-rules="MAP *.example.test $ip_b, MAP * ~NOTFOUND" --dump-dom "${@:2}" "$1" \
		>"$tmp/dom.html" 2>"$tmp/chromium.err"
	return 0
}

quic()
{
	client timeout 10 gtlsclient -q --exit-on-all-streams-close quic.example.test 443 \
		https://quic.example.test/ >"$tmp/quic.client" 2>&1
}

# One line for each tunnelled network: the sender's own numbers of the packets inside.
tunnels()
{
	local kind type vni n inner

	: >"$data/tunnels.flows.json"
	while read -r kind type vni; do
		read -r _ n _ _ inner < <(in_b "$tools/frames" vb "$kind")
		jq -cn --arg type "$type" --argjson vni "$vni" --argjson n "$n" --argjson inner "$inner" \
			'{tunnel: {type: $type, src: "10.99.3.3"}, packets: $n, bytes: $inner} +
			if $vni > 0 then {vni: $vni} else {} end' >>"$data/tunnels.flows.json"
	done <<-EOF
		vxlan vxlan 7007
		geneve geneve 9009
		gre gre 1234
		erspan erspan 77
		ipip ipip 0
		6in4 6in4 0
		gtpu gtpu 48879
	EOF
}

odd()
{
	local kind n outer

	: >"$data/odd.flows.json"
	for kind in vlan qinq mpls options sctp fragments4 fragments6 extensions; do
		read -r port n _ outer _ < <(in_b "$tools/frames" vb "$kind")
		jq -cn --argjson port "$port" --argjson n "$n" --argjson bytes "$outer" --arg kind "$kind" \
			'{src: {port: $port}, packets: $n, bytes: $bytes} +
			({vlan: {vlan: [42]}, qinq: {vlan: [1001, 42]}}[$kind] // {})' >>"$data/odd.flows.json"
	done
	in_b "$tools/frames" vb tcp_faults >/dev/null
	echo '{"proto":"tcp","packets":16,"state":"closed","out":{"packets":8,"retransmits":1,"out_of_order":1},"in":{"packets":8,"retransmits":2,"zero_windows":2}}' >>"$data/odd.flows.json"
	read -r _ n _ outer _ < <(in_b "$tools/frames" vb lldp)
	echo "{\"ethertype\":35020,\"packets\":$n,\"bytes\":$outer}" >>"$data/odd.flows.json"
}

net_new
servers_start
record https https && derive https
record http http && derive http
record dns dns && derive dns
record pieces pieces && derive pieces
record chromium browse https://www.example.test/ --disable-quic && derive chromium
spawn quic_server "$ns_b" gtlsserver -q -d "$tmp/www/files" '*' 443 "$tmp/www/key.pem" "$tmp/www/cert.pem"
wait_for 5 listening "$ns_b" udp 443 || die "gtlsserver does not start"
record quic quic && derive quic quic.example.test
record tunnels tunnels
record odd odd
ls -l "$data"
