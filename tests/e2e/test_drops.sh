#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_drops.sh - conservation while policy acts: of a known number of packets each is in a record, and
# those that were dropped are told by records and by the rules' counters alike, on each hook, with
# a cache that is too small, and over a kill.
. "$(dirname "$0")/lib.sh"
needs drops socat jq || exit 0
# Most of what is sent here is to be dropped, and a breaker that acts outlives weir.
export WEIR_POLICY_BREAKER=off

w() # ARG...
{
	in_a "$weir" "$@" >"$tmp/w.out" 2>"$tmp/w.err" || not_ok "weir $*" "$(cat "$tmp/w.err")"
}

# Datagrams of one octet: 29 IP bytes over IPv4, 49 over IPv6.
send() # NAMESPACE COUNT FROM TO PORT
{
	local to=UDP4-SENDTO:$4:$5,bind=$3

	[[ $3 = *:* ]] && to=UDP6-SENDTO:[$4]:$5,bind=[$3]
	head -c "$2" /dev/zero | ip netns exec "$1" socat -b 1 -u - "$to" 2>>"$tmp/socat.err"
}

# Two addresses more on either side, that answer nobody.
hosts_add()
{
	local side other dev last

	for side in a:va:b:vb:1 b:vb:a:va:2; do
		IFS=: read -r side dev other _ last <<<"$side"
		ip -n "weir-$side$$" addr add "10.77.1.6$last/24" dev "$dev"
		ip -n "weir-$side$$" addr add "10.77.1.7$last/24" dev "$dev"
		ip -n "weir-$side$$" addr add "fd77::6$last/64" dev "$dev" nodad
	done
	for last in 6 7; do
		ip -n "$ns_a" neigh replace "10.77.1.${last}2" lladdr "$(in_b cat /sys/class/net/vb/address)" nud permanent dev va
		ip -n "$ns_b" neigh replace "10.77.1.${last}1" lladdr "$(in_a cat /sys/class/net/va/address)" nud permanent dev vb
	done
	ip -n "$ns_a" neigh replace fd77::62 lladdr "$(in_b cat /sys/class/net/vb/address)" nud permanent dev va
	ip -n "$ns_b" neigh replace fd77::61 lladdr "$(in_a cat /sys/class/net/va/address)" nud permanent dev vb
}

# Datagrams over IPv4 that programs in a namespace have sent so far, those too that tc dropped.
datagrams_of() # NAMESPACE
{
	ip netns exec "$1" awk '/^Udp: [0-9]/ { print $5 + $7 }' /proc/net/snmp
}

# As many octets into the sender's fifo (9), and out of it as datagrams.
feed() # NAMESPACE COUNT
{
	local want=$(($(datagrams_of "$1") + $2))

	head -c "$2" /dev/zero >&9
	wait_for 60 eval "[ \"\$(datagrams_of $1)\" -ge $want ]" || not_ok "$2 datagrams" "are not sent in 60 s"
	settle
}

dropped_of() # NAME SELECT: packets and bytes that records say policy took
{
	records "$1" "map(select($2) | .dropped // empty) | \"\(map(.packets) | add // 0) \(map(.bytes) | add // 0)\""
}

# What the records say = what the programs say, all packets and those dropped.
expect_conserved() # CASE NAME
{
	expect_accounted "$1" "$2"
	expect "$1: dropped in records = dropped by the programs" "$(dropped_of "$2" true)" \
		"$(summary_of "$2" '.counters | "\(.dropped_packets + .dropped_in_flows) \(.dropped_bytes + .dropped_in_flows_bytes)"')"
	expect "$1: no record says more was dropped than seen" \
		"$(records "$2" 'map(select((.dropped.packets // 0) > .packets or (.dropped.bytes // 0) > .bytes)) | length')" 0
	expect "$1: records without a flow have dropped packets alone" \
		"$(records "$2" 'map(select(.reason == "dropped" and .dropped.packets != .packets)) | length')" 0
}

expect_rule() # CASE NAME RULE COUNTERS: as the rule counted, packets and bytes
{
	expect "$1: records of rule $3 = its counters" "$(dropped_of "$2" ".rule == \"$3\"")" "$4"
}

counted() # RULE -> PACKETS BYTES, and what it would have
{
	in_a "$weir" policy show -o json | jq -r "select(.name == \"$1\") |
		if .shadow then \"\(.would_packets) \(.would_bytes)\" else \"\(.packets) \(.bytes)\" end"
}

# From the side FROM to the other: blocked, limited, shadowed and innocent ones, old flows and new.
case_hook() # NAME FROM(a|b) ARG...
{
	local name=$1 from=weir-$2$$ s=2 d=1 end=src r
	local -A rule

	[ "$2" = a ] && s=1 d=2 end=dst
	shift 2
	# what is listed is the peer's, whoever sends: never the node's own
	local one=10.77.1.62 some=10.77.1.72 one6=fd77::62
	weir_start "$name" -i va "$@" || return
	# a flow that is known before the rule comes
	mkfifo "$tmp/$name.fifo"
	spawn old "$from" taskset -c 0 socat -b 1 -u "OPEN:$tmp/$name.fifo" "UDP4-SENDTO:10.77.1.$d:2001,bind=10.77.1.$s:4001"
	exec 9>"$tmp/$name.fifo"
	feed "$from" 7
	w block "dst.port == 2001" --for 5m --as old-flow
	w block "$end.ip == $one" --for 5m --as one-host
	w block "$end.ip in $some/31" --for 5m --as some-hosts
	w block "$end.ip == $one6" --for 5m --as one-host6
	w limit "dst.port == 2002" --rate 1pps --for 5m --as limited
	w block "dst.port == 2003" --for 5m --shadow --as shadowed
	feed "$from" 101
	exec 9>&-
	if [ "$end" = src ]; then
		send "$from" 103 "$one" "$ip_a" 2010
		send "$from" 107 "$some" "$ip_a" 2010
		send "$from" 109 "$one6" "$ip6_a" 2010
	else
		send "$from" 103 "$ip_a" "$one" 2010
		send "$from" 107 "$ip_a" "$some" 2010
		send "$from" 109 "$ip6_a" "$one6" 2010
	fi
	send "$from" 113 "10.77.1.$s" "10.77.1.$d" 2002
	send "$from" 127 "10.77.1.$s" "10.77.1.$d" 2003
	send "$from" 131 "10.77.1.$s" "10.77.1.$d" 2004
	settle
	for r in old-flow one-host some-hosts one-host6 limited shadowed; do
		rule[$r]=$(counted "$r")
	done
	weir_stop
	expect_conserved "$name" "$name"
	expect "$name: rules dropped what was sent" \
		"${rule["old-flow"]} / ${rule["one-host"]} / ${rule["some-hosts"]} / ${rule["one-host6"]}" \
		"101 2929 / 103 2987 / 107 3103 / 109 5341"
	for r in old-flow some-hosts one-host6 limited; do
		expect_rule "$name" "$name" "$r" "${rule[$r]}"
	done
	expect "$name: single listed IPv4 addresses: told by records without a source" \
		"$(dropped_of "$name" '.reason == "dropped" and ((.src.ip | not) or .rule == "one-host")')" "${rule["one-host"]}"
	expect "$name: the old flow's records have all its packets, and those dropped" \
		"$(records "$name" 'map(select(.dst.port == 2001 and .src.port)) |
			"\(map(.packets) | add) \(map(.dropped.packets // 0) | add) \(last.verdict) \(last.rule)"')" \
		"108 101 drop old-flow"
	expect "$name: a flow beyond its limit is limited" \
		"$(records "$name" 'map(select(.dst.port == 2002)) |
			"\(map(.packets) | add) \(map(.verdict // "pass") | unique | contains(["limit"]))"')" \
		"113 true"
	expect "$name: a shadow rule would have" \
		"$(records "$name" 'map(select(.dst.port == 2003)) |
			"\(map(.packets) | add) \(map(.verdict) | unique[0]) \(map(.rule) | unique[0])"') ${rule[shadowed]}" \
		"127 would_drop shadowed 127 3683"
	expect "$name: nothing is said of the innocent" \
		"$(records "$name" 'map(select(.dst.port == 2004 and .verdict == null)) | map(.packets) | add')" 131
}

# 64 k flows in room for 5,000, all dropped once they are known: final records bring what was dropped.
case_small_cache()
{
	local hits

	net_new
	weir_start small -i va --flows 5000 || return
	in_b taskset -c 0 "$tools/flood" -n 200000 -t 3 vb 65536 >"$tmp/flood.1"
	w block "proto udp and dst net 10.98.0.0/16" --for 5m --as flood-net
	in_b taskset -c 0 "$tools/flood" -n 200000 -t 3 vb 65536 >"$tmp/flood.2"
	settle
	hits=$(counted flood-net)
	weir_stop
	expect_conserved small small
	expect_rule small small flood-net "$hits"
	expect_true "small: some were dropped in their flows" test "$(counter small dropped_in_flows)" -gt 0
}

pin=$tmp/bpf/weir

pin_forget()
{
	find "$tmp/bpf" -type f ! -name '*.debug' -delete
	rm -rf "$tmp/policy"
}

pin_mount()
{
	mkdir "$tmp/bpf"
	mount -t bpf bpf "$tmp/bpf" || { skip "$1" "no BPF file system can be mounted"; return 1; }
	trap 'pin_forget; umount "$tmp/bpf"; finish' EXIT
}

# What the records of two runs say was dropped. Records that went out before a kill and were not confirmed
# by then go out once more, and are left out here as they are for any receiver.
dropped_in() # NAME NAME
{
	jq -c . "$tmp/$1.json" "$tmp/$2.json" | sort -u |
		jq -s '"\(map(.dropped.packets // 0) | add) \(map(.dropped.bytes // 0) | add)"' -r
}

# 101 and 103 packets of sources that are blocked, of no flow, and the flow of a source that is blocked when
# it is known: 11 that pass, 13 that do not.
drop_before() # NAME
{
	w block "src.ip in 10.77.1.72/31" --for 5m --as some-hosts
	send "$ns_b" 101 10.77.1.72 "$ip_a" 2010
	mkfifo "$tmp/$1.fifo"
	spawn "old-$1" "$ns_b" taskset -c 0 socat -b 1 -u "OPEN:$tmp/$1.fifo" "UDP4-SENDTO:$ip_a:2001,bind=$ip_b:4001"
	exec 9>"$tmp/$1.fifo"
	feed "$ns_b" 11
	w block "dst.port == 2001" --for 5m --as old-flow
	feed "$ns_b" 13
	wait_for 60 has_line "$tmp/$1.json" '"reason":"dropped"'
	send "$ns_b" 103 10.77.1.72 "$ip_a" 2010
}

# --pin: what was dropped is told once, whoever tells it, and whatever tables the second one has.
case_kill() # CASE ARG...: of the second
{
	local name=$1 worker hits

	shift
	net_new
	hosts_add
	weir_start "$name-1" -i va --pin "$pin" || return
	drop_before "$name-1"
	worker=$(pgrep -P "$weir_pid")
	kill -KILL "$weir_pid" "$worker"
	weir_wait 5
	wait_for 60 pid_gone "$worker"
	feed "$ns_b" 17
	send "$ns_b" 107 10.77.1.72 "$ip_a" 2010
	weir_start "$name" -i va --pin "$pin" "$@" || return
	feed "$ns_b" 19
	exec 9>&-
	send "$ns_b" 109 10.77.1.72 "$ip_a" 2010
	settle
	hits=$(counted some-hosts)
	weir_stop
	expect "$name: what was dropped before, between and after is told" "$(dropped_in "$name-1" "$name")" \
		"$((420 + 49)) $(((420 + 49) * 29))"
	expect "$name: dropped in records = dropped by the programs" \
		"$(summary_of "$name" '.counters | .dropped_packets + .dropped_in_flows')" "$((420 + 49))"
	[ $# -gt 0 ] || expect "$name: the rule's counters went on" "$hits" "420 12180"
	pin_forget
}

# The second takes the place of a first one at work, which reads its own tables to the end.
case_replaced() # CASE WEIR ARG...: of the second
{
	local name=$1 first

	net_new
	hosts_add
	weir_start "$name-1" -i va --pin "$pin" || return
	first=$weir_pid
	drop_before "$name-1"
	weir=$2 weir_start "$name" -i va --pin "$pin" --replace "${@:3}" || return
	expect_true "$name: the first has left" wait_for 20 pid_gone "$first"
	wait "$first"
	feed "$ns_b" 19
	exec 9>&-
	send "$ns_b" 109 10.77.1.72 "$ip_a" 2010
	settle
	weir_stop
	expect "$name: what was dropped before and after is told" "$(dropped_in "$name-1" "$name")" \
		"$((313 + 32)) $(((313 + 32) * 29))"
	expect "$name: dropped in records = dropped by the programs" \
		"$(summary_of "$name" '.counters | .dropped_packets + .dropped_in_flows')" "$((313 + 32))"
	pin_forget
}

net_new
if [ $# -gt 0 ]; then
	pin_mount "$1" && "case_$1" "${@:2}"
	exit
fi
hosts_add
case_hook xdp b
case_hook tc_in b --hook tc
case_hook tc_out a
case_small_cache
pin_mount "over a kill" || exit 0
case_kill kill
case_kill other-tables --flows 1024
case_kill fewer-decisions --policy-entries 1000
case_replaced same "$weir"
case_replaced other "$weir" --flows 1Mi
case_replaced newer "$tools/weir_next"
