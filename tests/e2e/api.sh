# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154
#
# api.sh - requests of the REST interface, for end-to-end tests. What an answer was is in $tmp/body, $tmp/head, $code.
url=http://127.0.0.1:8080
code=''
json=(-H 'Content-Type: application/json')

api() # METHOD PATH TOKEN [CURL-ARG...]
{
	local method=$1 path=$2 auth=(-H "Authorization: Bearer $3")

	[ -n "$3" ] || auth=()
	shift 3
	code=$(in_a curl -s --noproxy '*' --max-time 60 -X "$method" "${auth[@]}" -o "$tmp/body" -D "$tmp/head" \
		-w '%{http_code}' "$@" "$url$path")
}

body() # FILTER_OF_JQ
{
	jq -r "$1" "$tmp/body"
}

expect_api() # NAME STATUS METHOD PATH TOKEN [CURL-ARG...]
{
	local name=$1 want=$2

	shift 2
	api "$@"
	expect "$name" "$code" "$want"
}

tag() # of the last answer
{
	sed -n 's/^[Ee][Tt]ag: //p' "$tmp/head" | tr -d '\r'
}

location() # that the last answer points to
{
	sed -n 's/^[Ll]ocation: //p' "$tmp/head" | tr -d '\r'
}

api_tokens() # ROLE...: a variable of each role's name
{
	local role

	for role in "$@"; do
		declare -g "$role=$("$collector" token create --role "$role" --for 1h --name "the-$role" 2>"$tmp/err")"
	done
}
