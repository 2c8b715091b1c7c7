#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_attackers.sh - three nodes, their collector and all rules that come with weir: nmap, passwords tried at SSH
# servers, a host that sends spam and a SYN flood of forged sources, among neighbours of the same /24 that read pages
# and work over SSH. First everything only counts, then it acts: on all nodes the three are stopped, a forged source is
# never decided on, and the neighbours lose nothing.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"
. "$(dirname "$0")/nodes.sh"
wire=weir-w$$ near=weir-i$$ foes=weir-x$$ spammers=weir-s$$ mx=weir-m$$
scanner=192.0.2.66 guesser=192.0.2.77 forged=192.0.2.99 reader=192.0.2.10 worker=192.0.2.11
spammer=10.77.50.9
needs attackers nmap hping3 dropbear dbclient nginx aiosmtpd || exit 0

c()
{
	"$collector" "$@"
}

node_ip() # K, as attackers and neighbours see it
{
	echo "10.77.40.$1"
}

# ---- the network ----

# A host on the wire, a bridge that the nodes are on too.
joined() # NAMESPACE DEV ADDRESS/BITS...
{
	local ns=$1 dev=$2 a

	shift 2
	ip link add "$dev" netns "$ns" type veth peer name "p$((++joins))" netns "$wire" || die "no link"
	ip -n "$wire" link set "p$joins" master hub up
	ip -n "$ns" link set "$dev" up
	for a; do
		ip -n "$ns" addr add "$a" dev "$dev"
	done
}

network()
{
	local k ns

	for ns in "$ns_a" "$wire" "$near" "$foes" "$spammers" "$mx"; do
		ns_new "$ns"
	done
	joins=0
	ip -n "$wire" link add name hub type bridge
	ip -n "$wire" link set hub up
	joined "$near" eth "$reader/24" "$worker/24"
	joined "$foes" eth "$scanner/24" "$guesser/24"
	joined "$mx" eth 10.77.40.250/24
	ip -n "$near" route add 10.77.40.0/24 dev eth
	ip -n "$foes" route add 10.77.40.0/24 dev eth
	ip -n "$mx" route add local 203.0.113.0/24 dev lo
	ip -n "$spammers" addr add "$spammer/32" dev lo
	for k in 1 2 3; do
		node_new "$k"
		ns=node_ns_$k
		joined "${!ns}" out "$(node_ip "$k")/24"
		ip -n "${!ns}" route add 192.0.2.0/24 dev out
		ip -n "${!ns}" route add 203.0.113.0/24 via 10.77.40.250
		# the spammer is behind all three: a third of the mail servers by each, there and back
		pair_new "${!ns}" lan "$spammers" "e$k" "5$k" 1500
		ip netns exec "${!ns}" sysctl -qw net.ipv4.ip_forward=1
		ip -n "${!ns}" route add "$spammer" via "10.77.5$k.2"
		ip -n "$spammers" route add "203.0.113.$((k * 64 - 64))/26" via "10.77.5$k.1" src "$spammer"
		ip -n "$mx" rule add from "203.0.113.$((k * 64 - 64))/26" lookup "10$k"
		ip -n "$mx" route add "$spammer" via "$(node_ip "$k")" table "10$k"
	done
}

# ---- who serves, and who is served ----

services()
{
	local k ns

	mkdir -p "$tmp/user/.ssh" "$tmp/www"
	dropbearkey -t ed25519 -f "$tmp/host.key" >/dev/null 2>&1
	dropbearkey -t ed25519 -f "$tmp/worker.key" 2>/dev/null | grep '^ssh-' >"$tmp/user/.ssh/authorized_keys"
	chmod -R go-rwx "$tmp/user"
	cat >"$tmp/www/nginx.conf" <<-EOF
		daemon off;
		pid $tmp/www/nginx.pid;
		error_log $tmp/www/error.log;
		events { }
		http { access_log off; server { listen 80; location / { return 200 "hello\n"; } } }
	EOF
	for k in 1 2 3; do
		ns=node_ns_$k
		sed "s/nginx.pid/$k.pid/" "$tmp/www/nginx.conf" >"$tmp/www/$k.conf"
		spawn "nginx$k" "${!ns}" nginx -p "$tmp/www" -c "$tmp/www/$k.conf" -e "$tmp/www/error.log"
		# shellcheck disable=SC2016 # expanded by the inner shell
		spawn "sshd$k" "${!ns}" bash -c 'mount --bind "$1" /root && exec dropbear -F -E -T 2 -r "$2" -p 22' - \
			"$tmp/user" "$tmp/host.key"
	done
	spawn smtp "$mx" aiosmtpd -n -l 0.0.0.0:25
	wait_for 60 listening "$mx" tcp 25 || die "no mail server: $(cat "$tmp/smtp.err")"
	for k in 1 2 3; do
		ns=node_ns_$k
		wait_for 60 listening "${!ns}" tcp 80 || die "node $k has no pages: $(cat "$tmp/www/error.log")"
		wait_for 60 listening "${!ns}" tcp 22 || die "node $k has no SSH server: $(cat "$tmp/sshd$k.err")"
	done
}

# One reads pages of all nodes, one after the other, and writes down each that does not come; one has a session with
# each node, whose far end says again what it is told.
neighbours()
{
	local k

	# shellcheck disable=SC2016 # expanded by the inner shell
	spawn reader "$near" bash -c 'while sleep 0.1; do
		for k in 1 2 3; do
			curl -sf --max-time 5 --interface "$1" "http://10.77.40.$k/" || echo "node $k: $?"
		done
	done' - "$reader"
	for k in 1 2 3; do
		# shellcheck disable=SC2016 # expanded by the inner shell
		spawn "worker$k" "$near" bash -c 'i=0; while echo $((++i)); do sleep 0.1; done |
			dbclient -y -y -i "$1" -b "$2" "root@$3" cat' - "$tmp/worker.key" "$worker" "$(node_ip "$k")"
	done
}

lines() # NAME
{
	wc -l <"$tmp/$1.out"
}

goes_on() # NAME LINES: has it come so much further than that?
{
	[ "$(lines "$1")" -ge $(($2 + 5)) ]
}

neighbours_fare_well() # WHEN
{
	local k name before

	for name in reader worker1 worker2 worker3; do
		before=$(lines "$name")
		expect_true "$1: the $name goes on" wait_for 20 goes_on "$name" "$before"
	done
	expect "$1: every page came" "$(grep -cv '^hello$' "$tmp/reader.out")" 0
	for k in 1 2 3; do
		expect "$1: the session with node $k says all again" \
			"$(awk '$1 != NR { n++ } END { print n + 0 }' "$tmp/worker$k.out")" 0
	done
}

# ---- attackers ----

# Looks what answers, then at all ports: the first shows that nobody forges its address.
scan()
{
	local to=10.77.40.1-3

	ip netns exec "$foes" timeout 20 nmap -n -Pn -S "$scanner" -e eth -sT -sV --version-light -p 22,80 "$to"
	ip netns exec "$foes" timeout 5 nmap -n -Pn -S "$scanner" -e eth -sT -T4 --max-retries 0 -p 1-100 "$to"
}

try_passwords() # K: until nobody answers any more
{
	local i

	for ((i = 0; i < 7; i++)); do
		ip netns exec "$foes" env DROPBEAR_PASSWORD=wrong HOME="$tmp" timeout 5 \
			dbclient -y -y -b "$guesser" "root@$(node_ip "$1")" true </dev/null
		[ $? -ne 124 ] || return
	done
}

mail_to() # ADDRESS
{
	printf 'Subject: offer\r\n\r\nBuy.\r\n' | ip netns exec "$spammers" curl -sf --max-time 3 "smtp://$1" \
		--mail-from me@example.net --mail-rcpt you@example.org -T -
}

spam()
{
	local i

	for ((i = 1; i <= 4; i++)); do
		mail_to "203.0.113.$i"
		mail_to "203.0.113.$((64 + i))"
		mail_to "203.0.113.$((128 + i))"
	done
}

# SYNs of sources at random, then of a neighbour's, to a service; and of one that nobody is, to many ports.
flood()
{
	ip netns exec "$foes" hping3 -q -S --rand-source -p 80 -c 3000 -i u300 "$(node_ip 3)"
	ip netns exec "$foes" hping3 -q -S -a "$reader" -s 2000 -p 80 -c 300 -i u1000 "$(node_ip 3)"
	ip netns exec "$foes" hping3 -q -S -a "$forged" -p ++100 -c 60 -i u2000 "$(node_ip 3)"
}

attack() # WAY COMMAND...: in the background
{
	local way=$1

	shift
	"$@" >"$tmp/$way.log" 2>&1 &
	attacks+=($!)
}

attack_all()
{
	local k

	attacks=()
	attack scan scan
	for k in 1 2 3; do
		attack "try$k" try_passwords "$k"
	done
	attack spam spam
	attack flood flood
	wait "${attacks[@]}"
}

# ---- what became of it ----

settings() # MODE: of all rules
{
	{
		cat <<-EOF
			[rules]
			directories = $PWD/packaging/rules
			behind = 2s
			[nodes]
			listen = 0.0.0.0:4741
		EOF
		for rule in $rules; do
			printf '[rule %s]\nmode = %s\n' "$rule" "$1"
			case $rule in
			ssh-dictionary) echo 'attempts = 5' ;;
			spam-fanout) echo 'servers = 6' ;;
			syn-flood) echo 'syns = 1000' ;;
			esac
		done
	} >"$tmp/collector.conf"
}

decided() # RULE VALUE STATE MODE
{
	c decisions list --state all --rule "$1" -o json |
		jq -es "any(.[]; .value == \"$2\" and .state == \"$3\" and .mode == \"$4\")"
}

in_kernel() # K RULE FILTER: of the entries that node K has of the rule
{
	in_node "$1" "$weir" policy show -o json | jq -es "[.[] | select(.name == \"$2\")] | any(.[]; $3)"
}

reads_page() # K: the scanner
{
	ip netns exec "$foes" curl -sf --max-time 2 --interface "$scanner" "http://$(node_ip "$1")/"
}

greets() # K: does the SSH server greet who tries passwords?
{
	ip netns exec "$foes" timeout 3 nc -s "$guesser" -w 2 "$(node_ip "$1")" 22 </dev/null 2>/dev/null | grep -q '^SSH-2'
}

mails() # K: the spammer
{
	mail_to "203.0.113.$(($1 * 64 - 64 + 20))"
}

# What each node must not do any more, tried at all nodes at once.
stopped()
{
	local row rule who what k tries=() went=0

	for row in "${about[@]}"; do
		read -r rule who what <<<"$row"
		for k in 1 2 3; do
			"$what" "$k" >/dev/null 2>&1 &
			tries+=($!)
		done
	done
	for k in "${tries[@]}"; do
		wait "$k" && went=$((went + 1))
	done
	[ "$went" -eq 0 ]
}

# shellcheck disable=SC2034 # the words are a table: rule, whom it is about, what the node must not do for it
about=("port-scan $scanner reads_page" "ssh-dictionary $guesser greets" "spam-fanout $spammer mails")

rules=$(c rules explain -o json packaging/rules | jq -r .rule)
network
settings shadow
serve()
{
	collector_start --config "$tmp/collector.conf" --listen-udp none --listen-tcp 0.0.0.0:4739
}
serve
for k in 1 2 3; do
	node_enrol "$k" >"$tmp/enrol$k.out" || die "node $k: $(cat "$tmp/enrol$k.out")"
	node_weir "$k" -i out --idle-timeout 2s --syn-timeout 2s --export "ipfix+tcp://198.51.100.1$k:4739"
	node_follow "$k"
done
services
neighbours
expect_true "all enforce what they shall" wait_for 30 enforced node1 node2 node3
expect "all rules are at work, and count" "$(collector_status '[.rules.list[] | select(.mode == "shadow")] | length')" \
	"$(wc -w <<<"$rules")"

# ---- shadow ----
attack_all
for row in "${about[@]}"; do
	read -r rule who what <<<"$row"
	expect_true "shadow: $rule" wait_for 60 decided "$rule" "$who" active shadow
	for k in 1 2 3; do
		expect_true "shadow: $rule is in the kernel of node $k" wait_for 20 in_kernel "$k" "$rule" .shadow
		expect_true "shadow: $rule lets pass" wait_for 60 "$what" "$k"
		expect_true "shadow: $rule counts what it would have dropped" wait_for 60 in_kernel "$k" "$rule" '.would_packets > 0'
	done
done
neighbours_fare_well shadow

# ---- prevent ----
settings prevent
kill -HUP "$collector_pid"
all_act()
{
	[ "$(collector_status '[.rules.list[] | select(.mode == "prevent")] | length')" = "$(wc -w <<<"$rules")" ]
}
expect_true "somebody lets all rules act" wait_for 20 all_act
attack_all
expect_true "prevent: who is the site's own waits for a person" wait_for 60 decided spam-fanout "$spammer" held enforce
c decisions approve "$(c decisions list --state all --rule spam-fanout -o json | jq 'select(.state == "held") | .id')" \
	>"$tmp/approve.out" 2>&1
for row in "${about[@]}"; do
	read -r rule who what <<<"$row"
	expect_true "prevent: $rule" wait_for 60 decided "$rule" "$who" active enforce
	expect "prevent: $rule had counted before" "$(c decisions list --state all --rule "$rule" -o json |
		jq -rs "map(select(.value == \"$who\" and .reason == \"superseded\").mode) | unique | join(\",\")")" shadow
	for k in 1 2 3; do
		expect_true "prevent: $rule is in the kernel of node $k" wait_for 20 in_kernel "$k" "$rule" '.shadow | not'
	done
done
expect_true "prevent: all three are stopped at all nodes" wait_for 20 stopped
neighbours_fare_well prevent
expect_true "all enforce what they shall" wait_for 30 enforced node1 node2 node3

# ---- forged ----
flood_seen()
{
	c alerts list --rule syn-flood --state all -o json | jq -es "any(.[]; .dst.ip == \"$(node_ip 3)\" and .dst.port == 80)"
}
expect_true "the flood is an alert about the service" wait_for 60 flood_seen
refused_forged()
{
	decided port-scan "$forged" refused shadow || decided port-scan "$forged" refused enforce
}
expect_true "a forged source that looks like a scan is refused" wait_for 60 refused_forged
expect "nobody else was ever decided on by address" "$(c decisions list --state all --top 10000 -o json |
	jq -rs 'map(select(.scope != "dst.ip" and .state != "refused").value) | unique | sort | join(" ")')" \
	"$(printf '%s\n' "$scanner" "$guesser" "$spammer" | sort | paste -sd' ')"
for k in 1 2 3; do
	for who in "$reader" "$worker"; do
		expect_match "node $k has nothing about $who" "$(in_node "$k" "$weir" why "$who" 2>&1)" 'no rule|nothing'
	done
	expect "no packet of a neighbour was dropped at node $k" "$(jq -s "map(select((.dropped.packets // 0) > 0 and
		any(.src.ip, .dst.ip; . == \"$reader\" or . == \"$worker\"))) | length" "$tmp/weir$k.out")" 0
done
expect "every decision has an end" "$(c decisions list -o json | jq -s 'all(.expires != null)')" true
expect_true "the audit log is whole" c audit verify
{ # whose sessions would wait for their ends
	ip netns pids "$near" | xargs -r kill -KILL
	wait "${spawned[reader]}" "${spawned[worker1]}" "${spawned[worker2]}" "${spawned[worker3]}"
} 2>"$tmp/killed"
collector_stop
expect "the collector ends" "$collector_rc" 0
