#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# demo_alarm.sh - the demo's other half: a scan, the alert that a rule of the collector raises, the packets of the
# scanner that its node has kept, from before the alert too, fetched through the collector and read by tshark, and all
# that it does from then on, mirrored to another machine. Fails if they are not there.
# shellcheck disable=SC2154
no_totals=1
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"
. "$(dirname "$0")/nodes.sh"
. "$(dirname "$0")/mirrors.sh"

for program in curl jq nc tshark; do
	command -v "$program" >/dev/null || die "$program is missing: sudo make deps"
done
scanner=10.77.11.9
export WEIR_COLLECTOR_API_LISTEN=127.0.0.1:8080

say()
{
	printf '%s\n' "$@"
}

# What is typed, and what it says.
show() # COMMAND...
{
	say '' "\$ weir-collector $*"
	"$collector" "$@" | sed 's/^/  /'
}

mirrored()
{
	in_node 1 "$weir" mirror -o json | jq -e 'select(.from == "rules") | .reachable' >/dev/null
}

# What the target has of the scanner, out of the tunnel; not what its kernel answers, where nobody listens to VXLAN: an
# error now and then, which quotes a copy.
copies()
{
	tshark -r "$tmp/target.pcap" -Y "vxlan.vni == 77 && icmp && !(icmp.type == 3) && ip.addr == $scanner" 2>"$tmp/copies.err" | wc -l
}

arrived() # NUMBER
{
	[ "$(copies)" -ge "$1" ]
}

complete()
{
	"$collector" captures list -o json | jq -es 'length == 1 and .[0].state == "complete"' >/dev/null
}

say '' 'Another node, enrolled with a collector; a host beside it will scan it' ''
ns_new "$ns_a"
node_new 1
ip -n "$ns_a" addr add "$scanner/24" dev n1
ip -n "$node_ns_1" neigh replace "$scanner" lladdr "$(in_a cat /sys/class/net/n1/address)" nud permanent dev eth
cat >"$tmp/rules.yaml" <<-EOF2
	groups:
	- name: demo
	  rules:
	  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a41
	    name: port-scan
	    version: 1.0.0
	    where: proto == tcp
	    window: { size: 60s, slide: 5s }
	    by: [src.ip]
	    having: distinct(dst.port) >= 20
	    labels: { severity: high }
	    annotations: { summary: "{{src.ip}} tries {{value}} ports" }
	    mode: detect
	    actions:
	    - capture: { scope: src.ip, pre: 60s, post: 5s, max_bytes: 4Mi }
	    - mirror: { scope: src.ip, to: suspects, ttl: 10m }
EOF2
mkdir "$tmp/rules"
mv "$tmp/rules.yaml" "$tmp/rules/demo.yaml"
printf '[rules]\ndirectories = %s\n[nodes]\nlisten = 0.0.0.0:4741\n' "$tmp/rules" >"$tmp/collector.conf"
collector_start --config "$tmp/collector.conf" --listen-udp 0.0.0.0:4739 --listen-tcp none
node_enrol 1 >"$tmp/enrol.out" || die "$(cat "$tmp/enrol.out")"
ns_new "$ns_t"
pair_new "$node_ns_1" vt "$ns_t" tv 9 1600
printf '[mirror-target suspects]\nto = vxlan:%s,vni=77\nbudget = none\n' "$to_4" >"$tmp/node.conf"
node_weir 1 --config "$tmp/node.conf" --capture-ring 16Mi --export ipfix://10.77.11.1:4739
node_follow 1
wait_for 60 enforced node1 || die "node1 has no policy"
sed 's/^/  /' "$tmp/rules/demo.yaml"
say '' '  and of the node, that has the last word on where packets may go:'
sed 's/^/  /' "$tmp/node.conf"
say '' "--- $scanner pings the node five times, and then tries 25 of its ports"
in_a ping -q -c 5 -i 0.2 -I "$scanner" 10.77.11.2 >/dev/null
for port in {2001..2025}; do
	in_a nc -n -w 1 -s "$scanner" 10.77.11.2 "$port" </dev/null >/dev/null 2>&1
done
wait_for 60 eval '"$collector" alerts list -o json | jq -es "length == 1" >/dev/null' || die 'no alert'
show alerts list
say '' '  ... until the node has written what came after it, too'
wait_for 60 complete || die 'no capture'
show captures list
token=$("$collector" token create --role viewer --capture --for 1h 2>/dev/null)
say '' "\$ curl -H \"Authorization: Bearer \$TOKEN\" $WEIR_COLLECTOR_API_LISTEN/api/v1/captures/1/file | tshark -r -"
in_a curl -sf -o "$tmp/got.pcapng" -H "Authorization: Bearer $token" "http://$WEIR_COLLECTOR_API_LISTEN/api/v1/captures/1/file" ||
	die 'the packets are not to be had'
tshark -r "$tmp/got.pcapng" 2>"$tmp/tshark.err" >"$tmp/packets"
sed -n '1,2p;11,14p' "$tmp/packets" | sed 's/^/  /'
before=$(tshark -r "$tmp/got.pcapng" -Y icmp 2>/dev/null | wc -l)
ports=$(tshark -r "$tmp/got.pcapng" -Y 'tcp.flags == 0x2' -T fields -e tcp.dstport 2>/dev/null | sort -u | wc -l)
say "  ... $(wc -l <"$tmp/packets") packets: $before from before the scan, and all of it: $ports ports"
if [ "$before $ports" != '10 25' ] || grep -qv 'Running as user' "$tmp/tshark.err"; then
	say '' 'Packets are missing, or tshark finds fault with the file: a bug in weir.'
	exit 1
fi
say '' "--- the rule has it mirrored as well: $scanner pings another seven times, and a third machine looks on"
wait_for 60 mirrored || die 'no mirror'
spawn target "$ns_t" tshark -i tv -B 16 -l -P -w "$tmp/target.pcap"
ping_until_heard()
{
	in_node 1 bash -c "echo >/dev/udp/$to_4/9999"
	grep -q 9999 "$tmp/target.out"
}
wait_for 30 ping_until_heard || die 'tshark hears nothing'
in_a ping -q -c 7 -i 0.1 -I "$scanner" 10.77.11.2 >/dev/null
say '' '$ weir mirror'
in_node 1 "$weir" mirror | sed 's/^/  /'
wait_for 30 arrived 14
stop_spawned target
say '' "\$ tshark -i eth1 -f 'udp port 4789'"
tshark -r "$tmp/target.pcap" -Y "vxlan.vni == 77 && icmp && !(icmp.type == 3) && ip.addr == $scanner" -T fields -E separator=' ' -E occurrence=a \
	-e ip.src -e ip.dst -e vxlan.vni -e _ws.col.Info 2>/dev/null | sed -n '1,2p' | sed 's/^/  /'
say "  ... $(copies) copies arrived in VXLAN 77: 7 requests and 7 replies"
if [ "$(copies)" != 14 ]; then
	say '' 'Copies are missing, or too many: a bug in weir.'
	exit 1
fi
say '' 'The scan, the alert, the packets from before it and the mirror of what came after are there.'
