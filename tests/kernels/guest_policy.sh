#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# guest_policy.sh - inside the test machine: a rule ends when it was to end and the lease when weir is
# stopped, however the clock is set meanwhile: two hours ahead, then three hours back.
. /tests/guest.sh
export WEIR_CONTROL_SOCKET=/tmp/weir.sock WEIR_POLICY_STATE=/tmp/policy WEIR_POLICY_LEASE=8s

up()
{
	cut -d. -f1 /proc/uptime
}

passes()
{
	ping -c 1 -W 2 -q 192.0.2.2 >/dev/null 2>&1
}

stopped()
{
	! passes
}

# At once: nothing here is as fast as elsewhere.
within() # SECONDS COMMAND
{
	until "$2"; do
		[ "$(up)" -lt "$(($1 + begin))" ] || return 1
	done
}

block() # TIME
{
	"$WEIR" block 192.0.2.2 --for "$1" >/tmp/block 2>&1 || { cat /tmp/block; return 1; }
	begin=$(up)
}

# As long as it was to hold, give or take the seconds that the machine itself takes.
lasted() # LEAST MOST
{
	took=$(($(up) - begin))
	echo "lasted $took s"
	[ "$took" -ge "$1" ] && [ "$took" -le "$2" ]
}

signal() # SIGNAL: to the process that renews the lease
{
	kill -"$1" "$weir"
}

check "the veth pair works" pair_new
date -s '2026-06-15 12:00:00' >/dev/null
check "weir starts" weir_start
check "a block is taken" block 40s
check "it holds" stopped
date -s '2026-06-15 14:00:00' >/dev/null
sleep 3
check "the clock is set two hours ahead: it still holds" stopped
date -s '2026-06-15 11:00:00' >/dev/null
sleep 3
check "three hours back: it still holds" stopped
check "and ends" within 120 passes
check "after the time that was said, by no clock that was set" lasted 36 70
check "what is decided under the new clock holds" block 300s
check "as it should" stopped
signal STOP
begin=$(up)
date -s '2026-06-15 09:00:00' >/dev/null
check "weir stopped and the clock set back: open when the lease ends" within 40 passes
check "not before" lasted 4 40
signal CONT
begin=$(up)
check "weir goes on: enforced again" within 40 stopped
"$WEIR" panic >/dev/null 2>&1
check "panic: open" passes
check "weir ends" weir_stop
done_testing
