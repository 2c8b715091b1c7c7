# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# lib.sh - what the checks share. Each check prints `file:line: message` and fails if it printed any.
# tests/lint/exceptions.txt holds what is allowed to differ: CHECK FILE NAME REASON.

set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
git rev-parse --git-dir >/dev/null || exit 2
lint_build=${BUILD:-build}
lint_exceptions=tests/lint/exceptions.txt

# Files of the project, committed or about to be; arguments are git pathspecs.
project_files()
{
	git ls-files -co --exclude-standard -- "$@" | sort -u | perl -ne 'chomp; print "$_\n" if -f'
}

c_files()
{
	project_files '*.c' '*.h'
}

scripts()
{
	project_files ':!tests/fuzz/corpus/*' ':!tests/data/*' | xargs -r awk '
		FNR == 1 && (/^#!.*[/ ](ba)?sh/ || FILENAME ~ /\.sh$/) { print FILENAME } { nextfile }'
}

# Reads `FILE NAME message`, drops those with an exception for CHECK, names exceptions without use.
except() # CHECK
{
	awk -v check="$1" -v list="$lint_exceptions" '
		BEGIN {
			while ((getline line < list) > 0) {
				n = split(line, w, " ")
				if (w[1] != check)
					continue
				if (n < 4)
					print list ": no reason given: " line
				allowed[w[2] " " w[3]] = 1
			}
		}
		($1 " " $2) in allowed { used[$1 " " $2] = 1; next }
		{ file = $1; name = $2; $1 = $2 = ""; print file ": " name ":" substr($0, 2) }
		END { for (e in allowed) if (!(e in used)) print list ": not needed any more: " check " " e }'
}

# Show what a check printed; its status is the check's.
verdict()
{
	local found
	found=$(cat)
	[ -z "$found" ] && exit 0
	printf '%s\n' "$found"
	exit 1
}

where() # INCLUDING_FILE NAME -> path in the project, or nothing
{
	local dir
	for dir in "$(dirname "$1")" include . bpf tests/lib; do
		if [ -f "$dir/$2" ]; then
			realpath --relative-to=. "$dir/$2"
			return
		fi
	done
}

# The headers of bpf/ that call no BPF helper, and what they include of bpf/: they compile for the
# host too.
pure_headers()
{
	local todo="bpf/pkt.h bpf/key.h bpf/parse.h bpf/tunnel.h bpf/l7.h bpf/policy_key.h" seen=" " file name

	while [ -n "$todo" ]; do
		file=${todo%% *}
		todo=${todo#"$file"}
		todo=${todo# }
		[[ $seen != *" $file "* && -f $file ]] || continue
		seen+="$file "
		while read -r name; do
			name=$(where "$file" "$name")
			[[ $name == bpf/* ]] && todo+="${todo:+ }$name"
		done < <(sed -nE 's/^#include "([^"]*)".*/\1/p' "$file")
	done
	echo "$seen" | xargs -n 1
}
