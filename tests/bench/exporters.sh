#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# exporters.sh - what measuring and exporting costs in CPU time, weir beside softflowd: the same packets
# through the same interface, by turns with nothing, weir, or softflowd on it, each sending IPFIX to
# nfcapd. The work that the kernel does for them on a packet's way (weir's programs, softflowd's packet
# socket) is charged to the sender; so cost = the process' CPU time + what the sender took longer than
# with nothing there. Medians of ROUNDS rounds.
# usage: exporters.sh [FLOWS [PACKETS [ROUNDS]]]; CSV on standard output. Needs root.
set -u
no_totals=1
. "$(dirname "$0")/../e2e/lib.sh"

flows=${1:-100000} packets=${2:-2000000} rounds=${3:-3}
ticks=$(getconf CLK_TCK)

needs bench nfcapd softflowd jq || exit 1

cpu_s() # PID...: user + system time so far
{
	cat "${@/#//proc/}" 2>/dev/null | awk -v t="$ticks" '{ sub(/.*\) /, ""); s += $12 + $13 } END { printf "%.2f\n", s / t }'
}

rss_mib() # PID...
{
	cat "${@/#//proc/}" 2>/dev/null | awk '/^VmRSS/ { s += $2 } END { printf "%.0f\n", s / 1024 }'
}

stats_of() # FILE PID...
{
	local file=$1 p out=()

	shift
	for p; do
		out+=("$p/$file")
	done
	printf '%s\n' "${out[@]}"
}

send_s() # CPU seconds of the sender, the kernel's work on the way included
{
	local TIMEFORMAT='%U %S'

	{ time in_b "$tools/flood" -n "$packets" vb "$flows" >"$tmp/sent"; } 2>&1 | awk 'END { printf "%.2f\n", $1 + $2 }'
}

collector() # NAME PORT
{
	mkdir -p "$tmp/$1"
	rm -f "$tmp/$1"/nfcapd.*
	spawn "nf_$1" "$ns_a" nfcapd -w "$tmp/$1" -l "$tmp/$1" -p "$2" -b 127.0.0.1 -t 3600 -B 8000000
	wait_for 5 listening "$ns_a" udp "$2" || die "nfcapd does not start"
}

# Packets in the records that the collector has.
collected() # NAME
{
	stop_spawned "nf_$1"
	nfdump -q -R "$tmp/$1" -N -o 'fmt:%ipkt,%opkt' 2>/dev/null | awk -F, '{ n++; p += $1 + $2 } END { print n + 0, p + 0 }'
}

row() # NAME SENDER_S PROCESS_S RSS RECORDS PACKETS
{
	echo "$*" >>"$tmp/rows"
}

round_none()
{
	settle
	row none "$(send_s)" 0 0 0 0
	settle
}

round_weir()
{
	local worker pids_ took cpu rss

	collector weir 4811
	ip netns exec "$ns_a" "$weir" run -i va -o none --no-names ${WEIR_BENCH_ARGS:-} --flows $((flows * 2)) --summary json \
		--idle-timeout 3s --export 'ipfix://127.0.0.1:4811?queue_bytes=64Mi' \
		>"$tmp/weir.out" 2>"$tmp/weir.err" </dev/null &
	weir_pid=$!
	pids+=("$weir_pid")
	wait_for 20 has_line "$tmp/weir.err" 'ingress' || die "weir does not start: $(cat "$tmp/weir.err")"
	worker=$(pgrep -P "$weir_pid")
	pids_="$weir_pid $worker"
	# shellcheck disable=SC2086,SC2046 # words
	cpu=$(cpu_s $(stats_of stat $pids_))
	took=$(send_s)
	settle
	sleep 5 # the flows are idle, and exported
	# shellcheck disable=SC2086,SC2046
	cpu=$(awk -v a="$(cpu_s $(stats_of stat $pids_))" -v b="$cpu" 'BEGIN { print a - b }')
	# shellcheck disable=SC2086,SC2046
	rss=$(rss_mib $(stats_of status $pids_))
	weir_stop INT
	sleep 0.5
	# shellcheck disable=SC2046
	row weir "$took" "$cpu" "$rss" $(collected weir)
	# what is missing has a name: in the kernel, or on the way to the collector
	grep '^{' "$tmp/weir.err" | jq -r '"weir: \(.packets) packets in records, \(.counters.lost_packets) lost, export: \(.exports[0] |
		"\(.records) sent, \([.lost[]] | add) lost")"' >&2
}

round_softflowd()
{
	local pid took cpu rss

	collector soft 4812
	spawn softflowd "$ns_a" softflowd -D -i va -n 127.0.0.1:4812 -v 10 -m 2000000 -p "$tmp/soft.pid" \
		-c "$tmp/soft.ctl" -t maxlife=60 -t udp=3 -t general=3 -t expint=1
	wait_for 10 has_line "$tmp/softflowd.err" 'IPFIX|exporting|Using|listening|softflowd' || sleep 1
	pid=${spawned[softflowd]}
	cpu=$(cpu_s "$pid/stat")
	took=$(send_s)
	settle
	sleep 5
	cpu=$(awk -v a="$(cpu_s "$pid/stat")" -v b="$cpu" 'BEGIN { print a - b }')
	rss=$(rss_mib "$pid/status")
	stop_pid "$pid"
	sleep 0.5
	# shellcheck disable=SC2046
	row softflowd "$took" "$cpu" "$rss" $(collected soft)
}

net_new
: >"$tmp/rows"
for ((i = 0; i < rounds; i++)); do
	round_none
	round_weir
	round_softflowd
done
awk -v f="$flows" -v p="$packets" '
	function median(n, c,    i, j, t, v) {
		for (i = 1; i <= n; i++) v[i] = x[c, i]
		for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++) if (v[j] < v[i]) { t = v[i]; v[i] = v[j]; v[j] = t }
		return v[int((n + 1) / 2)]
	}
	{ k[$1]++; x[$1 "s", k[$1]] = $2; x[$1 "c", k[$1]] = $3; x[$1 "r", k[$1]] = $4; rec[$1] = $5; pk[$1] = $6 }
	END {
		base = median(k["none"], "nones")
		print "exporter,flows,packets,packets_collected,records,kernel_s,process_s,cpu_s_per_m_packets,process_s_per_m_records,rss_mib"
		split("weir softflowd", names, " ")
		for (i = 1; i <= 2; i++) {
			n = names[i]
			kern = median(k[n], n "s") - base; proc = median(k[n], n "c")
			cost[n] = kern + proc
			printf "%s,%d,%d,%d,%d,%.2f,%.2f,%.3f,%.2f,%d\n", n, f, p, pk[n], rec[n], kern, proc,
				cost[n] / p * 1e6, rec[n] ? proc / rec[n] * 1e6 : 0, median(k[n], n "r")
		}
		printf "sender alone,%d,%d,,,%.2f,,,,\n", f, p, base
		printf "ratio,%d,%d,,,,,%.3f,,\n", f, p, cost["softflowd"] ? cost["weir"] / cost["softflowd"] : 0
	}' "$tmp/rows"
if [ -n "${KEEP_ROWS:-}" ]; then cat "$tmp/rows"; fi
