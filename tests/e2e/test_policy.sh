#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_policy.sh - blocking by hand and by policy, with real clients and servers: attackers and
# innocents, names on one address, what is never blocked, signatures, generations, panic, restarts.
# Each promise has a case that is named after it.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/servers.sh"
needs policy curl dig nginx dnsmasq openssl jq || exit 0



w() # ARG...: a command of weir's, on its side; output in $tmp/w.out, messages in $tmp/w.err
{
	in_a "$weir" "$@" >"$tmp/w.out" 2>"$tmp/w.err"
}

shown() # JQ-FILTER: applied to the array of all rules
{
	in_a "$weir" policy show -o json | jq -sr "$1"
}

reaches() # URL...: curl gets an answer
{
	client curl -sk --max-time 1 --connect-timeout 1 "$@" >/dev/null
}

blocked() # URL...
{
	! reaches "$@"
}

pings() # ADDRESS [NAMESPACE]
{
	ip netns exec "${2:-$ns_a}" ping -q -c 1 -W 1 "$1" >/dev/null 2>&1
}

no_ping()
{
	! pings "$@"
}

refused_by() # CASE GUARD COMMAND...: fails, and says the guard's name
{
	local name=$1 guard=$2

	shift 2
	if w "$@"; then
		not_ok "$name" "was not refused"
	else
		expect_match "$name" "$(cat "$tmp/w.err")" "refused by the guard $guard"
	fi
}

case_words()
{
	w block 'bytes > 1M' --for 1m
	expect "words: what a packet can't tell is an error" "$?" 2
	expect_match "words: with its column" "$(cat "$tmp/w.err")" "col 1: bytes is known of a flow"
	w block "$ip_b"
	expect "no decision without expiry: --for is required" "$?" 2
	w block "$ip_b" --for 31d
	expect "no decision without expiry: it is capped" "$?" 1
	w block "$ip_b" --for 1m --dry-run
	expect "dry run: nothing is there afterwards" "$(shown length)" 0
	expect_match "dry run: says what would be added" "$(cat "$tmp/w.out")" "would add drop host $ip_b"
	expect_match "dry run: and what it would have matched" "$(cat "$tmp/w.out")" 'matched in the last minute: [0-9]+ packets'
}

case_addresses()
{
	in_b ip addr add 10.77.1.66/24 dev vb
	in_b ip addr add fd77::66/64 dev vb nodad
	in_a ip neigh replace 10.77.1.66 lladdr "$(in_b cat /sys/class/net/vb/address)" nud permanent dev va
	in_a ip neigh replace fd77::66 lladdr "$(in_b cat /sys/class/net/vb/address)" nud permanent dev va
	w block 10.77.1.66 --for 1m --as attacker
	w block fd77::66 --for 1m
	expect_true "addresses: the attacker is stopped" no_ping 10.77.1.66
	expect_true "addresses: over IPv6 too" no_ping fd77::66
	expect_true "addresses: the innocent beside it goes on" pings "$ip_b"
	expect_true "addresses: over IPv6 too, the innocent" pings "$ip6_b"
	in_b ping -q -I 10.77.1.66 -c 3 -i 0.2 -W 1 "$ip_a" >/dev/null
	w why 10.77.1.66
	expect_match "why: rule, who, hits, expiry, undo" "$(tr '\n' ' ' <"$tmp/w.out")" \
		"drop: host 10.77.1.66 +rule +1 'attacker' +decided +local:uid=0 +hits +[1-9][0-9]* packets.*expires +in 5[0-9]s.*undo +weir unblock"
	w unblock 10.77.1.66
	expect_true "unblock: at once" pings 10.77.1.66
	expect_true "unblock: the other stays" no_ping fd77::66
	w flush
	expect_true "flush: nothing is blocked" pings fd77::66
	w policy rollback
	expect_true "rollback: as it was before" no_ping fd77::66
	w flush
}

case_names()
{
	w block 'tls.sni suffix "shop.example.test" or http.host == "shop.example.test"' --for 6s
	expect_true "names: the blocked one can't be reached over TLS" blocked -4 https://shop.example.test/
	expect_true "names: nor over plain HTTP" blocked -4 http://shop.example.test/
	expect_true "names: nor over IPv6" blocked -6 https://shop.example.test/
	expect_true "names: its neighbour on the same address can" reaches -4 https://www.example.test/
	expect_true "names: and over plain HTTP" reaches -4 http://www.example.test/
	expect_true "names: the server never answered by that name" \
		test -z "$(grep ' shop.example.test ' "$access_log")"
	w why shop.example.test
	expect_match "names: why tells of both rules" "$(grep -c '^drop: ' "$tmp/w.out")" '^2$'
	expect_true "names: reached again when its time is over" \
		wait_for 60 reaches -4 https://shop.example.test/
}

case_keepalive()
{
	w block 'http.host == "api.example.test"' --for 1m
	expect_true "keep-alive: the second Host on one connection is stopped" \
		blocked -4 http://www.example.test/ --next -sk --max-time 1 -H 'Host: api.example.test' "http://www.example.test/x"
	expect_true "keep-alive: allowed hosts on one connection go on" \
		reaches -4 http://www.example.test/ --next -sk --max-time 1 -H 'Host: mail.example.test' "http://www.example.test/x"
	w flush
}

case_dns()
{
	w block 'dns.qname suffix ".example.test"' --for 1m
	expect "dns: the name is not answered" \
		"$(in_a dig +time=1 +tries=1 +short @"$ip_b" shop.example.test | grep -cxF "$ip_b")" 0
	expect_match "dns: another is" "$(in_a dig +time=1 +tries=1 @"$ip_b" nothing.missing.test)" NXDOMAIN
	w flush
}

case_established()
{
	spawn server "$ns_b" socat -u TCP4-LISTEN:7000,bind="$ip_b",fork,reuseaddr OPEN:/dev/null
	wait_for 60 listening "$ns_b" tcp 7000 || die "socat does not listen"
	mkfifo "$tmp/feed"
	spawn feeder "$ns_a" socat -u "OPEN:$tmp/feed" TCP4:"$ip_b":7000
	exec 9>"$tmp/feed"
	echo before >&9
	wait_for 60 established || die "the connection is not there"
	w block "dst.ip == $ip_b and dst.port == 7000 and proto tcp" --for 1m
	echo after >&9
	sleep 0.5
	expect_true "established: a flow that was there before is cut" \
		test "$(shown '.[0].packets')" -gt 0
	exec 9>&-
	stop_spawned feeder
	stop_spawned server
	w flush
}

established()
{
	in_a ss -Htn state established "dport = :7000" | grep -q .
}

# Of the download: what has come, whether or not it has been read from the socket.
received()
{
	in_a ss -Htin state established "dport = :443" | sed -n 's/.*bytes_received:\([0-9]*\).*/\1/p' | head -n 1
}

# The name was read when the flow began; the rule comes later.
case_established_name()
{
	local before

	client curl -sk --max-time 6 --limit-rate 200k -4 https://www.example.test/bulk >"$tmp/bulk" &
	wait_for 60 test -s "$tmp/bulk"
	sleep 1.2 # the flow has been read
	w block 'tls.sni == "www.example.test"' --for 1m
	sleep 0.5
	before=$(received)
	sleep 1.5
	expect_true "established by name: cut when the rule comes" \
		test "$(($(received) - ${before:-0}))" -lt "$((before > 0 ? 150000 : 0))"
	expect_true "established by name: and counted" test "$(shown '.[0].packets')" -gt 0
	wait $! 2>/dev/null
	w flush
	expect_true "established by name: reached again" reaches -4 https://www.example.test/
}

case_quic()
{
	needs quic gtlsserver gtlsclient || return
	spawn quic_server "$ns_b" gtlsserver -q -d "$tmp/www/files" '*' 443 "$tmp/www/key.pem" "$tmp/www/cert.pem"
	wait_for 60 listening "$ns_b" udp 443 || die "gtlsserver does not start"
	w block 'tls.sni == "quic1.example.test"' --for 1m
	client timeout 4 gtlsclient -q --exit-on-all-streams-close quic1.example.test 443 \
		https://quic1.example.test/bulk >"$tmp/quic.client" 2>&1
	expect "quic: the blocked name's transfer never ends" "$?" 124
	expect_true "quic: it was dropped by its flow" test "$(shown '.[0].packets')" -gt 0
	client timeout 10 gtlsclient -q --exit-on-all-streams-close quic2.example.test 443 \
		https://quic2.example.test/ >"$tmp/quic.client" 2>&1
	expect "quic: its neighbour goes on" "$?" 0
	w flush
	w block 'tls.sni == "quic1.example.test"' --reset --for 1m
	expect_match "quic: a reset says that it is a drop there" "$(cat "$tmp/w.out")" 'QUIC has no reset: what is named so over UDP is dropped'
	client timeout 4 gtlsclient -q --exit-on-all-streams-close quic1.example.test 443 \
		https://quic1.example.test/bulk >"$tmp/quic.client" 2>&1
	expect "quic: with --reset the blocked name's transfer never ends either" "$?" 124
	expect_true "quic: with --reset it was dropped by its flow" test "$(shown '.[0].packets')" -gt 0
	expect "quic: and nothing was sent" "$("$weir" status -o json | jq '.counters.resets_sent // 0')" 0
	client timeout 10 gtlsclient -q --exit-on-all-streams-close quic2.example.test 443 \
		https://quic2.example.test/ >"$tmp/quic.client" 2>&1
	expect "quic: with --reset its neighbour goes on" "$?" 0
	stop_spawned quic_server
	w flush
}

case_limit()
{
	w limit "proto icmp" --rate 5pps --burst 5 --for 1m
	in_a ping -q -c 40 -i 0.02 -W 1 "$ip_b" >"$tmp/ping.out"
	expect_true "limit: some pass and some don't" \
		test "$(shown '.[0] | (.passed > 0 and .packets > 0)')" = true
	w flush
}

case_shadow()
{
	w block "$ip_b" --for 1m --shadow
	expect_true "shadow: nothing is stopped" pings "$ip_b"
	expect_true "shadow: what would have been is counted" test "$(shown '.[0].would_packets')" -ge 2
	expect "shadow: and nothing else" "$(shown '.[0].packets')" 0
	w flush
}

# What is counted of a rule and of a decision, and that all who are asked say the same.
of_status() # MEMBER
{
	in_a "$weir" status -o json | jq -r ".policy.by_rule[] | select(.rule == \"counted\") | .$1"
}

of_metrics() # NAME
{
	in_a curl -s http://127.0.0.1:9478/metrics |
		awk -v name="weir_policy_$1{rule=\"counted\",issuer=\"local\",action=\"drop\",shadow=\"$2\"}" '$1 == name { print $2 }'
}

status_has() # MEMBER VALUE
{
	[ "$(of_status "$1")" = "$2" ]
}

case_counted()
{
	local before

	before=$(date +%s)
	w block "src.ip == $ip_b and proto tcp" --for 10m --as counted
	for _ in 1 2 3; do # a SYN each: gone before the kernel would send it again
		in_b python3 -c "import socket; s = socket.socket(); s.setblocking(False); s.connect_ex(('$ip_a', 7)); s.close()"
	done
	expect "counted: three connections tried, by the rule" "$(shown '.[0] | "\(.packets) \(.flows)"')" "3 3"
	expect "counted: by its decision" "$(shown '.[0].bytes > 0')" true
	w why "$ip_b" -o json
	expect "counted: weir why: of the decision that was asked about" \
		"$(jq -r '"\(.entry_packets) \(.entry_flows) \(.entry_bytes == .bytes)"' "$tmp/w.out")" "3 3 true"
	expect_true "counted: when the last was, within the policy clock's step" \
		test "$(shown '.[0].last[0:19] + "Z" | fromdateiso8601')" -ge "$((before - 2))"
	w policy show
	expect_match "counted: the table has flows, and how long ago the last was" "$(cat "$tmp/w.out")" \
		'HITS +BYTES +FLOWS +LAST.*'
	expect_match "counted: in its row" "$(tail -n 1 "$tmp/w.out")" ' 3 +[0-9.]+ ?[a-zA-Z]* +3 +[0-9]+s +'
	expect_true "counted: weir status has the same" wait_for 60 status_has packets 3
	expect "counted: its flows" "$(of_status flows)" 3
	expect "counted: its bytes" "$(of_status bytes)" "$(shown '.[0].bytes')"
	expect_true "counted: its last" test "$(of_status last)" != null
	w status
	expect_match "counted: for people too" "$(cat "$tmp/w.out")" 'rule local/counted drop: 3 packets, .* 3 flows, last'
	expect "counted: the metrics: flows" "$(of_metrics flows_total 0)" 3
	expect "counted: the metrics: packets" "$(of_metrics matches_total 0)" 3
	expect_true "counted: the metrics: last" test "$(of_metrics last_hit_timestamp_seconds 0)" -ge "$((before - 2))"
	w flush
	w block "src.ip == $ip_b and proto tcp" --for 10m --as counted --shadow
	in_b timeout 0.5 bash -c "exec 3<>/dev/tcp/$ip_a/7" 2>/dev/null
	expect "counted: in shadow, what would have been" "$(shown '.[0] | "\(.would_packets > 0) \(.would_flows) \(.packets) \(.flows)"')" \
		"true 1 0 0"
	expect_true "counted: the metrics: what would have been" wait_for 60 would_flows_are 1
	w flush
}

would_flows_are()
{
	[ "$(of_metrics would_flows_total 1)" = "$1" ]
}

case_guards()
{
	refused_by "guard: an address of this node" own-address block "$ip_a" --for 1m
	refused_by "guard: a network that holds one" own-address block 10.77.1.0/24 --for 1m
	refused_by "guard: the metadata service" never-block block 169.254.169.254 --for 1m
	in_a ip route add default via "$ip_b" dev va
	wait_for 3 gateway_exempt || true
	refused_by "guard: the gateway, as soon as there is one" never-block block "$ip_b" --for 1m
	w block 'proto icmp' --for 1m
	expect_true "an exemption beats every rule: the gateway answers under a rule that blocks everything" \
		pings "$ip_b"
	expect_true "an exemption beats every rule: others don't" no_ping 10.77.1.66
	w flush
	in_a ip route del default
}

gateway_exempt()
{
	in_a "$weir" why "$ip_b" | grep -q 'never blocked'
}

panic_ms()
{
	sed -n 's/^stopped after \([0-9.]*\) ms.*/\1/p' "$tmp/w.out"
}

case_panic()
{
	w block 'proto icmp' --for 1m
	no_ping "$ip_b" || not_ok "panic: blocked before" "it is not"
	w panic
	expect_true "panic: nothing is blocked any more" pings "$ip_b"
	panic_ms >"$tmp/panic"
	for _ in 1 2 3; do # others have the CPU as well: the best of four
		w panic --off
		w panic
		panic_ms >>"$tmp/panic"
	done
	expect_true "panic < 10 ms" awk '!n++ || $1 < ms { ms = $1 } END { exit !(ms > 0 && ms < 10) }' "$tmp/panic"
	expect "panic: rules stay" "$(shown length)" 1
	w panic --off
	expect_true "panic: resumed" no_ping "$ip_b"
	w flush
}

case_confirm()
{
	w block 'proto icmp' --for 1m --confirm 2s
	expect_true "commit-confirm: it holds" no_ping "$ip_b"
	expect_true "commit-confirm: undone when no confirmation comes" wait_for 6 pings "$ip_b"
	w block 'proto icmp' --for 1m --confirm 2s
	w policy confirm
	sleep 3
	expect_true "commit-confirm: kept when one comes" no_ping "$ip_b"
	w flush
}

case_policies()
{
	cat >"$tmp/one.policy" <<-END
		issuer soc
		generation 5
		list bad $tmp/bad.txt
		drop src.ip in @bad for 1h as intel
		limit 1000pps per source proto udp and dst.port == 53 for 1h as dns
	END
	printf '%s\n' 192.0.2.1 198.51.100.0/24 2001:db8::/32 10.77.1.66 >"$tmp/bad.txt"
	w policy diff "$tmp/one.policy"
	expect "policy: diff before: two rules would come" "$(grep -c '^+' "$tmp/w.out")" 2
	expect_true "policy: applied" w policy apply "$tmp/one.policy"
	expect "policy: its rules are there" "$(shown 'map(.name) | join(",")')" intel,dns
	expect_true "policy: the list holds" no_ping 10.77.1.66
	w policy diff "$tmp/one.policy"
	expect "policy: diff after: the same" "$(cat "$tmp/w.out")" 'the same rules'
	w policy apply "$tmp/one.policy"
	expect_match "an old generation is refused" "$(cat "$tmp/w.err")" 'generation 5 of soc is not newer than 5'
	sed 's/^generation 5/generation 6/; s/intel/other/' "$tmp/one.policy" >"$tmp/two.policy"
	w policy apply "$tmp/two.policy"
	expect "a generation is atomic: all of the new one, nothing of the old" \
		"$(shown 'map(.name) | join(",")')" other,dns
	"$weir" policy compile "$tmp/two.policy" -w "$tmp/bad.bin"
	printf '\xff' | dd of="$tmp/bad.bin" bs=1 seek=200 conv=notrunc 2>/dev/null
	w policy apply "$tmp/bad.bin"
	expect "policy: a corrupted one is refused" "$?" 1
	expect "policy: and nothing changed" "$(shown 'map(.name) | join(",")')" other,dns
	printf 'drop prot tcp for 1m\n' >"$tmp/typo.policy"
	w policy apply "$tmp/typo.policy"
	expect_match "policy: a mistake has line, column and a suggestion" "$(cat "$tmp/w.err")" \
		"typo.policy:1:6: unknown field 'prot', did you mean 'proto'"
	w flush soc
}

case_full()
{
	awk 'BEGIN { for (i = 0; i < 70000; i++) printf "11.%d.%d.%d\n", i / 65536, i / 256 % 256, i % 256 }' >"$tmp/many.txt"
	printf 'issuer many\nlist l %s\ndrop src.ip in @l for 1h\n' "$tmp/many.txt" >"$tmp/many.policy"
	refused_by "full: a policy that does not fit is refused before any of it is applied" capacity \
		policy apply "$tmp/many.policy"
	expect "full: nothing of it is there" "$(shown length)" 0
	head -n 30000 "$tmp/many.txt" >"$tmp/some.txt"
	sed 's/many/some/g' "$tmp/many.policy" >"$tmp/some.policy"
	expect_true "full: what fits goes in" w policy apply "$tmp/some.policy"
	w flush
}

case_permission()
{
	local as=(ip netns exec "$ns_a" setpriv --reuid 65534 --regid 65534 --clear-groups)

	chmod 666 "$tmp/weir.sock" "$tmp/weir.sock.policy"
	"${as[@]}" "$weir" policy show >/dev/null 2>"$tmp/w.err"
	expect "permission: who may connect may look" "$?" 0
	"${as[@]}" "$weir" block 192.0.2.1 --for 1m >/dev/null 2>"$tmp/w.err"
	expect "permission: and not change" "$?" 3
	expect_match "permission: says what it takes" "$(cat "$tmp/w.err")" 'root and the group of policy.group'
}

# ---- signatures ----

case_signed()
{
	"$weir" policy keygen "$tmp/keys" >/dev/null
	"$weir" policy keygen "$tmp/others" >/dev/null
	WEIR_POLICY_KEYS=$tmp/keys/public.pem weir_start signed -i va || return
	sed 's/^generation .*/generation 10/; /^list/d; /@bad/d' "$tmp/one.policy" >"$tmp/s.policy"
	w policy apply "$tmp/s.policy"
	expect_match "signature: without one it is refused" "$(cat "$tmp/w.err")" 'it is not signed'
	"$weir" policy sign "$tmp/s.policy" --key "$tmp/others/private.pem" -w "$tmp/s.bin"
	w policy apply "$tmp/s.bin"
	expect_match "signature: by another key it is refused" "$(cat "$tmp/w.err")" 'not trusted'
	"$weir" policy sign "$tmp/s.policy" --key "$tmp/keys/private.pem" -w "$tmp/s.bin"
	cp "$tmp/s.bin" "$tmp/wrong.bin"
	printf 'x' | dd of="$tmp/wrong.bin" bs=1 seek=$((128 + 48)) conv=notrunc 2>/dev/null
	w policy apply "$tmp/wrong.bin"
	expect_match "signature: of something else it is refused" "$(cat "$tmp/w.err")" 'signature is wrong'
	expect_true "signature: the right one is taken" w policy apply "$tmp/s.bin"
	expect_true "signature: by hand needs none" w block 192.0.2.9 --for 1m
	weir_stop
	WEIR_POLICY_KEYS=$tmp/keys/public.pem weir_start signed2 -i va || return
	expect "without --pin: policies are gone with weir" "$(shown length)" 0
	w policy apply "$tmp/s.bin"
	expect_match "an old generation replayed is refused after a restart too" "$(cat "$tmp/w.err")" \
		'generation 10 of soc is not newer'
	weir_stop
}

net_new
servers_start
weir_start main -i va --metrics-listen 127.0.0.1:9478 || exit 1
case_words
case_addresses
case_names
case_keepalive
case_dns
case_established
case_established_name
case_quic
case_limit
case_shadow
case_counted
case_guards
case_panic
case_confirm
case_policies
case_full
case_permission
weir_stop
expect "main: weir ends well" "$weir_rc" 0
case_signed
