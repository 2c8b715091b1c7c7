#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_screens.sh - `weir flows`, `weir status` and `weir doctor` as a user meets them, on a terminal (tmux), wide
# and narrow; `weir top` has test_top.sh. What they say, byte by byte, is looked at by test_control.sh and
# test_doctor.sh.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/screen.sh
. "$(dirname "$0")/screen.sh"

# A command on a screen of its own, until it has ended or, with a REGEX, shows that.
look() # COLUMNS COMMAND [REGEX]
{
	"${tm[@]}" resize-window -x "$1" -y 60
	"${tm[@]}" respawn-pane -k "$2; echo status=\$?; exec cat"
	wait_for 20 screen_has "${3:-^status=}" || not_ok "$2: shows what it is to" "$(screen)"
}

status()
{
	look 100 "$weir status"
	shows "status: head" '^IFACE +MODE +.*PACKETS'
	shows "status: the interface" '^va +native XDP \+ TCX +uplink +[0-9,]+ '
	shows "status: export with its account" '^export .*127\.0\.0\.1:4739: [0-9,]+ records, 0 lost'
	shows "status: who may do what" '^worker [0-9]+: no capability, seccomp$'
	shows "status: ends well" '^status=0$'
	expect "status: no line is broken at 100 columns" "$(screen | sed '/^$/d' | wc -l)" \
		"$(($("$weir" status | wc -l) + 1))"
	look 100 "$weir status --socket $tmp/nowhere"
	shows "status: nobody there: which socket" 'nowhere'
	shows "status: nobody there: status" '^status=5$'
}

one_has_ended()
{
	"$weir" flows --last 1 'proto = icmp' -o json | grep -q icmp
}

flows()
{
	expect_true "flows: one has ended" wait_for 30 one_has_ended
	look 100 "$weir flows --last 5 'prto = icmp'"
	shows "flows: a wrong filter is an error with its place, and a suggestion" "col 1: .*'prto', did you mean 'proto'"
	shows "flows: a wrong filter: status" '^status=2$'
	look 100 "$weir flows --last 1 'proto = icmp'"
	shows "flows: time, ends, protocol, packets, bytes" \
		'^[0-9:]{8} +10\.77\.1\.[12] > 10\.77\.1\.[12] +icmp .* [0-9]+ pkt +[0-9]+ B +[0-9.]+ s$'
	shows "flows: ends well" '^status=0$'
	look 100 "$weir flows --follow 'proto = icmp'" ' pkt '
	"${tm[@]}" send-keys C-c
	shows "flows --follow: ends by Ctrl-C" '^(\^C)?status=0$'
}

doctor_at() # COLUMNS
{
	look "$1" "ip netns exec $ns_a $weir doctor -i va"
	shows "doctor, $1 columns: kernel" '^  kernel +ok +[0-9]'
	shows "doctor, $1 columns: capabilities" '^  capabilities +ok '
	shows "doctor, $1 columns: the interface" '^  va \(veth\) +ok +native XDP'
	shows "doctor, $1 columns: memory" '^  memory +[a-z]+ .*flows need'
	shows "doctor, $1 columns: status" '^status=0$'
	# what follows a line begins below its words; what the terminal breaks begins at the margin
	expect "doctor, $1 columns: no line is broken by the terminal" "$(screen | grep -v '^status=' | grep -c '^[^ ]')" 0
}

doctor()
{
	doctor_at 100
	doctor_at 72
}

if ! command -v tmux >/dev/null; then
	skip "screens" "tmux is not installed"
	exit 0
fi
export LC_ALL=C.UTF-8 TERM=xterm-256color
net_new
spawn sink "$ns_a" socat -u UDP-RECV:4739,bind=127.0.0.1 /dev/null
weir_start w -i va --idle-timeout 1s --drain-interval 200ms --export 'ipfix://127.0.0.1:4739' || exit 1
# one flow after another, as long as somebody looks
spawn ping "$ns_b" bash -c 'for ((i = 0; i < 200; i++)); do ping -c 2 -i 0.01 -q '"$ip_a"'; sleep 1.5; done'
"${tm[@]}" new-session -d -x 100 -y 60 cat
status
flows
doctor
"${tm[@]}" kill-server
weir_stop
expect "weir: status" "$weir_rc" 0
