#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_mirror_twice.sh - two machines at one switch, each of them mirrored to the target: one by the kernel's own
# VXLAN device, whose full-size copies become two fragments, the other by weir, which cuts them short. Every packet
# comes twice there; records tell copies, and all together count each packet once, whatever is lost on one way.
. "$(dirname "$0")/lib.sh"
needs mirror_twice python3 socat jq tc || exit 0

ns_t=weir-t$$ ns_s=weir-s$$
ip_t=10.77.1.3

# A machine at the switch: nothing but the test's own traffic is on its interface.
machine() # NAMESPACE DEV NUMBER
{
	local i

	ns_new "$1"
	ip netns exec "$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
	ip link add "$2" address "02:00:00:00:00:0$3" netns "$1" type veth peer name "p$3" netns "$ns_s" ||
		die "no veth pair can be made"
	ip netns exec "$1" ethtool -K "$2" tso off gso off gro off >/dev/null
	ip -n "$ns_s" link set "p$3" master sw up
	# a switch that does not know a machine shows its packets to all: they would be mirrored there too
	bridge -n "$ns_s" fdb replace "02:00:00:00:00:0$3" dev "p$3" master static
	ip -n "$1" link set "$2" up
	wait_for 60 is_up "$1" "$2" || die "$2 does not come up"
	ip -n "$1" addr add "10.77.1.$3/24" dev "$2"
	for i in 1 2 3; do
		[ "$i" = "$3" ] || ip -n "$1" neigh replace "10.77.1.$i" lladdr "02:00:00:00:00:0$i" nud permanent dev "$2"
	done
}

net_switch()
{
	ns_new "$ns_s"
	ip netns exec "$ns_s" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
	ip -n "$ns_s" link add sw type bridge mcast_snooping 0 || die "no bridge can be made"
	ip -n "$ns_s" link set sw up
	machine "$ns_a" va 1
	machine "$ns_b" vb 2
	machine "$ns_t" vt 3
}

# What the kernel mirrors of A, both ways, but for what goes to the target.
kernel_mirrors() # VNI
{
	local way

	ip -n "$ns_a" link add vx mtu 1500 type vxlan id "$1" remote "$ip_t" dstport 4789 nolearning || return 1
	ip -n "$ns_a" link set vx up
	in_a tc qdisc add dev va clsact || return 1
	for way in 'ingress src' 'egress dst'; do
		# shellcheck disable=SC2086
		set -- $way
		in_a tc filter add dev va "$1" prio 1 protocol ip u32 match ip "$2" "$ip_t" flowid 1:1 || return 1
		in_a tc filter add dev va "$1" prio 2 protocol ip u32 match u32 0 0 flowid 1:2 \
			action mirred egress mirror dev vx || return 1
	done
}

# weir at B: says what there was, and mirrors it.
truth_start() # NAME
{
	ns=$ns_b WEIR_CONTROL_SOCKET=$tmp/b.sock weir_start "$1" -i vb --hook tc || exit 1
	truth_pid=$weir_pid
	mirror_b || die "B is not mirrored: $(cat "$tmp/mirror.msg")"
}

mirror_b()
{
	WEIR_CONTROL_SOCKET=$tmp/b.sock "$weir" mirror "not host $ip_t" --to "vxlan:$ip_t,vni=22" --length 96 --for 10m \
		--budget none >"$tmp/mirror.out" 2>"$tmp/mirror.msg"
}

unmirror_b()
{
	WEIR_CONTROL_SOCKET=$tmp/b.sock "$weir" unmirror all >/dev/null
}

truth_stop()
{
	weir_pid=$truth_pid
	weir_stop
}

target_start() # NAME ARG...
{
	ns=$ns_t weir_start "$1" -i vt --mirror-target --hook tc "${@:2}" || exit 1
	target_pid=$weir_pid
}

target_stop()
{
	weir_pid=$target_pid
	weir_stop
}

udp_talk='
import socket, sys
mine, there = sys.argv[1], sys.argv[2]
port, n, size, before, after = map(int, sys.argv[3:])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((mine, port))
s.settimeout(30)
for i in range(before):
    s.recv(65536)
for i in range(n):
    s.sendto(bytes(size), (there, port))
for i in range(after):
    s.recv(65536)
'

# UDP from A, and as soon as it is there the answers of B, all of which A waits for: no ICMP says that it has gone.
talk() # PORT THERE SIZE BACK SIZE
{
	spawn udp "$ns_b" python3 -c "$udp_talk" 10.77.1.2 10.77.1.1 "$1" "$4" "$5" "$2" 0
	wait_for 30 listening "$ns_b" udp "$1" || die "nobody listens"
	in_a python3 -c "$udp_talk" 10.77.1.1 10.77.1.2 "$1" "$2" "$3" 0 "$4" || not_ok "udp $1" "no answer"
	wait "${spawned[udp]}"
}

stream() # PORT BYTES
{
	spawn tcp "$ns_b" socat -u "TCP4-LISTEN:$1,reuseaddr" OPEN:/dev/null
	wait_for 30 listening "$ns_b" tcp "$1" || die "nobody listens"
	in_a sh -c "head -c $2 /dev/zero | socat -u - TCP4:10.77.1.2:$1"
	wait "${spawned[tcp]}"
}

mirrored='.tunnel != null and .tunnel.type == "vxlan"'

# Packets and bytes of what no other record counts.
once() # NAME SELECT
{
	records "$1" "map(select($mirrored and ($2))) | map(.out, .in) |
		\"\(map(.packets - (.copied_packets // 0)) | add // 0) \(map(.bytes - (.copied_bytes // 0)) | add // 0)\""
}

both() # "PACKETS BYTES" -> twice as many
{
	echo "$((2 * ${1% *})) $((2 * ${1#* }))"
}

# The records of one mirror: which way, and whether all of it are copies.
of_source() # NAME ADDRESS SELECT
{
	records "$1" "map(select($mirrored and .tunnel.src == \"$2\" and ($3))) |
		map(\"\(.direction) \(if .packets == (.out.copied_packets // 0) + (.in.copied_packets // 0) then \"copies\"
			elif .out.copied_packets or .in.copied_packets then \"some\" else \"none\" end)\") | unique | join(\", \")"
}

# All that is at B is in what came here once, and in both mirrors together twice.
expect_once() # CASE TARGET TRUTH SELECT
{
	local sent

	sent=$(sum_of "$3" ".tunnel == null and ($4)")
	expect_true "$1: there is something" test "${sent% *}" -gt 0
	expect "$1: each packet came twice" "$(sum_of "$2" "$mirrored and ($4)")" "$(both "$sent")"
	expect "$1: and counts once" "$(once "$2" "$4")" "$sent"
}

case_twice()
{
	truth_start truth
	target_start twice
	talk 7001 101 500 53 1472
	stream 7002 300000
	in_a ping -q -c 11 -i 0.01 -s 1400 10.77.1.2 >/dev/null
	settle "$ns_t" vt
	unmirror_b
	target_stop
	truth_stop
	expect_once 'udp' twice truth '.dst.port == 7001'
	expect 'udp: so many' "$(once twice '.dst.port == 7001')" "154 $((101 * 528 + 53 * 1500))"
	expect_once 'tcp' twice truth '.dst.port == 7002'
	expect_once 'icmp' twice truth '.proto == "icmp"'
	expect 'udp: src is the machine of this mirror' "$(of_source twice 10.77.1.1 '.dst.port == 7001' | cut -d' ' -f1)" egress
	expect 'udp: dst is the machine of that one' "$(of_source twice 10.77.1.2 '.dst.port == 7001' | cut -d' ' -f1)" ingress
	for sel in '.dst.port == 7001' '.dst.port == 7002' '.proto == "icmp"'; do
		expect "$sel: one mirror has nothing but copies, the other none" \
			"$(printf '%s\n' "$(of_source twice 10.77.1.1 "$sel")" "$(of_source twice 10.77.1.2 "$sel")" |
				cut -d' ' -f2 | sort | xargs)" 'copies none'
	done
	expect 'the summary has as many' "$(summary_of twice '.merge | "\(.copied_packets) \(.copied_bytes)"')" \
		"$(records twice '[.[] | (.out, .in)] | "\(map(.copied_packets // 0) | add) \(map(.copied_bytes // 0) | add)"')"
	expect_accounted 'twice' twice
}

net_switch
if ! kernel_mirrors 11; then
	skip mirror_twice "the kernel has no VXLAN device, or no tc mirred"
	exit 0
fi
case_twice
