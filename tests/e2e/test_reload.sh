#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_reload.sh - SIGHUP under load: interfaces and timeouts change, a mistake in the file changes
# nothing, and no count is lost. Files are rotated and reopened by a worker that may open none.
. "$(dirname "$0")/lib.sh"

says() # REGEX
{
	wait_for 60 has_line "$tmp/reload.err" "$1"
}

reloads()
{
	grep -c '^weir: reloaded' "$tmp/reload.err"
}

reload()
{
	local n

	n=$(reloads)
	kill -HUP "$weir_pid"
	wait_for 60 more_reloads "$n"
}

more_reloads()
{
	[ "$(reloads)" -gt "$1" ]
}

conf() # INTERFACES IDLE
{
	cat >"$tmp/weir.conf" <<-EOF
		[run]
		interfaces = $1
		idle-timeout = $2
		drain-interval = 50ms
	EOF
}

case_reload_under_load()
{
	local traffic worker n

	conf va 15s
	weir_start reload --config "$tmp/weir.conf" || return
	worker=$(pgrep -P "$weir_pid")
	spawn flood "$ns_b" "$tools/flood" -n 3000000 vb 1009
	traffic=${spawned[flood]}
	conf 'va, va2' 100ms
	reload || not_ok "reload: it says so" "$(tail -n 3 "$tmp/reload.err")"
	says '^weir: va2: .*ingress' && ok "reload: a new interface is attached"
	in_a ping -c 23 -i 0.002 -q 10.77.2.2 >/dev/null
	settle "$ns_a" va2
	conf 'va, va22' 100ms
	echo 'idle-timeuot = 1s' >>"$tmp/weir.conf"
	"$weir" reload --config "$tmp/weir.conf" >"$tmp/told" 2>&1
	expect "reload: weir reload of a mistake: exit status" "$?" 1
	expect_match "reload: weir reload of a mistake" "$(cat "$tmp/told")" 'weir.conf:5:1:'
	kill -HUP "$weir_pid"
	says 'settings stay' && ok "reload: a mistake changes nothing"
	expect_match "reload: the mistake has its place, and a suggestion" "$(cat "$tmp/reload.err")" \
		'weir.conf:5:1:.*idle-timeout'
	expect_match "reload: status says that it was refused" "$("$weir" status)" '^configuration ! .*mistake'
	expect_attached "reload: a mistake" 'native xdp_flows,egress tc_egress' "$ns_a" va2
	conf va 100ms
	n=$(reloads)
	expect "reload: weir reload" "$("$weir" reload --config "$tmp/weir.conf" 2>&1)" \
		"weir: process $weir_pid reads its configuration again; its messages say what changed"
	wait_for 60 more_reloads "$n"
	expect "reload: status is silent about the next, which was none" \
		"$("$weir" status -o json | jq -c '[.starting, .reload_refused]')" '[false,null]'
	expect_attached "reload: an interface that is not asked for any more" '' "$ns_a" va2
	expect "reload: the worker is the same" "$(pgrep -P "$weir_pid")" "$worker"
	wait "$traffic"
	settle
	weir_stop
	expect "reload: exit status" "$weir_rc" 0
	expect_match "reload: the new timeout holds" "$(records reload 'map(.reason) | unique | tojson')" '"idle"'
	expect "reload: the flows of the interface that went" \
		"$(sum_of reload '.iface == "va2" and .proto == "icmp"')" "46 $((46 * 84))"
	expect_accounted "reload under load" reload
}

# The worker has no right to open files: rotation and reopening go through the core.
case_files()
{
	mkdir "$tmp/log"
	weir_start files -i va --drain-interval 50ms --idle-timeout 100ms --active-timeout 100ms \
		--export "file:$tmp/log/flows.json?rotate_bytes=65536&keep=100" || return
	for _ in 1 2 3 4 5 6 7 8; do
		in_b "$tools/flood" -n 500 vb 100 >/dev/null
		sleep 0.2
	done
	mv "$tmp/log/flows.json" "$tmp/log/moved.json"
	kill -HUP "$weir_pid"
	wait_for 60 test -e "$tmp/log/flows.json" || not_ok "files: reopened after SIGHUP" "$(ls "$tmp/log")"
	in_b "$tools/flood" -n 500 vb 100 >/dev/null
	settle
	weir_stop
	expect "files: exit status" "$weir_rc" 0
	expect_true "files: rotated" test -e "$tmp/log/flows.json.1"
	expect "files: all is in them" "$(cat "$tmp"/log/* | jq -s 'map(select(.proto == "udp") | .packets) | add')" 4500
}

net_new
pair_new "$ns_a" va2 "$ns_b" vb2 2 1500
settle
case_reload_under_load
net_new
case_files
