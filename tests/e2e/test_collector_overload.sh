#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_collector_overload.sh - more flows than the store can take, at full speed over UDP, with little
# room for them: every flow that was sent is stored or counted as lost against its exporter; over TCP the
# sender waits and nothing is lost. And whose clock is wrong.
# shellcheck disable=SC2016,SC2154
export WEIR_COLLECTOR_STORE_BLOCKS=4 WEIR_COLLECTOR_LISTEN_BUFFER=256Ki
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"

load() # NAME ARG...: what was sent is in $tmp/NAME
{
	in_a "$build/tests/bench/bench_load" 4739 -f ipfix "${@:2}" >"$tmp/$1" || die "bench_load fails"
}

sent() # NAME
{
	jq .flows "$tmp/$1"
}

all_stored()
{
	collector_status '.pool.queued == 0 and .store.pending == 0 and
		.store.appended == ([.exporters[].counts.records // 0] | add)' | grep -q true
}

lost()
{
	collector_status '[.exporters[].lost[]] | add // 0'
}

is_heard()
{
	[ "$(collector_status '.exporters[] | select(.domain == 9).counts.records')" -eq 10 ]
}

net_new
in_a ip link set lo up
collector_start
load udp -p udp -s 2
expect_true "what has come is durable" wait_for 60 all_stored
flows=$(stored_flows)
udp=$(lost)
if [ "$udp" -gt 0 ]; then
	ok "there was too much: $udp of $(sent udp) flows are lost"
else
	skip "there was too much" "this machine kept up"
fi
came=$(collector_status '[.listeners[].datagrams] | add')
dropped=$(collector_status '[.listeners[].kernel_drops] | add')
expect "udp: datagrams that came and that the socket dropped are what was sent" "$((came + dropped))" "$(jq .sent "$tmp/udp")"
if [ "$dropped" -gt 0 ]; then
	expect_match "status says so" "$(in_a "$collector" status)" 'port 4739: .* more had no room in the socket'
else
	skip "status says so" "this machine kept up"
fi
expect "udp: stored and counted as lost are what was sent" "$((flows + udp))" "$(sent udp)"
load tcp -p tcp -m 16384 -n 200000
expect_true "the rest is durable" wait_for 60 all_stored
expect "tcp: nothing is lost" "$(($(stored_flows) + udp))" "$(($(sent udp) + $(sent tcp)))"
expect "tcp: nothing more is counted as lost" "$(lost)" "$udp"
expect "roll-ups say the same" "$("$collector" query -o json --last 1d | jq .flows)" "$(stored_flows)"
# an exporter whose clock is an hour behind
WEIR_CLOCK_BEHIND=3600 in_a python3 tests/e2e/flows_v9.py 10 9 4739
expect_true "an exporter that is behind is heard" wait_for 20 is_heard
expect_match "how far its clock is behind is shown" "$(in_a "$collector" status)" ' 9 .* 36[0-9]{5} ms '
wrong=$(collector_status '[.exporters[] | select(.domain != 9).skew_us | select(. < 0 or . > 60000000)] | length')
expect "that of the others is right" "$wrong" 0
collector_stop
expect "the collector ends well" "$collector_rc" 0
