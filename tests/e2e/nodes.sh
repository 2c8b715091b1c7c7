# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154
#
# nodes.sh - nodes of a collector, each in a namespace of its own with weir and `weir policy follow`: the
# collector is in $ns_a, at 198.51.100.1K for node K. Decisions come of flows: node_decide ADDRESS...
node_url() # K: where node K finds the collector
{
	echo "https://198.51.100.1$1:4741"
}

node_new() # K: a namespace with a link to the collector
{
	local ns=weir-n$1-$$

	ns_new "$ns"
	pair_new "$ns_a" "n$1" "$ns" eth 1"$1" 1500
	# as behind a balancer: the collector does not know the address for its own, which it would never decide on
	ip -n "$ns_a" route add local "198.51.100.1$1/32" dev lo
	ip -n "$ns" route add "198.51.100.1$1" via "10.77.1$1.1"
	declare -g "node_ns_$1=$ns"
	mkdir -p "$tmp/n$1"
}

# What node K's commands run with.
node_env() # K
{
	local d=$tmp/n$1

	echo "WEIR_CONTROL_SOCKET=$d/weir.sock WEIR_POLICY_STATE=$d/state WEIR_CAPTURE_DIR=$d/captures WEIR_POLICY_COLLECTORS=$d/collectors
		WEIR_POLICY_KEYS=$d/keys/ WEIR_POLICY_INTERNAL= WEIR_POLICY_ADMIN_SESSIONS=no"
}

in_node() # K COMMAND...
{
	local k=$1 ns=node_ns_$1

	shift
	# shellcheck disable=SC2046 # words
	ip netns exec "${!ns}" env $(node_env "$k") "$@"
}

node_weir() # K ARG...: weir run; its pid in node_pid_K
{
	local k=$1 ns=node_ns_$1

	shift
	# shellcheck disable=SC2046 # words
	spawn "weir$k" "${!ns}" env $(node_env "$k") "$weir" run -o json -i eth "$@"
	wait_for 180 grep -q '^weir: .* (ingress) + ' "$tmp/weir$k.err" || die "node $k: $(tail -n 3 "$tmp/weir$k.err")"
}

node_follow() # K
{
	local ns=node_ns_$1

	# shellcheck disable=SC2046 # words
	spawn "follow$1" "${!ns}" env $(node_env "$1") "$weir" policy follow -o json
}

node_enrol() # K [OPTION_OF_TOKEN...]
{
	local k=$1

	shift
	"$collector" nodes token "$@" >"$tmp/token"
	in_node "$k" "$weir" enrol "$(node_url "$k")" --token-file "$tmp/token" --name "node$k"
}

# Enrolled, at work, and following the collector.
node_start() # K ARG...: as node_weir()
{
	local k=$1

	node_enrol "$k" >"$tmp/enrol$k.out" || die "node $k: $(cat "$tmp/enrol$k.out")"
	node_weir "$@" --export "ipfix://10.77.1$k.1:4739"
	node_follow "$k"
}

# Two nodes without weir, and a collector whose rule `knocks-often` is about $suspect, a host beside node 1, once
# that knocks at five ports of it.
suspect=10.77.11.9
suspect_new() # ACTION [RULE]: of the rule; another rule
{
	ns_new "$ns_a"
	node_new 1
	node_new 2
	ip -n "$ns_a" addr add "$suspect/24" dev n1
	ip -n "$node_ns_1" neigh replace "$suspect" lladdr "$(in_a cat /sys/class/net/n1/address)" nud permanent dev eth
	mkdir "$tmp/rules"
	cat >"$tmp/rules/test.yaml" <<-EOF
		groups:
		- name: test
		  rules:
		  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a31
		    name: knocks-often
		    version: 1.0.0
		    where: proto == tcp and dst.port >= 2600 and dst.port <= 2700
		    window: { size: 60s, slide: 5s }
		    by: [src.ip]
		    having: distinct(dst.port) >= 5
		    mode: detect
		    actions: [ { $1 } ]
		${2:-}
	EOF
	cat >"$tmp/collector.conf" <<-EOF
		[rules]
		directories = $tmp/rules
		[nodes]
		listen = 0.0.0.0:4741
	EOF
	suspect_collector
}

suspect_collector()
{
	collector_start --config "$tmp/collector.conf" --listen-udp 0.0.0.0:4739 --listen-tcp none
}

suspect_knocks()
{
	local port

	for port in 2601 2602 2603 2604 2605 2606; do
		in_a nc -n -w 1 -s "$suspect" 10.77.11.2 "$port" </dev/null >/dev/null 2>&1
	done
}

node_is() # NAME FILTER_OF_JQ: true of what the collector says of it?
{
	"$collector" nodes show "$1" -o json | jq -e "$2"
}

enforced() # NAME...: do they enforce what they shall?
{
	local n

	for n; do
		node_is "$n" .enforced || return 1
	done
}

# A rule that blocks every destination whose port 4444 is talked to; and one in mode canary for 5555.
node_rules() # FILE
{
	cat >"$1" <<-EOF
		groups:
		- name: test
		  rules:
		  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a11
		    name: bad-places
		    version: 1.0.0
		    where: proto == tcp and dst.port == 4444
		    window: { size: 60s, slide: 5s }
		    by: [dst.ip]
		    having: count() >= 1
		    keep_firing_for: 1h
		    mode: prevent
		    actions: [ { drop: { scope: dst.ip, direction: egress, ttl: 10m } } ]
		  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a12
		    name: worse-places
		    version: 1.0.0
		    where: proto == tcp and dst.port == 5555
		    window: { size: 60s, slide: 5s }
		    by: [dst.ip]
		    having: count() >= 1
		    keep_firing_for: 1h
		    mode: canary
		    actions: [ { drop: { scope: dst.ip, direction: egress, ttl: 10m } } ]
	EOF
}

node_decide() # PORT ADDRESS...
{
	local port=$1 a

	shift
	for a; do
		in_a python3 tests/e2e/flows_attack.py 4739 7 10.9.9.9 "$a" "$port" 1
	done
}
