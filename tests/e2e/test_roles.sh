#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_roles.sh - a flow that passes a pod's veth and the uplink is counted once, and where: pods that
# talk to the outside, to each other, to the node; the node to the outside.
. "$(dirname "$0")/lib.sh"
trap finish EXIT

pods=("weir-p1$$" "weir-p2$$")

net_new
in_a sysctl -qw net.ipv4.ip_forward=1
for i in 1 2; do
	ns_new "${pods[i - 1]}"
	pair_new "$ns_a" "pod$i" "${pods[i - 1]}" eth0 "1$i" 1500
	in_a ethtool -K "pod$i" tso off gso off gro off >/dev/null
	ip netns exec "${pods[i - 1]}" ethtool -K eth0 tso off gso off gro off >/dev/null
	ip -n "${pods[i - 1]}" route add default via "10.77.1$i.1"
	ip -n "$ns_b" route add "10.77.1$i.0/24" via "$ip_a"
	settle "$ns_a" "pod$i"
done
printf '[interface pod*]\nrole = veth\n' >"$tmp/weir.conf"

ping_n() # NAMESPACE ADDRESS COUNT
{
	ip netns exec "$1" ping -q -i 0.01 -c "$3" "$2" >/dev/null
}

# What a record of pings from one address to another says.
pings() # SRC DST
{
	records roles "map(select(.proto == \"icmp\" and .src.ip == \"$1\" and .dst.ip == \"$2\") |
		\"\(.iface) \(.packets) \((.seen_on // []) | sort | join(\"+\"))\") | join(\", \")"
}

elsewhere_are() # PACKETS
{
	[ "$("$weir" status -o json | jq .flows.elsewhere_packets)" -eq "$1" ]
}

weir_start roles --config "$tmp/weir.conf" -i va -i 'pod*' --idle-timeout 2s --metrics-listen 127.0.0.1:9477 || exit 1
wait_for 60 weir_is_up roles 3 || die 'weir is not on all three interfaces'
# XDP at a veth takes GSO from the pod, and so most of its speed within the node
expect 'hooks: XDP at the uplink, TC at the pods' \
	"$("$weir" status -o json | jq -r '.interfaces | map("\(.name) \(.mode)") | sort | join(", ")')" \
	'pod1 TCX + TCX, pod2 TCX + TCX, va native XDP + TCX'
ping_n "${pods[0]}" "$ip_b" 23
ping_n "$ns_b" 10.77.12.2 13
ping_n "${pods[0]}" 10.77.12.2 11
ping_n "$ns_a" "$ip_b" 7
ping_n "$ns_a" 10.77.11.2 5
expect_true 'status: packets that another interface counts' wait_for 20 elsewhere_are $((46 + 26 + 22))
expect 'metrics: the same' "$(in_a curl -s http://127.0.0.1:9477/metrics |
	awk '$1 == "weir_elsewhere_packets_total" { print $2 }')" "$((46 + 26 + 22))"
expect_match 'status: in words' "$("$weir" status)" ', counted on another interface 94$'
weir_stop

expect 'a pod to the outside: at the uplink' "$(pings 10.77.11.2 "$ip_b")" 'va 46 pod1+va'
expect 'the outside to a pod: at the uplink' "$(pings "$ip_b" 10.77.12.2)" 'va 26 pod2+va'
lower=$(for i in pod1 pod2; do
	echo "$(ip netns exec "$ns_a" cat "/sys/class/net/$i/ifindex") $i"
done | sort -n | sed -n '1s/.* //p')
expect 'pod to pod: at the veth with the lower index' "$(pings 10.77.11.2 10.77.12.2)" \
	"$lower 22 pod1+pod2"
expect 'the node to the outside' "$(pings "$ip_a" "$ip_b")" 'va 14 '
expect 'the node to a pod: at its veth' "$(pings 10.77.11.1 10.77.11.2)" 'pod1 10 '
expect 'what another interface counts is counted as that' \
	"$(summary_of roles .merge.elsewhere_packets)" "$((46 + 26 + 22))"
expect 'frames seen = packets in records + counted on another interface' \
	"$(summary_of roles '.counters | .xdp_frames + .tc_ingress_frames + .tc_egress_frames')" \
	"$(($(sum_of roles | cut -d' ' -f1) + $(summary_of roles .merge.elsewhere_packets)))"
