#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_collector_kill.sh - the collector killed without warning, again and again under load, with a real
# weir that exports to it: what weir was told is stored is stored; at the end every record that weir wrote
# is there, and none twice. WEIR_KILLS=20 takes minutes, as weir waits before it connects again.
# shellcheck disable=SC2016,SC2154
export WEIR_COLLECTOR_STORE_FLUSH=200ms
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"

KILLS=${WEIR_KILLS:-6}
last=0

# Flows of one datagram until the file goes away; ports and sockets tell them apart.
load() # RUNNING
{
	in_a python3 - "$1" "$ip_a" "$ip_b" <<-'EOF'
		import os, socket, sys, time
		running, a, b = sys.argv[1:4]
		i = 0
		while os.path.exists(running):
		    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		    s.bind((a, 0))
		    for port in range(20000, 20100):
		        s.sendto(b"x" * (i % 64), (b, port))
		        i += 1
		    s.close()
		    time.sleep(0.04)
	EOF
}

acknowledged()
{
	"$weir" status -o json | jq '.exports[0].records'
}

all_acknowledged()
{
	"$weir" status -o json | jq -e '.exports[0] | .records == .taken' >/dev/null
}

kill_once() # NUMBER
{
	local acked flows

	# flows come in again, and some of them wait to be durable
	wait_for 60 stored $((last + 1)) || not_ok "kill $1" "nothing comes in any more"
	sleep "0.$((RANDOM % 6))"
	collector_kill
	acked=$(acknowledged)
	collector_start --listen-udp none
	flows=$(stored_flows)
	last=$flows
	if [ "$flows" -ge "$acked" ]; then
		ok "kill $1: $flows flows stored, $acked acknowledged"
	else
		not_ok "kill $1" "$flows flows stored, but $acked acknowledged"
	fi
}

command -v python3 >/dev/null || die "python3 is missing: sudo make deps"
net_new
mkdir "$tmp/spool"
touch "$tmp/running"
collector_start --listen-udp none
weir_start run -i va --idle-timeout 1s --drain-interval 100ms -o none \
	--export "ipfix+tcp://127.0.0.1:4739?spool=$tmp/spool&acknowledge=yes"
load "$tmp/running" 2>"$tmp/load.err" &
load_pid=$!
pids+=("$load_pid")
wait_for 20 stored 1 || die "nothing is stored: $(tail -n 3 "$tmp/collector.err")"
for ((i = 1; i <= KILLS; i++)); do
	kill_once "$i"
done
rm "$tmp/running"
wait "$load_pid"
sleep 1.5 # the last flows end
expect_true "all is acknowledged in the end" wait_for 60 all_acknowledged
weir_stop
expect "weir ends well" "$weir_rc" 0
wait_for 20 stored "$(summary_of run .records)"
read -r flows packets bytes < <("$collector" query --raw -o json --last 1d |
	jq -r '"\(.flows) \(.packets) \(.bytes)"')
lost=$(summary_of run '.exports[0] | [.lost[]] | add')
expect "nothing was lost on the way" "$lost" 0
expect "records written = flows stored" "$flows" "$(summary_of run .records)"
expect "packets" "$packets" "$(summary_of run .packets)"
expect "bytes" "$bytes" "$(summary_of run .bytes)"
expect "no flow is there twice" "$("$collector" query --raw -o json --last 1d \
	--by src.ip,src.port,dst.port,start --measure flows --top 1 | jq -s '.[0].flows')" 1
expect "roll-ups say the same" "$("$collector" query -o json --last 1d | jq .flows)" "$flows"
collector_stop
expect "the collector ends well" "$collector_rc" 0
