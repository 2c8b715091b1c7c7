# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2119,SC2120
#
# lib.sh - what the end-to-end tests share: two network namespaces with a veth pair, weir in one of
# them, checks that are counted, and a clean-up that leaves nothing behind. Nothing outside the
# namespaces is touched. Names: ns_a is weir's side (interface va), ns_b the peer's (vb).
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2

build=${BUILD:-build}
case $build in
/*) ;;
*) build=$PWD/$build ;;
esac
weir=${WEIR:-$build/weir}
tools=$build/tests/e2e
tmp=$(mktemp -d /tmp/weir-e2e.XXXXXX)
chmod 755 "$tmp"
# Each test its own: several may run at one time.
export WEIR_CONTROL_SOCKET=$tmp/weir.sock WEIR_POLICY_STATE=$tmp/policy WEIR_CAPTURE_DIR=$tmp/captures

ip_a=10.77.1.1 ip_b=10.77.1.2
ip6_a=fd77::1 ip6_b=fd77::2
ns_a=weir-a$$ ns_b=weir-b$$
passed=0 failed=0 skipped=0
namespaces=() pids=()
declare -A spawned
weir_pid='' weir_rc=''

# ---- results ----

ok() # NAME
{
	passed=$((passed + 1))
	echo "ok   $1"
}

not_ok() # NAME DETAIL
{
	failed=$((failed + 1))
	echo "FAIL $1: $2"
}

skip() # NAME REASON
{
	skipped=$((skipped + 1))
	echo "skip: $1: $2"
}

expect() # NAME ACTUAL EXPECTED
{
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1" "got '$2', want '$3'"
	fi
}

expect_true() # NAME COMMAND...
{
	local name=$1

	shift
	if "$@" >"$tmp/expect.out" 2>&1; then
		ok "$name"
	else
		not_ok "$name" "$* failed: $(head -c 300 "$tmp/expect.out")"
	fi
}

expect_match() # NAME TEXT REGEX
{
	if grep -qE -- "$3" <<<"$2"; then
		ok "$1"
	else
		not_ok "$1" "'$(head -c 300 <<<"$2")' does not match /$3/"
	fi
}

die() # MESSAGE: the test cannot go on
{
	not_ok "${0##*/}" "$1"
	exit 1
}

# ---- clean-up ----

stop_pid() # PID: TERM, and KILL after ten seconds or more: what it has to say may take it that long
{
	local i

	kill -TERM "$1" 2>/dev/null || return 0
	for ((i = 0; i < 500; i++)); do
		kill -0 "$1" 2>/dev/null || return 0
		sleep 0.02
	done
	kill -KILL "$1" 2>/dev/null
}

kill_tree() # PID: KILL, and its children and theirs: none of them can end anything well
{
	local child

	for child in $(pgrep -P "$1"); do
		kill_tree "$child"
	done
	kill -KILL "$1"
}

net_del() # NAMESPACE: ends what still runs in it, then removes it
{
	local p

	for p in $(ip netns pids "$1" 2>/dev/null); do
		stop_pid "$p"
	done
	ip netns del "$1" 2>/dev/null
}

finish()
{
	local rc=$? n p

	trap - EXIT INT TERM
	for p in "${pids[@]}"; do
		stop_pid "$p"
	done
	for n in "${namespaces[@]}"; do
		net_del "$n"
	done
	wait 2>/dev/null
	if [ -n "${KEEP:-}" ]; then
		echo "kept: $tmp"
	else
		rm -rf "$tmp"
	fi
	if [ "$failed" -gt 0 ] && [ "$rc" -eq 0 ]; then
		rc=1
	fi
	if [ -z "${no_totals:-}" ]; then
		echo "$passed passed, $failed failed, $skipped skipped"
	fi
	exit "$rc"
}
trap finish EXIT
trap 'exit 130' INT TERM

# ---- waiting ----

wait_for() # SECONDS COMMAND...
{
	local end=$((SECONDS + $1))

	shift
	until "$@" >/dev/null 2>&1; do
		if [ "$SECONDS" -gt "$end" ]; then
			return 1
		fi
		sleep 0.02
	done
}

has_line() # FILE REGEX
{
	grep -qE -- "$2" "$1"
}

listening() # NAMESPACE tcp|udp PORT
{
	ip netns exec "$1" ss -Hln"${2:0:1}" "sport = :$3" | grep -q .
}

# ---- namespaces ----

in_a()
{
	ip netns exec "$ns_a" "$@"
}

# The same for programs that run a command, such as timeout.
exec_a=(ip netns exec "$ns_a")

in_b()
{
	ip netns exec "$ns_b" "$@"
}

ns_new() # NAMESPACE
{
	ip netns add "$1" || die "no network namespace can be made"
	namespaces+=("$1")
	ip netns exec "$1" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
		net.ipv6.conf.default.addr_gen_mode=1 net.ipv6.conf.default.router_solicitations=0 \
		net.ipv6.conf.default.mldv2_unsolicited_report_interval=1
	ip -n "$1" link set lo up
}

is_up() # NAMESPACE DEV
{
	[ "$(ip netns exec "$1" cat "/sys/class/net/$2/operstate")" = up ]
}

# A veth pair with addresses and permanent neighbours: nothing but the test's own traffic is on it.
pair_new() # NS1 DEV1 NS2 DEV2 NET MTU: addresses 10.77.NET.1 and .2, fd77:NET::1 and ::2
{
	local mac1 mac2 v6=fd77:$5::

	[ "$5" = 1 ] && v6=fd77::
	ip link add "$2" mtu "$6" netns "$1" type veth peer name "$4" mtu "$6" netns "$3" ||
		die "no veth pair can be made"
	ip -n "$1" link set "$2" up
	ip -n "$3" link set "$4" up
	# the kernel takes note of a link, and joins its groups, up to a second late
	wait_for 60 is_up "$1" "$2" && wait_for 5 is_up "$3" "$4" || die "the veth pair does not come up"
	ip -n "$1" addr add "10.77.$5.1/24" dev "$2"
	ip -n "$3" addr add "10.77.$5.2/24" dev "$4"
	ip -n "$1" addr add "${v6}1/64" dev "$2" nodad
	ip -n "$3" addr add "${v6}2/64" dev "$4" nodad
	mac1=$(ip netns exec "$1" cat "/sys/class/net/$2/address")
	mac2=$(ip netns exec "$3" cat "/sys/class/net/$4/address")
	ip -n "$1" neigh replace "10.77.$5.2" lladdr "$mac2" nud permanent dev "$2"
	ip -n "$3" neigh replace "10.77.$5.1" lladdr "$mac1" nud permanent dev "$4"
	ip -n "$1" neigh replace "${v6}2" lladdr "$mac2" nud permanent dev "$2"
	ip -n "$3" neigh replace "${v6}1" lladdr "$mac1" nud permanent dev "$4"
}

net_new() # [MTU]: both namespaces afresh, offloads off
{
	net_del "$ns_a"
	net_del "$ns_b"
	ns_new "$ns_a"
	ns_new "$ns_b"
	pair_new "$ns_a" va "$ns_b" vb 1 "${1:-1500}"
	offloads off
	settle
}

offloads() # on|off, on both ends
{
	in_a ethtool -K va tso "$1" gso "$1" gro "$1" >/dev/null
	in_b ethtool -K vb tso "$1" gso "$1" gro "$1" >/dev/null
}

link_stats() # NAMESPACE DEV -> RX_PACKETS RX_BYTES TX_PACKETS TX_BYTES
{
	ip -n "$1" -j -s link show "$2" | jq -r '.[0].stats64 |
		"\(.rx.packets) \(.rx.bytes) \(.tx.packets) \(.tx.bytes)"'
}

# Until nothing has passed for a quarter of a second.
settle() # [NAMESPACE DEV]
{
	local last='' now still=0 i

	for ((i = 0; i < 200; i++)); do
		now=$(link_stats "${1:-$ns_a}" "${2:-va}")
		if [ "$now" = "$last" ]; then
			still=$((still + 1))
		else
			still=0
		fi
		[ "$still" -ge 5 ] && return 0
		last=$now
		sleep 0.05
	done
	return 1
}

# ---- programs ----

spawn() # NAME NAMESPACE COMMAND...: in the background; output to $tmp/NAME.out and .err
{
	local name=$1 ns=$2

	shift 2
	# not left to the child: nobody may find the words of an earlier program of this name
	: >"$tmp/$name.out"
	: >"$tmp/$name.err"
	ip netns exec "$ns" "$@" >"$tmp/$name.out" 2>"$tmp/$name.err" </dev/null &
	spawned[$name]=$!
	pids+=($!)
}

stop_spawned() # NAME: end it, and wait until its output is complete
{
	stop_pid "${spawned[$1]}"
	wait "${spawned[$1]}" 2>/dev/null
}

# weir in namespace $ns (default $ns_a): records to $tmp/NAME.json, messages to $tmp/NAME.err.
weir_start() # NAME ARG...
{
	local name=$1 interfaces

	shift
	: >"$tmp/$name.err"
	# a pattern may match nothing yet
	interfaces=$(printf '%s\n' "$@" | grep -A 1 -x -- -i | grep -vcE '^-|[*?[]')
	ip netns exec "${ns:-$ns_a}" "$weir" run -o json --summary json "$@" \
		>"$tmp/$name.json" 2>"$tmp/$name.err" </dev/null &
	weir_pid=$!
	pids+=("$weir_pid")
	if ! wait_for 180 weir_is_up "$name" "$interfaces" || pid_gone "$weir_pid"; then
		not_ok "$name: weir starts" "$(tail -n 3 "$tmp/$name.err")"
		return 1
	fi
}

weir_is_up() # NAME INTERFACES
{
	pid_gone "$weir_pid" || grep -q '^weir: no interface matches yet' "$tmp/$1.err" ||
		[ "$(grep -c '^weir: .* (ingress) + ' "$tmp/$1.err")" -ge "$(($2 > 0 ? $2 : 1))" ]
}

weir_wait() # SECONDS: for its end by itself; status in weir_rc
{
	wait_for "$1" pid_gone "$weir_pid" || return 1
	wait "$weir_pid"
	weir_rc=$?
}

pid_gone()
{
	! kill -0 "$1" 2>/dev/null
}

weir_stop() # [SIGNAL]
{
	kill -"${1:-TERM}" "$weir_pid"
	if ! weir_wait 60; then
		not_ok "weir ends on ${1:-TERM}" "still there after 60 s"
		kill -KILL "$weir_pid"
		wait "$weir_pid" 2>/dev/null
		weir_rc=137
	fi
}

summary_of() # NAME JQ-PATH
{
	grep '^{' "$tmp/$1.err" | tail -n 1 | jq -r "$2"
}

counter() # NAME COUNTER
{
	summary_of "$1" ".counters.$2"
}

records() # NAME JQ-FILTER: applied to the array of all records
{
	jq -sr "$2" "$tmp/$1.json"
}

# Packets and bytes of the records that a filter picks.
sum_of() # NAME [SELECT]
{
	records "$1" "map(select(${2:-true})) | \"\(map(.packets) | add // 0) \(map(.bytes) | add // 0)\""
}

# All that the programs saw is in the records, or in a counter that says why not.
expect_accounted() # CASE NAME
{
	local seen lost noted

	seen=$(summary_of "$2" '.counters | .xdp_frames + .tc_ingress_frames + .tc_egress_frames')
	lost=$(summary_of "$2" '.counters | .lost_packets + .busy_packets + .cpu_out_of_range +
		.eth_truncated + .vlan_truncated + .vlan_depth + .mpls_truncated + .mpls_depth +
		.ip4_truncated + .ip4_version + .ip4_ihl + .ip4_length + .ip6_truncated + .ip6_version')
	noted=$(sum_of "$2")
	expect "$1: frames seen = packets in records + counted losses" \
		"$((${noted% *} + lost))" "$seen"
}

# Names of the programs on an interface: XDP, TCX, clsact filters.
attached() # [NAMESPACE DEV]
{
	local ns=${1:-$ns_a} dev=${2:-va}

	ip -n "$ns" -j -d link show "$dev" | jq -r '.[0].xdp // empty |
		"\(["none", "native", "generic", "offloaded"][.mode]) \(.prog.name // .prog.id)"'
	ip netns exec "$ns" "$tools/tc_count" "$dev" show
	ip netns exec "$ns" tc filter show dev "$dev" ingress | sed -n 's/.* bpf.* \(tc_[a-z]*\).*/ingress \1/p'
	ip netns exec "$ns" tc filter show dev "$dev" egress | sed -n 's/.* bpf.* \(tc_[a-z]*\).*/egress \1/p'
}

expect_attached() # CASE WANT [NAMESPACE DEV]: names, separated by commas
{
	expect "$1: on the interface: ${2:-nothing}" "$(attached "${@:3}" | paste -sd,)" "$2"
}

needs() # NAME COMMAND...: 0 if all are there, else counted as skipped
{
	local name=$1 c

	shift
	for c; do
		if ! command -v "$c" >/dev/null; then
			skip "$name" "$c is not installed"
			return 1
		fi
	done
}

if [ "$(id -u)" -ne 0 ]; then
	skip "${0##*/}" "needs root"
	exit 0
fi
[ -x "$weir" ] || die "$weir is not built"
