#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# guest_smoke.sh - inside the test machine: weir attaches to a veth pair by XDP and by TC, counts 23
# pings both ways exactly, and leaves nothing behind.
. /tests/guest.sh

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
	weir_start --hook "$1" || return 1
	ping -c 23 -i 0.1 -q 192.0.2.2 >/dev/null
	weir_stop && cat /tmp/flows && is_exact /tmp/flows
}

check "the veth pair works" pair_new
check version "$WEIR" --version
check "exact by XDP" seen_by xdp
check "exact by TC" seen_by tc
check "nothing left attached" nothing_attached
done_testing
