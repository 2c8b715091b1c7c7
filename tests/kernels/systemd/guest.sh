#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# guest.sh - inside the machine with systemd: weir's package is installed, its service started, read
# again, stopped from outside, restarted and removed, with 23 pings here and there to count.
# Lines that the host shows begin with @@; the journal of the service is the last of them.
set -u
export PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_PAGER='' SYSTEMD_COLORS=0 LC_ALL=C.UTF-8
passed=0 failed=0
records=/var/log/weir/flows.ndjson
three=000000c000001000 # CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN

expect() # NAME ACTUAL EXPECTED
{
	if [ "$2" = "$3" ]; then
		passed=$((passed + 1))
		echo "ok   $1"
	else
		failed=$((failed + 1))
		echo "FAIL $1: got '$2', want '$3'"
	fi
}

wait_for() # SECONDS COMMAND...
{
	local end=$((SECONDS + $1))

	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -le "$end" ] || return 1
		sleep 0.3
	done
}

show() # PROPERTY
{
	systemctl show -P "$1" weir
}

is() # PROPERTY VALUE
{
	[ "$(show "$1")" = "$2" ]
}

status_of() # PID WORD
{
	sed -n "s/^$2:[ \t]*//p" "/proc/$1/status"
}

owner() # PATH: USER:GROUP MODE
{
	stat -c '%U:%G %a' "$1"
}

worker()
{
	local main

	main=$(show MainPID)
	tr ' ' '\n' <"/proc/$main/task/$main/children" | sed -n 1p
}

on_interface() # DEV: is there an XDP program of ours, and what on TC
{
	ip -j -d link show "$1" | jq -r '.[0].xdp.prog.name // "none"'
}

pings=0
ping_23()
{
	ping -c 23 -i 0.05 -q 192.0.2.2 >/dev/null
	pings=$((pings + 46))
}

# Packets of the pings in all records so far.
in_records()
{
	cat "$records"* 2>/dev/null | jq -s 'map(select(.proto == "icmp") | .packets) | add // 0'
}

all_in_records()
{
	[ "$(in_records)" = "$pings" ]
}

# Messages of the service with a word: their priorities.
priority_of() # WORD
{
	journalctl -q -u weir -o json | jq -r --arg w "$1" \
		'select((.MESSAGE | type) == "string" and (.MESSAGE | contains($w))) | .PRIORITY' | sort -u | paste -sd,
}

said() # WORD
{
	[ -n "$(priority_of "$1")" ]
}

configure() # PIN INTERFACES
{
	cat >/etc/weir/weir.conf <<-END
		[run]
		interfaces = $2
		flows = 4096
		idle-timeout = 2s
		pin = $1
		[export records]
		type = file
		path = $records
		format = json
	END
}

case_installed()
{
	expect "the package installs" "$(dpkg -i /opt/weir.deb >/tmp/dpkg.log 2>&1; echo $?)" 0
	tail -n 3 /tmp/dpkg.log
	systemctl daemon-reload
	expect "not enabled, not started" "$(systemctl is-enabled weir) $(show ActiveState)" 'disabled inactive'
	expect "its user" "$(getent passwd weir | cut -d: -f6,7)" /var/lib/weir:/usr/sbin/nologin
	expect "the directory for pins" "$(owner /sys/fs/bpf/weir)" 'weir:weir 700'
	expect "without an interface in the configuration it says so and is not tried again" \
		"$(systemctl start weir 2>/dev/null; show ExecMainStatus; show NRestarts)" $'2\n0'
	systemctl reset-failed weir
}

case_start()
{
	local main

	configure yes va
	# the verifier in an emulated CPU may take minutes
	mkdir -p /etc/systemd/system/weir.service.d
	printf '[Service]\nTimeoutStartSec=600\n' >/etc/systemd/system/weir.service.d/slow.conf
	systemctl daemon-reload
	expect "it starts" "$(systemctl start weir; echo $?)" 0
	# Type=notify: when start returns, it counts
	expect "and is on the interface when start returns" "$(show Type) $(on_interface va)" 'notify xdp_flows'
	expect "status text" "$(show StatusText)" '1 interfaces'
	ping_23
	main=$(show MainPID)
	expect "core: user, capabilities, bounding set" \
		"$(ps_user "$main") $(status_of "$main" CapEff) $(status_of "$main" CapBnd)" "weir $three $three"
	expect "core: seccomp filter, no new privileges" \
		"$(status_of "$main" Seccomp) $(status_of "$main" NoNewPrivs)" '2 1'
	expect "worker: user, capabilities" "$(ps_user "$(worker)") $(status_of "$(worker)" CapEff)" 'weir 0000000000000000'
	expect "worker: seccomp filter" "$(status_of "$(worker)" Seccomp)" 2
	expect "directories" "$(owner /run/weir), $(owner /var/lib/weir), $(owner /var/log/weir)" \
		'weir:weir 755, weir:weir 750, weir:weir 750'
	expect "socket" "$(owner /run/weir/weir.sock)" 'weir:weir 660'
	expect "weir status: what the processes may do" \
		"$(weir status -o json | jq -r '.processes[] | "\(.process) \(.capabilities | join(" ")) \(.seccomp)"' | paste -sd,)" \
		'core net_admin perfmon bpf true,worker  true'
	expect "weir status answers" "$(weir status -o json | jq -r '.interfaces[0].name')" va
}

ps_user() # PID
{
	stat -c %U "/proc/$1"
}

case_reload()
{
	local main

	main=$(show MainPID)
	configure yes 'va, wa'
	expect "reload" "$(systemctl reload weir; echo $?)" 0
	wait_for 30 is StatusText '2 interfaces'
	expect "reload: the other interface too, same process" "$(on_interface wa) $(show MainPID)" "xdp_flows $main"
	echo 'interfacs = va' >>/etc/weir/weir.conf
	expect "reload of a mistake: refused" "$(systemctl reload weir 2>/dev/null; echo $?)" 1
	kill -HUP "$main" # without asking
	wait_for 30 said 'stay as they are'
	expect "reload of a mistake: goes on as it was" "$(show ActiveState) $(show StatusText)" 'active 2 interfaces'
	configure yes va
	systemctl reload weir
	wait_for 30 is StatusText '1 interfaces'
	expect "reload: the other interface is let go" "$(on_interface wa)" none
}

case_restart()
{
	local before

	before=$(show MainPID)
	ping_23
	expect "restart" "$(systemctl restart weir; echo $?)" 0
	expect "restart: another process" "$([ "$(show MainPID)" != "$before" ] && echo yes)" yes
	ping_23
	wait_for 60 all_in_records
	expect "restart: every ping is in a record" "$(in_records)" "$pings"
	systemctl stop weir
	expect "stop with pin: still on the interface" "$(on_interface va) $(show Result)" 'xdp_flows success'
	ping_23
	systemctl start weir
	wait_for 60 all_in_records
	expect "and what passed meanwhile is counted" "$(in_records)" "$pings"
}

case_watchdog()
{
	local before n

	before=$(show MainPID)
	n=$(show NRestarts)
	ping_23
	kill -STOP "$(worker)"
	ping_23
	wait_for 240 is NRestarts $((n + 1))
	wait_for 60 is ActiveState active
	expect "watchdog: a worker that hangs is noticed and restarted" \
		"$(show NRestarts) $(show ActiveState) $([ "$(show MainPID)" != "$before" ] && echo other)" "$((n + 1)) active other"
	expect "watchdog: journal" "$(journalctl -q -u weir -o cat | grep -c 'Watchdog timeout')" 1
	ping_23
	wait_for 60 all_in_records
	expect "watchdog: every ping is in a record" "$(in_records)" "$pings"
	kill -KILL "$(show MainPID)"
	wait_for 60 is NRestarts $((n + 2))
	wait_for 60 is SubState running
	ping_23
	wait_for 60 all_in_records
	expect "killed: restarted, every ping is in a record" "$(show NRestarts) $(in_records)" "$((n + 2)) $pings"
}

case_stop()
{
	systemctl stop weir
	weir detach --all >/tmp/detach.log 2>&1
	expect "weir detach --all takes the pinned programs off" "$(on_interface va) $(find /sys/fs/bpf/weir -mindepth 1 | wc -l)" \
		'none 0'
	configure no va
	systemctl start weir
	ping_23
	expect "without pin: on the interface" "$(on_interface va)" xdp_flows
	systemctl stop weir
	expect "without pin: stop takes all off" "$(on_interface va), $(show Result)" 'none, success'
	expect "stop wrote what was left" "$(in_records)" "$pings"
	expect "no socket is left" "$(find /run/weir -name '*.sock' 2>/dev/null | wc -l)" 0
}

case_journal()
{
	expect "journal: attached is information" "$(priority_of '(ingress) + ')" 6
	expect "journal: a reload that failed is a warning" "$(priority_of 'stay as they are')" 4
	expect "journal: what is wrong in the configuration" "$(priority_of 'interfacs')" 3
	expect "journal: no interface given" "$(priority_of 'which interface')" 3
	expect "journal: nothing else is a warning" "$(journalctl -q -u weir -o json _COMM=weir |
		jq -r 'select((.PRIORITY | tonumber) <= 4) | .MESSAGE' | grep -vE 'stay as they are|interfacs|which interface|nothing was told')" ''
}

case_removed()
{
	systemctl start weir
	expect "the package goes" "$(dpkg --purge weir >/tmp/dpkg.log 2>&1; echo $?)" 0
	expect "with its process, its programs and its directories" \
		"$(on_interface va) $(find /var/lib/weir /var/log/weir /etc/weir /run/weir 2>/dev/null | wc -l)" 'none 0'
}

while read -r module; do
	insmod "$module"
done </modules
echo "@@kernel $(uname -r) $(systemctl --version | sed -n 1p)"
ip netns add other
ip link add va type veth peer name vb netns other
ip link add wa type veth peer name wb netns other
ip addr add 192.0.2.1/24 dev va
ip link set va up
ip link set wa up
ip -n other addr add 192.0.2.2/24 dev vb
ip -n other link set vb up
ip -n other link set wb up
wait_for 10 ping -c 1 -W 1 192.0.2.2
for c in installed start reload restart watchdog stop journal removed; do
	"case_$c"
	echo "@@case $c after $SECONDS s"
	if [ "$c" = start ] && ! is ActiveState active; then
		break # the rest would say nothing
	fi
done
if [ "$failed" -gt 0 ]; then
	echo "@@journal"
	journalctl -q -u weir -o short-monotonic --no-hostname | tail -n 150
	echo "@@end"
fi
echo "$passed passed, $failed failed, 0 skipped"
