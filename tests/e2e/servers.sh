# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154
#
# servers.sh - real servers in the peer's namespace, after lib.sh: nginx with TLS and plain HTTP for
# every name under example.test, dnsmasq as the DNS server of that zone (and of blocked.test, which
# nginx answers too), and clients that resolve through it. nginx logs every request with the connection it came on.

# One line a request: client address and port, server port, SNI, Host, HTTP and TLS version, path.
access_log=$tmp/www/access.log

certificate() # a self-signed one for all names
{
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
		-keyout "$tmp/www/key.pem" -out "$tmp/www/cert.pem" -subj /CN=example.test \
		-addext 'subjectAltName=DNS:example.test,DNS:*.example.test' 2>"$tmp/openssl.err"
}

nginx_conf()
{
	cat <<-EOF
		daemon off;
		worker_processes 1;
		pid $tmp/www/nginx.pid;
		error_log $tmp/www/error.log;
		events { worker_connections 512; }
		http {
			log_format flows '\$remote_addr \$remote_port \$server_port \$ssl_server_name \$host '
				'\$server_protocol \$ssl_protocol \$request_uri';
			access_log $access_log flows;
			client_body_temp_path $tmp/www/body;
			proxy_temp_path $tmp/www/proxy;
			fastcgi_temp_path $tmp/www/fastcgi;
			uwsgi_temp_path $tmp/www/uwsgi;
			scgi_temp_path $tmp/www/scgi;
			default_type text/plain;
			ssl_certificate $tmp/www/cert.pem;
			ssl_certificate_key $tmp/www/key.pem;
			ssl_protocols TLSv1.2 TLSv1.3;
			sendfile on;
			root $tmp/www/files;
	EOF
	local name
	for name in www shop mail api; do
		cat <<-EOF
			server {
				server_name $name.example.test;
				listen $ip_b:80;
				listen [$ip6_b]:80;
				listen $ip_b:443 ssl http2;
				listen [$ip6_b]:443 ssl http2;
				location / { try_files \$uri @hello; }
				location @hello { return 200 "$name\n"; }
			}
		EOF
	done
	echo '}'
}

servers_start()
{
	mkdir -p "$tmp/www/files"
	certificate || die "openssl makes no certificate"
	nginx_conf >"$tmp/www/nginx.conf"
	head -c 20000000 /dev/zero >"$tmp/www/files/bulk"
	chmod -R a+rX "$tmp/www"
	spawn nginx "$ns_b" nginx -p "$tmp/www" -c "$tmp/www/nginx.conf" -e "$tmp/www/error.log"
	spawn dnsmasq "$ns_b" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts \
		--user=root --pid-file= --bind-interfaces --listen-address="$ip_b" --listen-address="$ip6_b" \
		--address="/example.test/$ip_b" --address="/example.test/$ip6_b" \
		--address="/blocked.test/$ip_b" --address="/blocked.test/$ip6_b" --local=/missing.test/ \
		--host-record="edge.chain.test,$ip_b" --cname=www.chain.test,edge.chain.test
	wait_for 60 listening "$ns_b" tcp 443 && wait_for 60 listening "$ns_b" udp 53 ||
		die "servers do not start: $(cat "$tmp/www/error.log" "$tmp/dnsmasq.err")"
	echo "nameserver $ip_b" >"$tmp/resolv.conf"
}

# A client on weir's side, whose names are looked up at the DNS server above.
client() # COMMAND...
{
	# shellcheck disable=SC2016 # expanded by the inner shell
	in_a bash -c 'mount --bind "$0" /etc/resolv.conf && exec "$@"' "$tmp/resolv.conf" "$@"
}

fetch() # ARG...: curl, quiet, certificate not checked
{
	client curl -sk --max-time 20 "$@" >/dev/null
}

hello() # NAME ADDRESS:PORT ARG...: openssl s_client, one handshake
{
	local name=$1 to=$2

	shift 2
	in_a openssl s_client -connect "$to" -servername "$name" "$@" </dev/null >"$tmp/s_client.out" 2>&1
}

# A page in a fresh profile of Chromium, headless; its DOM to standard output. Nothing within @SECONDS: none.
browse_page() # SECONDS URL
{
	rm -rf "$tmp/profile"
	in_a timeout -k 5 "$1" chromium --headless --no-sandbox --disable-gpu --no-first-run --disable-quic \
		--disable-background-networking --disable-component-update --disable-sync \
		--ignore-certificate-errors --user-data-dir="$tmp/profile" \
		--host-resolver-rules="MAP *.test $ip_b, MAP * ~NOTFOUND" --dump-dom "$2" 2>"$tmp/chromium.err"
}
