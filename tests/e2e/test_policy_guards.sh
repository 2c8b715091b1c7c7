#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_policy_guards.sh - faults around policies: files that are cut or changed, before and after a restart;
# addresses of the node that come while a rule would stop them; confirmations that don't come; panic
# and other changes while a large policy is being loaded; two commands at once.
. "$(dirname "$0")/lib.sh"
needs policy jq || exit 0

mkdir "$tmp/bpf"
mount -t bpf bpf "$tmp/bpf" || { skip "policy guards" "no BPF file system can be mounted"; exit 0; }
pin=$tmp/bpf/weir

forget_all()
{
	find "$tmp/bpf" -type f ! -name '*.debug' -delete
	rm -rf "$tmp/policy"
}

# The mount goes, and with it all that is pinned, whatever happens.
unpin()
{
	forget_all
	umount "$tmp/bpf" 2>/dev/null || true
}
trap 'unpin; finish' EXIT

w() # ARG...
{
	in_a "$weir" "$@" >"$tmp/w.out" 2>"$tmp/w.err"
}

shown() # JQ-FILTER
{
	in_a "$weir" policy show -o json | jq -sr "$1"
}

pings() # ADDRESS
{
	in_a ping -q -c 1 -W 1 "$1" >/dev/null 2>&1
}

no_ping() # ADDRESS
{
	! pings "$1"
}

compiled() # NAME GENERATION RULES...: $tmp/NAME.bin
{
	printf 'issuer soc\ngeneration %s\n' "$2" >"$tmp/$1.policy"
	printf '%s\n' "${@:3}" >>"$tmp/$1.policy"
	"$weir" policy compile "$tmp/$1.policy" -w "$tmp/$1.bin"
}

# A policy that is cut anywhere, or changed anywhere, is refused as a whole; what was there stays.
case_corrupted()
{
	local size n refused=0 tried=0

	weir_start corrupted -i va || return
	compiled good 1 "drop src.ip == $ip_b for 1h as good" "drop src.ip == 10.77.1.77 for 1h as other"
	expect_true "corrupted: the whole one is taken" w policy apply "$tmp/good.bin"
	compiled next 2 'drop src.ip == 10.77.1.78 for 1h as next'
	size=$(stat -c %s "$tmp/next.bin")
	for n in 1 7 8 64 127 128 129 200 391 392 393 $((size - 65)) $((size - 64)) $((size - 1)); do
		head -c "$n" "$tmp/next.bin" >"$tmp/cut.bin"
		tried=$((tried + 1))
		w policy apply "$tmp/cut.bin" || refused=$((refused + 1))
	done
	expect "corrupted: cut mid-record, refused wherever it is cut" "$refused" "$tried"
	refused=0
	tried=0
	for n in 0 8 12 104 148 149 150 151 176 320 340; do
		cp "$tmp/next.bin" "$tmp/bad.bin"
		printf '\xff\xff' | dd of="$tmp/bad.bin" bs=1 seek="$n" conv=notrunc 2>/dev/null
		tried=$((tried + 1))
		w policy apply "$tmp/bad.bin" || refused=$((refused + 1))
	done
	expect "corrupted: what means nothing is refused, whichever member it is in" "$refused" "$tried"
	expect "corrupted: what was there stays" "$(shown 'map(select(.name == "good")) | length')" 1
	expect_true "corrupted: and holds" no_ping "$ip_b"
	w policy apply "$tmp/good.bin"
	expect_match "an old generation replayed is refused" "$(cat "$tmp/w.err")" 'is not newer'
	weir_stop
}

# What is remembered is checked as what comes: a file cut by a full disk costs its rules, nothing else.
case_remembered()
{
	local f

	forget_all
	weir_start remembered -i va --pin "$pin" || return
	compiled one 1 "drop src.ip == $ip_b for 1h as one"
	expect_true "remembered: applied" w policy apply "$tmp/one.bin"
	w block 10.77.1.88 --for 1h --as local
	weir_stop
	f=$(grep -l soc "$tmp"/policy/issuer-* | head -n 1)
	truncate -s -70 "$f"
	weir_start remembered2 -i va --pin "$pin" || return
	expect "remembered: a file that was cut is passed over, the others are not" "$(shown 'map(.name) | join(",")')" local
	expect_true "remembered: it is said" has_line "$tmp/remembered2.err" "passed over"
	expect_true "remembered: nothing is stopped that nobody knows of any more" wait_for 60 pings "$ip_b"
	w policy apply "$tmp/one.bin"
	expect_match "remembered: its generation is, all the same" "$(cat "$tmp/w.err")" 'is not newer'
	weir_stop
	printf 'weirst01garbage' >"$f"
	head -c 300 /dev/urandom >"$tmp/policy/issuer-09"
	weir_start remembered3 -i va --pin "$pin" || return
	expect "remembered: garbage stops nobody from starting" "$(shown 'map(.name) | join(",")')" local
	weir_stop
	forget_all
}

# An address that the node gets while a rule is in force that would stop it.
case_own_address()
{
	weir_start own -i va || return
	w block 10.77.1.50 --for 1h
	expect "own address: blocked while it is somebody else's" "$?" 0
	in_b ip addr add 10.77.9.2/24 dev vb
	in_a ip addr add 10.77.9.1/24 dev va
	in_a ip route add default via 10.77.9.2 dev va
	w block 'proto icmp' --for 1h
	expect_true "never-block: the gateway's address is read while weir runs" wait_for 60 is_exempt 10.77.9.2
	in_a ip neigh replace 10.77.9.2 lladdr "$(in_b cat /sys/class/net/vb/address)" nud permanent dev va
	expect_true "never-block: and exempt under a rule that blocks all" wait_for 60 pings 10.77.9.2
	w block 10.77.9.1 --for 1h
	expect_match "own address: one that came while weir runs is refused" "$(cat "$tmp/w.err")" \
		'refused by the guard own-address'
	in_a ip route del default
	expect_true "never-block: no longer when it is no gateway" wait_for 60 no_ping 10.77.9.2
	in_a ip addr del 10.77.9.1/24 dev va
	in_b ip addr del 10.77.9.2/24 dev vb
	weir_stop
}

is_exempt() # ADDRESS
{
	in_a "$weir" why "$1" | grep -q 'never blocked'
}

case_confirm()
{
	weir_start confirm -i va || return
	compiled first 1 'drop src.ip == 10.77.1.66 for 1h as first'
	compiled second 2 "drop src.ip == $ip_b for 1h as second"
	compiled third 3 "drop src.ip == $ip_b for 1h as third"
	w policy apply "$tmp/first.bin"
	w policy apply "$tmp/second.bin" --confirm 2s
	w policy apply "$tmp/third.bin" --confirm 2s
	expect_true "confirm: two changes in a row hold" no_ping "$ip_b"
	expect_true "confirm: without a confirmation both are undone" wait_for 8 pings "$ip_b"
	expect "confirm: back to what was before the first of them" "$(shown 'map(.name) | join(",")')" first
	w policy apply "$tmp/third.bin"
	expect_match "confirm: what was undone is not new again" "$(cat "$tmp/w.err")" 'is not newer'
	weir_stop
}

# ---- a large policy on its way ----

large()
{
	awk 'BEGIN { for (i = 0; i < 400000; i++) printf "45.%d.%d.%d\n", i / 65536, i / 256 % 256, i % 256 }' >"$tmp/large.txt"
	compiled large "$1" "list l $tmp/large.txt" "drop src.ip in @l for 1h as large" "drop src.ip == $ip_b for 1h as host"
}

case_panic_while_loading()
{
	local job

	WEIR_POLICY_ENTRIES=524288 weir_start loading -i va || return
	large 101
	in_a "$weir" policy apply "$tmp/large.bin" >/dev/null 2>&1 &
	job=$!
	w panic
	expect "panic while a policy is loaded: taken" "$?" 0
	wait "$job"
	expect_true "panic while a policy is loaded: nothing is stopped, whichever came first" pings "$ip_b"
	expect "panic while a policy is loaded: it is there when panic is over" "$(shown 'map(.name) | sort | join(",")')" \
		host,large
	w panic --off
	expect_true "panic while a policy is loaded: and enforced then" no_ping "$ip_b"
	w flush
	case_together
	weir_stop
}

# Commands at once: each is done as a whole, none is lost.
case_together()
{
	local jobs=() i failed=0

	large 102
	in_a "$weir" policy apply "$tmp/large.bin" >"$tmp/large.out" 2>&1 &
	jobs+=($!)
	for i in 1 2 3 4 5 6; do
		in_a "$weir" block "203.0.113.$i" --for 1h --as at-once >/dev/null 2>"$tmp/at-once.$i" &
		jobs+=($!)
	done
	for i in "${jobs[@]}"; do
		wait "$i" || failed=$((failed + 1))
	done
	expect "two at once: none fails" "$failed$(cat "$tmp"/at-once.*)" 0
	failed=0
	for i in 1 2 3 4 5 6; do
		w why "203.0.113.$i"
		grep -q '^drop: ' "$tmp/w.out" || failed=$((failed + 1))
	done
	expect "two at once: all are there" "$failed" 0
	expect "two at once: the large one too" "$(shown 'map(select(.name == "large")) | length')" 1
	in_a "$weir" block 203.0.113.99 --for 1h >/dev/null 2>&1 &
	jobs=($!)
	in_a "$weir" block 203.0.113.99 --for 1h >/dev/null 2>&1
	wait "${jobs[0]}"
	w unblock 203.0.113.99
	w why 203.0.113.99
	expect "two at once: of the same address, and undone once" "$(grep -c '^drop: ' "$tmp/w.out")" 0
}

# Who may look may connect; that is no way to keep others from stopping enforcement.
case_hogged()
{
	local i

	needs hogged socat || return
	weir_start hogged -i va || return
	w block "$ip_b" --for 1h
	mkfifo "$tmp/silence"
	for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
		spawn "hog$i" "$ns_a" socat -u "OPEN:$tmp/silence,rdwr" "UNIX-CONNECT:$WEIR_CONTROL_SOCKET.policy,socktype=5"
	done
	wait_for 60 hogs_connected || die "the idle clients do not connect"
	w panic
	expect "hogged: panic is taken while idle clients hold every place" "$?" 0
	expect_true "hogged: and nothing is stopped" pings "$ip_b"
	weir_stop
	forget_all # panic would hold on
}

hogs_connected()
{
	[ "$(in_a ss -xH | grep -c "$WEIR_CONTROL_SOCKET.policy")" -ge 8 ]
}

# The blast-radius breaker's other half: an automatic decision that hits a source inside.
automatic() # NAME: the first rule of $tmp/NAME.bin is one that no person decided
{
	printf '\x02' | dd of="$tmp/$1.bin" bs=1 seek=$((128 + 21)) conv=notrunc 2>/dev/null
}

breaker_acted() # NAME TIMES
{
	[ "$(grep -c 'BREAKER: the automatic rule' "$tmp/$1.err")" = "$2" ]
}

breaker_is() # true|false
{
	[ "$(in_a "$weir" status -o json | jq .policy.breaker)" = "$1" ]
}

case_internal()
{
	weir_start internal -i va || return
	compiled inside 1 "drop src.ip == $ip_b for 1h as inside"
	compiled people 1 "drop src.ip == $ip_b for 1h as people"
	automatic inside
	w policy apply "$tmp/people.bin"
	expect_true "internal: what a person decided holds, inside too" no_ping "$ip_b"
	expect_true "internal: for longer than the breaker looks" lasts 3 no_ping "$ip_b"
	expect "internal: and trips nothing" "$(grep -c BREAKER "$tmp/internal.err")" 0
	w flush
	compiled inside 2 "drop src.ip == $ip_b for 1h as inside"
	automatic inside
	expect_true "internal: an automatic decision is taken" w policy apply "$tmp/inside.bin"
	expect "internal: one that has hit nobody trips nothing" "$(grep -c BREAKER "$tmp/internal.err")" 0
	no_ping "$ip_b"
	expect_true "internal: one source inside is hit, and all is in shadow" wait_for 60 breaker_acted internal 1
	expect_match "internal: it says by what, and whom" "$(cat "$tmp/internal.err")" \
		"rule 'inside' has stopped [0-9]+ packets of $ip_b, an internal source"
	expect_true "internal: nothing is stopped then" wait_for 60 pings "$ip_b"
	expect_true "internal: weir status says so" wait_for 60 breaker_is true
	expect_true "internal: what would have been is counted" test "$(shown 'map(.would_packets) | add')" -gt 0
	w panic --off
	expect "internal: over by command" "$(shown 'map(.name) | join(",")')" inside
	no_ping "$ip_b"
	expect_true "internal: and the next hit trips it again" wait_for 60 breaker_acted internal 2
	weir_stop
	forget_all
	WEIR_POLICY_INTERNAL=192.0.2.0/24,fd00::/8 weir_start outside -i va || return
	w policy apply "$tmp/inside.bin"
	expect_true "internal: a source that policy.internal does not hold stays stopped" no_ping "$ip_b"
	expect_true "internal: for longer than the breaker looks" lasts 3 no_ping "$ip_b"
	expect "internal: and trips nothing" "$(grep -c BREAKER "$tmp/outside.err")" 0
	weir_stop
	forget_all
}

lasts() # SECONDS COMMAND...: all that time
{
	local end=$((SECONDS + $1))

	shift
	while [ "$SECONDS" -lt "$end" ]; do
		"$@" || return 1
	done
}

net_new
case_internal
case_hogged
case_corrupted
case_remembered
case_own_address
case_confirm
case_panic_while_loading
