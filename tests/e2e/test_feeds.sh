#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_feeds.sh - a list of a rule comes from a web server and turns bad there in every way: the last good values
# stay at work, over a restart too, and it is said why; what comes from a file and stays away for too long is dropped.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/collector.sh"
export WEIR_COLLECTOR_CONFIG=$tmp/collector.conf
www=$tmp/www

certificate() # NAME
{
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout "$www/$1.key" \
		-out "$www/$1.pem" -subj "/CN=$1" -addext 'subjectAltName=IP:127.0.0.1' 2>"$tmp/openssl.err"
}

nginx_conf() # CERTIFICATE OCTETS_PER_SECOND
{
	cat >"$www/nginx.conf" <<-EOF
		daemon off;
		pid $www/nginx.pid;
		error_log $www/error.log;
		events { worker_connections 64; }
		http {
			access_log off;
			client_body_temp_path $www/body;
			proxy_temp_path $www/proxy;
			fastcgi_temp_path $www/fastcgi;
			uwsgi_temp_path $www/uwsgi;
			scgi_temp_path $www/scgi;
			default_type text/plain;
			server {
				listen 127.0.0.1:8443 ssl;
				ssl_certificate $www/$1.pem;
				ssl_certificate_key $www/$1.key;
				root $www/files;
				limit_rate $2;
			}
		}
	EOF
}

nginx_start()
{
	spawn nginx "$ns_a" nginx -p "$www" -c "$www/nginx.conf" -e "$www/error.log"
	wait_for 60 listening "$ns_a" tcp 8443 || die "no nginx: $(cat "$www/error.log" "$tmp/nginx.err")"
}

serve() # LINES: what the feed brings from now on
{
	printf '%s\n' "$@" >"$www/files/next"
	mv "$www/files/next" "$www/files/bad.txt"
}

feed() # LIST FILTER
{
	"$collector" pack feeds -o json | jq -r "select(.list == \"$1\") | $2"
}

feed_is() # LIST FILTER VALUE
{
	[ "$(feed "$1" "$2")" = "$3" ]
}

bad() # REASON: it is said, and the four good values stay
{
	wait_for 60 feed_is bad_hosts .state "$1" && feed_is bad_hosts .values 4
}

says() # WORDS: of what is wrong with it
{
	grep -qiE "$1" <<<"$(feed bad_hosts .why)"
}

good() # VALUES
{
	wait_for 60 feed_is bad_hosts '"\(.state) \(.values)"' "good $1"
}

alerted() # SOURCE: after one more flow of it
{
	in_a python3 tests/e2e/flows_attack.py 2055 5 "$1" 10.0.0.5 80 1
	[ "$("$collector" alerts list --state all -o json | jq -r 'select(.src.ip == "'"$1"'") | .rule')" = listed ]
}

net_new
mkdir -p "$www/files" "$tmp/rules"
chmod -R a+rX "$www"
certificate ours && certificate theirs || die "openssl: $(cat "$tmp/openssl.err")"
cat >"$tmp/rules/listed.yaml" <<-EOF
	groups:
	- name: test
	  rules:
	  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a01
	    name: listed
	    version: 1.0.0
	    where: src.ip in @bad_hosts or src.ip in @other
	    by: [src.ip]
EOF
cat >"$tmp/collector.conf" <<-EOF
	[rules]
	directories = $tmp/rules
	[metrics]
	listen = 127.0.0.1:9900
	[list local]
	values = 198.18.0.0/15
	[list bad_hosts]
	values = 203.0.113.77
	feed = https://127.0.0.1:8443/bad.txt
	ca = $www/ours.pem
	every = 1s
	jitter = 200ms
	timeout = 2s
	max-entries = 100
	max-bytes = 4Ki
	[list other]
	feed = $tmp/other.txt
	every = 1s
	expire = 4s
EOF
four=(192.0.2.1 192.0.2.64/26 198.51.100.7 2001:db8::/48)
serve '# who is bad' "${four[@]}"
nginx_conf ours 0
nginx_start
collector_start --listen-udp 127.0.0.1:2055 --listen-tcp none

# ---- good ----
expect_true "it is fetched" good 4
same()
{
	[ "$(feed bad_hosts .same)" -gt 0 ]
}
expect_true "what has not changed is not sent again" wait_for 60 same
expect_true "the rule has it" wait_for 60 alerted 192.0.2.70
expect_true "beside what stands in the configuration" wait_for 60 alerted 203.0.113.77

# ---- bad in every way ----
serve '# nothing'
expect_true "empty" bad empty
serve "${four[@]}" 10.1.2.3
expect_true "private addresses" bad private
serve "${four[@]}" 198.18.7.0/24
expect_true "addresses of this site" bad own
serve "${four[@]}" 0.0.0.0/0
expect_true "everybody" bad private
serve 192.0.2.1
expect_true "most of it is gone" bad shrunk
expect_match "with the numbers" "$(feed bad_hosts .why)" '^1 values are left of 4$'
serve '<html>' '<h1>Please log in</h1>' '</html>'
expect_true "a page for people" bad malformed
expect_match "with its line" "$(feed bad_hosts .why)" 'the first is line 1'
mapfile -t many < <(printf '192.0.2.%d\n' {1..101})
serve "${many[@]}"
expect_true "too many values" bad large
head -c 100000 /dev/zero | tr '\0' '#' >"$www/files/bad.txt"
expect_true "too many octets" wait_for 60 says 'larger than 4096'
rm "$www/files/bad.txt"
expect_true "HTTP 404" bad fetch
expect_match "it says so" "$(feed bad_hosts .why)" '404'
nginx_conf theirs 0
kill -HUP "${spawned[nginx]}"
expect_true "somebody else's certificate" wait_for 60 says certificate
serve "${four[@]}" 192.0.2.2
expect "the values stay" "$(feed bad_hosts .values)" 4
nginx_conf ours 10
kill -HUP "${spawned[nginx]}"
expect_true "a server that takes its time" wait_for 60 says 'time'
expect_match "status says it" "$("$collector" status)" '! feed of @bad_hosts: .*; its 4 values stay'
expect_match "metrics too" "$(in_a curl -s http://127.0.0.1:9900/metrics)" 'weir_feed_bad\{list="bad_hosts"\} 1'
expect_match "and count by reason" "$(in_a curl -s http://127.0.0.1:9900/metrics)" \
	'weir_feed_refused_total\{list="bad_hosts",reason="shrunk"\} [1-9]'

# ---- a restart, while nobody answers ----
stop_spawned nginx
collector_kill
collector_start --listen-udp 127.0.0.1:2055 --listen-tcp none
expect_true "the last good values are there after a kill" wait_for 60 alerted 198.51.100.7

# ---- good again ----
nginx_conf ours 0
nginx_start
expect_true "it is good again" good 5
expect_true "and the rule has what is new" wait_for 60 alerted 192.0.2.2
serve 192.0.2.1
expect_true "what shrinks" wait_for 60 feed_is bad_hosts .state shrunk
expect_true "is taken when somebody says so" "$collector" pack refresh --accept bad_hosts
expect_true "at once" good 1
expect_match "which is in the audit log" "$("$collector" audit list -o json)" '"action": ?"list.accepted"'

# ---- too old ----
echo 192.0.2.200 >"$tmp/other.txt"
expect_true "a list from a file" wait_for 60 feed_is other '"\(.state) \(.values)"' 'good 1'
rm "$tmp/other.txt"
expect_true "is dropped when it stays away" wait_for 60 feed_is other '"\(.values) \(.expired)"' '0 1'
collector_stop
expect "it ends in good order" "$collector_rc" 0
