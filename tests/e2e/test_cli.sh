#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_cli.sh - the command line: help, usage errors and exit status of every command, settings and
# where they come from, configuration files, completion in real shells, detach.
. "$(dirname "$0")/lib.sh"

# ---- what a command says and returns ----

bpftool=${BPFTOOL:-/usr/sbin/bpftool}
out='' err='' rc=''
try() # COMMAND...
{
	"$@" >"$tmp/try.out" 2>"$tmp/try.err" </dev/null
	rc=$?
	out=$(cat "$tmp/try.out")
	err=$(cat "$tmp/try.err")
}

expect_usage_error() # NAME REGEX ARG...
{
	local name=$1 regex=$2

	shift 2
	try "$weir" "$@"
	expect "$name: exit status" "$rc" 2
	expect "$name: nothing on standard output" "$out" ''
	expect_match "$name: one line that says what" "$err" "$regex"
	expect "$name: one line" "$(wc -l <"$tmp/try.err")" 1
}

commands() # of weir, or of a command that has its own
{
	"$weir" "$@" --help | sed -n '/^commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p'
}

case_help()
{
	local c s

	for c in $(commands); do
		try "$weir" "$c" --help
		expect "$c --help: exit status" "$rc" 0
		expect "$c --help: nothing on standard error" "$err" ''
		expect_match "$c --help: usage" "$out" "^usage: weir $c"
		expect "$c --help: fits 100 columns" "$(awk 'length > 100' "$tmp/try.out")" ''
		expect_usage_error "$c: unknown option" \
			"^weir: unknown (option|command) '--nosuch'.* — see 'weir $c --help'$" "$c" --nosuch
		if grep -q '^commands:' <<<"$out"; then
			for s in $(commands "$c"); do
				try "$weir" "$c" "$s" -h
				expect_match "$c $s -h: usage" "$out" "^usage: weir $c $s"
			done
		fi
	done
	try "$weir" version
	expect_match "version" "$out" '^weir [0-9]+\.[0-9]+\.[0-9]+$'
	try "$weir"
	expect "no command: exit status" "$rc" 2
}

case_usage()
{
	expect_usage_error "command mistyped" "unknown command 'detahc', did you mean 'detach'\?" detahc
	expect_usage_error "option mistyped" "unknown option '--idle-timout', did you mean '--idle-timeout'\?" \
		run -i va --idle-timout 3s
	expect_usage_error "word mistyped" "--hook 'gegeric': want auto, xdp, tc or generic; did you mean 'generic'\?" \
		run -i va --hook gegeric
	expect_usage_error "argument missing" "--flows wants N" run -i va --flows
	expect_usage_error "argument too many" "--no-names takes no value" run --no-names=1
	expect_usage_error "letter" "unknown option '-Z'" run -Z
	expect_usage_error "no interface" "which interface\? give -i IFACE" run
	expect_usage_error "operand" "'va' is not an option" run va
	expect_usage_error "value" "^weir: --flows '12': want a number from 1024 to" run -i va --flows 12
	expect_usage_error "no file" "/nonexistent: No such file" run --config /nonexistent
	expect_usage_error "sub-command mistyped" "unknown command 'sow', did you mean 'show'\?" config sow
	expect_usage_error "detach of what" "give -i IFACE, or --all" detach
	expect_usage_error "shell unknown" "no script for 'tcsh'" completion tcsh
	expect_usage_error "capture missing" "which capture\?" replay
	expect_usage_error "export" "want ipfix://HOST:PORT" run -i va --export ftp://x
	expect_usage_error "filter" "unknown field 'prot'" replay --where 'prot = tcp' -
}

# ---- settings ----

origin_of() # KEY ARG...: of `weir config show --origin`
{
	local key=$1

	shift
	"$weir" config show --origin "$@" | sed -n "s/^$key = .*# //p"
}

case_settings()
{
	cat >"$tmp/a.conf" <<-'END'
		# a comment
		[run]
		flows = 128Ki
		idle-timeout = 30s   ; another
		sample = 2

		[interface veth*]
		role = veth

		[export main]
		type = file
		path = "/tmp/flows # 1.ndjson"
		filter = dst.port = 443 and tls.sni suffix "example.com"

		[labels]
		site = "north 1"
	END
	expect "origin: flag" "$(origin_of flows --config "$tmp/a.conf" --flows 1Mi)" 'command line'
	expect "origin: environment" "$(WEIR_SAMPLE=4 origin_of sample --config "$tmp/a.conf")" \
		'environment WEIR_SAMPLE'
	expect "origin: file" "$(origin_of idle-timeout --config "$tmp/a.conf")" "$tmp/a.conf:4"
	expect "origin: file named by the environment" "$(WEIR_CONFIG=$tmp/a.conf origin_of idle-timeout)" \
		"$tmp/a.conf:4"
	expect "origin: default" "$(origin_of syn-timeout --config "$tmp/a.conf")" default
	"$weir" config show --config "$tmp/a.conf" --label a=b >"$tmp/b.conf"
	"$weir" config show --config "$tmp/b.conf" >"$tmp/c.conf"
	expect_true "what show prints is a configuration that says the same" cmp "$tmp/b.conf" "$tmp/c.conf"
	expect_match "show: sections of the file" "$(cat "$tmp/c.conf")" '^\[export main\]$'
	expect "show -o json" "$("$weir" config show --config "$tmp/a.conf" -o json |
		jq -r '[.settings["run.flows"].value, .settings["run.flows"].origin, .settings.labels.value[0],
			.sections[1].keys.path] | join("|")')" \
		"128Ki|$tmp/a.conf:3|site=north 1|/tmp/flows # 1.ndjson"
	try "$weir" config check "$tmp/a.conf"
	expect "check: exit status of a good file" "$rc" 0
}

case_errors()
{
	cat >"$tmp/bad.conf" <<-'END'
		[run]
		intrval = 1s
		hook = xpd
		flows 3
		[exporrt a]
		[export a]
		type = file
		path = /tmp/x
		filter = dst.port = 443 and tls.sin = "x"
		[run]
		flows = 2000
		flows = 3000
	END
	try "$weir" config check "$tmp/bad.conf"
	expect "check: exit status of a bad file" "$rc" 1
	expect "check: every error, with its place" "$(sed "s|$tmp/||; s/: .*//" "$tmp/try.err" | paste -sd' ')" \
		'bad.conf:2:1 bad.conf:3:8 bad.conf:4:7 bad.conf:5:2 bad.conf:9:29 bad.conf:10:2 bad.conf:12:1'
	expect_match "check: did you mean a key" "$err" "unknown key 'intrval'"
	expect_match "check: did you mean a word" "$err" "did you mean 'xdp'\?"
	expect_match "check: did you mean a section" "$err" "unknown section 'exporrt', did you mean 'export'\?"
	expect_match "check: did you mean a field" "$err" "tls.sin.*did you mean 'tls.sni'"
	try "$weir" run -i va --config "$tmp/bad.conf"
	expect "run refuses the same file: exit status" "$rc" 2
	expect "run says the same of it" "$err" "$("$weir" config check "$tmp/bad.conf" 2>&1)"
	try "$weir" config check "$tmp"
	expect "check of a directory: exit status" "$rc" 1
}

# A configuration that names interfaces, roles and hooks; run takes what it says.
case_run_with_file()
{
	cat >"$tmp/run.conf" <<-'END'
		[run]
		output = json
		summary = json
		[interface v?]
		hook = generic
		[interface nosuch*]
		[node]
		name = node-7
		[labels]
		site = "north 1"
		rack = 2
	END
	"${exec_a[@]}" "$weir" run --config "$tmp/run.conf" --duration 2s >"$tmp/file.json" 2>"$tmp/file.err" &
	weir_pid=$!
	pids+=("$weir_pid")
	wait_for 60 weir_is_up file 1
	in_a ping -c 7 -i 0.01 -q "$ip_b" >/dev/null
	weir_wait 20
	expect_match "run: hook of the section" "$(cat "$tmp/file.err")" '^weir: va: generic XDP'
	expect "run: name and labels of the node" "$(records file 'map([.node, .labels[]] | join(" ")) | unique | join("|")')" \
		'node-7 site=north 1 rack=2'
	expect "run: output of the file" "$(sum_of file)" "14 $((14 * 84))"
	"${exec_a[@]}" env WEIR_LOG_FORMAT=json WEIR_INTERFACES='v*,!va' "$weir" run --config "$tmp/run.conf" \
		--duration 300ms >"$tmp/none.json" 2>"$tmp/none.err"
	expect_attached "an interface left out" ''
	expect "messages as JSON: all of standard error parses" \
		"$(jq -r 'select(.msg) | "\(.level) \(.msg)"' "$tmp/none.err")" 'info no interface matches yet'
	expect_match "run: no interface is there yet" "$(cat "$tmp/none.err")" 'no interface matches yet'
}

# ---- completion ----

bash_offers() # WORD...: what a bash would offer for the last one
{
	PATH=$(dirname "$weir"):$PATH bash --norc -c '
		. "$1"
		shift
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		compopt() { :; }
		_weir
		printf "%s\n" "${COMPREPLY[@]}"' bash "$tmp/weir.bash" weir "$@" | paste -sd' '
}

case_completion()
{
	"$weir" completion bash >"$tmp/weir.bash"
	expect "bash: commands" "$(bash_offers co)" 'config completion'
	expect "bash: commands of a command" "$(bash_offers config '')" 'show check'
	expect "bash: options" "$(bash_offers run --idle)" '--idle-timeout='
	expect "bash: options of a command's own" "$(bash_offers config show --or)" '--origin'
	expect "bash: values" "$(bash_offers run --hook '')" 'auto xdp tc generic'
	expect "bash: values behind =" "$(bash_offers run --hook = g)" 'generic'
	expect "bash: files" "$(bash_offers config check "$tmp/weir.b")" "$tmp/weir.bash"
	expect "bash: interfaces" "$(in_a bash -c "$(declare -f bash_offers); weir=$weir tmp=$tmp;
		bash_offers run -i v")" 'va'
	expect_match "bash: filters" "$(bash_offers replay --where 'dst.port = 443 and tls.')" 'and tls.sni'
	expect_match "nothing is offered where nothing is known" "x$(bash_offers run --flows '')" '^x$'
	if needs "zsh: completion" zsh; then
		"$weir" completion zsh >"$tmp/_weir"
		expect "zsh: commands" "$(PATH=$(dirname "$weir"):$PATH zsh -f -c '
			compdef() { :; }
			_describe() { print -rl -- "${(@P)2}"; }
			_files() { print files; }
			. "$1"
			words=(weir co) CURRENT=2
			_weir' zsh "$tmp/_weir" | cut -d: -f1 | paste -sd' ')" 'config completion'
	fi
	if needs "fish: completion" fish; then
		"$weir" completion fish >"$tmp/weir.fish"
		expect "fish: values" "$(HOME=$tmp PATH=$(dirname "$weir"):$PATH fish --no-config -c "
			source $tmp/weir.fish
			complete -C 'weir run --hook '" 2>/dev/null | sort | paste -sd' ')" 'auto generic tc xdp'
	fi
}

# ---- detach ----

# A bpf file system of the test's own, in a mount namespace that a process keeps.
case_detach()
{
	local id holder

	mkdir "$tmp/bpf"
	spawn holder "$ns_a" unshare -m --propagation private sh -c \
		"mount -t bpf bpf $tmp/bpf && echo ready && exec sleep 600"
	wait_for 60 has_line "$tmp/holder.out" ready || die "no bpf file system can be mounted"
	holder=(nsenter -t "${spawned[holder]}" -m -n)
	weir_start detach -i va || return
	try "${exec_a[@]}" "$weir" detach -i va
	expect "detach: what a running weir holds stays: exit status" "$rc" 1
	expect_match "detach: who holds it" "$out" "^va: XDP is held by process $weir_pid: stop that"
	expect_attached "detach: still there" 'native xdp_flows,egress tc_egress'
	for id in $(sed -n 's/^link_id:\t//p' "/proc/$weir_pid/fdinfo/"*); do
		"${holder[@]}" "$bpftool" link pin id "$id" "$tmp/bpf/l$id"
	done
	kill -KILL "$weir_pid"
	wait "$weir_pid" 2>/dev/null
	expect_attached "detach: pinned programs stay when weir is killed" 'native xdp_flows,egress tc_egress'
	try "${exec_a[@]}" "$weir" detach --all --dry-run
	expect "detach --dry-run: exit status" "$rc" 0
	expect_match "detach --dry-run: says what" "$out" '^va: would detach XDP$'
	expect_attached "detach --dry-run: changes nothing" 'native xdp_flows,egress tc_egress'
	try "${exec_a[@]}" "$weir" detach -i nosuch
	expect "detach: other interfaces are not touched" "$out" 'no weir program is on these interfaces'
	try "${exec_a[@]}" "$weir" detach --all
	expect "detach: exit status" "$rc" 0
	expect "detach: says what it did" "$(sort <<<"$out" | paste -sd,)" \
		'no weir program is left here,va: detached TCX egress,va: detached XDP'
	expect_attached "detach: nothing is left" ''
	stop_spawned holder
}

# What weir run --pin keeps goes with detach --all, and not under a weir that runs.
case_detach_pins()
{
	local at

	mkdir -p "$tmp/bpf"
	spawn pins "$ns_a" unshare -m --propagation private sh -c \
		"mount -t bpf bpf $tmp/bpf && echo ready && exec sleep 600"
	wait_for 60 has_line "$tmp/pins.out" ready || die "no bpf file system can be mounted"
	at=(nsenter -t "${spawned[pins]}" -m -n)
	spawn pinned "$ns_a" "${at[@]}" "$weir" run -i va --pin "$tmp/bpf/w" -o none
	wait_for 20 has_line "$tmp/pinned.err" '^weir: va: '
	try "${at[@]}" "$weir" detach --all --pin "$tmp/bpf/w"
	expect_match "detach --pin: not under a weir that runs" "$err" 'in use by another weir'
	stop_spawned pinned
	expect_attached "detach --pin: the programs stayed" 'native xdp_flows,egress tc_egress'
	try "${at[@]}" "$weir" detach --all --dry-run --pin "$tmp/bpf/w"
	expect_match "detach --pin --dry-run" "$out" "^$tmp/bpf/w: would be forgotten"
	try "${at[@]}" "$weir" detach --all --pin "$tmp/bpf/w"
	expect "detach --pin: exit status" "$rc" 0
	expect_match "detach --pin: says so" "$out" "^$tmp/bpf/w: forgotten"
	expect_attached "detach --pin: nothing is left" ''
	expect "detach --pin: no pin is left" "$("${at[@]}" ls "$tmp/bpf" | grep -v debug)" ''
	stop_spawned pins
}

# A clsact filter that looks like ours, and is: the program of a running weir, pinned and attached.
case_detach_filter()
{
	local id

	mkdir -p "$tmp/bpf"
	spawn holder "$ns_a" unshare -m --propagation private sh -c \
		"mount -t bpf bpf $tmp/bpf && echo ready && exec sleep 600"
	wait_for 60 has_line "$tmp/holder.out" ready || die "no bpf file system can be mounted"
	weir_start filter -i va --hook tc || return
	id=$(sed -n 's/^prog_id:\t//p' "/proc/$weir_pid/fdinfo/"* | sort -u | while read -r id; do
		"$bpftool" -j prog show id "$id" | jq -r 'select(.name == "tc_ingress") | .id'
	done | head -n 1)
	nsenter -t "${spawned[holder]}" -m -n "$bpftool" prog pin id "$id" "$tmp/bpf/p"
	in_a tc qdisc add dev va clsact
	nsenter -t "${spawned[holder]}" -m -n tc filter add dev va ingress protocol all pref 49 handle 0x77656972 \
		bpf da object-pinned "$tmp/bpf/p"
	weir_stop KILL
	stop_spawned holder
	expect_match "filter: it stays when weir is killed" "$(attached)" 'ingress'
	try "${exec_a[@]}" "$weir" detach -i va
	expect_match "filter: detached" "$out" '^va: detached TC filter ingress$'
	expect_attached "filter: nothing is left" ''
	in_a tc qdisc del dev va clsact
}

net_new
case_help
case_usage
case_settings
case_errors
case_run_with_file
case_completion
case_detach
case_detach_pins
case_detach_filter
