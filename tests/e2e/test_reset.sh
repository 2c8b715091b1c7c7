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
	spawn echo "$ns_b" socat "TCP$1-LISTEN:7000,fork,reuseaddr" EXEC:cat
	wait_for 5 listening "$ns_b" tcp 7000 || die "socat does not listen"
	spawn feeder "$ns_a" python3 -c "$stream_client" "$2" "$tmp/feed"
	exec 9>"$tmp/feed"
	echo before >&9
	wait_for 5 has_line "$tmp/feeder.out" before || die "the stream does not begin"
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
	expect_true "$name: the client is told" wait_for 1 has_line "$tmp/feeder.out" 'reset by peer'
	expect_true "$name: the server's socket is gone" wait_for 1 no_sockets "$ns_b" 7000
	expect_true "$name: the client's too" wait_for 1 no_sockets "$ns_a" 7000
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
	expect_true "$1: a name: the server's socket is gone" wait_for 1 no_sockets "$ns_b" 443
	expect_reset "$1: a name over IPv6" -6 https://shop.example.test/
	expect_reset "$1: a Host" -4 http://shop.example.test/
	expect_true "$1: a Host: the server's socket is gone" wait_for 1 no_sockets "$ns_b" 80
	expect_true "$1: its neighbour on the same address goes on" fetch -4 https://www.example.test/
	expect_true "$1: resets were counted" test "$(counted resets_sent)" -gt 0
	expect "$1: none failed" "$(counted resets_not_made)" 0
	w flush
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
