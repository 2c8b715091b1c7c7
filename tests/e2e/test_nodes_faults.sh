#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_nodes_faults.sh - what goes wrong between nodes and their collector: words that are no token, another
# collector, bodies that are none, a collector that is killed, a cable that is pulled, a policy that cuts a
# node off, old and changed policies, certificates that end.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"
. "$(dirname "$0")/nodes.sh"

c()
{
	"$collector" "$@"
}

drops() # K ADDRESS
{
	in_node "$1" "$weir" why "$2" 2>/dev/null | grep -q bad-places
}

drops_not()
{
	! drops "$@"
}

decided() # ADDRESS
{
	[ "$(c decisions list -o json | jq -s "[.[] | select(.value == \"$1\")] | length")" = 1 ]
}

decide() # ADDRESS
{
	node_decide 4444 "$1"
	wait_for 60 decided "$1"
}

settings() # CERTIFICATE RETURN
{
	cat >"$tmp/collector.conf" <<-EOF
		[rules]
		directories = $tmp/rules
		[nodes]
		listen = 0.0.0.0:4741
		certificate = $1
		return = $2
	EOF
}

serve()
{
	collector_start --config "$tmp/collector.conf" --listen-udp 127.0.0.1:4739 --listen-tcp none
}

ns_new "$ns_a"
node_new 1
node_new 2
mkdir "$tmp/rules"
node_rules "$tmp/rules/test.yaml"
settings 24h 30d
serve
wait_for 60 test -s "$tmp/store/policy/policy.bin" || die "the collector makes no policy"
cp "$tmp/store/policy/policy.bin" "$tmp/first.bin"

# ---- who is let in ----
enrol() # TOKEN
{
	in_node 1 "$weir" enrol "$(node_url 1)" --token "$1" --name node1 2>&1
	echo "$?"
}
token=$(c nodes token)
# another character in the secret, then in what names the collector
wrong=${token:0:68}$([ "${token:68:1}" = A ] && echo B || echo A)${token:69}
other=${token:0:10}$([ "${token:10:1}" = A ] && echo B || echo A)${token:11}
expect_match "wrong token" "$(enrol "$wrong")" 'refused: the token was used before, has ended, or never was'
expect_match "another collector" "$(enrol "$other")" 'is not the collector that has made this token'
expect_match "no token" "$(enrol "${token:0:60}")" "it is not what 'weir-collector nodes token' prints"
c nodes token --for 1s -o json >"$tmp/short"
ended()
{
	[ "$(date -u +%FT%T)" \> "$(jq -r .until "$tmp/short")" ]
}
wait_for 20 ended
expect_match "a token is for its time" "$(enrol "$(jq -r .token "$tmp/short")")" 'has ended, or never was'
expect "nothing was kept of all that" "$(ls "$tmp/n1/collectors")" ''
expect "the right one" "$(enrol "$token" | tail -n 1)" 0
expect "no collector there" "$(in_node 2 "$weir" enrol https://198.51.100.12:4740 --token "$token" 2>/dev/null; echo "$?")" 5
node_enrol 2 >"$tmp/enrol2.out"
for k in 1 2; do
	node_weir "$k"
	node_follow "$k"
done
expect_true "both enforce what they shall" wait_for 30 enforced node1 node2

# ---- bodies ----
post() # K PATH BODY [OPTION...] -> status and code
{
	local k=$1 path=$2 body=$3

	shift 3
	printf '%s' "$body" >"$tmp/body"
	in_node "$k" curl -sk -m 20 -o "$tmp/answer" -w '%{http_code} ' "$(node_url "$k")$path" --data-binary @"$tmp/body" "$@"
	jq -r '.code // ""' "$tmp/answer" 2>/dev/null
}
me=(--cert "$tmp/n1/collectors/collector/node.pem" --key "$tmp/n1/collectors/collector/node.key")
good='{"generation":0,"highest":0,"rules":0,"entries":0,"hash":"","state":"none"}'
expect "without a certificate" "$(post 1 /node/v1/sync "$good")" '401 certificate'
expect "no JSON" "$(post 1 /node/v1/sync '{' "${me[@]}")" '400 request'
expect "a state that is none" "$(post 1 /node/v1/sync "${good/none/fine}" "${me[@]}")" '400 request'
expect "a number that is none" "$(post 1 /node/v1/sync "${good/:0/:-1}" "${me[@]}")" '400 request'
expect "too long" "$(post 1 /node/v1/sync "$(head -c 20000 /dev/zero | tr '\0' ' ')$good" "${me[@]}")" '413 request'
expect "no such path" "$(post 1 /node/v1/other "$good" "${me[@]}")" '404 path'
expect "GET" "$(post 1 /node/v1/sync "" -G "${me[@]}")" '405 method'
expect "no token in it" "$(post 1 /node/v1/enrol '{"token":"x","name":"n","csr":"c"}')" '403 token'
expect "a good one gets a policy" "$(post 1 /node/v1/sync "$good" "${me[@]}") $(head -c 8 "$tmp/answer")" '200  weirpol1'
behind=$(($(date +%s%6N) - 3600000000))
expect "a clock that is wrong" "$(post 1 /node/v1/sync "${good/\}/,\"clock_us\":$behind\}}" "${me[@]}")" '200 '
expect_true "is seen" node_is node1 '.clock_us < -3590000000 or .clock_us > -1000000'
stop_spawned follow1
node_follow 1
expect_true "the node itself says what is so" wait_for 30 enforced node1

# ---- policies that are not the collector's, or old ----
expect_match "an old one" "$(in_node 1 "$weir" policy apply "$tmp/first.bin" 2>&1)" 'is not newer than'
python3 - "$tmp/store/policy/policy.bin" "$tmp/changed.bin" <<-EOF
	import sys
	b = bytearray(open(sys.argv[1], "rb").read())
	b[24] += 1
	open(sys.argv[2], "wb").write(b)
EOF
expect_match "a changed one" "$(in_node 1 "$weir" policy apply "$tmp/changed.bin" 2>&1)" 'it was changed on its way'

# ---- a cable is pulled ----
ip -n "$ns_a" link set n1 down
decide 203.0.113.20
expect_true "pulled: the other has it" wait_for 20 drops 2 203.0.113.20
expect_true "pulled: this one has not" drops_not 1 203.0.113.20
ip -n "$ns_a" link set n1 up
expect_true "pulled: it has it when the cable is back" wait_for 90 drops 1 203.0.113.20
expect_true "pulled: and says so" wait_for 60 enforced node1 node2

# ---- killed ----
collector_kill
expect_true "killed: what is blocked stays so" drops 1 203.0.113.20
serve
expect_true "killed: after its start all enforce what they shall" wait_for 90 enforced node1 node2
expect_true "killed: it is blocked still" drops 1 203.0.113.20

# ---- cut off ----
decide 198.51.100.11
cut()
{
	grep -q 'no confirmation came: collector is as it was before' "$tmp/weir1.err"
}
expect_true "cut off: a policy that blocks the collector is rolled back" wait_for 60 cut
rolled_back()
{
	node_is node1 '.state == "rolled-back" and (.enforced | not) and (.error | test("nobody confirmed"))'
}
expect_true "cut off: the collector hears of it" wait_for 60 rolled_back
expect_true "cut off: what was blocked before is" drops 1 203.0.113.20
expect_true "cut off: the other has the decision" wait_for 20 drops 2 198.51.100.11
c decisions withdraw "$(c decisions list -o json | jq 'select(.value == "198.51.100.11") | .id')" >"$tmp/withdraw.out"
expect_true "cut off: undone, all enforce what they shall" wait_for 90 enforced node1 node2

# ---- certificates ----
collector_stop
settings 10s 30d
serve
until_of() # NAME
{
	c nodes show "$1" -o json | jq -r .certificate_until
}
# the certificates that nodes have are for a day: new ones are for ten seconds
for k in 1 2; do
	stop_spawned "follow$k"
	node_enrol "$k" --name "node$k" >"$tmp/enrol$k.out" || die "node $k: $(cat "$tmp/enrol$k.out")"
	node_follow "$k"
done
expect_true "certificate: both are there" wait_for 30 enforced node1 node2
renewed()
{
	[ "$(collector_status .nodes.renewed)" -ge 2 ]
}
expect_true "certificate: renewed by itself" wait_for 90 renewed
stop_spawned follow2
has_ended()
{
	[ "$(date -u +%FT%T)" \> "$(until_of node2)" ]
}
expect_true "certificate: it ends" wait_for 60 has_ended
expect "certificate: good for nothing else" \
	"$(post 2 /node/v1/sync "$good" --cert "$tmp/n2/collectors/collector/node.pem" --key "$tmp/n2/collectors/collector/node.key")" \
	'403 expired'
decide 203.0.113.21
node_follow 2
expect_true "certificate: who comes back late gets another one" wait_for 60 enforced node2
expect_true "certificate: and its policy" drops 2 203.0.113.21
stop_spawned follow2
wait_for 60 has_ended
settings 10s 0s
kill -HUP "$collector_pid"
wait_for 20 has_line "$tmp/collector.err" 'configuration reloaded'
node_follow 2
expect_true "certificate: not for ever" wait_for 60 has_line "$tmp/follow2.err" 'ended too long ago: enrol it again'
expect_true "the other is not touched" wait_for 60 enforced node1
collector_stop
expect "the collector ends" "$collector_rc" 0
