#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# deps.sh - install the Debian packages of deps.txt that are missing; touch nothing else.
# usage: deps.sh [GROUP...]     (no group: all of them but fetch)
# As an ordinary user it prints the command instead and fails. Services that a package brings are
# neither started nor enabled.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
wanted=$(awk -v groups="$*" '
	BEGIN { n = split(groups, g, " "); for (i = 1; i <= n; i++) want[g[i]] = 1 }
	/^[a-z]/ && (n == 0 ? $1 != "fetch" : $1 in want) { print $2 }' "$here/deps.txt" | sort -u)

if ! command -v dpkg-query >/dev/null; then
	echo "deps: not a Debian system; install the equivalents of: ${wanted//$'\n'/ }" >&2
	exit 1
fi

# shellcheck disable=SC2086 # one word per package
have=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $wanted 2>/dev/null |
	awk '$2 == "installed" { print $1 }' | sort -u)
missing=$(comm -23 <(echo "$wanted") <(echo "$have") | xargs)
if [ -z "$missing" ]; then
	echo "deps: $(echo "$wanted" | wc -l) packages, all installed"
	exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "deps: missing packages. As root run:" >&2
	echo "  apt-get install --no-install-recommends $missing" >&2
	exit 1
fi

# invoke-rc.d asks this file before it starts anything.
policy=/usr/sbin/policy-rc.d
log=$(mktemp)
cleanup()
{
	rm -f "$log"
	if [ -n "${policy_is_ours:-}" ]; then
		rm -f "$policy"
	fi
}
trap cleanup EXIT
if [ ! -e "$policy" ]; then
	policy_is_ours=1
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi

apt()
{
	DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 \
		-o APT::Install-Recommends=false "$@" </dev/null >>"$log" 2>&1
}

echo "deps: installing $missing"
# The package lists may be absent or older than the archive: refresh them only if that shows.
# shellcheck disable=SC2086
if ! apt install -y $missing; then
	echo "deps: refreshing the package lists"
	if ! apt update || ! apt install -y $missing; then
		tail -n 25 "$log" >&2
		echo "deps: apt-get failed" >&2
		exit 1
	fi
fi
# No systemd running means nothing was enabled.
for service in nginx:nginx-light ngtcp2d:ngtcp2-server rsyslog:rsyslog exabgp:exabgp; do
	case " $missing " in
	*" ${service#*:} "*)
		if command -v systemctl >/dev/null; then
			systemctl disable "${service%:*}" >/dev/null 2>&1 || true
		fi
		;;
	esac
done
echo "deps: done"
