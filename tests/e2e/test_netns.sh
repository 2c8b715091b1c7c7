#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_netns.sh - other network namespaces: tenants whose interfaces have the same index and the same
# addresses never share a flow, and every packet is in a record of its own; namespaces and their
# interfaces come and go; what it takes, and what is said where that is missing.
. "$(dirname "$0")/lib.sh"

t1=weir-t1x$$ t2=weir-t2x$$
p1=weir-p1x$$ p2=weir-p2x$$
conf=$tmp/weir.conf

tenant_new() # NAMESPACE PEER-NAMESPACE: eth0 and its peer, both with nothing but the test's traffic
{
	net_del "$1"
	net_del "$2"
	ns_new "$1"
	ns_new "$2"
	pair_new "$1" eth0 "$2" peer0 1 1500
	ip netns exec "$1" ethtool -K eth0 tso off gso off gro off >/dev/null
	ip netns exec "$2" ethtool -K peer0 tso off gso off gro off >/dev/null
	settle "$1" eth0
}

says() # NAME REGEX
{
	wait_for 60 has_line "$tmp/$1.err" "$2"
}

said_times() # NAME COUNT REGEX
{
	[ "$(grep -cE -- "$3" "$tmp/$1.err")" -ge "$2" ]
}

frames() # NAMESPACE DEV COUNT
{
	ip netns exec "$1" "$tools/flood" -n "$3" "$2" 97 >/dev/null
}

# Packets, flows of the test's frames on an interface.
udp_on() # NAME IFACE
{
	records "$1" "map(select(.iface == \"$2\" and .proto == \"udp\")) |
		\"\(map(.packets) | add // 0) \(map([.src.ip, .src.port]) | unique | length)\""
}

index_of() # NAMESPACE DEV
{
	ip netns exec "$1" cat "/sys/class/net/$2/ifindex"
}

# Three networks with the same addresses, two of them with the same interface index.
case_tenants()
{
	local n

	expect "tenants: one interface index" "$(index_of "$t1" eth0)" "$(index_of "$t2" eth0)"
	weir_start tenants -i va --netns "$t1" -i "$t2/eth*" || return
	for n in "$t1" "$t2"; do
		says tenants "^weir: $n/eth0: .*ingress" || die "$n/eth0 is not watched: $(cat "$tmp/tenants.err")"
	done
	expect_match "tenants: the core has one capability more" \
		"$(grep CapEff "/proc/$weir_pid/status")" '000000c000201000'
	expect "tenants: the worker has none" \
		"$(awk '/CapEff/ { print $2 }' "/proc/$(pgrep -P "$weir_pid")/status")" 0000000000000000
	frames "$p1" peer0 9700 &
	frames "$p2" peer0 19400 &
	frames "$ns_b" vb 970
	wait -n && wait -n
	settle "$t1" eth0 && settle "$t2" eth0
	expect "tenants: status names them" \
		"$("$weir" status -o json | jq -r '[.interfaces[].name] | sort | join(" ")')" \
		"$(printf '%s\n' va "$t1/eth0" "$t2/eth0" | sort | paste -sd' ')"
	expect "tenants: their numbers are different" \
		"$("$weir" status -o json | jq '[.interfaces[].ifindex] | unique | length')" 3
	expect_match "tenants: flows picks by name" \
		"$("$weir" flows --live "iface == \"$t1/eth0\"" -o json | jq -s 'map(select(.proto == "udp")) | length')" '^97$'
	weir_stop
	expect "tenants: exit status" "$weir_rc" 0
	expect "tenants: packets and flows of the first" "$(udp_on tenants "$t1/eth0")" '9700 97'
	expect "tenants: of the second" "$(udp_on tenants "$t2/eth0")" '19400 97'
	expect "tenants: of weir's own" "$(udp_on tenants va)" '970 97'
	expect_accounted tenants tenants
	expect_attached "tenants: afterwards" '' "$t1" eth0
}

# Interfaces inside, namespaces that go and come back, under a name or a pattern.
case_come_and_go()
{
	weir_start come -i va --netns 'weir-t?x'"$$" || return
	says come "^weir: $t2/eth0: .*ingress" || die "$t2/eth0 is not watched: $(cat "$tmp/come.err")"
	pair_new "$t1" new7 "$p1" newpeer 7 1500
	says come "^weir: $t1/new7: .*ingress" || not_ok "come and go: a new interface inside" "$(tail -n 3 "$tmp/come.err")"
	settle "$t1" new7
	frames "$p1" newpeer 970
	settle "$t1" new7
	ip -n "$t1" link del new7
	says come "^weir: $t1/new7: gone" && ok "come and go: an interface inside is gone"
	frames "$p2" peer0 1940
	settle "$t2" eth0
	ip netns del "$t2"
	says come "^weir: $t2: the network namespace is gone" && ok "come and go: a namespace is gone"
	expect "come and go: it is counted" "$("$weir" status -o json | jq -c .namespaces)" '{"watched":1,"gone":1}'
	expect_true "come and go: weir does not keep it alive" wait_for 60 gone_with_it
	tenant_new "$t2" "$p2"
	wait_for 20 said_times come 2 "^weir: $t2/eth0: .*ingress" && ok "come and go: it is watched again"
	frames "$p2" peer0 97
	settle "$t2" eth0
	weir_stop
	expect "come and go: exit status" "$weir_rc" 0
	expect "come and go: packets of the interface that went" "$(udp_on come "$t1/new7")" '970 97'
	expect "come and go: of both namespaces of one name" "$(udp_on come "$t2/eth0")" '2037 97'
	expect_accounted "come and go" come
}

gone_with_it() # its end of the pair goes with a namespace
{
	! ip -n "$p2" link show peer0
}

conf() # INTERFACES NAMESPACES
{
	cat >"$conf" <<-EOF
		[run]
		interfaces = $1
		netns = $2
		[interface $t2/eth*]
		sample = 10
	EOF
}

# What the file says of namespaces, and of single interfaces in them.
case_reload()
{
	conf va "$t1"
	weir_start file --config "$conf" || return
	says file "^weir: $t1/eth0: .*ingress" || die "$t1/eth0 is not watched: $(cat "$tmp/file.err")"
	frames "$p1" peer0 970
	settle "$t1" eth0
	conf va "$t2"
	kill -HUP "$weir_pid"
	says file "^weir: $t2/eth0: .*ingress" && ok "reload: another namespace is watched"
	says file "^weir: $t1/eth0: .*asked for" && ok "reload: one is let go of"
	frames "$p1" peer0 970
	frames "$p2" peer0 9700
	settle "$t2" eth0
	weir_stop
	expect "reload: packets until then" "$(udp_on file "$t1/eth0")" '970 97'
	expect_match "reload: one in ten, of one interface alone" "$(udp_on file "$t2/eth0" | cut -d' ' -f1)" '^9[67][0-9]$'
	expect "reload: its records say so" \
		"$(records file 'map(select(.proto == "udp") | .sampling // 1) | unique | join(" ")')" '1 10'
}

# Started without, the capability is gone.
case_reload_too_late()
{
	printf '[run]\ninterfaces = va\n' >"$conf"
	weir_start late --config "$conf" || return
	expect_match "no namespaces: three capabilities" "$(grep CapEff "/proc/$weir_pid/status")" '000000c000001000'
	conf va "$t1"
	kill -HUP "$weir_pid"
	says late 'take a restart' && ok "reload: a first namespace takes a restart"
	weir_stop
}

# What another weir left is gone on with, in each namespace.
case_pinned()
{
	mkdir "$tmp/bpf"
	if ! mount -t bpf bpf "$tmp/bpf"; then
		skip "pinned" "no BPF file system can be mounted"
		return
	fi
	weir_start pinned1 --pin "$tmp/bpf/weir" --netns "$t1,$t2" || return
	says pinned1 "^weir: $t2/eth0: .*ingress" || die "$t2/eth0 is not watched: $(cat "$tmp/pinned1.err")"
	frames "$p1" peer0 970
	settle "$t1" eth0
	kill -KILL "$weir_pid" "$(pgrep -P "$weir_pid")"
	wait "$weir_pid" 2>/dev/null
	frames "$p1" peer0 970
	frames "$p2" peer0 1940
	weir_start pinned --pin "$tmp/bpf/weir" --netns "$t1,$t2" --flows 4096 --idle-timeout 300ms \
		--drain-interval 20ms || return # what the first has left is long silent
	says pinned "^weir: $t2/eth0: .*taken over" && ok "pinned: taken over"
	frames "$p2" peer0 1940
	settle "$t2" eth0
	weir_stop
	expect "pinned: of the first" "$(udp_on pinned "$t1/eth0")" '1940 97'
	expect "pinned: of the second" "$(udp_on pinned "$t2/eth0")" '3880 97'
	expect "pinned: links of all of them" "$(find "$tmp/bpf/weir/links" -type f | wc -l)" 4
	find "$tmp/bpf" -type f ! -name '*.debug' -delete
	umount "$tmp/bpf"
}

refused() # CASE EXIT-STATUS REGEX COMMAND...
{
	"${exec_a[@]}" "${@:4}" >"$tmp/refused.out" 2>"$tmp/refused.err" </dev/null
	expect "$1: exit status" $? "$2"
	expect_match "$1: it says why" "$(cat "$tmp/refused.err" "$tmp/refused.out")" "$3"
}

case_refused()
{
	local three=(setpriv --inh-caps=-all "--bounding-set=-all,+bpf,+net_admin,+perfmon,+dac_override" --no-new-privs)

	refused "no such namespace" 1 'weir-nope: no such network namespace' "$weir" run -i weir-nope/eth0
	refused "no such interface inside" 1 "$t1/eth9: no such interface" "$weir" run -i "$t1/eth9"
	refused "its own namespace" 1 'its interfaces are given by their names alone' "$weir" run --netns "$ns_a"
	refused "without CAP_SYS_ADMIN" 3 'CAP_SYS_ADMIN' "${three[@]}" "$weir" run --control-socket none --netns "$t1"
	refused "doctor without CAP_SYS_ADMIN" 3 'missing: sys_admin' "${three[@]}" "$weir" doctor --netns "$t1"
	refused "doctor with it" 0 "ok +1 interfaces in network namespace $t1" "$weir" doctor -i va --netns "$t1"
}

net_new
tenant_new "$t1" "$p1"
tenant_new "$t2" "$p2"
case_tenants
case_come_and_go
case_reload
case_reload_too_late
case_pinned
case_refused
