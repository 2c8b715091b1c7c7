#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_frames.sh - crafted frames of every kind, a prime number of each, through every hook: each
# kind's packets and IP bytes are in the records exactly, as the sender counted them.
. "$(dirname "$0")/lib.sh"

plain='udp vlan qinq mpls options icmp sctp fragments4 fragments6 extensions lldp broken cut_tag'
tunnels='vxlan vxlan_cut vxlan_tenants geneve gre erspan ipip 6in4 gtpu'

# Which records are of a kind: a jq condition. Kinds with ports have a source port of their own.
picks() # KIND
{
	case $1 in
	icmp) echo '.proto == "icmp"' ;;
	lldp) echo '.ethertype == 35020' ;;
	gre | erspan) echo '.proto == "gre"' ;;
	ipip) echo '.proto == "ipv4"' ;;
	6in4) echo '.proto == "ipv6"' ;;
	*) echo ".src.port == ${port[$1]}" ;;
	esac
}

declare -A port frames outer inner

send_kinds() # NAMESPACE DEV KIND...: what was sent is in port, frames, outer, inner
{
	local ns=$1 dev=$2 k

	shift 2
	for k; do
		read -r "port[$k]" "frames[$k]" _ "outer[$k]" "inner[$k]" \
			< <(ip netns exec "$ns" "$tools/frames" "$dev" "$k")
	done
}

check_plain() # NAME CUT_TAGS: how many frames with half a VLAN tag reach the hook
{
	local k

	for k in $plain; do
		case $k in
		broken | cut_tag) continue ;;
		esac
		expect "$1: $k: packets and IP bytes" "$(sum_of "$1" "$(picks "$k") and (.tunnel | not)")" \
			"${frames[$k]} ${outer[$k]}"
	done
	expect "$1: VLAN ids in the record, outermost first" \
		"$(records "$1" "map(select(.vlan) | [.src.port, .vlan]) | sort | tojson")" \
		"[[${port[vlan]},[42]],[${port[qinq]},[1001,42]]]"
	expect "$1: one flow for all fragments of IPv4" \
		"$(records "$1" "map(select($(picks fragments4))) | length")" 1
	expect "$1: one flow for all fragments of IPv6" \
		"$(records "$1" "map(select($(picks fragments6))) | length")" 1
	expect "$1: no fragment is without its ports" "$(counter "$1" fragment_no_ports)" 0
	expect "$1: ICMP request and reply are one flow" \
		"$(records "$1" 'map(select(.proto == "icmp") | [.out.packets, .in.packets, .icmp.type]) | tojson')" \
		'[[12,11,8]]'
	expect "$1: broken headers are counted by reason" \
		"$(summary_of "$1" '.counters | "\(.ip4_truncated) \(.ip4_ihl) \(.ip4_version) \(.vlan_truncated)"')" \
		"8 8 7 $2"
	expect_accounted "$1" "$1"
}

case_plain() # NAME NAMESPACE DEV CUT_TAGS ARG...
{
	local name=$1 from=$2 dev=$3 cut_tags=$4

	shift 4
	weir_start "$name" -i va "$@" || return
	# shellcheck disable=SC2086 # one word per kind
	send_kinds "$from" "$dev" $plain
	settle
	weir_stop
	check_plain "$name" "$cut_tags"
}

# As the node that ends the tunnel sees it: the outer packets.
case_uplink()
{
	local k both

	weir_start uplink -i va || return
	# shellcheck disable=SC2086
	send_kinds "$ns_b" vb $tunnels
	settle
	weir_stop
	for k in vxlan vxlan_cut vxlan_tenants geneve ipip 6in4 gtpu; do
		expect "uplink: $k: outer packets and IP bytes" \
			"$(sum_of uplink "$(picks "$k")")" \
			"${frames[$k]} ${outer[$k]}"
	done
	both=$((frames[gre] + frames[erspan]))
	expect "uplink: gre and erspan: outer packets and IP bytes" "$(sum_of uplink '.proto == "gre"')" \
		"$both $((outer[gre] + outer[erspan]))"
	expect "uplink: no tunnel is opened" "$(counter uplink decapsulated)" 0
	expect_accounted uplink uplink
}

check_mirror() # CASE KIND TYPE VNI
{
	expect "$1: $2: inner packets and IP bytes" \
		"$(sum_of "$1" ".tunnel.type == \"$3\" and ((.vni // 0) | IN($4))")" \
		"${frames[$2]} ${inner[$2]}"
}

case_mirror() # CASE ARG...
{
	local name=$1

	shift
	weir_start "$name" -i va --role mirror "$@" || return
	# shellcheck disable=SC2086
	send_kinds "$ns_b" vb vxlan vxlan_tenants geneve gre erspan ipip 6in4 gtpu
	settle
	weir_stop
	check_mirror "$name" vxlan vxlan 7007
	check_mirror "$name" vxlan_tenants vxlan 100,101,102,103,104
	check_mirror "$name" geneve geneve 9009
	check_mirror "$name" gre gre 1234
	check_mirror "$name" erspan erspan 77
	check_mirror "$name" ipip ipip 0
	check_mirror "$name" 6in4 6in4 0
	check_mirror "$name" gtpu gtpu 48879
	expect "$name: tenants with the same addresses stay apart" \
		"$(records "$name" 'map(select(.vni >= 100 and .vni <= 104) | .packets) | sort')" \
		"$(jq -n '[4, 4, 5, 5, 5]')"
	expect "$name: outer source is in the record" \
		"$(records "$name" 'map(.tunnel.src) | unique | join(" ")')" 10.99.3.3
	expect_accounted "$name" "$name"
}

# A mirror that cuts packets: counted by the length in the inner IP header.
case_cut()
{
	weir_start cut -i va --role mirror --hook xdp || return
	send_kinds "$ns_b" vb vxlan_cut
	settle
	weir_stop
	check_mirror cut vxlan_cut vxlan 7007
}

# A mirrored packet must not reach the host, which would answer each with an ICMP error.
case_consume() # ROLE WANT ARG...
{
	local before after mac answers role=$1 want=$2

	shift 2
	mac=$(in_a cat /sys/class/net/va/address)
	weir_start consume -i va --role "$role" "$@" || return
	before=$(link_stats "$ns_a" va)
	in_b "$tools/frames" -d "$mac" vb vxlan >/dev/null
	settle
	after=$(link_stats "$ns_a" va)
	weir_stop
	answers=$(($(cut -d' ' -f3 <<<"$after") - $(cut -d' ' -f3 <<<"$before")))
	expect "role $role $*: the host $want mirrored packets" \
		"$([ "$answers" -gt 0 ] && echo answers || echo ignores)" "$want"
}

net_new
case_plain xdp "$ns_b" vb 23 --hook xdp
case_plain tc_ingress "$ns_b" vb 0 --hook tc # the kernel drops them before TC ingress
case_plain generic "$ns_b" vb 23 --hook generic
case_plain tc_egress "$ns_a" va 23
case_uplink
case_mirror mirror --hook xdp
case_mirror mirror_tc --hook tc
case_cut
ip -n "$ns_a" addr add 10.99.4.4/32 dev va
ip -n "$ns_a" route add 10.99.3.3/32 via 10.77.1.2
in_a sysctl -qw net.ipv4.icmp_ratelimit=0
case_consume uplink answers
case_consume mirror ignores --hook xdp
case_consume mirror ignores --hook tc
