#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# package.sh - build the Debian package from a copy of the tree, and ask lintian about it.
# usage: package.sh OUTPUT-FOLDER VERSION
set -eu
cd "$(dirname "$0")/.."
out=$1
version=$2
packaging/deps.sh build package
packaging/npm.sh build/deps/duckdb
rm -rf "$out"
mkdir -p "$out"
out=$(cd "$out" && pwd)
tree=$out/weir-$version
deps=$PWD/build/deps
commit=$(git rev-parse --short=12 HEAD)
mkdir "$tree"
git ls-files -z -co --exclude-standard -- . ':!tests' | tar --null -T - -cf - | tar -xf - -C "$tree"
cp -r packaging/debian "$tree/debian"
bsd=$(sed -e '1,/^$/d; s/^$/./; s/^/ /' LICENSES/BSD-2-Clause.txt)
awk -v bsd="$bsd" '$0 == "@BSD@" { print bsd; next } { print }' packaging/debian/copyright \
	>"$tree/debian/copyright"
head -n 1 "$tree/debian/changelog" | grep -qF "($version)" || {
	echo "package: packaging/debian/changelog begins with another version than $version" >&2
	exit 1
}
# The environment of a calling make is not the package's.
cd "$tree"
env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u BUILD -u CFLAGS -u LDFLAGS -u DESTDIR -u PREFIX \
	COMMIT="$commit" DEPS="$deps" DEB_BUILD_OPTIONS="parallel=$(nproc) nocheck" \
	dpkg-buildpackage -us -uc -b >"$out/build.log" 2>&1 || {
	tail -n 30 "$out/build.log" >&2
	exit 1
}
cd "$out"
lintian --fail-on error,warning ./*.changes >"$out/lintian.log" 2>&1 || {
	cat "$out/lintian.log" >&2
	exit 1
}
cat "$out/lintian.log"
ls -1 "$out"/*.deb
