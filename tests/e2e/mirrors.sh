# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154
#
# mirrors.sh - what the tests of the mirror share, behind lib.sh: the target's namespace $ns_t (interface tv; vt leads
# there from weir's side), traffic, and sessions as `weir mirror` tells them.

ns_t=weir-t$$
to_4=10.77.9.2 to_6=fd77:9::2

target_new() # MTU of the way to the target
{
	net_del "$ns_t"
	ns_new "$ns_t"
	pair_new "$ns_a" vt "$ns_t" tv 9 "$1"
	in_a ethtool -K vt tso off gso off gro off >/dev/null
	ip netns exec "$ns_t" ethtool -K tv tso off gso off gro off >/dev/null
	settle "$ns_a" vt
}

udp_send='
import socket, sys
to, port, n, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
s = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 7000))
for i in range(n):
    s.sendto(bytes(size), (to, port))
'

udp() # NAMESPACE ADDRESS PORT NUMBER SIZE: all from one port
{
	ip netns exec "$1" python3 -c "$udp_send" "${@:2}"
}

mirror() # ARG...: output in $tmp/m.out, messages in $tmp/m.msg
{
	"$weir" mirror "$@" >"$tmp/m.out" 2>"$tmp/m.msg"
}

session() # NUMBER JQ
{
	"$weir" mirror -o json | jq -r "select(.session == $1) | $2"
}

lost='(.sampled_out + .over_budget + .exempt + .no_way + .failed + .between)'

session_is() # NUMBER JQ-CONDITION
{
	[ "$(session "$1" "$2")" = true ]
}

expect_conserved() # CASE NUMBER MATCHED
{
	wait_for 60 session_is "$2" ".matched >= $3 and .between == 0"
	expect "$1: matched" "$(session "$2" .matched)" "$3"
	expect_true "$1: mirrored + counted drops = matched" session_is "$2" ".mirrored + $lost == .matched"
}

gone() # NAMESPACE DEV
{
	! ip -n "$1" link show "$2"
}

expect_nothing_left() # CASE
{
	expect_true "$1: the private pair is gone" wait_for 60 gone "$ns_a" weir-mirror0
}

mirror_refused() # REGEX ARG...
{
	local regex=$1

	shift
	! mirror "$@" && grep -q "$regex" "$tmp/m.msg"
}
