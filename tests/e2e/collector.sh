# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154
#
# collector.sh - weir-collector in the namespace of weir, for end-to-end tests: start, ask, end. Its
# store is $tmp/store, its messages are in $tmp/collector.err.
collector=${WEIR_COLLECTOR:-$build/weir-collector}
export WEIR_COLLECTOR_CONTROL_SOCKET=$tmp/collector.sock
export WEIR_COLLECTOR_STORE=$tmp/store
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
	if ! wait_for 20 collector_is_up || pid_gone "$collector_pid"; then
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
