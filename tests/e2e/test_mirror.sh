#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_mirror.sh - mirror sessions with real traffic: what a target receives, as tshark and a second weir that
# opens the tunnel have it, is what was sent; what was not sent is counted by name; nothing is left at the end.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/mirrors.sh"
needs mirror tshark python3 jq || exit 0

# ---- traffic, and what was seen of it ----

# What arrives at the target is written to a file, and a line for each: of the sentinel too, which comes last.
listen_start() # NAME
{
	spawn "$1" "$ns_t" tshark -i tv -B 16 -l -P -w "$tmp/$1.pcap" -T fields -e frame.len -e udp.dstport
	wait_for 20 has_line "$tmp/$1.err" 'Capturing on' || die "tshark does not capture"
	# it says so before it does
	wait_for 20 is_heard "$1" 9999 || die "tshark hears nothing"
}

is_heard() # NAME PORT
{
	udp "$ns_a" "$to_4" "$2" 1 9
	grep -q "$2\$" "$tmp/$1.out"
}

listen_stop() # NAME
{
	wait_for 20 is_heard "$1" 9998 || not_ok "$1: tshark hears the last packet" "$(tail -n 2 "$tmp/$1.err")"
	stop_spawned "$1"
}

# What arrived, read once: length, tunnel's id, innermost ports, data of Geneve's option, in pieces?
read_heard() # NAME
{
	tshark -r "$tmp/$1.pcap" -T fields -E separator=, -E occurrence=l -e frame.len -e vxlan.vni -e geneve.vni \
		-e erspan.spanid -e udp.dstport -e tcp.dstport -e geneve.option.unknown.data -e ip.flags.mf \
		-e udp.srcport -e tcp.srcport 2>/dev/null >"$tmp/$1.heard"
}

# Lines of it: by the tunnel's id, and the destination port of UDP or either port of TCP within.
heard() # NAME vxlan|geneve|erspan ID UDP-PORT TCP-PORT
{
	local column

	case $2 in
	vxlan) column=2 ;;
	geneve) column=3 ;;
	*) column=4 ;;
	esac
	# an id may be shown in hexadecimal
	awk -F, -v c=$column -v id="$3" -v hex="$(printf 0x%06x "$3")" -v udp="$4" -v tcp="$5" '
		($c == id || $c == hex) && (udp == "" || $5 == udp) && (tcp == "" || $6 == tcp || $10 == tcp)' "$tmp/$1.heard"
}

# What tshark warns of. How TCP's packets follow each other is the traffic's own matter.
warnings() # NAME
{
	tshark -r "$tmp/$1.pcap" -Y '(_ws.expert.severity >= "Warn" && !tcp.analysis.flags) || _ws.malformed' \
		-T fields -e _ws.expert.message 2>/dev/null | sort | uniq -c
}

# ---- what a second weir has ----

# A second weir opens what arrives at the target.
second_start() # NAME
{
	ns=$ns_t weir_start "$1" -i tv --role mirror --control-socket none --hook tc || exit 1
	second_pid=$weir_pid
}

second_stop()
{
	local first=$weir_pid

	weir_pid=$second_pid
	weir_stop
	weir_pid=$first
}

# Packets and bytes of the flows that were mirrored: at the source, and opened at the target.
same_flows() # CASE SOURCE TARGET SELECT
{
	expect "$1: a second weir counts the same packets and bytes" \
		"$(sum_of "$3" ".tunnel != null and ($4)")" "$(sum_of "$2" ".tunnel == null and ($4)")"
}

# ---- cases ----

# Small packets both ways, and what a stream of TCP makes of the interface's offloads. UDP goes by PORT, TCP by the next.
tunnel_traffic() # CASE TARGET PORT
{
	local name=$1 port=$3

	expect_true "$name: a session" mirror "proto udp and port $port" --to "$2" --for 1m --budget none
	expect_true "$name: another one" mirror "proto tcp and port $((port + 1))" --to "$2" --for 1m --budget none
	udp "$ns_b" "$ip_a" "$port" 101 500
	udp "$ns_a" "$ip_b" "$port" 53 900
	udp "$ns_b" "$ip6_a" "$port" 23 1
	expect_conserved "$name: udp" 1 177
	spawn sink "$ns_a" socat -u "TCP4-LISTEN:$((port + 1)),reuseaddr" OPEN:/dev/null
	wait_for 10 listening "$ns_a" tcp "$((port + 1))" || die "socat does not listen"
	in_b sh -c "head -c 400000 /dev/zero | socat -u - TCP4:$ip_a:$((port + 1))"
	settle "$ns_a" va
	expect_conserved "$name: tcp" 2 "$(session 2 .matched)"
	expect_true "$name: all of it was mirrored" session_is 2 '.mirrored == .matched and .matched > 100'
	segments[$port]=$(session 2 .mirrored)
	expect_true "$name: ended" "$weir" unmirror all
	expect_nothing_left "$name"
}

tunnel_arrived() # CASE PROTOCOL ID PORT
{
	local name=$1 port=$4

	expect "$name: tshark finds the UDP packets" "$(heard tunnels "$2" "$3" "$port" '' | wc -l)" 177
	expect "$name: and the segments" "$(heard tunnels "$2" "$3" '' "$((port + 1))" | wc -l)" "${segments[$port]}"
	same_flows "$name: udp" tunnels second ".proto == \"udp\" and .dst.port == $port"
	same_flows "$name: tcp" tunnels second ".proto == \"tcp\" and .dst.port == $((port + 1))"
}

case_tunnels()
{
	local -A segments=()

	offloads on
	listen_start tunnels
	second_start second
	weir_start tunnels -i va --hook tc || exit 1
	tunnel_traffic vxlan "vxlan:$to_4,vni=7" 7010
	tunnel_traffic 'vxlan over IPv6' "vxlan:[$to_6],vni=8" 7020
	tunnel_traffic geneve "geneve:$to_4,vni=9" 7030
	tunnel_traffic 'geneve over IPv6' "geneve:[$to_6],vni=10" 7040
	tunnel_traffic erspan "erspan:$to_4,id=11" 7050
	tunnel_traffic 'erspan over IPv6' "erspan:$to_6,id=12" 7060
	weir_stop
	listen_stop tunnels
	second_stop
	read_heard tunnels
	tunnel_arrived vxlan vxlan 7 7010
	tunnel_arrived 'vxlan over IPv6' vxlan 8 7020
	tunnel_arrived geneve geneve 9 7030
	tunnel_arrived 'geneve over IPv6' geneve 10 7040
	tunnel_arrived erspan erspan 11 7050
	tunnel_arrived 'erspan over IPv6' erspan 12 7060
	expect 'tunnels: tshark warns of nothing' "$(warnings tunnels)" ''
	expect_attached 'tunnels: at the end' ''
}

# Frames of 9000 bytes over a way that takes 1500: cut, said so, and no outer packet in pieces.
case_cut()
{
	listen_start cut
	second_start cut.second
	weir_start cut -i va --hook xdp || exit 1
	mirror 'proto udp and port 7001' --to "vxlan:$to_4,vni=7" --for 1m --budget none
	expect_match 'cut: it is said' "$(cat "$tmp/m.out")" 'frames beyond 1464 bytes are cut'
	mirror 'proto udp and port 7003' --to "geneve:$to_4,vni=8" --length 128 --for 1m --budget none
	udp "$ns_b" "$ip_a" 7001 23 8000
	udp "$ns_b" "$ip_a" 7003 23 8000
	expect_conserved 'cut: by the way' 1 23
	expect_conserved 'cut: by --length' 2 23
	expect 'cut: counted' "$(session 1 .cut) $(session 2 .cut)" '23 23'
	"$weir" unmirror all >/dev/null
	weir_stop
	listen_stop cut
	second_stop
	read_heard cut
	expect 'cut: as long as the way takes' "$(heard cut vxlan 7 7001 '' | cut -d, -f1 | sort | uniq -c | xargs)" '23 1514'
	expect 'cut: 128 bytes, and what the tunnel needs' \
		"$(heard cut geneve 8 7003 '' | cut -d, -f1 | sort | uniq -c | xargs)" "23 $((14 + 56 + 128))"
	expect 'cut: the option has the length before' \
		"$(heard cut geneve 8 7003 '' | cut -d, -f7 | cut -c1-8 | sort | uniq -c | xargs)" \
		"23 $(printf %08x $((8000 + 28 + 14)))"
	expect 'cut: nothing is in pieces' "$(awk -F, '$8 ~ /1|True/' "$tmp/cut.heard" | wc -l)" 0
	same_flows 'cut' cut cut.second '.proto == "udp" and .dst.port == 7001'
}

# Sessions of an interface: the lowest number that picks a packet has it.
case_priority()
{
	mirror 'proto udp' --session 5 --to "vxlan:$to_4,vni=5" --for 1m --budget none
	mirror 'proto udp and port 7001' --session 2 --to "vxlan:$to_4,vni=2" --for 1m --budget none
	mirror 'proto udp and port 7001' --session 9 --also --to "vxlan:$to_4,vni=9" --for 1m --budget none
	expect_true 'priority: a fourth session is refused' mirror_refused '3 sessions' 'proto tcp' --to "vxlan:$to_4,vni=1" --for 1m
	expect_true 'priority: a number that is taken too' mirror_refused 'is there already' 'proto tcp' --session 5 --iface vt \
		--to "vxlan:$to_4,vni=1" --for 1m
	udp "$ns_b" "$ip_a" 7001 11 9
	udp "$ns_b" "$ip_a" 7002 7 9
	expect_conserved 'priority: the first' 2 11
	expect_conserved 'priority: what it leaves' 5 7
	expect_conserved 'priority: also' 9 11
	"$weir" unmirror all >/dev/null
}

# What there is to a session besides its filter.
case_limits()
{
	mirror 'proto udp and port 7001' --to "vxlan:$to_4,vni=1" --sample 10 --for 1m --budget none
	mirror 'proto udp and port 7002' --to "vxlan:$to_4,vni=2" --for 1m --budget 1Mbps
	udp "$ns_b" "$ip_a" 7001 200 9
	udp "$ns_b" "$ip_a" 7002 400 1400
	expect_conserved 'sample' 1 200
	# each CPU takes one of ten: what is left over on each is not taken
	expect_true 'sample: one of ten' session_is 1 '.mirrored <= 20 and .mirrored > 0 and .sampled_out == 200 - .mirrored'
	expect_conserved 'budget' 2 400
	expect_true 'budget: some are beyond it' session_is 2 '.over_budget > 0 and .mirrored > 10'
	"$weir" unmirror all >/dev/null
}

case_exempt()
{
	local port

	ip -n "$ns_b" route add 169.254.169.254/32 via "$ip_a"
	mirror 'proto udp or net fd00:ec2::/64' --to "vxlan:$to_4,vni=1" --for 1m --budget none
	for port in 67 68 123 546 547; do
		udp "$ns_b" "$ip_a" "$port" 3 9
	done
	udp "$ns_b" 169.254.169.254 80 5 9
	udp "$ns_b" "$ip_a" 7001 7 9
	expect_conserved 'exempt' 1 27
	expect_true 'exempt: only the others are mirrored' session_is 1 '.exempt == 20 and .mirrored == 7'
	"$weir" unmirror all >/dev/null
}

# The interface that the mirror leaves by is mirrored too: its packets are not mirrored again.
case_loop()
{
	mirror 'proto udp' --to "vxlan:$to_4,vni=1" --for 1m --budget none
	udp "$ns_b" "$ip_a" 7001 101 9
	expect_conserved 'loop' 1 101
	expect_true 'loop: seen and left alone' test "$("$weir" status -o json | jq .counters.mirror_looped)" -ge 101
	"$weir" unmirror all >/dev/null
}

no_way_is() # NUMBER JQ
{
	session_is "$1" ".reachable == $2"
}

case_gone()
{
	mirror 'proto udp and port 7001' --to "vxlan:$to_4,vni=1" --for 1m --budget none
	ip -n "$ns_t" link set tv down
	expect_true 'gone: it is noticed' wait_for 10 no_way_is 1 false
	udp "$ns_b" "$ip_a" 7001 19 9
	expect_conserved 'gone' 1 19
	expect_true 'gone: counted' session_is 1 '.no_way == 19'
	expect_true 'gone: and said' has_line "$tmp/more.err" 'no route or neighbour leads there'
	ip -n "$ns_t" link set tv up
	wait_for 10 is_up "$ns_a" vt
	expect_true 'gone: it comes back' wait_for 20 no_way_is 1 true
	udp "$ns_b" "$ip_a" 7001 5 9
	expect_conserved 'back' 1 24
	expect_true 'back: mirrored' session_is 1 '.mirrored == 5'
	"$weir" unmirror all >/dev/null
	expect_true 'no route: refused' mirror_refused 'no way leads' 'proto udp' --to vxlan:192.0.2.1,vni=1 --for 1m
	expect_true 'own address: refused' mirror_refused 'this node itself' 'proto udp' --to "vxlan:$ip_a,vni=1" --for 1m
}

case_words()
{
	expect_true 'words: names are none of a packet' mirror_refused 'names are not known' 'tls.sni == "a.test"' --to "vxlan:$to_4,vni=1" --for 1m
	expect_true 'words: every session ends' mirror_refused 'for how long' 'proto udp' --to "vxlan:$to_4,vni=1"
	expect_true 'words: an interface that is not watched' mirror_refused 'is not watched' 'proto udp' --iface lo --to "vxlan:$to_4,vni=1" --for 1m
	expect_true 'end: there is none' grep -q 'no session 7' <("$weir" unmirror 7 2>&1)
	mirror 'proto udp' --to "vxlan:$to_4,vni=1" --for 1s
	expect_true 'end: by time' wait_for 10 session_gone 1
	expect_nothing_left 'end: by time'
}

session_gone() # NUMBER
{
	[ -z "$(session "$1" .session)" ]
}

case_killed()
{
	weir_start killed -i va --hook tc || exit 1
	mirror 'proto udp' --to "vxlan:$to_4,vni=1" --for 1m
	expect_true 'killed: a session' session_is 1 '.session == 1'
	weir_stop KILL
	in_a "$weir" detach --all >"$tmp/detach.out" 2>&1
	expect_match 'killed: detach takes the pair away' "$(cat "$tmp/detach.out")" '^weir-mirror0: deleted'
	expect_nothing_left 'killed'
	weir_start killed -i va --hook tc || exit 1
	mirror 'proto udp' --to "vxlan:$to_4,vni=1" --for 1m
	weir_stop KILL
	weir_start next -i va --hook tc || exit 1
	expect_nothing_left 'killed: the next weir'
	weir_stop
}

net_new
target_new 1600
case_tunnels
net_new 9000
target_new 1500
case_cut
net_new
target_new 1600
weir_start more -i va -i vt --hook tc || exit 1
case_priority
case_limits
case_exempt
case_loop
case_gone
case_words
weir_stop
expect_attached 'at the end' ''
case_killed
