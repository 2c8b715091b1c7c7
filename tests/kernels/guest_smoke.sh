#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# guest_smoke.sh - inside the test machine: weir attaches to a veth pair by XDP and by TC, counts 23
# pings both ways exactly, and leaves nothing behind.
set -u
passed=0 failed=0

# The shell would take busybox's own.
ip()
{
	/sbin/ip "$@"
}

check() # NAME COMMAND...
{
	name=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "failed: $name"
	fi
}

wait_for() # PATTERN FILE
{
	n=0
	until grep -q "$1" "$2" 2>/dev/null; do
		n=$((n + 1))
		[ "$n" -lt 300 ] || return 1
		sleep 0.2
	done
}

# The flow of the pings, and nothing but 23 packets of 84 bytes each way in it.
is_exact() # FILE
{
	grep '"src":{"ip":"192.0.2.1"},"dst":{"ip":"192.0.2.2"},"proto":"icmp"' "$1" |
		grep '"out":{"packets":23,"bytes":1932' | grep -q '"in":{"packets":23,"bytes":1932'
}

nothing_attached()
{
	! ip -d link show wa | grep -q xdp
}

seen_by() # HOOK
{
	"$WEIR" run -i wa --hook "$1" -o json --flows 4096 >/tmp/flows 2>/tmp/messages &
	weir=$!
	if ! wait_for '^weir: wa: ' /tmp/messages; then
		cat /tmp/messages
		kill "$weir" 2>/dev/null
		return 1
	fi
	ping -c 23 -i 0.1 -q 192.0.2.2 >/dev/null
	kill -TERM "$weir"
	wait "$weir"
	rc=$?
	cat /tmp/messages /tmp/flows
	[ "$rc" -eq 0 ] && is_exact /tmp/flows
}

ip link add wa type veth peer name wb
unshare -n sleep 600 &
other=$!
sleep 1
ip link set wb netns "$other"
ip addr add 192.0.2.1/24 dev wa
ip link set wa up
nsenter -t "$other" -n /sbin/ip addr add 192.0.2.2/24 dev wb
nsenter -t "$other" -n /sbin/ip link set wb up
sleep 1

check version "$WEIR" --version
check "exact by XDP" seen_by xdp
check "exact by TC" seen_by tc
check "nothing left attached" nothing_attached
kill "$other"
echo "$passed passed, $failed failed, 0 skipped"
