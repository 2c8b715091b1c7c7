# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash disable=SC2034
#
# guest.sh - what the scripts inside the test machine share: checks that are counted, and a veth pair
# (wa here, 192.0.2.1; wb in a namespace of its own, 192.0.2.2) with weir to be put on it.
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

pair_new()
{
	ip link add wa type veth peer name wb
	unshare -n sleep 600 &
	other=$!
	until [ "$(readlink "/proc/$other/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do
		sleep 0.1
	done
	ip link set wb netns "$other"
	ip addr add 192.0.2.1/24 dev wa
	ip link set wa up
	nsenter -t "$other" -n /sbin/ip addr add 192.0.2.2/24 dev wb
	nsenter -t "$other" -n /sbin/ip link set wb up
	n=0
	until ping -c 1 -W 1 192.0.2.2 >/dev/null 2>&1; do
		n=$((n + 1))
		[ "$n" -lt 30 ] || return 1
	done
}

# Records to /tmp/flows, messages to /tmp/messages; process id in $weir.
weir_start() # ARG...
{
	: >/tmp/messages
	"$WEIR" run -i wa -o json --flows 4096 "$@" >/tmp/flows 2>/tmp/messages &
	weir=$!
	if ! wait_for '^weir: wa: ' /tmp/messages; then
		cat /tmp/messages
		kill "$weir" 2>/dev/null
		return 1
	fi
}

weir_stop()
{
	kill -TERM "$weir"
	wait "$weir"
	rc=$?
	cat /tmp/messages
	return "$rc"
}

done_testing()
{
	kill "$other"
	ip link del wa 2>/dev/null
	echo "$passed passed, $failed failed, 0 skipped"
}
