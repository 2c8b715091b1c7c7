#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_conservation.sh - real transfers: what weir counts is what the interface counters, a separate
# XDP counter on the other end, and the TCP stacks say, exactly.
. "$(dirname "$0")/lib.sh"
needs conservation iperf3 ethtool tcpdump || exit 0

transfer() # ADDRESS ARG...: bulk TCP from weir's side to the peer (-R: from the peer)
{
	local address=$1

	shift
	spawn iperf "$ns_b" iperf3 -s -1 -p 5201
	wait_for 60 listening "$ns_b" tcp 5201 || die "iperf3 does not listen"
	# a small window: the queue of the veth pair holds 256 frames, and drops what is more
	in_a iperf3 -c "$address" -p 5201 -w 64K "$@" >"$tmp/iperf.client" 2>&1 ||
		not_ok "transfer $*" "$(tail -n 2 "$tmp/iperf.client")"
}

# Differences of two link_stats lines.
delta() # BEFORE AFTER -> RX_PACKETS RX_BYTES TX_PACKETS TX_BYTES
{
	local -a b a

	read -ra b <<<"$1"
	read -ra a <<<"$2"
	echo $((a[0] - b[0])) $((a[1] - b[1])) $((a[2] - b[2])) $((a[3] - b[3]))
}

# Interface counters and weir's, without Ethernet headers: a veth device whose receiving end runs XDP
# counts bytes without them, one whose end does not counts them too.
expect_link() # NAME DELTA RX_HEADER TX_HEADER
{
	local -a d

	read -ra d <<<"$2"
	expect "$1: frames in and out = interface counters" \
		"$(summary_of "$1" '.counters | "\(.xdp_frames + .tc_ingress_frames) \(.tc_egress_frames)"')" \
		"${d[0]} ${d[2]}"
	expect "$1: bytes in and out = interface counters" \
		"$(summary_of "$1" '.counters | (.xdp_frames + .tc_ingress_frames) as $rx |
			"\(.xdp_bytes + .tc_ingress_bytes - 14 * $rx) \(.tc_egress_bytes - 14 * .tc_egress_frames)"')" \
		"$((d[1] - $3 * d[0])) $((d[3] - $4 * d[2]))"
	expect "$1: IP bytes of all records = bytes seen without Ethernet headers" \
		"$(sum_of "$1" | cut -d' ' -f2)" \
		"$(summary_of "$1" '.counters | .xdp_bytes + .tc_ingress_bytes + .tc_egress_bytes -
			14 * (.xdp_frames + .tc_ingress_frames + .tc_egress_frames)')"
}

case_offloads_off() # NAME RX_HEADER ARG...
{
	local name=$1 header=$2 before after

	shift 2
	before=$(link_stats "$ns_a" va)
	weir_start "$name" -i va "$@" || return
	transfer "$ip_b" -n 20M
	transfer "$ip6_b" -n 20M -R
	settle
	weir_stop
	after=$(link_stats "$ns_a" va)
	expect_link "$name" "$(delta "$before" "$after")" "$header" 14
	expect_accounted "$name" "$name"
	expect "$name: nothing was lost" "$(counter "$name" lost_packets)" 0
}

# With the offloads on, TC egress gets packets of up to 64 KB; the wire, and an XDP program on the
# other end, get segments.
case_gso() # NAME ARG...
{
	local name=$1 before after frames bytes

	shift
	offloads on
	spawn xdp_count "$ns_b" "$tools/xdp_count" vb
	wait_for 60 has_line "$tmp/xdp_count.out" ready || die "xdp_count does not start"
	before=$(link_stats "$ns_a" va)
	weir_start "$name" -i va "$@" || return
	transfer "$ip_b" -n 200M
	transfer "$ip6_b" -n 50M
	transfer "$ip_b" -n 50M -R
	settle
	weir_stop
	after=$(link_stats "$ns_a" va)
	stop_spawned xdp_count
	read -r frames bytes < <(tail -n 1 "$tmp/xdp_count.out")
	expect "$name: segments out = frames that the peer's XDP counted" "$(counter "$name" tc_egress_frames)" \
		"$frames"
	expect "$name: bytes out = bytes that the peer's XDP counted" "$(counter "$name" tc_egress_bytes)" "$bytes"
	expect "$name: frames in = interface counter" "$(counter "$name" xdp_frames)" \
		"$(delta "$before" "$after" | cut -d' ' -f1)"
	expect "$name: segments were computed, not guessed" "$(counter "$name" gso_unknown)" 0
	expect_accounted "$name" "$name"
	offloads off
}

tcp_segments() # NAMESPACE: sent so far
{
	ip netns exec "$1" cat /proc/net/snmp | awk '/^Tcp: [0-9]/ { print $12 + $13 }'
}

# TC ingress gets what the peer's stack sent as one packet: its own count of segments is the truth.
case_gso_ingress()
{
	local before sent

	offloads on
	weir_start gso_ingress -i va --hook tc || return
	before=$(tcp_segments "$ns_b")
	transfer "$ip_b" -n 50M -R
	settle
	sent=$(($(tcp_segments "$ns_b") - before))
	weir_stop
	expect "gso_ingress: segments in = segments that the peer's TCP sent" \
		"$(counter gso_ingress tc_ingress_frames)" "$sent"
	expect_accounted gso_ingress gso_ingress
	offloads off
}

# BIG TCP over IPv6: packets of more than 64 KB, with a jumbo payload option (RFC 2675) as long as they are whole.
case_big_tcp()
{
	local before sent

	offloads on
	ip -n "$ns_a" link set va gso_max_size 185000
	ip -n "$ns_b" link set vb gro_max_size 185000
	in_a sysctl -qw net.ipv4.tcp_tso_win_divisor=1 # a packet may take the whole window
	weir_start big_tcp -i va --hook tc || return
	spawn big "$ns_a" tcpdump -lni va -c 1 --immediate-mode -s 128 'ip6 and greater 70000'
	wait_for 60 has_line "$tmp/big.err" listening || die "tcpdump does not listen"
	before=$(tcp_segments "$ns_a")
	transfer "$ip6_b" -w 180K -n 100M
	settle
	sent=$(($(tcp_segments "$ns_a") - before))
	weir_stop
	expect_true "big_tcp: packets were larger than 64 KB" wait_for 60 has_line "$tmp/big.out" IP6
	stop_spawned big
	expect "big_tcp: segments out = segments that TCP sent" "$(counter big_tcp tc_egress_frames)" "$sent"
	expect "big_tcp: segments were computed, not guessed" "$(counter big_tcp gso_unknown)" 0
	expect_accounted big_tcp big_tcp
	net_new
}

case_jumbo()
{
	local before after

	net_new 9000
	before=$(link_stats "$ns_a" va)
	weir_start jumbo -i va || return
	expect_match "jumbo: native XDP attaches at MTU 9000" "$(cat "$tmp/jumbo.err")" 'native XDP.*MTU 9000'
	transfer "$ip_b" -n 50M -R
	settle
	weir_stop
	after=$(link_stats "$ns_a" va)
	expect_link jumbo "$(delta "$before" "$after")" 0 14
	expect_accounted jumbo jumbo
	expect_true "jumbo: frames were larger than a page" \
		test "$(summary_of jumbo '.counters | .xdp_bytes / .xdp_frames | floor')" -gt 4096
}

vxlan_up()
{
	ip -n "$ns_a" link add vx type vxlan id 42 local "$ip_a" remote "$ip_b" dstport 4789 dev va noudpcsum
	ip -n "$ns_b" link add vx type vxlan id 42 local "$ip_b" remote "$ip_a" dstport 4789 dev vb noudpcsum
	ip -n "$ns_a" addr add 10.88.1.1/24 dev vx
	ip -n "$ns_b" addr add 10.88.1.2/24 dev vx
	ip -n "$ns_a" link set vx up
	ip -n "$ns_b" link set vx up
	ip -n "$ns_a" neigh replace 10.88.1.2 nud permanent dev vx \
		lladdr "$(in_b cat /sys/class/net/vx/address)"
	ip -n "$ns_b" neigh replace 10.88.1.1 nud permanent dev vx \
		lladdr "$(in_a cat /sys/class/net/vx/address)"
	settle
}

# A real overlay: the outer flow on the uplink, one UDP packet for each segment inside.
case_vxlan() # NAME on|off
{
	local name=$1 frames bytes

	net_new
	vxlan_up
	offloads "$2"
	spawn xdp_count "$ns_b" "$tools/xdp_count" vb
	wait_for 60 has_line "$tmp/xdp_count.out" ready || die "xdp_count does not start"
	weir_start "$name" -i va || return
	transfer 10.88.1.2 -n 20M
	transfer 10.88.1.2 -n 5M -R
	settle
	weir_stop
	stop_spawned xdp_count
	read -r frames bytes < <(tail -n 1 "$tmp/xdp_count.out")
	expect "$name: outer packets out = the peer's count" "$(counter "$name" tc_egress_frames)" "$frames"
	expect "$name: outer bytes out = the peer's count" "$(counter "$name" tc_egress_bytes)" "$bytes"
	expect "$name: all of it is UDP to 4789" "$(records "$name" 'map("\(.proto) \(.dst.port)") | unique | join(",")')" \
		"udp 4789"
	expect_accounted "$name" "$name"
}

case_sample()
{
	local passed seen

	weir_start sample -i va --sample 10 || return
	in_b "$tools/flood" -n 100000 vb 7 >/dev/null
	settle
	weir_stop
	passed=$(sum_of sample | cut -d' ' -f1)
	seen=$((passed + $(counter sample sampled_out)))
	expect "sample: counted + passed over = sent" "$seen" 100000
	expect_true "sample: about 1 in 10 was counted" test "$passed" -ge 9500 -a "$passed" -le 10500
	expect "sample: the rate is in every record" "$(records sample 'map(.sampling) | unique | tojson')" '[10]'
}

net_new
case_offloads_off off_xdp 0
case_offloads_off off_tc 14 --hook tc
case_gso gso
case_gso_ingress
case_big_tcp
case_sample
case_jumbo
case_vxlan vxlan_off off
case_vxlan vxlan_gso on
