#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_package.sh - what is installed: the unit and its exposure, that weir's system calls are inside
# the unit's filter, man pages and their examples, the default configuration, the Kubernetes
# manifest, and the Debian package, unpacked into a folder. Nothing of the machine is changed.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"

root=$tmp/root

# ---- make install ----

case_install()
{
	local f

	expect_true "make install under DESTDIR" make -s BUILD="$build" DESTDIR="$root" PREFIX=/usr UNITDIR=/lib/systemd/system install
	for f in usr/sbin/weir etc/weir/weir.conf lib/systemd/system/weir.service usr/lib/sysusers.d/weir.conf \
		usr/lib/tmpfiles.d/weir.conf usr/share/man/man8/weir.8 usr/share/man/man8/weir-run.8 \
		usr/share/man/man5/weir.conf.5 usr/share/man/man5/weir-filter.5 \
		usr/share/bash-completion/completions/weir usr/share/zsh/vendor-completions/_weir \
		usr/share/fish/vendor_completions.d/weir.fish usr/share/doc/weir/examples/weir.yaml; do
		expect_true "installed: $f" test -s "$root/$f"
	done
	expect_match "the unit names the installed program" "$(cat "$root/lib/systemd/system/weir.service")" \
		'^ExecStart=/usr/sbin/weir run --config /etc/weir/weir.conf$'
	echo "# changed" >>"$root/etc/weir/weir.conf"
	make -s BUILD="$build" DESTDIR="$root" PREFIX=/usr UNITDIR=/lib/systemd/system install
	expect_match "an installation leaves the configuration alone" "$(tail -n 1 "$root/etc/weir/weir.conf")" changed
}

# ---- the default configuration ----

case_conf()
{
	local conf=$root/etc/weir/weir.conf

	expect_true "the default configuration is right" "$weir" config check "$conf"
	expect "and says what holds without it" "$("$weir" config show --config "$conf")" \
		"$(WEIR_CONFIG=/dev/null "$weir" config show)"
	sed 's/^#\([a-z[]\)/\1/' "$conf" >"$tmp/all.conf"
	expect_true "with every line of it switched on too" "$weir" config check "$tmp/all.conf"
	expect "every setting is in it" "$("$weir" config show | grep -c ' = ')" \
		"$(sed '/^#site/,$d' "$conf" | grep -c '^#[a-z-]* = ')"
}

# ---- the unit ----

case_unit()
{
	local unit=$root/lib/systemd/system/weir.service score

	if ! needs "the unit" systemd-analyze; then
		return
	fi
	score=$(systemd-analyze security --no-pager --offline=true "$unit" | sed -n 's/.*Overall exposure level.*: \([0-9.]*\) .*/\1/p')
	echo "exposure: $score"
	expect "exposure of the unit is 3 at most" "$(awk -v s="$score" 'BEGIN { print (s != "" && s <= 3.0) }')" 1
	expect "systemd finds nothing wrong in it" "$(systemd-analyze verify --man=no "$unit" 2>&1 |
		grep -v 'is not executable' | grep -F weir.service)" ''
}

# Groups of the filter, unfolded: the names of system calls.
filter_group() # NAME
{
	systemd-analyze syscall-filter "$1" | sed '1d; s/#.*//; s/^ *//' | while read -r name; do
		case $name in
		'') ;;
		@*) filter_group "$name" ;;
		*) echo "$name" ;;
		esac
	done
}

unit_allows() # UNIT: names of the system calls, sorted
{
	local line word

	sed -n 's/^SystemCallFilter=//p' "$1" | while read -r line; do
		for word in ${line#\~}; do
			case $word in
			@*) filter_group "$word" ;;
			*) echo "$word" ;;
			esac | sed "s/^/$([ "${line:0:1}" = '~' ] && echo -)/"
		done
	done | awk '/^-/ { no[substr($0, 2)] = 1; next } { yes[$0] = 1 }
		END { for (n in yes) if (!(n in no)) print n }' | sort
}

# With the unit's capabilities, as another user: which system calls are made?
case_system_calls()
{
	local unit=$root/lib/systemd/system/weir.service used

	if ! needs "system calls" strace systemd-analyze; then
		return
	fi
	unit_allows "$unit" >"$tmp/allowed"
	install -d -m 777 "$tmp/out"
	cat >"$tmp/calls.conf" <<-END
		[run]
		interfaces = va
		[export a]
		type = file
		path = $tmp/out/flows.ndjson
		rotate-bytes = 64Ki
		gzip = yes
		[export b]
		type = stdout
		format = json
		[export c]
		type = ipfix-tcp
		host = 127.0.0.1
		spool = $tmp/out
		[export d]
		type = ipfix-udp
		host = 127.0.0.1
	END
	install -m 755 "$weir" "$tmp/weir"
	spawn calls "$ns_a" setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all,+bpf,+net_admin,+perfmon \
		--ambient-caps=-all,+bpf,+net_admin,+perfmon --bounding-set=-all,+bpf,+net_admin,+perfmon \
		strace -f -qq -o "$tmp/out/strace" "$tmp/weir" run --config "$tmp/calls.conf" \
		--control-socket "$tmp/out/weir.sock" --duration 3s
	wait_for 20 has_line "$tmp/calls.err" '^weir: va: ' || not_ok "weir runs under strace" "$(tail -n 2 "$tmp/calls.err")"
	in_a ping -c 23 -i 0.01 -q "$ip_b" >/dev/null
	wait_for 20 pid_gone "${spawned[calls]}"
	# what strace could not follow (execve) was done by it or setpriv
	used=$(sed -n 's/^[0-9]* *\([a-z0-9_]*\)(.*/\1/p' "$tmp/out/strace" | sort -u)
	expect_match "system calls were seen" "$used" '^bpf$'
	expect "every system call is inside the unit's filter" "$(comm -23 <(echo "$used") "$tmp/allowed" | paste -sd' ')" ''
}

# ---- the collector's unit ----

# What the unit leaves it: nothing can be written but its own directories, and no capability.
in_its_place() # COMMAND...
{
	mount --bind "$tmp/its" "$tmp/its" && mount -o remount,bind,ro / &&
		exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --ambient-caps=-all \
			--bounding-set=-all --no-new-privs "$@"
}

collector_is_ready()
{
	has_line "$tmp/collector.err" ' ready' || pid_gone "${spawned[collector]}"
}

has_all_flows()
{
	[ "$("$collector" query --socket "$tmp/its/socket" --raw --last 1d --measure flows -o json | jq .flows)" = 500 ]
}

case_collector_unit()
{
	local unit=$root/lib/systemd/system/weir-collector.service used line

	if ! needs "the collector's unit" systemd-analyze strace; then
		return
	fi
	for line in DynamicUser=yes CapabilityBoundingSet= AmbientCapabilities= ProtectSystem=strict StateDirectory=weir-collector; do
		expect_true "collector's unit: $line" grep -qxF "$line" "$unit"
	done
	line=$(systemd-analyze security --no-pager --offline=true "$unit" | sed -n 's/.*Overall exposure level.*: \([0-9.]*\) .*/\1/p')
	expect "collector's unit: exposure is 2 at most" "$(awk -v s="$line" 'BEGIN { print (s != "" && s <= 2.0) }')" 1
	expect "collector's unit: systemd finds nothing wrong in it" "$(systemd-analyze verify --man=no "$unit" 2>&1 |
		grep -v 'is not executable' | grep -F weir-collector.service)" ''

	unit_allows "$unit" >"$tmp/allowed"
	install -d -m 777 "$tmp/its"
	install -m 755 "$collector" "$tmp/weir-collector"
	export -f in_its_place
	export tmp
	spawn collector "$ns_a" bash -c 'in_its_place "$@"' - strace -f -qq -o "$tmp/its/strace" "$tmp/weir-collector" \
		serve --config "$root/etc/weir/collector.conf" --store "$tmp/its/store" --control-socket "$tmp/its/socket"
	in_a bash -c 'in_its_place touch "$tmp/outside"' 2>"$tmp/outside.err"
	expect_match "collector's unit: it can write nowhere else" "$(cat "$tmp/outside.err")" 'Read-only file system'
	wait_for 60 collector_is_ready
	expect_match "collector's unit: it starts" "$(cat "$tmp/collector.err")" ' ready'
	in_a python3 tests/e2e/flows_v9.py 500 77 2055
	expect_true "collector's unit: it stores flows and answers" wait_for 60 has_all_flows
	expect "collector's unit: nobody's files" "$(stat -c %u "$tmp/its/store/state.db")" 65534
	kill -HUP "$(pgrep -P "${spawned[collector]}" weir-collector)"
	expect_true "collector's unit: it reloads" wait_for 20 has_line "$tmp/collector.err" 'configuration reloaded'
	kill -TERM "$(pgrep -P "${spawned[collector]}" weir-collector)"
	wait "${spawned[collector]}"
	expect "collector's unit: its exit status" "$?" 0
	used=$(sed -n 's/^[0-9]* *\([a-z0-9_]*\)(.*/\1/p' "$tmp/its/strace" | sort -u)
	expect_match "collector's unit: system calls were seen" "$used" '^recvmmsg$'
	expect "collector's unit: every system call is inside its filter" "$(comm -23 <(echo "$used") "$tmp/allowed" | paste -sd' ')" ''
	expect "collector's unit: no memory to write and run" "$(grep -cE '(mmap|mprotect)\(.*PROT_WRITE\|PROT_EXEC' "$tmp/its/strace")" 0
	expect "collector's unit: no other sockets" "$(grep -oE 'socket\(A?P?F_[A-Z0-9]+' "$tmp/its/strace" | sort -u |
		grep -vE 'AF_(UNIX|INET|INET6)$' | paste -sd' ')" ''
}

# ---- man pages ----

examples_of() # PAGE.scd: command lines between ``` and ```, those of weir, without pipes and redirections
{
	awk '/^```/ { inside = !inside; next } inside' "$1" | sed -n 's/^\(weir .*\)/\1/p' | sed "s/ > [a-z./_-]*\$//; s/ | .*//"
}

case_man()
{
	local page text line

	for page in "$root"/usr/share/man/man[58]/*; do
		text=$(MANWIDTH=100 man --warnings=w -E UTF-8 -l "$page" 2>"$tmp/man.err")
		expect "${page##*/}: no warnings" "$(cat "$tmp/man.err")" ''
		[[ ${page##*/} = weir-@(filter|policy).5 ]] && continue # languages
		expect "${page##*/}: the sections" "$(grep -cE '^(NAME|SYNOPSIS|DESCRIPTION|OVERHEAD|CAVEATS|EXIT STATUS|FILES|EXAMPLES)$' <<<"$text")" 8
	done
	for page in docs/man/*.scd; do
		sed "s/^@reference examples \(.*\)/cat <(\"\$weir\" __reference examples \1)/; t; d" "$page" >"$tmp/ref.sh"
		# shellcheck source=/dev/null
		{ cat "$page"; . "$tmp/ref.sh"; } >"$tmp/page.scd"
		while IFS= read -r line; do
			WEIR_CONFIG=/dev/null expect_true "${page##*/}: $line" \
				bash -c "exec \"\$0\" __check ${line//--config [^ ]*conf/--config \/dev/null}" "$weir"
		done < <(examples_of "$tmp/page.scd")
	done
	awk '/^```/ { inside = !inside; next } inside' docs/man/weir.conf.5.scd >"$tmp/example.conf"
	expect_true "the example of weir.conf(5)" "$weir" config check "$tmp/example.conf"
	for line in $("$weir" --help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
		expect_match "weir(8) has the command $line" "$(man -l "$root/usr/share/man/man8/weir.8" 2>/dev/null)" "^ +$line$"
	done
}

# ---- Kubernetes ----

case_kubernetes()
{
	expect "manifest: three capabilities, nothing else" "$(python3 - packaging/k8s/weir.yaml "$tmp/k8s.conf" <<-'END'
		import sys, yaml
		docs = {d["kind"]: d for d in yaml.safe_load_all(open(sys.argv[1]))}
		pod = docs["DaemonSet"]["spec"]["template"]["spec"]
		c, = pod["containers"]
		s = c["securityContext"]
		open(sys.argv[2], "w").write(docs["ConfigMap"]["data"]["weir.conf"])
		print(pod["hostNetwork"], pod.get("hostPID", False), s["privileged"], s["allowPrivilegeEscalation"],
		      s["readOnlyRootFilesystem"], *s["capabilities"]["drop"], *s["capabilities"]["add"],
		      *sorted(v["hostPath"]["path"] for v in pod["volumes"] if "hostPath" in v),
		      " ".join(c["command"]))
	END
	)" 'True False False False True ALL BPF NET_ADMIN PERFMON /sys/kernel/btf /usr/sbin/weir run --config /etc/weir/weir.conf'
	expect_true "manifest: its configuration is right" "$weir" config check "$tmp/k8s.conf"
	# uid 0 with three capabilities, as the container has it
	sed 's/^interface e\*/interface va/; s/\[interface e\*\]/[interface va]/; /^socket/d' "$tmp/k8s.conf" >"$tmp/pod.conf"
	"${exec_a[@]}" setpriv --inh-caps=-all --bounding-set=-all,+bpf,+net_admin,+perfmon --no-new-privs \
		"$weir" run --config "$tmp/pod.conf" --control-socket none --summary json --duration 300ms \
		>"$tmp/pod.json" 2>"$tmp/pod.err"
	expect "manifest: weir runs with what it gives: exit status" "$?" 0
}

# ---- Debian ----

case_debian()
{
	local deb=$tmp/deb dir=$tmp/package

	# of the build group, what build-essential brings needs no mention
	expect "package: build dependencies are those of deps.txt" \
		"$(sed -n '/^Build-Depends/,/^Standards/p' packaging/debian/control | grep -oE '^ +[a-z][a-z0-9-]+' | tr -d ' ' |
			grep -v debhelper | sort | paste -sd' ')" \
		"$(awk '$1 == "build" && $2 !~ /^(gcc|make|libc6-dev|linux-libc-dev)$/ { print $2 }' packaging/deps.txt |
			sort | paste -sd' ')"
	if ! needs "Debian package" dpkg-buildpackage lintian dh; then
		return
	fi
	if ! make -s package BUILD="$tmp" >"$tmp/package.log" 2>&1; then
		not_ok "make package" "$(tail -n 5 "$tmp/package.log")"
		return
	fi
	ok "make package: built, lintian finds nothing"
	dpkg-deb -x "$dir"/weir_*.deb "$deb"
	dpkg-deb -e "$dir"/weir_*.deb "$deb.control"
	expect "package: the program runs" "$("$deb/usr/sbin/weir" --version)" "$("$weir" --version)"
	expect "package: configuration is kept over upgrades" "$(sort "$deb.control/conffiles" | paste -sd" ")" \
		"/etc/weir/collector.conf /etc/weir/weir.conf"
	expect_true "package: configuration is right" "$weir" config check "$deb/etc/weir/weir.conf"
	expect "package: the user comes before its directory" \
		"$(grep -nE '^ *systemd-(sysusers|tmpfiles) |then systemd|systemd-tmpfiles \$' "$deb.control/postinst" |
			grep -oE 'sysusers|tmpfiles' | uniq | paste -sd' ')" 'sysusers tmpfiles'
	expect "package: enabled only where it was" "$(grep -B3 -E 'deb-systemd-helper enable' "$deb.control/postinst" |
		grep -c was-enabled)" 2
	expect_match "package: a removal stops it" "$(cat "$deb.control/prerm")" 'deb-systemd-invoke stop'
	if needs "package: user" systemd-sysusers; then
		mkdir -p "$deb/etc"
		systemd-sysusers --root="$deb" weir.conf >"$tmp/sysusers.log" 2>&1
		expect_match "package: sysusers makes the user" "$(cat "$deb/etc/passwd")" '^weir:'
	fi
	# the one script that runs, preinst, does nothing outside an upgrade
	mkdir -p "$tmp/scratch/var/lib/dpkg/updates" "$tmp/scratch/var/lib/dpkg/info"
	: >"$tmp/scratch/var/lib/dpkg/status"
	expect_true "package: dpkg unpacks it into a scratch root" \
		dpkg --root="$tmp/scratch" --force-depends --force-script-chrootless --no-triggers --unpack "$dir"/weir_*.deb
	expect "package: dpkg knows it there" \
		"$(dpkg-query --admindir="$tmp/scratch/var/lib/dpkg" -W -f '${db:Status-Status}' weir)" unpacked
	expect_true "package: and it is there" test -x "$tmp/scratch/usr/sbin/weir"
}

net_new
case_install
case_conf
case_unit
case_system_calls
case_collector_unit
case_man
case_kubernetes
case_debian
