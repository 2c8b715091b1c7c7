#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_rules - captures of WEIR_PCAPS (default ../shared/pcaps) replayed into the rules that come with weir: the
# rules that fire are those written here, and no others.
set -u
cd "$(dirname "$0")/../.." || exit 2
weir=${WEIR:-${BUILD:-build}/weir}
collector=$(dirname "$weir")/weir-collector
pcaps=${WEIR_PCAPS:-../shared/pcaps}
passed=0 failed=0 skipped=0

# CAPTURE RULE,...; - is none
while read -r capture want; do
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
		echo "ok   $capture: $want"
	else
		failed=$((failed + 1))
		echo "FAIL $capture: ${got:--}, want $want"
	fi
done <<'TABLE'
zeek/testing/btest/Traces/ssh/ssh-on-port-80.pcap port-80-not-http
zeek/testing/btest/Traces/tunnels/6in4.pcap ipv6-in-ipv4
zeek/testing/btest/Traces/tunnels/teredo_bubble_with_payload.pcap teredo
suricata-verify/tests/smtp-to-comma/10.7.29.101_49898-178.63.41.150_25.pcap direct-mail
zeek/testing/btest/Traces/rfb/vnc-scanner.pcap -
tcpdump/tests/ssh.pcap -
tcpdump/tests/icmpv6.pcap -
TABLE
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
