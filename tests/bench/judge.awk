# SPDX-License-Identifier: Apache-2.0
# judge.awk - holds bench.csv against budgets.csv; fails when a row marked `must` is out of bounds.
# A line of budgets.csv: section,scenario,hook,flows,design,metric,op,bound,must|aim - `*` = any hook.
BEGIN { FS = "," }
FNR == NR {
	if ($0 !~ /^(#|$|section)/)
		budget[++n] = $0
	next
}
FNR == 1 { next }
{
	v[$1, $2, $3, $4, $5, $6] = $7
	v[$1, $2, "*" $3, $4, $5, $6] = $7
}
function check(b, hook,    i, ok) {
	i = b[1] SUBSEP b[2] SUBSEP hook SUBSEP b[4] SUBSEP b[5] SUBSEP b[6]
	if (!(i in v)) {
		printf "%-7s %s %s %s %s %s: not measured\n", b[9] == "must" ? "MISSING" : "-", b[2], hook,
			b[4], b[5], b[6]
		bad += b[9] == "must"
		return
	}
	ok = b[7] == "<=" ? v[i] <= b[8] + 0 : b[7] == ">=" ? v[i] >= b[8] + 0 : v[i] == b[8] + 0
	printf "%-7s %s %s %s %s: %s %.4g, %s %s %s\n", ok ? "ok" : b[9] == "must" ? "FAIL" : "above",
		b[1], b[2], hook, b[4], b[5] == "weir" ? b[6] : b[6] " to " b[5], v[i], b[9], b[7], b[8]
	bad += !ok && b[9] == "must"
}
END {
	for (k = 1; k <= n; k++) {
		split(budget[k], b, ",")
		if (b[3] == "*") {
			check(b, "xdp")
			check(b, "tc")
		} else {
			check(b, b[3])
		}
	}
	exit bad > 0
}
