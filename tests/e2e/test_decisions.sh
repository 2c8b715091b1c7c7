#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_decisions.sh - from flows to a block: passwords are tried at a real SSH server, an alert becomes a
# decision that first only counts and then acts on the node; the neighbour is not touched; forged sources are
# never acted on; what happened is in a log that shows when it was changed.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"
neighbour=10.77.1.3 forged=10.77.1.99

c()
{
	"$collector" "$@"
}

# One wrong password of the attacker's.
try_password()
{
	in_b env DROPBEAR_PASSWORD=wrong HOME="$tmp" timeout 20 dbclient -y -y "root@$ip_a" true \
		>"$tmp/try.out" 2>&1 </dev/null
}

attack() # ATTEMPTS
{
	local i

	for ((i = 0; i < $1; i++)); do
		try_password
	done
}

greets() # SOURCE: does the server say its name to it?
{
	in_b timeout 5 nc -s "$1" -w 2 "$ip_a" 22 </dev/null 2>/dev/null | grep -q '^SSH-2'
}

refuses()
{
	! greets "$1"
}

decided() # COUNT ARG...
{
	local n=$1

	shift
	[ "$(c decisions list -o json "$@" | wc -l)" = "$n" ]
}

generation()
{
	c policy show -o json | jq .generation
}

apply() # until the node has what the collector wants
{
	wait_for 20 applied
}

applied()
{
	[ "$(tail -n 1 "$tmp/follow.out" | jq -r .hash)" = "$(c policy show -o json | jq -r .hash)" ]
}

hits() # of the rule on the node
{
	in_a "$weir" policy show -o json |
		jq -s '[flatten[] | select(.name == "ssh-dictionary") | .would_packets] | add // 0'
}

has_hits()
{
	[ "$(hits)" -gt 0 ]
}

settings() # MODE
{
	cat >"$tmp/collector.conf" <<-EOF
		[rules]
		directories = $PWD/packaging/rules, $tmp/rules
		[list local]
		values = $ip_a
		[rule ssh-dictionary]
		mode = $1
		attempts = 6
	EOF
}

serve()
{
	collector_start --config "$tmp/collector.conf" --listen-udp none --listen-tcp 127.0.0.1:4739
}

net_new
ip -n "$ns_b" addr add "$neighbour/24" dev vb
in_a ip neigh replace "$neighbour" lladdr "$(in_b cat /sys/class/net/vb/address)" nud permanent dev va
mkdir "$tmp/rules"
cat >"$tmp/rules/syns.yaml" <<-EOF
	groups:
	- name: test
	  rules:
	  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a01
	    name: many-connections
	    version: 1.0.0
	    where: proto == tcp and dst.port > 1000
	    window: { size: 60s, slide: 5s }
	    by: [src.ip]
	    having: count() >= 20
	    keep_firing_for: 1h
	    evidence: { handshake: required }
	    mode: prevent
	    actions: [ { drop: { scope: src.ip, direction: ingress, ttl: 10m } } ]
	    exempt: [ "@never_block" ]
EOF
settings shadow
serve
key=$tmp/store/policy/policy.pub
expect_true "a key is made, and a policy that says nothing" wait_for 60 test -s "$tmp/store/policy/policy.bin"
expect "the private one is for its owner" "$(stat -c %a "$tmp/store/policy/policy.key")" 600
dropbearkey -t ed25519 -f "$tmp/host.key" >/dev/null 2>&1
spawn sshd "$ns_a" dropbear -F -E -r "$tmp/host.key" -p "$ip_a:22"
wait_for 60 listening "$ns_a" tcp 22 || die "no SSH server: $(cat "$tmp/sshd.err")"
WEIR_POLICY_KEYS=$key WEIR_POLICY_INTERNAL='' WEIR_POLICY_ADMIN_SESSIONS=no \
	weir_start node -i va --idle-timeout 2s --export "ipfix+tcp://127.0.0.1:4739" || die "no weir"
spawn follow "$ns_a" "$weir" policy follow "$tmp/store/policy/policy.bin" -o json
expect_true "the node takes what the collector has signed" apply

attack 8
alerted()
{
	[ "$(c alerts list --rule ssh-dictionary -o json | jq -r .src.ip)" = "$ip_b" ]
}
expect_true "it says who" wait_for 60 alerted
expect_true "a decision that only counts" wait_for 20 decided 1 --rule ssh-dictionary
expect "what it would do" "$(c decisions list -o json | jq -r '[.mode, .action, .scope, .value, .direction] | join(" ")')" \
	"shadow drop src.ip $ip_b ingress"
expect "for as long as the ladder's first step" "$(c decisions list -o json | jq '.ttl_s')" 600
expect_true "the node takes it" apply
expect_true "who is decided on still gets through" wait_for 20 greets "$ip_b"
expect_true "the node counts what it would have dropped" wait_for 20 has_hits

settings prevent
kill -HUP "$collector_pid"
mode_is()
{
	[ "$(collector_status ".rules.list[] | select(.rule == \"ssh-dictionary\") | .mode")" = "$1" ]
}
expect_true "somebody lets the rule act" wait_for 20 mode_is prevent
attack 8
enforced()
{
	[ "$(c decisions list --rule ssh-dictionary -o json | jq -r .mode)" = enforce ]
}
expect_true "the attack goes on: a decision that acts" wait_for 60 enforced
expect "the one that counted has ended" "$(c decisions list --state withdrawn -o json | jq -r .reason)" superseded
expect_true "the node takes that" apply
expect_true "the attacker is blocked" wait_for 20 refuses "$ip_b"
expect_true "the neighbour is not" wait_for 20 greets "$neighbour"
expect_match "weir says why" "$(in_a "$weir" why "$ip_b" 2>&1)" 'ssh-dictionary'
expect "every decision has an end" "$(c decisions list -o json | jq -s 'all(.expires != null)')" true

# ---- for others ----
c decisions export --form nft >"$tmp/sets.nft"
expect_match "as an element of nftables" "$(cat "$tmp/sets.nft")" "^add element inet weir src4 \\{ $ip_b timeout [0-9]+s \\}$"
expect_true "nft takes the sets" in_b nft -c -f "$tmp/sets.nft"
in_b nft -f "$tmp/sets.nft" && in_b nft -f "$tmp/sets.nft"
expect_match "twice too, and the element ends" "$(in_b nft list set inet weir src4)" "$ip_b timeout [0-9a-z]+ expires"
expect "as a flow route" "$(c decisions export --form flowspec)" \
	"announce flow route { match { source $ip_b/32; } then { discard; } }"
expect "as a blackhole route" "$(c decisions export --form rtbh --next-hop 10.77.1.9)" \
	"announce route $ip_b/32 next-hop 10.77.1.9 community [65535:666]"
c decisions export --follow 2>"$tmp/err"
expect "nft follows nobody" "$?" 2
cat >"$tmp/routes" <<-EOF
	#!/bin/sh
	"$collector" decisions export --form flowspec --follow | tee "$tmp/routes.txt"
EOF
cat >"$tmp/exabgp.conf" <<-EOF
	process weir { run $tmp/routes; encoder text; }
	neighbor 127.0.0.1 {
	    router-id 192.0.2.1; local-address 127.0.0.1; local-as 64512; peer-as 64512;
	    family { ipv4 flow; ipv6 flow; }
	    api { processes [ weir ]; }
	}
EOF
chmod 755 "$tmp/routes"
spawn exabgp "$ns_a" env exabgp.daemon.user=root exabgp.tcp.port=1790 exabgp "$tmp/exabgp.conf"
expect_true "ExaBGP takes what is in force" wait_for 60 has_line "$tmp/exabgp.out" "flow added to .* source-ipv4 $ip_b/32"

# ---- forged sources ----
in_b hping3 -q -S -a "$forged" -p ++2000 -c 60 -i u2000 "$ip_a" >"$tmp/hping.out" 2>&1
forgery()
{
	[ "$(c alerts list --rule many-connections "src.ip == $forged" -o json | jq -r .state)" = firing ]
}
expect_true "a flood with a forged source is an alert" wait_for 60 forgery
expect "never a decision" "$(c decisions list --state refused --rule many-connections -o json | jq -r '.reason + " " + .value')" \
	"forged $forged"
expect "nothing is in force about it" "$(c decisions list --rule many-connections -o json)" ''
expect_true "it is counted" [ "$(collector_status .decisions.refused.forged)" -ge 1 ]

# ---- after a crash ----
before=$(generation)
collector_kill
serve
expect "after kill -9 the decision is in force" "$(c decisions list -o json | jq -r .value)" "$ip_b"
newer()
{
	[ "$(generation)" -gt "$before" ]
}
expect_true "the policy is a newer one" wait_for 20 newer
expect_true "and the node takes it" apply
expect_true "the attacker is still blocked" refuses "$ip_b"

# ---- people ----
id=$(c decisions list -o json | jq .id)
expect_match "undone by hand" "$(c decisions withdraw "$id")" "decision $id has ended"
expect_true "the node hears of it" apply
expect_true "the attacker is let in again" wait_for 20 greets "$ip_b"
expect_true "and the route taken back" wait_for 60 has_line "$tmp/exabgp.out" "flow removed from .* source-ipv4 $ip_b/32"
expect "announced once, though the collector was killed in between" "$(grep -c '^announce' "$tmp/routes.txt")" 1
stop_spawned exabgp
c decisions withdraw "$id" 2>"$tmp/err"
expect "twice is a mistake" "$?" 1

head=$(c audit verify | sed -n 's/^head //p')
expect_true "the audit log is whole" c audit verify --head "$head"
expect_match "and has all of it" "$(c audit list)" "uid=0 \(root\) +decision.withdrawn +decision $id"
collector_stop
python3 - "$tmp/store/control.db" <<-EOF
	import sqlite3, sys
	d = sqlite3.connect(sys.argv[1])
	try:
	    d.execute("DELETE FROM audit WHERE seq = 1")
	    sys.exit("deleted")
	except sqlite3.DatabaseError:
	    pass
	d.execute("DROP TRIGGER audit_no_update")
	d.execute("UPDATE audit SET actor = 'nobody' WHERE seq = 2")
	d.commit()
EOF
expect "the log can't be deleted from" "$?" 0
serve
expect "who changes it by force" "$(c audit verify; echo "$?")" "entry 2 is not as it was written
1"
collector_stop
stop_spawned follow
mkdir "$tmp/away"
cp "$tmp/store/policy/policy.bin" "$tmp/away/"
spawn away "$ns_a" "$weir" policy follow "$tmp/away/policy.bin"
looked()
{
	[ -s "$tmp/away.out" ] || [ -s "$tmp/away.err" ]
}
expect_true "another file is followed" wait_for 20 looked
mv "$tmp/away" "$tmp/gone"
ended()
{
	! kill -0 "${spawned[away]}"
}
expect_true "until its folder is gone" wait_for 20 ended
wait "${spawned[away]}"
expect "which is no success" "$?" 1
expect_match "and said" "$(cat "$tmp/away.err")" 'the folder is gone'
expect "what was taken is said, each newer" \
	"$(jq -s '[.[].generation] | . == (unique | sort)' "$tmp/follow.out")" true
weir_stop
