#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# demo.sh - real clients and servers in two network namespaces, weir between them and a collector
# behind it: flows live with their names, questions answered from the store while traffic runs, and at
# the end weir's account beside independent ones, and a name that is blocked for a minute. Fails if the
# accounts differ, or what is to be stopped is not.
no_totals=1
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/servers.sh"
. "$(dirname "$0")/collector.sh"

for program in curl dig iperf3 nginx dnsmasq openssl ethtool jq; do
	command -v "$program" >/dev/null || die "$program is missing: sudo make deps"
done
rc=0
[ -t 1 ] || export COLUMNS="${COLUMNS:-120}" # names in full

say()
{
	printf '%s\n' "$@"
}

step() # TEXT: what the client side does now; before it, time to read what the last step made
{
	sleep 0.8
	printf -- '--- %s\n' "$*"
}

row() # DIRECTION WHO PACKETS BYTES
{
	printf "  %-5s %-46s %'11d %'14d\n" "$@"
}

# Two rows, and the word: equal or not.
compare() # DIRECTION WHO PACKETS BYTES WHO2 PACKETS2 BYTES2
{
	row "$1" "$2" "$3" "$4"
	row '' "$5" "$6" "$7"
	if [ "$3 $4" = "$6 $7" ]; then
		printf '  %-5s %-46s %11s %14s\n' '' '' equal equal
	else
		printf '  %-5s %-46s %26s\n' '' '' 'NOT EQUAL'
		rc=1
	fi
}

# weir's output goes to the terminal as it comes; its summary is kept.
demo_start() # NAME ARG...
{
	ip netns exec "$ns_a" "$weir" run -i va --idle-timeout 1s --drain-interval 200ms --summary json \
		-o table "${@:2}" 2>"$tmp/$1.err" &
	weir_pid=$!
	pids+=("$weir_pid")
	if ! wait_for 60 weir_is_up "$1" 1 || pid_gone "$weir_pid"; then
		cat "$tmp/$1.err"
		die "weir does not start"
	fi
	sed 's/^/  /' "$tmp/$1.err"
}

bulk() # ARG...
{
	spawn iperf "$ns_b" iperf3 -s -1
	wait_for 5 listening "$ns_b" tcp 5201 || die "iperf3 does not listen"
	in_a iperf3 -c "$ip_b" -w 64K "$@" >"$tmp/iperf.out" || die "$(tail -n 2 "$tmp/iperf.out")"
}

clients()
{
	step 'curl: HTTPS to two names, over IPv6 and IPv4'
	fetch https://www.example.test/ https://shop.example.test/cart
	fetch -4 https://mail.example.test/inbox
	step 'curl: plain HTTP, two hosts on one connection'
	fetch -4 -H 'Host: api.example.test' "http://$ip_b/v1/items" --next -sk \
		-H 'Host: www.example.test' "http://$ip_b/index.html"
	step 'openssl s_client -servername mail.example.test, TLS 1.2'
	hello mail.example.test "$ip_b:443" -tls1_2
	step 'dig: an address, one over TCP, and a name that does not exist'
	client dig +short www.example.test >/dev/null
	client dig +short +tcp AAAA shop.example.test >/dev/null
	client dig +short nothing.missing.test >/dev/null
	step 'bulk: 20 MB by curl, 50 MB by iperf3'
	fetch -4 https://shop.example.test/bulk
	bulk -n 50M
}

# What the collector says, as a user would ask.
ask() # ARG...
{
	local arg line='$ weir-collector query'

	for arg; do
		case $arg in
		*' '*) line+=" '$arg'" ;;
		*) line+=" $arg" ;;
		esac
	done
	say '' "$line"
	"$collector" query "$@" | sed 's/^/  /'
}

# The same flows, counted by weir when it wrote them and by the store now.
compare_stored() # NAME
{
	local flows packets bytes

	wait_for 20 stored "$(summary_of "$1" .records)" || rc=1
	read -r flows packets bytes < <("$collector" query -o json --last 1d |
		jq -r '"\(.flows) \(.packets) \(.bytes)"')
	compare both "weir, $(summary_of "$1" .records) records exported" "$(summary_of "$1" .packets)" \
		"$(summary_of "$1" .bytes)" "collector, $flows flows stored" "$packets" "$bytes"
}

# Nothing is left to say: the pair is quiet and the last flow has been printed.
finish_run() # NAME
{
	settle
	sleep 1.4 # one idle timeout and one drain
	weir_stop
	[ "$weir_rc" -eq 0 ] || die "weir ended with status $weir_rc: $(grep -v '^{' "$tmp/$1.err")"
}

part_one()
{
	local before after
	local -a b a

	say '' '1. Every packet, and whom it is for (segmentation offload off)' ''
	before=$(link_stats "$ns_a" va)
	mkdir "$tmp/spool"
	collector_start --listen-udp none
	say '  weir exports to the collector over TCP, which tells it what is stored for good.'
	demo_start one --export "ipfix+tcp://127.0.0.1:4739?spool=$tmp/spool&acknowledge=yes"
	say '  TIME          INITIATOR > RESPONDER  PROTO, TCP FLAGS  NAME (SNI, HTTP Host or DNS query) ...' ''
	clients
	wait_for 10 stored 1
	ask 'tls.sni suffix "example.test"' --by src.ip,tls.sni --last 10m
	finish_run one
	after=$(link_stats "$ns_a" va)
	read -ra b <<<"$before"
	read -ra a <<<"$after"
	say ''
	printf '  %-5s %-46s %11s %14s\n' '' 'counted by' packets 'IP bytes'
	# a veth device whose receiving end runs XDP counts bytes without the 14 of Ethernet already
	compare in 'weir, XDP ingress' "$(counter one xdp_frames)" \
		"$(summary_of one '.counters | .xdp_bytes - 14 * .xdp_frames')" \
		'interface counters (ip -s link)' $((a[0] - b[0])) $((a[1] - b[1]))
	compare out 'weir, TC egress' "$(counter one tc_egress_frames)" \
		"$(summary_of one '.counters | .tc_egress_bytes - 14 * .tc_egress_frames')" \
		'interface counters (ip -s link)' $((a[2] - b[2])) $((a[3] - b[3] - 14 * (a[2] - b[2])))
	compare both "all $(summary_of one .records) flow records added up" "$(summary_of one .packets)" \
		"$(summary_of one .bytes)" 'interface counters, in + out' \
		$((a[0] - b[0] + a[2] - b[2])) $((a[1] - b[1] + a[3] - b[3] - 14 * (a[2] - b[2])))
	compare_stored one
	ask --by proto,dst.port --last 10m
	collector_stop
}

part_two()
{
	local frames bytes

	say '' '2. Offload on: the stack hands over packets of up to 64 KB, weir counts wire segments' ''
	offloads on
	spawn xdp_count "$ns_b" "$tools/xdp_count" vb
	wait_for 60 has_line "$tmp/xdp_count.out" ready || die "the counter on the other end does not start"
	demo_start two
	step 'bulk: 200 MB by iperf3'
	bulk -n 200M
	finish_run two
	stop_spawned xdp_count
	read -r frames bytes < <(tail -n 1 "$tmp/xdp_count.out")
	say ''
	printf '  %-5s %-46s %11s %14s\n' '' 'counted by' packets 'IP bytes'
	compare out 'weir, TC egress' "$(counter two tc_egress_frames)" \
		"$(summary_of two '.counters | .tc_egress_bytes - 14 * .tc_egress_frames')" \
		'a separate XDP program on the other end' "$frames" $((bytes - 14 * frames))
}

# Who can be reached, by whom.
row_reach() # CLIENT NAME COMMAND...: the command's output tells
{
	local who=$1 name=$2 got

	shift 2
	got=$("$@" | tr -d '\n' | cut -c 1-60)
	printf '  %-9s %-28s %s\n' "$who" "$name" "${got:+reached}${got:-no answer}" |
		sed 's/reached.*/reached/'
	[ -n "$got" ]
}

visit() # NAME reached|stopped: by curl, and by Chromium where it is installed
{
	local get=(client curl -sk -4 --max-time 4 "https://$1/")

	row_reach curl "$1" "${get[@]}"
	[ $? = "$([ "$2" = reached ]; echo $?)" ] || rc=1
	command -v chromium >/dev/null || return
	row_reach Chromium "$1" page_of "$1"
	[ $? = "$([ "$2" = reached ]; echo $?)" ] || rc=1
}

page_of() # NAME: what the server says, if it says something
{
	browse_page 15 "https://$1/" | grep -o 'www\|shop'
}

part_three()
{
	local since

	say '' '3. A name is blocked for a minute; its neighbour on the same address is not' ''
	ip netns exec "$ns_a" "$weir" run -i va -o none --idle-timeout 1s --drain-interval 200ms --summary json \
		2>"$tmp/three.err" &
	weir_pid=$!
	pids+=("$weir_pid")
	wait_for 60 weir_is_up three 1 || die "weir does not start"
	visit www.blocked.test reached
	say '' "\$ weir block 'tls.sni suffix \"blocked.test\"' --for 1m"
	in_a "$weir" block 'tls.sni suffix "blocked.test"' --for 1m | sed 's/^/  /'
	since=$SECONDS
	visit www.blocked.test stopped
	visit shop.example.test reached
	say '' '$ weir why www.blocked.test'
	in_a "$weir" why www.blocked.test | sed 's/^/  /'
	say '' '  ... until the minute is over'
	sleep $((since + 61 > SECONDS ? since + 61 - SECONDS : 0))
	visit www.blocked.test reached
	weir_stop
}

say 'Two network namespaces joined by a veth pair; nothing outside of them is touched.' \
	"  $ip_a, $ip6_a  clients; weir watches this end (va)" \
	"  $ip_b, $ip6_b  servers: nginx (TLS and plain, several names), dnsmasq, iperf3"
net_new
servers_start
part_one
part_two
offloads off
part_three
say ''
if [ "$rc" -eq 0 ]; then
	say 'All accounts agree, and what was to be stopped was. Namespaces, programs and temporary files are removed.'
else
	say 'The accounts differ, or a name was not stopped: a bug in weir, or a packet of somebody else on the pair.'
fi
exit "$rc"
