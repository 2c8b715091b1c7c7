#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_mirror_loss.sh - packets that one weir mirrors by ERSPAN from two CPUs at a time, of which a router drops every
# seventh on the way to another, that opens it: what the other says is lost is what was dropped, exactly. A session that
# begins anew is a restart, and of VXLAN nothing is known.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/mirrors.sh"
needs mirror_loss python3 jq nft curl taskset || exit 0

ns_u=weir-u$$ # the target; $ns_t is the router on the way
to_4=10.77.8.2 to_6=fd77:8::2

way_new()
{
	target_new 1500
	ns_new "$ns_u"
	pair_new "$ns_t" tu "$ns_u" ut 8 1500
	ip netns exec "$ns_t" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	ip -n "$ns_a" route add 10.77.8.0/24 via 10.77.9.2
	ip -n "$ns_a" route add fd77:8::/64 via fd77:9::2
	settle "$ns_u" ut
}

sources()
{
	WEIR_CONTROL_SOCKET=$tmp/t.sock "$weir" status -o json
}

source_is() # TYPE VNI JQ-CONDITION
{
	[ "$(sources | jq ".sources | map(select(.type == \"$1\" and .vni == $2)) | length == 1 and (.[0] | $3)")" = true ]
}

source_of() # TYPE VNI JQ
{
	sources | jq -r ".sources[] | select(.type == \"$1\" and .vni == $2) | $3"
}

target_metric() # NAME
{
	ip netns exec "$ns_u" curl -s http://127.0.0.1:9477/metrics | awk -v m="$1" '$1 == m { print $2 }'
}

drop_begin() # ip|ip6
{
	ip netns exec "$ns_t" nft -f - <<-END
		table $1 loss {
			chain way {
				type filter hook forward priority 0;
				meta l4proto gre numgen inc mod 7 == 3 counter drop
			}
		}
	END
}

drop_end() # ip|ip6 -> packets dropped
{
	ip netns exec "$ns_t" nft list table "$1" loss | sed -n 's/.* counter packets \([0-9]*\).*/\1/p'
	ip netns exec "$ns_t" nft delete table "$1" loss
}

# From both CPUs at a time: the numbers are of one sequence all the same.
traffic() # PORT NUMBER
{
	local cpu pids=()

	for cpu in $(python3 -c 'import os; print(*sorted(os.sched_getaffinity(0))[:2])'); do
		ip netns exec "$ns_b" taskset -c "$cpu" python3 -c "${udp_send//7000/0}" "$ip_a" "$1" "$2" 60 &
		pids+=($!)
	done
	wait "${pids[@]}"
	sent=$((${#pids[@]} * $2))
}

case_erspan() # TO VNI PORT ip|ip6
{
	local all dropped

	mirror "proto udp and dst port $3" --to "erspan:$1,id=$2" --for 10m --budget none ||
		die "no mirror: $(cat "$tmp/m.msg")"
	drop_begin "$4" || die "nft cannot drop"
	traffic "$3" 1500
	all=$sent
	wait_for 60 session_is "$number" ".mirrored == $all" || not_ok "$4: all are mirrored" "$(session "$number" .mirrored)"
	dropped=$(drop_end "$4")
	traffic "$3" 10 # the last ones come
	all=$((all + sent))
	expect_true "$4: every seventh is dropped" test "$dropped" -gt 200
	expect_true "$4: the others come" wait_for 60 source_is erspan "$2" ".packets == $((all - dropped))"
	expect "$4: those that were dropped are lost" "$(source_of erspan "$2" '"\(.loss) \(.sent) \(.lost) \(.restarts)"')" \
		"estimated $all $dropped 0"
	expect_true "$4: share" source_is erspan "$2" "(.lost_share * $all - $dropped | fabs) < 0.5"
	lost_sum=$((lost_sum + dropped)) sent_sum=$((sent_sum + all))
	number=$((number + 1))
}

case_restart()
{
	local before

	before=$(source_of erspan 11 .lost)
	"$weir" unmirror all >/dev/null
	number=1
	mirror 'proto udp and dst port 7051' --to "erspan:$to_4,id=11" --for 10m --budget none || die "no mirror"
	traffic 7051 20
	sent_sum=$((sent_sum + sent))
	expect_true 'restart: it is seen' wait_for 60 source_is erspan 11 '.restarts == 1'
	expect_true 'restart: all have come' wait_for 60 source_is erspan 11 '.sent == .packets + .lost'
	expect 'restart: nothing more is lost' "$(source_of erspan 11 .lost)" "$before"
}

case_unknown()
{
	mirror 'proto udp and dst port 7052' --to "vxlan:$to_4,vni=12" --for 10m --budget none || die "no mirror"
	traffic 7052 20
	expect_true 'vxlan: packets' wait_for 60 source_is vxlan 12 ".packets == $sent"
	expect 'vxlan: loss' "$(source_of vxlan 12 '"\(.loss) \(.why) \(has("lost"))"')" 'unknown no sequence numbers false'
}

number=1 lost_sum=0 sent_sum=0 sent=0
net_new
way_new
WEIR_CONTROL_SOCKET=$tmp/t.sock ns=$ns_u weir_start target -i ut --mirror-target --hook tc \
	--metrics-listen 127.0.0.1:9477 || exit 1
target_pid=$weir_pid
weir_start source -i va --hook tc || exit 1
source_pid=$weir_pid
case_erspan "$to_4" 11 7050 ip
case_erspan "$to_6" 13 7060 ip6
case_restart
case_unknown
expect_match 'status: in words' "$(WEIR_CONTROL_SOCKET=$tmp/t.sock COLUMNS=200 "$weir" status)" \
	'^source 10\.77\.9\.1 erspan 11: [0-9,]+ packets, [0-9,]+ of [0-9,]+ lost \(1[34]\.[0-9]+ %\), 1 restart$'
expect_match 'status: unknown' "$(WEIR_CONTROL_SOCKET=$tmp/t.sock COLUMNS=200 "$weir" status)" \
	'^source 10\.77\.9\.1 vxlan 12: [0-9]+ packets, loss unknown: no sequence numbers$'
expect 'metrics' "$(for m in sources_known sources_unknown source_sent_packets source_lost_packets source_restarts; do
	target_metric "weir_$m"
done | paste -sd ' ')" "2 1 $sent_sum $lost_sum 1"
"$weir" unmirror all >/dev/null
weir_pid=$source_pid
weir_stop
weir_pid=$target_pid
weir_stop
expect 'exit status' "$weir_rc" 0
expect_nothing_left 'end'
