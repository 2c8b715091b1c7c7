#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# guest_clock.sh - inside the test machine, whose clock is nobody else's: it is set two hours ahead, then
# three hours back, with pings running and flows open. Every ping is in a record; records begin before
# they end, none lasts longer than the test, and each has times of a clock that there was.
. /tests/guest.sh

# Times of all records in seconds of the day: START END; the whole test is on one day.
spans()
{
	sed -n 's/^{"start":"2026-06-15T\([0-9:.]*\)Z","end":"2026-06-15T\([0-9:.]*\)Z".*/\1 \2/p' /tmp/flows |
		awk '{ split($1, a, ":"); split($2, b, ":")
			printf "%.3f %.3f\n", a[1] * 3600 + a[2] * 60 + a[3], b[1] * 3600 + b[2] * 60 + b[3] }'
}

all_dated()
{
	[ "$(spans | wc -l)" -eq "$(wc -l </tmp/flows)" ]
}

in_order()
{
	spans | awk '$1 > $2 { bad = 1; print "start after end:", $0 } END { exit bad }'
}

# As seen by a clock that no one steps.
short_enough() # SECONDS
{
	spans | awk -v max="$1" '$2 - $1 > max { bad = 1; print "too long:", $0 } END { exit bad }'
}

# Three eras: from 12:00, from 14:00, from 11:00; a flow that began before a step has its beginning
# in the new era, as long ago as it really was.
in_an_era() # SECONDS
{
	spans | awk -v run="$1" '
		function era(t) { return t >= 43200 && t <= 43200 + run ? 12 : t >= 50400 - run && t <= 50400 + run ? 14 :
			t >= 39600 - run && t <= 39600 + run ? 11 : 0 }
		!era($1) || era($1) != era($2) { bad = 1; print "of no clock:", $0 }
		{ n[era($2)]++ }
		END { print "records: " n[12], n[14], n[11]; exit bad || !n[12] || !n[14] || !n[11] }'
}

packets()
{
	sed -n 's/.*"proto":"icmp","packets":\([0-9]*\).*/\1/p' /tmp/flows | awk '{ n += $1 } END { print n + 0 }'
}

conserved() # PINGS
{
	echo "pings: $1, packets: $(packets)"
	[ "$(packets)" -eq $((2 * $1)) ]
}

check "the veth pair works" pair_new
date -s '2026-06-15 12:00:00' >/dev/null
begin=$(cut -d. -f1 /proc/uptime)
check "weir starts" weir_start --active-timeout 2s --idle-timeout 3s --drain-interval 500ms
ping -c 300 -i 0.1 -q 192.0.2.2 >/tmp/long & # one flow over all of it
long=$!
ping -c 23 -i 0.1 -q 192.0.2.2 >/dev/null
sleep 5
date -s '2026-06-15 14:00:00' >/dev/null
ping -c 23 -i 0.1 -q 192.0.2.2 >/dev/null
sleep 5
date -s '2026-06-15 11:00:00' >/dev/null
ping -c 23 -i 0.1 -q 192.0.2.2 >/dev/null
wait "$long"
check "weir ends" weir_stop
took=$(($(cut -d. -f1 /proc/uptime) - begin + 2))
cat /tmp/long
check "every ping is in a record" conserved $((300 + 3 * 23))
check "every record has times of that day" all_dated
check "no record ends before it begins" in_order
check "none is longer than the test" short_enough "$took"
check "every record's times are of one clock, and all three were seen" in_an_era "$took"
done_testing
