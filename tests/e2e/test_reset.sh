#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_reset.sh - `weir block --reset` with real sockets: both ends of a connection learn at once that it
# is over, whichever hook sees it, and whether weir runs at the client, at the server or between them.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/servers.sh"
needs reset curl nginx dnsmasq openssl socat python3 jq || exit 0

ns_r=weir-r$$

w() # ARG...: a command of weir's; output in $tmp/w.out, messages in $tmp/w.err
{
	"$weir" "$@" >"$tmp/w.out" 2>"$tmp/w.err"
}

shown() # JQ-FILTER: applied to the array of all rules
{
	"$weir" policy show -o json | jq -sr "$1"
}

counted() # COUNTER
{
	"$weir" status -o json | jq -r ".counters.$1 // 0"
}

# How curl ends, and how long it takes: "STATUS MILLISECONDS".
curl_ends() # ARG...
{
	local from rc

	from=$(date +%s%3N)
	client curl -sSk --max-time 5 "$@" >/dev/null 2>"$tmp/curl.err"
	rc=$?
	echo "$rc $(($(date +%s%3N) - from))"
}

expect_reset() # CASE ARG...: curl is reset (35: in the handshake, 56: later, 7: refused) within a second
{
	local name=$1 got

	shift
	got=$(curl_ends "$@")
	expect_true "$name: curl is reset (got $got)" \
		awk -v got="$got" 'BEGIN { split(got, f); exit !((f[1] == 35 || f[1] == 56 || f[1] == 7) && f[2] < 1000) }'
}

sockets() # NAMESPACE PORT: those that are connected
{
	ip netns exec "$1" ss -Htn "( sport = :$2 or dport = :$2 )" | grep -vc TIME-WAIT
}

no_sockets() # NAMESPACE PORT
{
	[ "$(sockets "$@")" = 0 ]
}

some_sockets() # NAMESPACE PORT
{
	! no_sockets "$@"
}

# Sends the lines of a pipe, writes down what comes back, and how it ends.
stream_client='
import socket, sys
s = socket.create_connection((sys.argv[1], 7000))
for line in open(sys.argv[2], "rb"):
    try:
        s.sendall(line)
        print("got", s.recv(100), flush=True)
    except OSError as e:
        print(e, flush=True)
        break
'

# A connection that echoes, open until it is cut: client in $ns_a, server in $ns_b. Feed it on 9.
stream_open() # FAMILY ADDRESS
{
	rm -f "$tmp/feed"
	mkfifo "$tmp/feed"
	spawn echo "$ns_b" socat "TCP$1-LISTEN:7000,fork,reuseaddr${keepalive:-}" EXEC:cat
	wait_for 60 listening "$ns_b" tcp 7000 || die "socat does not listen"
	spawn feeder "$ns_a" python3 -c "$stream_client" "$2" "$tmp/feed"
	exec 9>"$tmp/feed"
	echo before >&9
	wait_for 60 has_line "$tmp/feeder.out" before || die "the stream does not begin"
}

stream_close()
{
	exec 9>&-
	stop_spawned feeder
	stop_spawned echo
}

# A stream that is there already is cut at both ends, by the next byte.
stream_is_cut() # CASE FAMILY ADDRESS
{
	local name="$1: stream over IPv$2"

	stream_open "$2" "$3"
	expect_true "$name: the rule is taken" w block 'proto tcp and port 7000' --reset --for 1m
	expect_true "$name: it goes on while nobody sends" test "$(sockets "$ns_a" 7000)" -gt 0
	echo after >&9
	expect_true "$name: the client is told" wait_for 5 has_line "$tmp/feeder.out" 'reset by peer'
	expect_true "$name: the server's socket is gone" wait_for "${server_within:-5}" no_sockets "$ns_b" 7000
	expect_true "$name: the client's too" wait_for 5 no_sockets "$ns_a" 7000
	expect "$name: nothing came through" "$(grep -c after "$tmp/feeder.out")" 0
	stream_close
	w flush
}

# What there is to see on each way, with weir at one of the two.
both_families() # CASE
{
	stream_is_cut "$1" 4 "$ip_b"
	stream_is_cut "$1" 6 "$ip6_b"
	w block 'proto tcp and dst.port == 80' --reset --for 1m
	expect_reset "$1: a new connection" -4 http://www.example.test/
	expect_reset "$1: over IPv6" -6 http://www.example.test/
	expect_true "$1: counted" test "$(shown '.[0].packets')" -ge 2
	expect_true "$1: another port goes on" fetch -4 https://www.example.test/
	w flush
	w block 'tls.sni == "shop.example.test" or http.host == "shop.example.test"' --reset --for 1m
	expect_reset "$1: a name" -4 https://shop.example.test/
	expect_true "$1: a name: the server's socket is gone" wait_for 5 no_sockets "$ns_b" 443
	expect_reset "$1: a name over IPv6" -6 https://shop.example.test/
	expect_reset "$1: a Host" -4 http://shop.example.test/
	expect_true "$1: a Host: the server's socket is gone" wait_for 5 no_sockets "$ns_b" 80
	expect_true "$1: its neighbour on the same address goes on" fetch -4 https://www.example.test/
	expect_true "$1: resets were counted" test "$(counted resets_sent)" -gt 0
	expect "$1: none failed" "$(counted resets_not_made)" 0
	w flush
}

# ---- between the two ----

# A third namespace that forwards from one to the other.
router_new()
{
	net_del "$ns_a"
	net_del "$ns_b"
	ns_new "$ns_a"
	ns_new "$ns_b"
	ns_new "$ns_r"
	pair_new "$ns_a" va "$ns_r" ra 2 1500
	pair_new "$ns_b" vb "$ns_r" rb 3 1500
	ip netns exec "$ns_r" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	ip -n "$ns_a" route add default via 10.77.2.2
	ip -n "$ns_b" route add default via 10.77.3.2
	ip -n "$ns_a" -6 route add default via fd77:2::2
	ip -n "$ns_b" -6 route add default via fd77:3::2
	in_a ethtool -K va gro on >/dev/null
	in_b ethtool -K vb gro on >/dev/null
}

case_forwarded()
{
	router_new
	for hook in xdp tc; do
		ns=$ns_r weir_start "router.$hook" -i ra -i rb --hook "$hook" || return
		# by XDP the one who is silent is told with its next packet
		[ "$hook" = xdp ] && local server_within=6 keepalive=,keepalive,keepidle=2,keepintvl=1
		[ "$hook" = tc ] && local server_within=1 keepalive=
		stream_is_cut "router, $hook" 4 10.77.3.1
		stream_is_cut "router, $hook" 6 fd77:3::1
		weir_stop
	done
}

# ---- what else there is to a rule ----

case_rules()
{
	w block 'proto tcp and dst.port == 80' --reset --for 1m --shadow
	expect_true "shadow: nothing is reset" fetch -4 http://www.example.test/
	expect_true "shadow: what would have been is counted" test "$(shown '.[0].would_packets')" -ge 3
	expect "shadow: and nothing else" "$(shown '.[0].packets') $(counted resets_sent)" "0 0"
	w flush
	w block 'proto udp and dst.port == 80' --reset --for 1m
	expect "words: only TCP can be reset" "$?" 2
	expect_match "words: it says so" "$(cat "$tmp/w.err")" 'only TCP can be reset'
	w block 'tls.sni == "shop.example.test"' --reset --for 1m
	w why shop.example.test
	expect_match "why: tells of the reset" "$(cat "$tmp/w.out")" '^reset: tls.sni == "shop.example.test"'
	w flush
}

# A connection whose name was read before the rule came.
case_name_before()
{
	client curl -sSk --max-time 20 --limit-rate 200k -4 https://www.example.test/bulk >"$tmp/bulk" 2>"$tmp/curl.err" &
	wait_for 60 test -s "$tmp/bulk"
	sleep 1.2 # the flow has been read
	w block 'tls.sni == "www.example.test"' --reset --for 1m
	expect_true "a name read before: the server's socket is gone" wait_for 5 no_sockets "$ns_b" 443
	wait $!
	expect "a name read before: curl is reset" "$?" 56
	w flush
}

# Segments that the NIC would cut up: the reset is one small packet, and its number still right.
case_bulk() # CASE
{
	spawn sink "$ns_b" socat -u TCP4-LISTEN:7000,reuseaddr OPEN:/dev/null
	wait_for 60 listening "$ns_b" tcp 7000 || die "socat does not listen"
	spawn source "$ns_a" socat -u OPEN:/dev/zero "TCP4:$ip_b:7000"
	wait_for 60 some_sockets "$ns_a" 7000 || die "nothing is sent"
	w block 'proto tcp and port 7000' --reset --for 1m
	expect_true "$1: the sender is reset in its stream" wait_for 5 no_sockets "$ns_a" 7000
	expect_true "$1: the receiver too" wait_for 5 no_sockets "$ns_b" 7000
	expect "$1: none failed" "$(counted resets_not_made)" 0
	stop_spawned source
	stop_spawned sink
	w flush
}

case_offloads()
{
	offloads on
	for hook in xdp tc; do
		ns=$ns_a weir_start "bulk.client.$hook" -i va --hook "$hook" || return
		case_bulk "bulk at the client, $hook"
		weir_stop
		ns=$ns_b weir_start "bulk.server.$hook" -i vb --hook "$hook" || return
		case_bulk "bulk at the server, $hook"
		weir_stop
	done
}

# Forged SYNs are answered at a bounded rate, and each is counted one way or the other.
case_flood()
{
	local from sent limited

	WEIR_POLICY_BREAKER=off weir_start flood -i va || return
	w block 'proto tcp and dst.port == 80' --reset --for 1m
	sent=$(counted resets_sent)
	from=$(date +%s%3N)
	in_b "$tools/flood" -s -n 20000 vb 20000 >/dev/null 2>"$tmp/flood.err" || cat "$tmp/flood.err"
	expect_true "flood: all of it is dropped" wait_for 60 all_dropped
	from=$(($(date +%s%3N) - from))
	sent=$(($(counted resets_sent) - sent))
	limited=$(counted resets_limited)
	expect "flood: answered or counted" "$((sent + limited))" 20000
	expect_true "flood: a thousand a second are answered, and a thousand before ($sent in $from ms)" \
		test "$sent" -le "$((1000 + from))"
	expect_true "flood: others are too late" test "$limited" -gt 0
	weir_stop
}

all_dropped()
{
	[ "$(shown '.[0].packets')" = 20000 ]
}

case_never_blocked()
{
	WEIR_POLICY_NEVER_BLOCK=$ip_b weir_start never -i va || return
	w block 'proto tcp and dst.port == 80' --reset --for 1m
	expect_true "never-block: beats a reset" fetch -4 http://www.example.test/
	expect_reset "never-block: others are reset" -6 http://www.example.test/
	weir_stop
}

# A pair whose other end takes nothing from XDP: the rule says so, and is right about it.
case_mute()
{
	in_a ethtool -K va gro on >/dev/null
	in_b ethtool -K vb gro off >/dev/null
	weir_start mute -i va --hook xdp || return
	w block 'proto tcp and dst.port == 7001' --reset --for 1m
	expect "mute: the rule is taken" "$?" 0
	expect_match "mute: and says where no reset arrives" "$(cat "$tmp/w.out")" "^note: va: XDP can't send from there"
	expect_true "mute: the log too" has_line "$tmp/mute.err" "va: XDP can't send"
	expect "mute: the client waits" "$(connects_to_a)" timeout
	w flush
	in_b ethtool -K vb gro on >/dev/null
	w block 'proto tcp and dst.port == 7001' --reset --for 1m
	expect "mute: not with GRO at the other end" "$(grep -c "can't send" "$tmp/w.out")" 0
	expect "mute: a client is told then" "$(connects_to_a)" refused
	weir_stop
	in_b ethtool -K vb gro off >/dev/null
	weir_start mute.tc -i va --hook tc || return
	w block 'proto tcp and dst.port == 7001' --reset --for 1m
	expect "mute: TC does without" "$(grep -c "can't send" "$tmp/w.out")" 0
	expect "mute: and the client is told" "$(connects_to_a)" refused
	w block 'tls.sni == "quic.example.test"' --reset --for 1m
	expect_match "names: that QUIC has no reset is said" "$(cat "$tmp/w.out")" '^note: QUIC has no reset'
	weir_stop
	in_b ethtool -K vb gro on >/dev/null
}

# How a connection from the other side to port 7001 of this one ends.
connects_to_a()
{
	in_b python3 -c '
import socket, sys
s = socket.socket()
s.settimeout(1)
try:
    s.connect((sys.argv[1], 7001))
    print("connected")
except socket.timeout:
    print("timeout")
except ConnectionRefusedError:
    print("refused")
' "$ip_a"
}

case_mirror()
{
	weir_start mirror -i va --role mirror || return
	w block 'proto tcp and dst.port == 80' --reset --for 1m
	expect "mirror: a reset is refused" "$?" 1
	expect_match "mirror: by the guard's name" "$(cat "$tmp/w.err")" 'refused by the guard mirror'
	weir_stop
}

net_new
# XDP_TX on veth wants a peer that takes frames
in_a ethtool -K va gro on >/dev/null
in_b ethtool -K vb gro on >/dev/null
servers_start

for hook in xdp tc generic; do
	ns=$ns_a weir_start "client.$hook" -i va --hook "$hook" || exit 1
	both_families "client, $hook"
	weir_stop
	ns=$ns_b weir_start "server.$hook" -i vb --hook "$hook" || exit 1
	both_families "server, $hook"
	weir_stop
done

weir_start rules -i va || exit 1
case_rules
case_name_before
weir_stop
case_never_blocked
case_mute
case_flood
case_mirror
case_offloads
case_forwarded
