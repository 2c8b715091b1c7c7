#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_channels.sh - alerts are told: to rsyslog by UDP, TCP and TLS, to a webhook, by mail, to a file; each once,
# also when the receiver is down, is killed or refuses for a while, and when the collector is killed.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"

attack() # SOURCE DESTINATION
{
	in_a python3 tests/e2e/flows_attack.py 2055 5 "$1" "$2" 22 6
}

# Lines of a file that have a text.
count() # FILE TEXT
{
	grep -cF -- "$2" "$tmp/$1" 2>/dev/null
}

count_is() # FILE TEXT N
{
	[ "$(count "$1" "$2")" = "$3" ]
}

channel() # NAME FILTER_OF_JQ
{
	"$collector" channels list -o json | jq -r "select(.name == \"$1\") | $2"
}

channel_is() # NAME FILTER_OF_JQ VALUE
{
	[ "$(channel "$1" "$2")" = "$3" ]
}

certificates()
{
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca -keyout "$tmp/ca.key" \
		-out "$tmp/ca.pem" 2>/dev/null || return 1
	openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout "$tmp/server.key" \
		-out "$tmp/server.csr" 2>/dev/null || return 1
	printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\n' >"$tmp/san"
	openssl x509 -req -in "$tmp/server.csr" -CA "$tmp/ca.pem" -CAkey "$tmp/ca.key" -CAcreateserial \
		-days 2 -extfile "$tmp/san" -out "$tmp/server.pem" 2>/dev/null
}

rsyslog_start()
{
	spawn rsyslog "$ns_a" rsyslogd -n -i "$tmp/rsyslog.pid" -f "$tmp/rsyslog.conf"
	wait_for 30 listening "$ns_a" tcp 6014 && wait_for 30 listening "$ns_a" tcp 6015 &&
		wait_for 30 listening "$ns_a" udp 6013 || die "rsyslogd does not start: $(cat "$tmp/rsyslog.err")"
}

rsyslog_kill()
{
	kill -KILL "${spawned[rsyslog]}"
	wait "${spawned[rsyslog]}" 2>/dev/null
	rm -f "$tmp/rsyslog.pid"
}

webhook_start()
{
	spawn webhook "$ns_a" python3 tests/e2e/webhook.py 6020 "$tmp/secret"
	wait_for 30 listening "$ns_a" tcp 6020 || die "the webhook's server does not start"
}

mail_start()
{
	spawn mail "$ns_a" env PYTHONUNBUFFERED=1 aiosmtpd -n -l 127.0.0.1:6025 \
		--tlscert "$tmp/server.pem" --tlskey "$tmp/server.key" -c aiosmtpd.handlers.Debugging stdout
	wait_for 30 listening "$ns_a" tcp 6025 || die "the mail server does not start: $(cat "$tmp/mail.err")"
}

serve()
{
	collector_start --config "$tmp/collector.conf" --listen-udp 127.0.0.1:2055 --listen-tcp none
}

net_new
certificates || die "no certificates can be made"
echo 'correct horse battery staple' >"$tmp/secret"
mkdir "$tmp/rules"
alert_rules "$tmp/rules/a.yaml" '{{src.ip}} → {{dst.ip}}: \"many\" [{{value}}]'
cat >"$tmp/rsyslog.conf" <<-EOF
	global(workDirectory="$tmp" DefaultNetstreamDriverCAFile="$tmp/ca.pem"
	       DefaultNetstreamDriverCertFile="$tmp/server.pem" DefaultNetstreamDriverKeyFile="$tmp/server.key")
	module(load="imudp")
	module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
	module(load="imptcp")
	template(name="parts" type="string"
	         string="%pri% %protocol-version% %timestamp:::date-rfc3339% %app-name% %msgid% %structured-data% %msg%\n")
	ruleset(name="udp") { action(type="omfile" file="$tmp/udp.log" template="parts") }
	ruleset(name="tcp") { action(type="omfile" file="$tmp/tcp.log" template="parts") }
	ruleset(name="tls") { action(type="omfile" file="$tmp/tls.log" template="parts") }
	input(type="imudp" address="127.0.0.1" port="6013" ruleset="udp")
	input(type="imptcp" address="127.0.0.1" port="6014" ruleset="tcp")
	input(type="imtcp" address="127.0.0.1" port="6015" ruleset="tls")
EOF
cat >"$tmp/collector.conf" <<-EOF
	[rules]
	directories = $tmp/rules
	behind = 1s
	[alerts]
	reopen = 30s
	[channel udp]
	url = syslog://127.0.0.1:6013
	retry = 1s
	[channel tcp]
	url = syslog+tcp://127.0.0.1:6014
	severity = high
	facility = local3
	retry = 1s
	[channel tls]
	url = syslog+tls://127.0.0.1:6015
	ca = $tmp/ca.pem
	format = cef
	retry = 1s
	[channel file]
	url = file://$tmp/eve.json
	[channel hook]
	url = http://127.0.0.1:6020/once
	secret = $tmp/secret
	retry = 1s
	[channel never]
	url = http://127.0.0.1:6020/never
	secret = $tmp/secret
	retry = 1s
	[channel mail]
	url = smtp://127.0.0.1:6025
	ca = $tmp/ca.pem
	from = weir@example.org
	to = soc@example.org, noc@example.org
	gather = 1s
	retry = 1s
EOF

# ---- everything is up ----
rsyslog_start
webhook_start
mail_start
serve
attack 192.0.2.9 10.0.0.5
expect_true "the file has it" wait_for 60 count_is eve.json '"src_ip":"192.0.2.9","dest_ip":"10.0.0.5"' 1
eve=$(grep -F '"dest_ip":"10.0.0.5"' "$tmp/eve.json")
expect "in the shape of EVE" "$(jq -r '[.event_type, .alert.severity, .alert.category, .weir.rule, .weir.event] | join(" ")' <<<"$eve")" \
	"alert 1 test many alert.firing"
expect_true "syslog by UDP" wait_for 60 count_is udp.log 'rule="many"' 1
expect_match "as RFC 5424 has it" "$(grep -F 'rule="many"' "$tmp/udp.log")" \
	'^35 1 20[0-9-]+T[0-9:.]+(Z|\+00:00) weir-collector alert\.firing \[weir@32473 event="[0-9]+" id="[0-9]+" rule="many" severity="high" state="firing" src="192\.0\.2\.9" dst="10\.0\.0\.5"'
expect_match "with a sentence" "$(grep -F 'rule="many"' "$tmp/udp.log")" '192\.0\.2\.9 → 10\.0\.0\.5: "many" \[[0-9]+\]$'
expect_true "syslog by TCP" wait_for 60 count_is tcp.log 'rule="many"' 1
expect_match "of another facility" "$(cat "$tmp/tcp.log")" '^155 1 '
expect_true "CEF by TLS" wait_for 60 count_is tls.log '|many|' 1
expect_match "as ArcSight has it" "$(grep -F '|many|' "$tmp/tls.log")" \
	'CEF:0\|weir\|weir-collector\|[0-9.]+\|many\|192\.0\.2\.9 → 10\.0\.0\.5: "many" \[[0-9]+\]\|8\|rt=[0-9]+ externalId=[0-9]+ cat=alert\.firing src=192\.0\.2\.9 dst=10\.0\.0\.5'
hook_told() # FILTER_OF_JQ: events of the webhook that it picks
{
	sed -n 's/^.once //p' "$tmp/webhook.out" | jq -r ".events[] | select($1) | .event_id"
}
hook_is() # FILTER_OF_JQ N
{
	[ "$(hook_told "$1" | wc -l)" = "$2" ]
}
expect_true "the webhook is told again after 503" wait_for 60 hook_is '.rule == "many" and .event == "alert.firing"' 1
expect "nothing twice" "$(hook_told true | sort -n | uniq -d)" ''
mail_has() # TEXT: unfolded as a reader does (RFC 2045)
{
	python3 -c 'import quopri, sys; sys.stdout.buffer.write(quopri.decodestring(sys.stdin.buffer.read()))' \
		<"$tmp/mail.out" | grep -qF -- "$1"
}
expect_true "a mail" wait_for 60 mail_has '192.0.2.9 → 10.0.0.5: "many"'
expect_match "from whom" "$(cat "$tmp/mail.out")" '^From: weir-collector <weir@example.org>'
expect_match "what it is about" "$(cat "$tmp/mail.out")" '^Subject: \[weir\] [12] firing: (many|lasting)'
expect_true "what is refused for good does not stop the rest" wait_for 60 channel_is never .refused 1
expect "low alerts are not for the channel of high ones" "$(count tcp.log lasting)" 0
expect_true "the end is told too" wait_for 60 count_is tcp.log alert.resolved 1

# ---- a try ----
expect_match "a test says what the webhook says" "$("$collector" channels test hook)" '^hook: HTTP 200 thanks$'
expect_match "and the mail server" "$("$collector" channels test mail)" '^mail: SMTP 250 OK'
"$collector" channels test nobody 2>"$tmp/err"
expect "no such channel" "$? $(cat "$tmp/err")" "2 weir-collector: nobody: there is no such channel"

# ---- everybody is gone ----
rsyslog_kill
stop_spawned webhook
stop_spawned mail
attack 192.0.2.7 10.0.0.7
expect_true "the file is told" wait_for 60 count_is eve.json '"dest_ip":"10.0.0.7"' 1
for name in udp tcp tls hook mail; do
	expect_true "$name: it is tried again" wait_for 60 channel_is "$name" .down true
	expect_true "$name: and waits" [ "$(channel "$name" .waiting)" -ge 1 ]
done
"$collector" channels test mail 2>"$tmp/err"
expect "a test says what is wrong" "$?" 1
collector_kill
serve
expect_true "after kill -9 it waits still" [ "$(channel tcp .waiting)" -ge 1 ]
rsyslog_start
webhook_start
mail_start
expect_true "TCP: told when the receiver is back" wait_for 60 count_is tcp.log 'alert.firing [weir@32473 event="'"$(jq -r 'select(.dest_ip == "10.0.0.7" and .weir.event == "alert.firing") | .weir.event_id' "$tmp/eve.json")" 1
expect_true "UDP: the same" wait_for 60 count_is udp.log 'dst="10.0.0.7"' "$(count eve.json '"dest_ip":"10.0.0.7"')"
expect_true "TLS: the same" wait_for 60 count_is tls.log 'dst=10.0.0.7' "$(count eve.json '"dest_ip":"10.0.0.7"')"
expect_true "the webhook: the same" wait_for 60 hook_is '.dst.ip == "10.0.0.7" and .event == "alert.firing"' 1
expect_true "the mail: the same" wait_for 60 mail_has '10.0.0.7: "many"'
for name in udp tcp tls hook mail file; do
	expect_true "$name: nothing waits" wait_for 60 channel_is "$name" .waiting 0
done
expect "nothing is lost" "$("$collector" channels list -o json | jq -s 'map(.lost) | add')" 0
ids()
{
	sed -n "s/.* alert\\.$2 .*event=\"\\([0-9]*\\)\".*/\\1/p" "$tmp/$1" | sort -n | uniq -d
}
expect "TCP: nothing is told twice" "$(ids tcp.log firing)$(ids tcp.log resolved)" ''
expect "all are up" "$("$collector" channels list -o json | jq -s 'map(select(.down)) | length')" 0

# ---- what is not told ----
"$collector" alerts silence 'dst.ip == 10.0.0.8' --for 1h >/dev/null
attack 192.0.2.8 10.0.0.8
silenced()
{
	[ "$("$collector" alerts list --state silenced -o json | wc -l)" = 1 ]
}
expect_true "a silenced alert" wait_for 60 silenced
attack 192.0.2.6 10.0.0.6
expect_true "one after it is told" wait_for 60 count_is tcp.log 'dst="10.0.0.6"' 1
expect "the silenced one is not" "$(count tcp.log 'dst="10.0.0.8"')" 0

# ---- another configuration ----
sed -i '/\[channel udp\]/,/retry/d; s|/once|/away|' "$tmp/collector.conf"
kill -HUP "$collector_pid"
gone()
{
	[ -z "$(channel udp .name)" ]
}
expect_true "a reload takes channels away" wait_for 60 gone
expect_true "the others go on" [ "$(channel tcp .sent)" -ge 1 ]
"$collector" channels test hook 2>"$tmp/err"
expect_match "where it is sent on to is not followed" "$(cat "$tmp/err")" \
	'hook: HTTP 302: it points to http://192.0.2.1/elsewhere, which is not followed'
printf '[channel x]\nurl = syslog+tpc://h\n[channel y]\nurl = smtp://h\nform = me\n' >"$tmp/bad.conf"
"$collector" config check "$tmp/bad.conf" >"$tmp/out" 2>&1
expect_match "a mistake in a url" "$(cat "$tmp/out")" "bad.conf:2:7: url 'syslog\+tpc://h': it begins with none of"
expect_match "and in a key" "$(cat "$tmp/out")" "bad.conf:5:1: unknown key 'form', did you mean 'from'\?"
collector_stop
expect "a clean end" "$collector_rc" 0
