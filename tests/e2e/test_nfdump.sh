#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_nfdump.sh - the same filter on nfdump's files and on the store gives the same flows: both take in the
# same datagrams, each flow has octets of its own, which are compared.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"

flows=3000

# Ports are of TCP and UDP here; nfdump has type and code of ICMP in them, and 0 for what has none. Filters that both have, one a line; this nfdump filters by systems only with a database of its own: awk does it. Behind => what weir-collector is asked where its words differ.
filters()
{
	cat <<-'EOF'
		any
		proto tcp
		proto udp
		proto 47
		proto icmp or proto icmp6 => proto icmp or proto ipv6-icmp
		ipv4
		ipv6
		inet6 and proto tcp
		ip 10.0.0.1
		host 2001:db8::1
		src ip 10.0.0.2
		dst host 192.0.2.80
		src ip 10.0.0.1 and dst ip 192.0.2.80
		net 10.0.0.0/8
		src net 198.51.100.0/24
		dst net 2001:db8::/32
		ip in [10.0.0.1 192.0.2.80]
		src ip in [10.0.0.1 172.16.5.9]
		port 443
		src port 443
		dst port 53
		(proto tcp or proto udp) and port > 1024
		(proto tcp or proto udp) and dst port < 1024
		src port >= 1024 and dst port <= 443
		port in [22 53 80]
		dst port in [443 8080]
		proto tcp and flags S
		flags SA
		flags S and not flags A
		flags R or flags F
		proto tcp and not flags A
		proto tcp and flags S and not flags AFRPU
		proto tcp and not flags SA
		proto tcp and not (flags S and flags A)
		packets 10
		packets > 100
		packets < 3
		bytes > 1000
		bytes > 1k
		bytes < 2m
		bytes > 100k and packets < 1000
		duration > 1000
		duration < 1000
		duration = 1500
		pps > 100
		bps > 1m
		bps < 10k and duration > 0
		bpp > 600
		bpp < 100
		$2 == 64496 || $3 == 64496 => as 64496
		$2 == 3320 => src as 3320
		$3 == 64511 || $3 == 3320 => dst as in [64511 3320]
		$2 == 64500 && $3 == 0 => src as 64500 and not exists(dst.as)
		in if 3
		out if 1
		if 2
		vlan 100
		icmp-type 8 => icmp-type 8 and proto icmp
		icmp-type 3 and icmp-code 1
		not proto tcp
		(proto tcp or proto udp) and not port 53
		not (src net 10.0.0.0/8 or dst net 10.0.0.0/8)
		proto tcp and (port 80 or port 443) and bytes > 5000 and not host 10.0.0.1
		src ip 10.0.0.1 or (dst port 22 and flags S)
		! proto udp and packets > 2 && bytes < 100000
		proto tcp || proto gre
	EOF
}

of_nfdump() # FILTER: octets of each flow
{
	if [[ $1 == \$* ]]; then
		nfdump -q -r "$tmp/nf/flows" -N -o 'fmt:%byt %sas %das' 2>"$tmp/nfdump.err" | awk "$1 { print \$1 }" | sort -n
	else
		nfdump -q -r "$tmp/nf/flows" -N -o 'fmt:%byt' "$1" 2>"$tmp/nfdump.err" | tr -d ' ' | grep -E '^[0-9]+$' | sort -n
	fi
}

of_store() # FILTER
{
	"$collector" flows "$1" --last 1d --top 100000 -o json 2>"$tmp/query.err" | jq .bytes | sort -n
}

all_there()
{
	stored "$flows"
}

compare() # LINE
{
	local theirs=${1%% =>*} ours=${1##*=> } n

	of_nfdump "$theirs" >"$tmp/theirs"
	of_store "$ours" >"$tmp/ours"
	n=$(wc -l <"$tmp/theirs")
	if [ "$n" = 0 ] && [ -s "$tmp/nfdump.err" ]; then
		not_ok "$theirs" "nfdump: $(head -n 1 "$tmp/nfdump.err")"
	elif cmp -s "$tmp/theirs" "$tmp/ours"; then
		ok "$theirs: the same $n flows"
		[ "$n" = 0 ] || [ "$n" = "$flows" ] || some=$((some + 1))
	else
		not_ok "$theirs" "nfdump has $n, the store $(wc -l <"$tmp/ours"); \
only nfdump: $(comm -23 <(sort "$tmp/theirs") <(sort "$tmp/ours") | head -n 3 | tr '\n' ' ') \
only here: $(comm -13 <(sort "$tmp/theirs") <(sort "$tmp/ours") | head -n 3 | tr '\n' ' ') $(head -n 2 "$tmp/query.err")"
	fi
}

some=0
if ! command -v nfcapd nfdump >/dev/null; then
	skip "test_nfdump.sh" "no nfcapd, no nfdump"
	exit 0
fi
net_new
mkdir -p "$tmp/nf"
collector_start --listen-udp 127.0.0.1:2055 --listen-tcp none
spawn nfcapd "$ns_a" nfcapd -w "$tmp/nf" -l "$tmp/nf" -p 9995 -b 127.0.0.1 -t 3600
wait_for 60 listening "$ns_a" udp 9995 || die "nfcapd does not start"
in_a python3 tests/e2e/flows_v9.py "$flows" 77 2055 9995
wait_for 20 all_there || die "not all flows are stored: $(stored_flows)"
stop_spawned nfcapd
cp "$tmp"/nf/nfcapd.2* "$tmp/nf/flows" 2>/dev/null || cp "$tmp"/nf/nfcapd* "$tmp/nf/flows"
while IFS= read -r line; do
	compare "$line"
done < <(filters)
expect_true "most filters take some flows and not others" test "$some" -ge 50
collector_stop
expect "the collector's exit status" "$collector_rc" 0
