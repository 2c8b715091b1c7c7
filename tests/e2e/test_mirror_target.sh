#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_mirror_target.sh - weir as a mirror's target: the profile, and health.listen as HAProxy sees it, over HTTP and by
# connections alone: up, down while packets are lost, up again, down where nothing is attached and at the end.
. "$(dirname "$0")/lib.sh"
needs mirror_target haproxy socat curl jq || exit 0

export WEIR_HEALTH_WINDOW=3s
health=$ip_a:8477 refusing=$ip_a:8478

origin() # KEY: value and origin, of --mirror-target
{
	"$weir" config show --origin --mirror-target | sed -n "s/^$1 = \([^ ]*\) *# /\1 /p"
}

case_profile()
{
	expect 'profile: role' "$(origin role)" 'mirror run.mirror-target'
	expect 'profile: tunnels' "$(origin decap)" '4 run.mirror-target'
	expect 'profile: nothing is enforced' "$(origin entries)" '0 run.mirror-target'
	expect 'profile: what it does not speak of' "$(origin sample)" '1 default'
	expect 'profile: who says it is stronger' \
		"$("$weir" config show --origin --mirror-target --decap 1 | sed -n 's/^decap = //p' | tr -s ' ')" \
		'1 # command line'
}

haproxy_start()
{
	cat >"$tmp/haproxy.cfg" <<-END
		global
		    stats socket $tmp/haproxy.sock mode 600
		    maxconn 64
		defaults
		    timeout connect 1s
		    timeout check 1s
		    timeout client 5s
		    timeout server 5s
		backend http
		    mode http
		    option httpchk GET /health
		    server weir $health check inter 100ms fall 2 rise 2
		backend http_options
		    mode http
		    option httpchk
		    server weir $health check inter 100ms fall 2 rise 2
		backend tcp
		    mode tcp
		    server weir $refusing check inter 100ms fall 2 rise 2
	END
	spawn haproxy "$ns_b" haproxy -db -f "$tmp/haproxy.cfg"
	wait_for 20 test -S "$tmp/haproxy.sock" || die "haproxy does not start: $(tail -n 2 "$tmp/haproxy.err")"
}

haproxy_says() # BACKEND STATUS
{
	echo 'show stat' | socat - "UNIX:$tmp/haproxy.sock" |
		awk -F, -v b="$1" -v s="$2" '$1 == b && $2 == "weir" && index($18, s) == 1 { ok = 1 } END { exit !ok }'
}

answer() # [CURL-ARG...]: status and body
{
	in_b curl -s -m 5 -w '%{http_code} ' "$@" "http://$health/x" | tr '\n' ' '
}

# More flows than there is room for, while nobody reads: packets are lost, and counted.
lose()
{
	local child

	for child in $(pgrep -P "$weir_pid"); do kill -STOP "$child"; done
	in_b "$tools/flood" -n 300000 vb 300000 >/dev/null
	for child in $(pgrep -P "$weir_pid"); do kill -CONT "$child"; done
}

case_health()
{
	weir_start http -i va --mirror-target --health-listen "$health" --hook tc --flows 1024 --drain-interval 200ms || exit 1
	haproxy_start
	expect_true 'health: HAProxy has it up' wait_for 30 haproxy_says http UP
	expect_true 'health: by OPTIONS' wait_for 30 haproxy_says http_options UP
	expect_true 'health: nobody listens there yet' wait_for 30 haproxy_says tcp DOWN
	expect 'health: GET' "$(answer)" 'ok 200 '
	expect 'health: HEAD' "$(answer -I -o /dev/null)" '200 '
	expect 'health: another method' "$(answer -d x -o /dev/null)" '405 '
	lose
	expect_true 'health: HAProxy has it down while packets are lost' wait_for 30 haproxy_says http DOWN
	expect 'health: and says why' "$(answer)" 'packets are lost: no room for their flows 503 '
	expect_true 'health: they are counted' test "$("$weir" status -o json | jq .counters.lost_packets)" -gt 0
	expect_true 'health: up again' wait_for 60 haproxy_says http UP
	ip -n "$ns_a" link set va name va9
	expect_true 'health: attached to nothing' wait_for 30 haproxy_says http DOWN
	ip -n "$ns_a" link set va9 name va
	expect_true 'health: and again' wait_for 30 haproxy_says http UP
	weir_stop
	expect_true 'health: at the end' wait_for 30 haproxy_says http DOWN
	expect 'health: exit status' "$weir_rc" 0
}

case_refuse()
{
	printf '[health]\nlisten = %s\nrefuse = yes\n' "$refusing" >"$tmp/refuse.conf"
	weir_start tcp -i va --config "$tmp/refuse.conf" --mirror-target --hook tc --flows 1024 --drain-interval 200ms || exit 1
	expect_true 'refuse: HAProxy has it up' wait_for 30 haproxy_says tcp UP
	lose
	expect_true 'refuse: down by connections alone' wait_for 30 haproxy_says tcp DOWN
	expect_true 'refuse: up again' wait_for 60 haproxy_says tcp UP
	weir_stop
	expect_true 'refuse: at the end' wait_for 30 haproxy_says tcp DOWN
	stop_spawned haproxy
	expect_attached 'end' ''
}

case_profile
net_new
case_health
case_refuse
