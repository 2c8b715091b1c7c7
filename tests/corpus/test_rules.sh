#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_rules - captures of WEIR_PCAPS (default ../shared/pcaps) replayed into the rules that come with weir: the
# rules that fire are those written here, and no others, and a row with rules says why.
set -u
cd "$(dirname "$0")/../.." || exit 2
weir=${WEIR:-${BUILD:-build}/weir}
collector=$(dirname "$weir")/weir-collector
pcaps=${WEIR_PCAPS:-../shared/pcaps}
passed=0 failed=0 skipped=0

# CAPTURE RULE,... WHY; - is none
while read -r capture want why; do
	if [ ! -e "$pcaps/$capture" ]; then
		echo "skip: no $pcaps/$capture"
		skipped=$((skipped + 1))
		continue
	fi
	got=$("$weir" replay "$pcaps/$capture" -o json --summary json 2>/dev/null |
		"$collector" rules test --flows - packaging/rules |
		jq -r 'select(.state == "firing").rule' | sort -u | paste -sd,)
	if [ "${got:--}" = "$want" ]; then
		passed=$((passed + 1))
		echo "ok   $capture: $want${why:+: $why}"
	else
		failed=$((failed + 1))
		echo "FAIL $capture: ${got:--}, want $want"
	fi
done <<'TABLE'
zeek/testing/btest/Traces/ssh/ssh-on-port-80.pcap port-80-not-http it is SSH
arkime/tests/pcap/http2-nghttp2.pcap port-80-not-http HTTP/2 without TLS, which begins with no request
suricata-verify/tests/tcp-rst-unacked-stream-09/TLPW1-tcp-110.37.219.134-10.12.14.101-tcp-990-49230.pcap http-on-odd-port a request to port 990
zeek/testing/btest/Traces/tunnels/6in4.pcap ipv6-in-ipv4 it is
suricata-verify/tests/bug-7964-02/wrong-version-ipv6-ipv6.pcap ipv6-in-ipv4 IPv6 within IPv6, which the rule is about too
zeek/testing/btest/Traces/tunnels/teredo_bubble_with_payload.pcap teredo it is
suricata-verify/tests/decode-teredo-01/input.pcap teredo it is
tcpdump/tests/isis-infinite-loop.pcap gre-tunnel GRE between this site and others
suricata-verify/tests/smtp-to-comma/10.7.29.101_49898-178.63.41.150_25.pcap direct-mail the site has said of no host that it sends mail
arkime/tests/pcap/smtp-starttls.pcap direct-mail the same
suricata-verify/tests/smtp-errors/smtperr.pcap direct-mail the same
zeek/testing/btest/Traces/rfb/vnc-scanner.pcap -
tcpdump/tests/ssh.pcap -
tcpdump/tests/icmpv6.pcap -
TABLE
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
