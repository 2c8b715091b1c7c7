#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_ingest.sh - receiving: a weir's flows over UDP, TCP and TLS come in to the last packet, and are
# acknowledged; flows of other exporters (softflowd, pmacct, nfdump's replay) come to the totals that
# nfcapd takes of the same messages.
# shellcheck disable=SC2016,SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/servers.sh"

sink_start() # NAME OPTIONS...: ${ports[@]} are those it listens on
{
	local name=$1

	shift
	spawn "sink_$name" "$ns_a" "$tools/ingest_sink" "$@"
	wait_for 60 has_line "$tmp/sink_$name.out" '^ready' || die "the sink does not start: $(cat "$tmp/sink_$name.err")"
	read -ra ports < <(sed -n 's/^ready //p' "$tmp/sink_$name.out")
}

sink_stop() # NAME: its sums are what of NAME asks
{
	stop_spawned "sink_$1"
	tail -n 1 "$tmp/sink_$1.out" >"$tmp/$1.sums"
}

of() # NAME FILTER
{
	jq -r "$2" "$tmp/$1.sums"
}

lost() # NAME: all that is counted as lost or malformed, of all exporters
{
	of "$1" '[.exporters[], .strays | to_entries[] | select(.key | test("^lost|refused$|^short$|^version$|^length$|^set$|^template$|^record$|^sample$|^frame$")) | .value] | add // 0'
}

traffic()
{
	local n

	for n in www shop api; do
		fetch -4 "https://$n.example.test/"
		fetch -6 "https://$n.example.test/"
		fetch -4 "http://$n.example.test/path/$n"
	done
	client dig +short www.example.test >/dev/null
	in_a ping -c 101 -i 0.002 -q "$ip_b" >/dev/null
	in_a ping -c 23 -i 0.002 -q "$ip6_b" >/dev/null
	settle
}

# ---- weir ----

received() # NAME PORT: what was sent to it has been read
{
	[ -z "$(in_a ss -Hun "sport = :$2" | awk '$2 > 0')" ]
}

hung_up() # PORT: no connection is left: it was read to its end
{
	[ -z "$(in_a ss -Htn "sport = :$1")" ]
}

case_weir() # NAME URL SINK-OPTION...
{
	local name=$1 url=$2

	shift 2
	sink_start "$name" "$@"
	weir_start "$name" -i va --export "${url/PORT/${ports[0]}}" || return
	traffic
	weir_stop
	expect "$name: weir's exit status" "$weir_rc" 0
	wait_for 60 received "$name" "${ports[0]}"
	sink_stop "$name"
	expect "$name: as many records" "$(of "$name" .rows)" "$(records "$name" length)"
	expect "$name: packets and bytes" "$(of "$name" '"\(.packets) \(.bytes)"')" "$(sum_of "$name")"
	expect "$name: names" "$(of "$name" .names)" "$(records "$name" 'map(select(.tls.sni)) | length')"
	expect "$name: nothing lost, nothing malformed" "$(lost "$name")" 0
	expect "$name: the exporter's name" "$(of "$name" '[.exporters[] | select(.name != "")][0].name')" \
		"$(records "$name" '.[0].node')"
}

# Two runs with one spool: what the first did not hear an acknowledgement of the second sends again, and
# it is taken once.
case_acknowledged()
{
	local run

	mkdir -p "$tmp/spool"
	chmod 777 "$tmp/spool"
	sink_start acked -t 0
	for run in acked1 acked2; do
		weir_start "$run" -i va --export \
			"ipfix+tcp://127.0.0.1:${ports[0]}?spool=$tmp/spool&acknowledge=yes" || return
		traffic
		weir_stop
		expect "acknowledged: weir's exit status" "$weir_rc" 0
	done
	sink_stop acked
	expect "acknowledged: packets and bytes of two runs" "$(of acked '"\(.packets) \(.bytes)"')" \
		"$(echo "$(sum_of acked1) $(sum_of acked2)" | awk '{ print $1 + $3, $2 + $4 }')"
	expect "acknowledged: each record in a mark" "$(of acked .marked)" "$(of acked .rows)"
	expect "acknowledged: nothing lost, nothing malformed" "$(lost acked)" 0
}

case_tls()
{
	local p=$tmp/pki n

	mkdir -p "$p"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout "$p/ca.key" \
		-out "$p/ca.pem" -subj "/CN=ca" 2>/dev/null
	for n in collector exporter; do
		openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$p/$n.key" \
			-out "$p/$n.csr" -subj "/CN=$n.test" 2>/dev/null
		openssl x509 -req -in "$p/$n.csr" -CA "$p/ca.pem" -CAkey "$p/ca.key" -CAcreateserial \
			-days 2 -out "$p/$n.pem" -extfile <(echo "subjectAltName=DNS:$n.test") 2>/dev/null
	done
	case_weir tls "ipfix+tls://127.0.0.1:PORT?ca=$p/ca.pem&server_name=collector.test&cert=$p/exporter.pem&key=$p/exporter.key" \
		-s 0 -c "$p/collector.pem" -k "$p/collector.key" -a "$p/ca.pem"
	sink_start bare -s 0 -c "$p/collector.pem" -k "$p/collector.key" -a "$p/ca.pem"
	weir_start bare -i va --export "ipfix+tls://127.0.0.1:${ports[0]}?ca=$p/ca.pem&server_name=collector.test" || return
	in_a ping -c 23 -i 0.002 -q "$ip_b" >/dev/null
	settle
	weir_stop
	sink_stop bare
	expect "tls: nothing from an exporter without a certificate" "$(of bare .rows)" 0
}

# ---- others: nfcapd gets the same ----

case_others()
{
	needs "others: nfcapd" nfcapd nfdump || return
	needs "others: softflowd" softflowd || return
	needs "others: pmacctd" pmacctd || return
	in_a tcpdump -ni va -w "$tmp/t.pcap" -s 0 -U --immediate-mode -B 16384 2>"$tmp/tcpdump.err" &
	pids+=($!)
	wait_for 60 has_line "$tmp/tcpdump.err" 'listening on' || die "tcpdump does not start"
	traffic
	stop_pid "${pids[-1]}"
	for v in 5 9 10; do
		other "softflowd v$v" in_a softflowd -r "$tmp/t.pcap" -v "$v" -d -n 127.0.0.1:PORT
	done
	for v in 5 9 10; do
		other "pmacctd v$v" probe nfprobe "$v" PORT
	done
	other "nfreplay v5" in_a nfreplay -r "$tmp/replay" -H 127.0.0.1 -p PORT -v 5
	other "nfreplay v9" in_a nfreplay -r "$tmp/replay" -H 127.0.0.1 -p PORT -v 9
	case_sflow
}

probe() # PLUG-IN VERSION PORT
{
	cat >"$tmp/probe.conf" <<-EOF
		daemonize: false
		pcap_savefile: $tmp/t.pcap
		plugins: $1
		nfprobe_receiver: 127.0.0.1:$3
		nfprobe_version: $2
		sfprobe_receiver: 127.0.0.1:$3
		sampling_rate: 1
		aggregate: src_host, dst_host, src_port, dst_port, proto, tos, tcpflags
	EOF
	in_a timeout 30 pmacctd -f "$tmp/probe.conf"
}

other() # NAME COMMAND...: PORT stands for the receiver's; once for the sink, once for nfcapd
{
	local name=$1 sink port

	shift
	rm -rf "$tmp/nf"
	mkdir -p "$tmp/nf"
	sink_start other -u 0
	sink=${ports[0]}
	spawn nfcapd "$ns_a" nfcapd -w "$tmp/nf" -l "$tmp/nf" -p 9995 -b 127.0.0.1 -t 3600
	wait_for 60 listening "$ns_a" udp 9995 || die "nfcapd does not start"
	for port in "$sink" 9995; do
		"${@//PORT/$port}" >"$tmp/other.$port" 2>&1
		wait_for 60 received other "$port"
	done
	stop_spawned nfcapd
	sink_stop other
	[ -e "$tmp/replay" ] || cp "$tmp"/nf/nfcapd* "$tmp/replay"
	expect "$name: flows, packets and bytes as nfcapd has them" \
		"$(of other '"\(.rows) \(.packets) \(.bytes)"')" \
		"$(nfdump -q -R "$tmp/nf" -N -o 'fmt:%pkt %byt' 2>/dev/null | awk '{ n++; p += $1; b += $2 } END { print n + 0, p + 0, b + 0 }')"
	expect "$name: nothing lost, nothing malformed" "$(lost other)" 0
}

# Each sample is a row of one packet; its bytes are those of the IP header that was sampled. tshark reads the
# same datagrams.
case_sflow()
{
	sink_start sflow -u 0
	in_a tcpdump -ni lo -w "$tmp/sflow.pcap" -s 0 -U --immediate-mode -B 16384 "port ${ports[0]}" 2>"$tmp/tcpdump2.err" &
	pids+=($!)
	wait_for 60 has_line "$tmp/tcpdump2.err" 'listening on' || die "tcpdump does not start"
	probe sfprobe 5 "${ports[0]}" >"$tmp/sfprobe.log" 2>&1
	wait_for 60 received sflow "${ports[0]}"
	stop_pid "${pids[-1]}"
	sink_stop sflow
	tshark -r "$tmp/sflow.pcap" -d "udp.port==${ports[0]},sflow" -Y sflow -T fields -e ip.len -e ipv6.plen \
		2>/dev/null >"$tmp/sflow.txt"
	# of each line the first is the datagram itself
	expect "pmacctd sflow: packets and bytes as sampled" "$(of sflow '"\(.packets) \(.bytes)"')" \
		"$(awk -F'\t' '{ k = split($1, v, ","); for (i = 2; i <= k; i++) { n++; b += v[i] }
			k = split($2, w, ","); for (i = 1; i <= k; i++) { n++; b += w[i] + 40 } } END { print n, b }' "$tmp/sflow.txt")"
	expect "pmacctd sflow: nothing lost, nothing malformed" "$(lost sflow)" 0
}

# ---- too much, restarts, directories ----

# A store that is slower than what comes: over UDP each flow is there or counted against its exporter; over
# TCP the sender waits, and each is there.
case_overload()
{
	sink_start slow -u 0 -t 0 -b 3 -x 50000 -B 1048576
	in_a "$build/tests/bench/bench_load" "${ports[0]}" -n 300000 -r 300000 >"$tmp/sent_udp" 2>"$tmp/load.err"
	wait_for 60 received slow "${ports[0]}"
	in_a "$build/tests/bench/bench_load" "${ports[1]}" -p tcp -n 300000 >"$tmp/sent_tcp" 2>"$tmp/load.err"
	wait_for 20 hung_up "${ports[1]}"
	sink_stop slow
	expect "overload: received and named losses are what was sent" \
		"$(of slow '.rows + ([.exporters[] | .lost_no_block // 0, .lost_sequence // 0] | add)')" \
		"$(jq -s 'map(.flows) | add' "$tmp/sent_udp" "$tmp/sent_tcp")"
	expect_true "overload: UDP lost some" test "$(of slow '[.exporters[].lost_no_block // 0] | add')" -gt 0
	expect_true "overload: TCP lost none" test "$(of slow .rows)" -ge "$(jq .flows "$tmp/sent_tcp")"
}

dropped() # PORT: what its socket has dropped, no longer more
{
	local now

	now=$(in_a ss -Hlunm "sport = :$1" | sed -n 's/.*,d\([0-9]*\)).*/\1/p')
	[ "${now:-0}" -gt 0 ] && [ "$now" = "${dropped_before:-}" ] && return 0
	dropped_before=$now
	return 1
}

# A store that is busy for longer than there are blocks, and a socket that has room for what comes meanwhile.
case_busy()
{
	sink_start busy -u 0 -n 1 -b 3 -x 200000
	in_a "$build/tests/bench/bench_load" "${ports[0]}" -f v5 -n 100000 -r 400000 >"$tmp/sent_busy"
	wait_for 60 received busy "${ports[0]}"
	sink_stop busy
	expect "busy: nothing is lost" "$(of busy .rows)" "$(jq .flows "$tmp/sent_busy")"
}

# The last datagrams of an exporter that then says nothing more: no sequence number will show that they are
# missing, so the socket must.
case_tail()
{
	local load

	sink_start tail -u 0 -n 1 -B 65536
	kill -STOP "${spawned[sink_tail]}"
	in_a "$build/tests/bench/bench_load" "${ports[0]}" -f v5 -m 1464 -n 60000 >"$tmp/sent_tail" &
	load=$!
	dropped_before=
	wait_for 60 dropped "${ports[0]}" || die "the socket drops nothing"
	kill -CONT "${spawned[sink_tail]}"
	wait "$load"
	wait_for 60 received tail "${ports[0]}"
	sink_stop tail
	expect_true "tail: some were dropped" test "$(of tail .kernel_drops)" -gt 0
	expect "tail: no gap shows it" "$(of tail '[.exporters[].lost_sequence // 0] | add')" 0
	expect "tail: datagrams that came and that the socket dropped are what was sent" \
		"$(of tail '([.exporters[].messages] | add) + .kernel_drops')" "$(jq .sent "$tmp/sent_tail")"
	expect "tail: and so are their flows" "$(of tail '.rows + 30 * .kernel_drops')" "$(jq .flows "$tmp/sent_tail")"
}

# Templates outlive a restart: what comes before they are sent again is decoded at once.
case_restart()
{
	local run

	for run in before after; do
		sink_start "$run" -u "${port:-0}" -f "$tmp/templates"
		port=${ports[0]}
		if [ "$run" = before ]; then
			in_a "$build/tests/bench/bench_load" "$port" -f v9 -n 50000 -r 100000 >"$tmp/sent_$run"
		else
			# the template alone is left out: the first datagram of a second is it
			in_a python3 - "$port" <<-'EOF'
				import socket, struct, sys
				s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
				record = bytes(sum((4, 4, 4, 4, 4, 4, 4, 4, 4, 2, 2, 1, 1, 1, 4, 4, 1, 1, 1, 1)))
				data = struct.pack(">HH", 300, 4 + 23 * len(record)) + 23 * record
				head = struct.pack(">HHIIII", 9, 23, 1000000, 1700000000, 1, 77)
				s.sendto(head + data, ("127.0.0.1", int(sys.argv[1])))
			EOF
		fi
		wait_for 60 received "$run" "$port"
		sink_stop "$run"
	done
	expect "restart: decoded without a template of its own" "$(of after .rows)" 23
	expect "restart: no set had to wait" "$(of after '[.exporters[].sets_held // 0] | add')" 0
}

case_directory()
{
	local line='2 1 eni-1 172.31.16.139 198.51.100.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK' i

	mkdir -p "$tmp/logs"
	for ((i = 0; i < 101; i++)); do echo "$line"; done >"$tmp/logs/first.log"
	sink_start dir -d "$tmp/logs"
	for ((i = 0; i < 23; i++)); do echo "$line"; done | gzip >"$tmp/second.log.gz"
	mv "$tmp/second.log.gz" "$tmp/logs/"
	echo "$line" >>"$tmp/logs/first.log"
	settle
	sink_stop dir
	expect "directory: lines that were there, that came, and that were added" "$(of dir .rows)" 125
}

net_new
servers_start
if [ $# -eq 0 ]; then
	set -- udp tcp acknowledged tls others overload busy tail restart directory
fi
for c; do
	case $c in
	udp) case_weir udp ipfix://127.0.0.1:PORT -u 0 ;;
	tcp) case_weir tcp ipfix+tcp://127.0.0.1:PORT -t 0 ;;
	*) "case_$c" ;;
	esac
done
