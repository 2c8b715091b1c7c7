#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_facts - captures of WEIR_PCAPS (default ../shared/pcaps) against their recorded facts: all but
# those of test_facts_odd.
set -u
# shellcheck source=tests/corpus/facts.sh
. "$(dirname "$0")/facts.sh"
facts -x tcpdump/ suricata-verify/
