#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_facts_odd - captures that are malformed or made to be difficult, against their recorded facts:
# none may crash or hang a replay, and every frame is in a flow or counted by reason.
set -u
# shellcheck source=tests/corpus/facts.sh
. "$(dirname "$0")/facts.sh"
facts tcpdump/ suricata-verify/
