# SPDX-License-Identifier: Apache-2.0
# table.awk - bench.csv as tables. Rows keep the order in which they came.
BEGIN { FS = "," }
FNR == 1 { next }
{
	key = $2 SUBSEP $4 SUBSEP $3
	if ($1 == "packet" && !((key) in seen)) {
		seen[key] = 1
		row[++rows] = key
	}
	v[$1, $2, $4, $3, $5, $6] = $7
	if ($1 == "drain" && !($2 in drained) && $2 != "all") {
		drained[$2] = 1
		scan[++scans] = $2
	}
	if ($1 == "agent" && $5 != "empty program" && !(($2, $5) in agents)) {
		agents[$2, $5] = 1
		agent[++watchers] = $2 SUBSEP $4 SUBSEP $5
	}
	if ($1 == "mirror" && $6 == "ratio")
		mirror[++mirrors] = $2
	if ($1 == "live" && $6 == "mpps")
		receiver[++receivers] = $5
}
function count(flows) { return flows == 1048576 ? "1 Mi" : flows == 65536 ? "64 Ki" : flows }
function net(key, design,    i) {
	i = "packet" SUBSEP key SUBSEP design SUBSEP "net ns"
	return i in v ? sprintf("%9.1f", v[i]) : sprintf("%9s", "-")
}
function kept(p, design,    i) {
	i = p design SUBSEP "kept pct"
	return i in v ? sprintf("%8.2f%%", v[i]) : sprintf("%9s", "-")
}
function ratio(key, design,    i) {
	i = "packet" SUBSEP key SUBSEP design SUBSEP "ratio"
	return i in v ? sprintf("%8.2f", v[i]) : sprintf("%8s", "-")
}
END {
	print "\nA packet: ns of CPU, net of the empty program. Every packet is of another flow of so many, at random;"
	print "syn flood, tls hello: of a new one (hello: mean over SYN and segments; the other designs read no names).\nThe last columns: weir / the design.\n"
	printf "%-16s %6s %-4s %9s%9s%9s%9s%11s%9s  %8s%8s%8s\n", "", "flows", "hook", "weir", "HASH",
		"LRU", "PERCPU", "xdp-filter", "parse", "/HASH", "/LRU", "/PERCPU"
	for (i = 1; i <= rows; i++) {
		split(row[i], k, SUBSEP)
		printf "%-16s %6s %-4s %s%s%s%s  %s%s  %s%s%s\n", k[1], count(k[2]), k[3], net(row[i], "weir"),
			net(row[i], "hash"), net(row[i], "lru"), net(row[i], "percpu"),
			net(row[i], "xdp-filter"), net(row[i], "parse"), ratio(row[i], "hash"),
			ratio(row[i], "lru"), ratio(row[i], "percpu")
	}
	print "\nWhat became of the flows. weir: final records delivered, the rest is in the loss counter; others: what"
	print "still fits their map if nobody empties it.\n"
	printf "%-16s %6s %12s%12s%10s%11s%13s  %9s%9s%9s\n", "", "flows", "sent", "evicted", "lost",
		"delivered", "unaccounted", "HASH", "LRU", "PERCPU"
	for (i = 1; i <= rows; i++) {
		split(row[i], k, SUBSEP)
		p = "packet" SUBSEP row[i] SUBSEP
		if (k[3] != "xdp" || !((p "weir" SUBSEP "delivered pct") in v))
			continue
		printf "%-16s %6s %12d%12d%10d%10.2f%%%13d  %s%s%s\n", k[1], count(k[2]),
			v[p "weir" SUBSEP "sent"], v[p "weir" SUBSEP "evicted"], v[p "weir" SUBSEP "lost"],
			v[p "weir" SUBSEP "delivered pct"], v[p "weir" SUBSEP "unaccounted"],
			kept(p, "hash"), kept(p, "lru"),
			kept(p, "percpu")
	}
	print ""
	for (i = 1; i <= rows; i++) {
		split(row[i], k, SUBSEP)
		p = "packet" SUBSEP row[i] SUBSEP "weir" SUBSEP
		if ((p "named") in v)
			printf "%-16s %6s  of %d names %d are in a record (%.2f%%), %d found the event ring full\n",
				k[1], count(k[2]), v[p "connections"], v[p "named"],
				100 * v[p "named"] / v[p "connections"], v[p "names lost"]
	}
	print "\nA mirrored packet: ns that a copy over VXLAN costs beside the packet itself, all on one CPU; whole, and cut to 64 bytes.\n"
	printf "%-16s %12s %12s %12s %8s\n", "", "weir", "weir, cut", "tc mirred", "ratio"
	for (i = 1; i <= mirrors; i++) {
		p = "mirror" SUBSEP mirror[i] SUBSEP 1 SUBSEP "tc" SUBSEP
		printf "%-16s %12.0f %12.0f %12.0f %8.2f\n", mirror[i], v[p "weir" SUBSEP "mirror ns"],
			v[p "cut" SUBSEP "mirror ns"], v[p "mirred" SUBSEP "mirror ns"], v[p "mirred" SUBSEP "ratio"]
	}
	print "\nA scan of 1 Mi live flows in 2 Mi entries: CPU time, records not encoded.\n"
	printf "%-16s %10s %16s %14s\n", "", "ms", "entries merged", "system calls"
	for (i = 1; i <= scans; i++) {
		p = "drain" SUBSEP scan[i] SUBSEP 1048576 SUBSEP "" SUBSEP "weir" SUBSEP
		printf "%-16s %10.1f %16d %14s\n", scan[i], v[p "cpu ms"], v[p "entries merged"],
			(p "system calls") in v ? v[p "system calls"] : "?"
	}
	print "\nLive frames over veth, 64 bytes, 64 Ki flows; one CPU generates, sends, accounts and drops.\n"
	for (i = 1; i <= receivers; i++)
		printf "%-16s %8.2f Mpps\n", receiver[i],
			v["live", "one CPU", 65536, "xdp", receiver[i], "mpps"]
	p = "live" SUBSEP "overload" SUBSEP 65536 SUBSEP "xdp" SUBSEP "weir" SUBSEP
	printf "\nSender and receiver on a CPU each: offered %.2f Mpps, carried %.2f Mpps: sent %d = recorded %d\n" \
		"+ lost %d + dropped by veth %d, unaccounted %d.\n", v[p "offered mpps"], v[p "carried mpps"],
		v[p "sent"], v[p "recorded"], v[p "lost"], v[p "dropped by veth"], v[p "unaccounted"]
	if (watchers) {
		print "\nWhole agents on the same traffic, 64-byte UDP frames, exporting IPFIX: CPU s per million packets, start left"
		print "out. processes: the agent's own and its BPF programs' run time; all: with what the kernel does for it.\n"
		printf "%-16s %-10s %10s %10s %10s %12s %10s %10s\n", "", "", "processes", "of it BPF", "all",
			"/ M flows", "counted", "RSS"
	}
	for (i = 1; i <= watchers; i++) {
		split(agent[i], k, SUBSEP)
		p = "agent" SUBSEP k[1] SUBSEP k[2] SUBSEP "" SUBSEP k[3] SUBSEP
		all = (p "cpu s with the kernel's") in v ? sprintf("%.3f", v[p "cpu s with the kernel's"]) : "-"
		printf "%-16s %-10s %10.3f %10.3f %10s %12.2f %9.2f%% %6.0f MiB\n", k[1], k[3],
			v[p "cpu s per million packets"], v[p "of it in bpf"], all,
			v[p "cpu s of processes per million flows"], v[p "counted pct"], v[p "rss mib"]
	}
}
