// SPDX-License-Identifier: Apache-2.0
/*
 * outlet_http.c - webhooks and mail, by libcurl. Certificates are checked, redirections are not followed,
 * bodies can be signed.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/notify/outlet_int.h"

#define SECRET	   1024u
#define ANSWER	   160u
#define RECIPIENTS 100u
#define WAIT_MAX   3600

/* The first of what the other side says. */
struct answer {
	char text[ANSWER];
	size_t len;
};

static size_t on_answer(char *s, size_t one, size_t n, void *arg)
{
	struct answer *a = arg;
	const size_t room = sizeof(a->text) - 1 - a->len, take = n < room ? n : room;

	(void)one; /* always 1 */
	memcpy(a->text + a->len, s, take);
	a->len += take;
	a->text[a->len] = 0;
	return n;
}

/* The last line that a mail server has said. */
static size_t on_line(char *s, size_t one, size_t n, void *arg)
{
	struct answer *a = arg;

	a->len = 0;
	on_answer(s, one, n, arg);
	a->text[strcspn(a->text, "\r\n")] = 0;
	return n;
}

/* ---- webhooks ---- */

static struct curl_slist *add(struct curl_slist *list, const char *header)
{
	struct curl_slist *more = list || header ? curl_slist_append(list, header) : NULL;

	if (!more)
		curl_slist_free_all(list);
	return more;
}

static int sign(struct outlet *o, const char *body, size_t len, char *buf, size_t cap)
{
	uint8_t mac[EVP_MAX_MD_SIZE];
	char secret[SECRET], *text;
	unsigned int n = 0;
	int at, r;

	r = outlet_read(o, o->cfg->text[CKEY_secret], secret, sizeof(secret));
	if (r)
		return r;
	text = malloc(len + 32);
	if (!text)
		return outlet_say(o, -ENOMEM, "out of memory");
	at = snprintf(text, 32, "%lld.", (long long)time(NULL));
	memcpy(text + at, body, len);
	HMAC(EVP_sha256(), secret, (int)strlen(secret), (uint8_t *)text, (size_t)at + len, mac, &n);
	at = snprintf(buf, cap, "Weir-Signature: t=%.*s,sha256=", at - 1, text);
	for (unsigned int i = 0; i < n && (size_t)at + 3 <= cap; i++)
		at += snprintf(buf + at, cap - (size_t)at, "%02x", mac[i]);
	explicit_bzero(secret, sizeof(secret));
	free(text);
	return 0;
}

static int headers(struct outlet *o, const char *body, size_t len, struct curl_slist **ret)
{
	struct curl_slist *list = add(NULL, "Content-Type: application/json");
	char line[SECRET + 32], value[SECRET];
	int r = 0;

	list = list ? add(list, "Expect:") : NULL; /* no question before the body */
	if (list && *o->cfg->text[CKEY_secret]) {
		r = sign(o, body, len, line, sizeof(line));
		list = r ? list : add(list, line);
	}
	if (list && !r && *o->cfg->text[CKEY_authorization]) {
		r = outlet_read(o, o->cfg->text[CKEY_authorization], value, sizeof(value));
		snprintf(line, sizeof(line), "Authorization: %s", value);
		list = r ? list : add(list, line);
		explicit_bzero(value, sizeof(value));
		explicit_bzero(line, sizeof(line));
	}
	*ret = list;
	return r ?: list ? r : outlet_say(o, -ENOMEM, "out of memory");
}

/* What a status means: taken, never, or again (RFC 9110 section 15). */
static int judge(struct outlet *o, CURL *c, const struct answer *a)
{
	const char *to = NULL;
	curl_off_t wait = 0;
	long status = 0;

	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(c, CURLINFO_RETRY_AFTER, &wait);
	curl_easy_getinfo(c, CURLINFO_REDIRECT_URL, &to);
	o->wait_s = wait > WAIT_MAX ? WAIT_MAX : (uint32_t)wait;
	if (status >= 200 && status < 300)
		return outlet_say(o, 0, "HTTP %ld %s", status, a->text);
	if (status >= 300 && status < 400)
		return outlet_say(o, -EIO, "HTTP %ld: it points to %s, which is not followed",
				  status, to ?: "nowhere");
	if (status == 400 || status == 413 || status == 422)
		return outlet_say(o, -EBADMSG, "HTTP %ld %s", status, a->text);
	return outlet_say(o, -EIO, "HTTP %ld %s", status, a->text);
}

static int post(struct outlet *o, const char *body, size_t len)
{
	struct curl_slist *list = NULL;
	struct answer a = {};
	CURL *c = outlet_curl(o);
	CURLcode code;
	int r;

	if (!c)
		return outlet_say(o, -ENOMEM, "out of memory");
	r = headers(o, body, len, &list);
	if (!r) {
		curl_easy_setopt(c, CURLOPT_URL, o->cfg->text[CKEY_url]);
		curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
		curl_easy_setopt(c, CURLOPT_USERAGENT, "weir-collector/" WEIR_VERSION);
		curl_easy_setopt(c, CURLOPT_HTTPHEADER, list);
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
		curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_answer);
		curl_easy_setopt(c, CURLOPT_WRITEDATA, &a);
		code = curl_easy_perform(c);
		a.text[strcspn(a.text, "\r\n")] = 0;
		r = code == CURLE_OK ? judge(o, c, &a) : outlet_curl_failed(o, code);
	}
	curl_slist_free_all(list);
	curl_easy_cleanup(c);
	return r;
}

int outlet_http(struct outlet *o, const struct notice *v, uint32_t n)
{
	char *body = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&body, &len);
	int r;

	if (!out)
		return outlet_say(o, -ENOMEM, "out of memory");
	notice_webhook(out, o->from, v, n);
	r = fclose(out) ? outlet_say(o, -ENOMEM, "out of memory") : post(o, body, len);
	free(body);
	return r;
}

/* ---- mail ---- */

static struct curl_slist *recipients(const char *to)
{
	struct curl_slist *list = NULL;
	char one[260];

	for (unsigned int i = 0; i < RECIPIENTS; i++) {
		size_t len;

		to += strspn(to, ", ");
		len = strcspn(to, ", ");
		if (!len)
			break;
		snprintf(one, sizeof(one), "<%.*s>", (int)(len < 254 ? len : 254), to);
		list = add(list, one);
		if (!list)
			break;
		to += len;
	}
	return list;
}

static int log_in(struct outlet *o, CURL *c)
{
	char password[SECRET];
	int r;

	if (!*o->cfg->text[CKEY_user])
		return 0;
	r = outlet_read(o, o->cfg->text[CKEY_password], password, sizeof(password));
	if (r)
		return r;
	curl_easy_setopt(c, CURLOPT_USERNAME, o->cfg->text[CKEY_user]);
	curl_easy_setopt(c, CURLOPT_PASSWORD, password); /* is copied */
	explicit_bzero(password, sizeof(password));
	return 0;
}

static int send_mail(struct outlet *o, FILE *text, size_t len)
{
	const struct channel_cfg *cfg = o->cfg;
	struct curl_slist *to = recipients(cfg->text[CKEY_to]);
	CURL *c = to ? outlet_curl(o) : NULL;
	struct answer a = {};
	char from[260], url[330];
	CURLcode code;
	int r = c ? log_in(o, c) : outlet_say(o, -ENOMEM, "out of memory, or no recipient");

	if (!r) {
		snprintf(from, sizeof(from), "<%.254s>", cfg->text[CKEY_from]);
		curl_easy_setopt(c, CURLOPT_URL, channel_url(cfg, url, sizeof(url)));
		curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
		if (cfg->scheme == SCHEME_SMTP && !cfg->num[CKEY_tls])
			curl_easy_setopt(c, CURLOPT_USE_SSL, (long)CURLUSESSL_ALL);
		curl_easy_setopt(c, CURLOPT_MAIL_FROM, from);
		curl_easy_setopt(c, CURLOPT_MAIL_RCPT, to);
		curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(c, CURLOPT_READDATA, text);
		curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)len);
		curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_line);
		curl_easy_setopt(c, CURLOPT_HEADERDATA, &a);
		curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_line);
		curl_easy_setopt(c, CURLOPT_WRITEDATA, &a);
		code = curl_easy_perform(c);
		if (code != CURLE_OK)
			r = outlet_curl_failed(o, code);
		if (a.len) /* its own words say more */
			outlet_say(o, r, "%s%s%.100s", r ? curl_easy_strerror(code) : "SMTP",
				   r ? ": " : " ", a.text);
	}
	curl_slist_free_all(to);
	curl_easy_cleanup(c);
	return r;
}

int outlet_mail(struct outlet *o, const struct notice *v, uint32_t n)
{
	const struct notice_mail m = {o->cfg->text[CKEY_from], o->cfg->text[CKEY_to]};
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len), *in;
	int r = -ENOMEM;

	if (!out)
		return outlet_say(o, -ENOMEM, "out of memory");
	notice_mail(out, o->from, &m, v, n);
	in = fclose(out) ? NULL : fmemopen(text, len, "r");
	r = in ? send_mail(o, in, len) : outlet_say(o, -ENOMEM, "out of memory");
	if (in)
		fclose(in);
	free(text);
	return r;
}
