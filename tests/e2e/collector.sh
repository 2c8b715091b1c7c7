# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154
#
# collector.sh - weir-collector in the namespace of weir, for end-to-end tests: start, ask, end. Its
# store is $tmp/store, its messages are in $tmp/collector.err.
collector=${WEIR_COLLECTOR:-$build/weir-collector}
export WEIR_COLLECTOR_CONTROL_SOCKET=$tmp/collector.sock
export WEIR_COLLECTOR_STORE=$tmp/store
# Several may run in one namespace; test_api.sh has its own.
export WEIR_COLLECTOR_API_LISTEN=none
export WEIR_COLLECTOR_STORE_FLUSH=${WEIR_COLLECTOR_STORE_FLUSH:-500ms}
collector_pid='' collector_rc=''

collector_is_up()
{
	grep -q 'ready' "$tmp/collector.err" || pid_gone "$collector_pid"
}

collector_start() # ARG...: returns once it listens
{
	: >"$tmp/collector.err"
	ip netns exec "$ns_a" "$collector" serve "$@" 2>>"$tmp/collector.err" &
	collector_pid=$!
	pids+=("$collector_pid")
	if ! wait_for 180 collector_is_up || pid_gone "$collector_pid"; then
		cat "$tmp/collector.err"
		die "weir-collector does not start"
	fi
}

collector_stop() # sets collector_rc
{
	kill -TERM "$collector_pid"
	wait "$collector_pid"
	collector_rc=$?
}

collector_kill() # at once, without a word
{
	kill -KILL "$collector_pid"
	wait "$collector_pid" 2>/dev/null
}

# A member of `weir-collector status -o json`.
collector_status() # FILTER_OF_JQ
{
	"$collector" status -o json | jq -r "$1"
}

stored_flows()
{
	"$collector" query --raw -o json --last 1d | jq -r .flows
}

stored() # FLOWS: are so many durable, at least?
{
	[ "$(stored_flows)" -ge "$1" ]
}

# A rule that five flows to port 22 within five seconds fire, and one that goes on when they have ended.
alert_rules() # FILE SUMMARY
{
	cat >"$1" <<-EOF
		groups:
		- name: test
		  rules:
		  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a01
		    name: many
		    version: 1.0.0
		    where: proto == tcp and dst.port == 22
		    window: { size: 5s, slide: 1s }
		    by: [src.ip, dst.ip]
		    having: count() >= 5
		    labels: { severity: high }
		    annotations: { summary: "$2" }
		  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a02
		    name: lasting
		    version: 1.0.0
		    where: proto == tcp and dst.port == 22 and src.ip == 192.0.2.9
		    window: { size: 5s, slide: 1s }
		    by: [src.ip]
		    having: count() >= 5
		    keep_firing_for: 1h
		    labels: { severity: low }
	EOF
}
