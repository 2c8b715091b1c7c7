#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_facts - every capture of WEIR_PCAPS (default ../shared/pcaps) against its recorded facts.
set -u
cd "$(dirname "$0")/../.." || exit 2
pcaps=${WEIR_PCAPS:-../shared/pcaps}
if [ ! -f "$pcaps/facts.jsonl" ]; then
	echo "skip: no captures in $pcaps (WEIR_PCAPS names their folder)"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi
exec python3 tests/corpus/compare.py "${WEIR:-${BUILD:-build}/weir}" "$pcaps" "$@"
