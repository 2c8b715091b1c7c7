#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# npm.sh - fetch the files of npm.txt for this machine's architecture, unless they are there already.
# usage: npm.sh FOLDER
# The registry is the one npm is configured for. What comes must have the integrity that npm.txt says;
# nothing of a package is run.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
to=$1
arch=$(dpkg --print-architecture 2>/dev/null || uname -m)
case $arch in
x86_64) arch=amd64 ;;
aarch64) arch=arm64 ;;
esac
stamp=$to/.fetched
list=$(awk -v arch="$arch" '$1 == arch || $1 == "any"' "$here/npm.txt")

if [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$list" ]; then
	echo "deps: libduckdb is there"
	exit 0
fi
case $list in
"$arch"*) ;;
*)
	echo "deps: no libduckdb for $arch: the collector is not built" >&2
	exit 0
	;;
esac
if ! command -v npm >/dev/null || ! command -v openssl >/dev/null; then
	"$here/deps.sh" fetch
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$to"
rm -f "$stamp"
while read -r _ package version folder files integrity; do
	echo "deps: fetching $package $version"
	mkdir "$tmp/get"
	(cd "$tmp/get" && npm pack --silent --ignore-scripts "$package@$version" >/dev/null)
	tarball=$(echo "$tmp"/get/*.tgz)
	got=sha512-$(openssl dgst -sha512 -binary "$tarball" | base64 -w 0)
	if [ "$got" != "$integrity" ]; then
		echo "deps: $package $version: its integrity is $got, not that of npm.txt" >&2
		exit 1
	fi
	mkdir "$tmp/tree"
	tar -xzf "$tarball" -C "$tmp/tree"
	for file in ${files//,/ }; do
		install -m 644 "$tmp/tree/package/$folder/$file" "$to/$file"
	done
	rm -rf "$tmp/get" "$tmp/tree"
done <<<"$list"
echo "$list" >"$stamp"
