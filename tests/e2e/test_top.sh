#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_top.sh - `weir top`: rates against what iperf3 sends, groups, and the screen driven through a
# terminal (tmux): keys, filter, details, a small window, the end of weir.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/screen.sh
. "$(dirname "$0")/screen.sh"

hides() # NAME REGEX
{
	expect_true "$1" wait_for 8 screen_lacks "$2"
}

# While one answer gives way to the next, too.
never() # NAME REGEX
{
	local i

	for ((i = 0; i < 30; i++)); do
		if screen_has "$2"; then
			not_ok "$1" "/$2/ on the screen"
			return
		fi
		sleep 0.02
	done
	ok "$1"
}

screen_lacks()
{
	! screen_has "$1"
}

keys() # KEY...: as tmux calls them
{
	"${tm[@]}" send-keys "$@"
}

between() # NAME VALUE LOW HIGH
{
	if [ "$2" -ge "$3" ] 2>/dev/null && [ "$2" -le "$4" ]; then
		ok "$1"
	else
		not_ok "$1" "$2 is not within $3 and $4"
	fi
}

once() # ARGUMENT...: rows as JSON
{
	timeout 20 "$weir" top --once -o json "$@" 2>"$tmp/top.err"
}

# 20 Mb/s of payload in segments of 1448 bytes is 20.7 of IP. A sender that was not let run makes up for it
# in the next interval.
steady()
{
	row=$(once 'dst.port == 5201 and bytes > 1M')
	[ "$(jq '.tx_bps > 18000000 and .tx_bps < 23500000' <<<"$row")" = true ]
}

rates()
{
	local row

	wait_for 60 steady
	expect "once: one flow" "$(wc -l <<<"$row")" 1
	between "once: rate" "$(jq .tx_bps <<<"$row")" 18000000 23500000
	between "once: acknowledgements" "$(jq .rx_bps <<<"$row")" 1 2000000
	expect "once: ends" "$(jq -r '[.src.ip, .dst.ip, .dst.port, .proto] | join(" ")' <<<"$row")" \
		"10.77.1.2 10.77.1.1 5201 tcp"
	row=$(once --by host --sort rx --limit 1)
	expect "once: by host, sorted by rx" "$(jq -r .host <<<"$row")" 10.77.1.1
	row=$(once --by port 'dst.port == 5201')
	expect "once: by port" "$(jq -r '.port, .flows' <<<"$row" | xargs)" "5201/tcp 2"
	row=$(once --by iface)
	expect "once: by interface" "$(jq -r .iface <<<"$row")" va
	row=$(once --by http.host --sort flows | jq -r '.host // empty')
	expect "once: by a field" "$row" shop.example.test
	expect "once: nothing matches" "$(once 'vlan == 99' | wc -l)" 0
	expect_match "once: table" "$(timeout 20 "$weir" top --once --by name)" '^KEY +RX b/s +TX b/s +PACKETS/S +FLOWS$'
}

errors()
{
	once --by hots >/dev/null
	expect "a wrong group: status" $? 2
	expect_match "a wrong group: message" "$(cat "$tmp/top.err")" "did you mean 'host'"
	once 'prot tcp' >/dev/null
	expect "a wrong filter: status" $? 2
	"$weir" top >/dev/null 2>"$tmp/top.err"
	expect "no terminal: status" $? 2
	expect_match "no terminal: message" "$(cat "$tmp/top.err")" '--once'
}

list()
{
	"${tm[@]}" new-session -d -x 100 -y 20 "$weir top 'port 5201 or port 80'; echo status=\$?; exec cat"
	shows "head with rates" '^weir [0-9:]{8}  rx [0-9.]+ .*b/s .*pps   tx 2[0-9.]+ Mb/s .* flows$'
	shows "columns" '^SRC +DST +PROTO NAME +RX b/s +TX b/s$'
	shows "the flow" '^10\.77\.1\.2:[0-9]+ +10\.77\.1\.1:5201 +tcp .* 2[0-9.]+ M$'
	shows "the filter in force" 'by flow, sorted by bytes, where port 5201 or port 80$'
	shows "keys" '^\[s\]ort \[f\]ilter'
	keys u
	shows "bytes" 'tx 2\.[0-9] MB/s'
	keys u
	shows "packets" ' 1\.[0-9] k$'
	keys u
	keys s
	shows "sorted by the next column" 'sorted by rx'
	keys g
	shows "by host" '^10\.77\.1\.1 .* 2[0-9.]+ M +[0-9.]+ k'
	keys g
	shows "by name" '^shop\.example\.test '
}

pause()
{
	keys p
	shows "paused" 'PAUSED$'
	keys g
	shows "paused: other groups are shown once" '^5201/tcp .* [0-9.]+ M '
	shows "paused: still" 'PAUSED$'
	keys p
	hides "goes on" 'PAUSED'
	keys g g g g g
	shows "by name again" 'by name,'
}

filter()
{
	keys f C-u
	keys -l 'dst.prot == 80'
	keys Enter
	shows "a wrong filter" "^col 1: unknown field 'dst.prot', did you mean 'dst.port'"
	keys C-u
	keys -l 'tls.'
	keys Tab
	shows "completion" '^tls.sni tls.version tls.offered tls.alpn tls.ech'
	keys -l 'sn'
	keys Tab
	shows "completed" '^filter: tls.sni'
	keys C-u
	keys -l 'dst.port == 80'
	keys Enter
	shows "a filter" 'by name, .*, where dst.port == 80$'
	hides "others are gone" '^\(none\)'
	shows "what matches" '^shop\.example\.test '
}

details()
{
	keys Enter
	shows "flows of a group" 'by flow, .*where \(dst.port == 80\) and .*shop.example.test'
	shows "its flow" '10\.77\.1\.1:80 +tcp +shop\.example\.test'
	keys Enter
	shows "details: a record" '^  src.ip +"10.77.1.2"$'
	keys NPage
	shows "details: its end" '^  http.host +"shop.example.test"$'
	keys Escape
	shows "back to the list" '^SRC +DST'
	keys Escape
	shows "back to the groups" 'by name, .*, where dst.port == 80$'
	never "no row of what was asked before" '^\(none\)'
	keys '?'
	shows "help" 'Tab completes'
	keys Escape
	hides "help is gone" 'Tab completes'
}

small_window()
{
	keys f C-u Enter
	keys g g g g
	shows "by flow again" 'by flow, '
	"${tm[@]}" resize-window -x 60 -y 8
	shows "small: numbers stay" '^10\.77\.1\.[^ ]+ +10\.77\.1.* 2[0-9.]+ M$'
	expect "small: no line is longer" "$(screen | sed 's/…/./g' | awk 'length > 60' | wc -l)" 0
	"${tm[@]}" resize-window -x 100 -y 20
	shows "large again" '^\[s\]ort .*\[q\]uit$'
}

the_end()
{
	keys q
	shows "q: status" '^status=0'
	"${tm[@]}" respawn-pane -k "$weir top; echo status=\$?; exec cat"
	shows "again" '^SRC +DST'
	weir_stop
	shows "weir has ended: message" '^weir: the running weir has closed the connection'
	shows "weir has ended: status" '^status=5'
	expect "weir: status" "$weir_rc" 0
}

# A request that stays open: its flow is there as long as the test is.
hold_request()
{
	spawn web "$ns_a" socat TCP-LISTEN:80,fork,reuseaddr,bind="$ip_a" EXEC:cat
	wait_for 60 listening "$ns_a" tcp 80
	spawn request "$ns_b" bash -c "
		exec 3<>/dev/tcp/$ip_a/80
		printf 'GET /a HTTP/1.1\r\nHost: shop.example.test\r\n\r\n' >&3
		for ((i = 0; i < 1200; i++)); do printf 'x\r\n' >&3; sleep 0.1; done"
}

if ! command -v tmux >/dev/null; then
	skip "top" "tmux is not installed"
	exit 0
fi
export LC_ALL=C.UTF-8 TERM=xterm
net_new
weir_start w -i va --idle-timeout 30s --drain-interval 500ms || exit 1
spawn iperf "$ns_a" iperf3 -s -1 -p 5201
wait_for 60 listening "$ns_a" tcp 5201
hold_request
spawn client "$ns_b" iperf3 -c "$ip_a" -p 5201 -b 20M -t 110
rates
errors
list
pause
filter
details
small_window
the_end
"${tm[@]}" kill-server
