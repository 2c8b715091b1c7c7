#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# guest_source.sh - inside the test machine: packets that the kernel's own GRE and ERSPAN devices number, of which a
# known number is lost behind the devices: weir, as their target, says exactly that.
. /tests/guest.sh
export WEIR_CONTROL_SOCKET=/tmp/weir.sock

lost=13

in_other()
{
	nsenter -t "$other" -n "$@"
}

# The neighbour's address is known, and there is no IPv6: nothing but pings goes through it.
tunnel_new() # NAME NETWORK TYPE ARG...
{
	dev=$1 net=$2 type=$3
	shift 3
	in_other /sbin/ip link add "$dev" type "$type" local 192.0.2.2 remote 192.0.2.1 "$@" || return 1
	[ ! -e /proc/sys/net/ipv6 ] || in_other sh -c "echo 1 >/proc/sys/net/ipv6/conf/$dev/disable_ipv6" || return 1
	in_other /sbin/ip addr add "198.51.$net.2/24" dev "$dev"
	in_other /sbin/ip link set "$dev" up
	[ "$type" = gre ] || in_other /sbin/ip neigh replace "198.51.$net.1" lladdr 02:00:00:00:00:01 nud permanent dev "$dev"
}

pings() # NETWORK NUMBER: nobody answers
{
	in_other ping -c "$2" -i 0.02 -W 1 -q "198.51.$1.1" >/dev/null 2>&1
	return 0
}

# The devices number what then has no way.
lose() # NETWORK NUMBER
{
	in_other /sbin/ip route add blackhole 192.0.2.1/32 && pings "$1" "$2" && in_other /sbin/ip route del blackhole 192.0.2.1/32
}

says() # TYPE VNI ANSWER
{
	"$WEIR" status -o json >/tmp/status && grep -q "\"src\":\"192.0.2.2\",\"type\":\"$1\",\"vni\":$2,$3" /tmp/status && return 0
	grep -o '"sources":.*"sources_not_shown"' /tmp/status
	return 1
}

exact() # NETWORK TYPE VNI
{
	pings "$1" 20 && lose "$1" "$lost" && pings "$1" 10 &&
		says "$2" "$3" "\"packets\":30,\"loss\":\"estimated\",\"sent\":$((30 + lost)),\"lost\":$lost,"
}

unknown() # NETWORK TYPE VNI
{
	pings "$1" 10 && says "$2" "$3" '"packets":10,"loss":"unknown","why":"no sequence numbers"}'
}

check "the veth pair works" pair_new
check "GRE with Ethernet, key and numbers" tunnel_new g1 101 gretap key 7 oseq
check "GRE with numbers" tunnel_new g2 102 gre key 8 oseq
check "GRE without" tunnel_new g3 103 gretap key 9
check "ERSPAN II" tunnel_new e1 104 erspan seq key 10 erspan_ver 1 erspan 1
check "ERSPAN III" tunnel_new e2 105 erspan seq key 11 erspan_ver 2 erspan_dir ingress erspan_hwid 1
check "weir starts" weir_start --mirror-target --hook tc
check "GRE with Ethernet, key and numbers: exact" exact 101 gre 7
check "GRE with numbers: exact" exact 102 gre 8
check "GRE without: unknown" unknown 103 gre 9
check "ERSPAN II: exact" exact 104 erspan 10
check "ERSPAN III: exact" exact 105 erspan 11
check "weir ends" weir_stop
done_testing
