# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by the tests of this folder: facts [-x] PATH-PART... compares captures, or says that there
# are none.
cd "$(dirname "$0")/../.." || exit 2

facts() {
	local weir=${WEIR:-${BUILD:-build}/weir} pcaps=${WEIR_PCAPS:-../shared/pcaps}

	if [ ! -f "$pcaps/facts.jsonl" ]; then
		echo "skip: no captures in $pcaps (WEIR_PCAPS names their folder)"
		echo "0 passed, 0 failed, 1 skipped"
		exit 0
	fi
	exec python3 tests/corpus/compare.py "$weir" "$pcaps" "$@"
}
