// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_enrol.c - `weir enrol`: this node asks a collector for a certificate, with a token that names the
 * collector; what comes back is kept for `weir policy follow`.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/node_message.h"
#include "loader/command.h"
#include "loader/follow/enrolment.h"

#define PATIENCE_MS 20000

enum { OPT_TOKEN = 1, OPT_TOKEN_FILE, OPT_NAME };

static int cmd_enrol(int argc, char **argv);

static const struct cli_option options[] = {
	{OPT_TOKEN, 0, "token", "TOKEN", NULL, NULL,
	 "what 'weir-collector nodes token' printed; others can see it while the command runs"},
	{OPT_TOKEN_FILE, 0, "token-file", "FILE", CLI_FILE, NULL,
	 "file that has it; -: standard input"},
	{OPT_NAME, 0, "name", "NAME", NULL, "the host's name",
	 "of this node, if the token has none"},
	{},
};

const struct cli_command command_enrol = {
	.name = "enrol",
	.help = "have a collector tell this node what to enforce",
	.operands = "URL",
	.doc = "URL is https://HOST:PORT of its nodes.listen. 'weir policy follow' then has its policies hold.",
	.options = options,
	.more = client_options,
	.examples = "weir enrol https://192.0.2.10:4741 --token-file token\n"
		    "ssh collector weir-collector nodes token | weir enrol https://192.0.2.10:4741 "
		    "--token-file -\n",
	.run = cmd_enrol,
};

struct enrol {
	struct cli c;
	struct client_where where;
	const char *url, *token_file;
	char dir[PATH_MAX], keys[PATH_MAX];
	struct node_text m; /* the question */
	struct node_text answer;
	char *key_pem, *authority;
	uint8_t pin[NODE_PIN];
};

static int failed(const char *what, const char *why)
{
	fprintf(stderr, "weir: %s: %s\n", what, why);
	return EXIT_FAILED;
}

/* ---- the token ---- */

static int read_token(struct enrol *e)
{
	FILE *f = strcmp(e->token_file, "-") != 0 ? fopen(e->token_file, "re") : stdin;
	size_t n;

	if (!f)
		return failed(e->token_file, strerror(errno));
	n = fread(e->m.token, 1, sizeof(e->m.token) - 1, f);
	if (f != stdin)
		fclose(f);
	e->m.token[n] = '\0';
	e->m.token[strcspn(e->m.token, " \t\r\n")] = '\0';
	return 0;
}

static int check_token(struct enrol *e)
{
	uint8_t secret[NODE_SECRET];
	const int r = node_token_read(e->m.token, e->pin, secret);

	explicit_bzero(secret, sizeof(secret));
	return r ? failed("the token",
			  "it is not what 'weir-collector nodes token' prints, or was cut")
		 : 0;
}

/* ---- key and request ---- */

static char *text_of(BIO *b)
{
	char *data = NULL;
	const long n = b ? BIO_get_mem_data(b, &data) : 0;
	char *text = n > 0 ? strndup(data, (size_t)n) : NULL;

	BIO_free(b);
	return text;
}

static int make_request(struct enrol *e)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	X509_REQ *q = X509_REQ_new();
	BIO *k = BIO_new(BIO_s_mem()), *b = BIO_new(BIO_s_mem());
	bool ok = key && q && k && b && X509_REQ_set_version(q, X509_REQ_VERSION_1) &&
		  X509_REQ_set_pubkey(q, key) && X509_REQ_sign(q, key, EVP_sha256()) &&
		  PEM_write_bio_X509_REQ(b, q) == 1 &&
		  PEM_write_bio_PKCS8PrivateKey(k, key, NULL, NULL, 0, NULL, NULL) == 1;
	char *csr = text_of(b);

	e->key_pem = text_of(k);
	ok = ok && csr && e->key_pem && strlen(csr) < sizeof(e->m.csr);
	if (ok)
		snprintf(e->m.csr, sizeof(e->m.csr), "%s", csr);
	free(csr);
	X509_REQ_free(q);
	EVP_PKEY_free(key);
	return ok ? 0 : failed("key", "it can't be made");
}

/* ---- the collector ---- */

static int refused(const struct http_reply *reply)
{
	char error[NODE_MESSAGE_ERROR];
	struct node_text m;

	if (node_message_read(NODE_PROBLEM, (const char *)reply->body, reply->length, &m, error)) {
		fprintf(stderr, "weir: the collector said %d\n", reply->status);
		return EXIT_FAILED;
	}
	fprintf(stderr, "weir: refused: %s\n", *m.detail ? m.detail : m.code);
	return !strcmp(m.code, "token") ? EXIT_PERM : EXIT_FAILED;
}

static int take_answer(struct enrol *e, const struct http_reply *reply)
{
	char error[NODE_MESSAGE_ERROR];

	if (reply->status != 200)
		return refused(reply);
	if (node_message_read(NODE_ENROLLED, (const char *)reply->body, reply->length, &e->answer,
			      error))
		return failed("the collector's answer", error);
	if (node_name_check(e->answer.issuer))
		return failed("the collector's answer",
			      "issuer: its policies are of no name that could be one here");
	return 0;
}

static int ask(struct enrol *e)
{
	char url[300], error[HTTPS_ERROR], *body;
	struct https_cfg cfg = {.pin = e->pin};
	const struct http_reply *reply;
	struct https *h;
	int rc = 0, r;

	snprintf(url, sizeof(url), "%s", e->url);
	if (https_url(url, &cfg.host, &cfg.port))
		return cli_error(&e->c, "'%.100s': want https://HOST:PORT", e->url);
	r = https_open(&cfg, PATIENCE_MS, error, &h);
	if (r) {
		fprintf(stderr, "weir: %s\n", error);
		return r == -EACCES ? EXIT_PERM : EXIT_PEER;
	}
	body = node_message_write(NODE_ENROL, &e->m);
	r = body ? https_post(h, NODE_PATH_ENROL, body, PATIENCE_MS) : -ENOMEM;
	r = r ?: https_wait(h, PATIENCE_MS, NODE_MESSAGE_MAX, &reply);
	if (r != 1) {
		fprintf(stderr, "weir: %s: %s\n", cfg.host, r ? strerror(-r) : "no answer");
		rc = EXIT_PEER;
	} else {
		rc = take_answer(e, reply);
	}
	e->authority = https_authority(h);
	free(body);
	https_close(h);
	return rc;
}

/* ---- what is kept ---- */

static int keep(const char *path, unsigned int mode, const char *text)
{
	const int r = enrolment_write(path, mode, text ?: "");

	return r ? failed(path, strerror(-r)) : 0;
}

static int keep_all(const struct enrol *e)
{
	struct enrolment x;
	char path[PATH_MAX + 40], url[304];
	int r, rc;

	enrolment_init(&x, e->dir, e->answer.issuer);
	r = enrolment_mkdir(x.dir, 0700);
	if (r)
		return failed(x.dir, strerror(-r));
	snprintf(url, sizeof(url), "%s\n", e->url);
	rc = keep(x.key, 0600, e->key_pem) ?: keep(x.cert, 0644, e->answer.certificate);
	rc = rc ?: keep(x.ca, 0644, e->authority);
	snprintf(path, sizeof(path), "%s/policy.pub", x.dir);
	rc = rc ?: keep(path, 0644, e->answer.policy_key);
	snprintf(path, sizeof(path), "%s/url", x.dir); /* the last: with it the rest is there */
	rc = rc ?: keep(path, 0644, url);
	if (rc || !*e->keys)
		return rc;
	r = enrolment_mkdir(e->keys, 0755);
	if (r)
		return failed(e->keys, strerror(-r));
	snprintf(path, sizeof(path), "%.4000s%s.pub", e->keys, e->answer.issuer);
	return keep(path, 0644, e->answer.policy_key);
}

/* Asked before the token is spent. */
static int can_keep(const char *dir)
{
	const int r = enrolment_mkdir(dir, 0755);

	if (r || access(dir, W_OK)) {
		fprintf(stderr, "weir: %s: %s\n", dir, strerror(r ? -r : errno));
		return EXIT_PERM;
	}
	return 0;
}

static void say(const struct enrol *e)
{
	printf("%s is enrolled with %s; 'weir policy follow' has its policies hold\n",
	       e->answer.name, e->answer.issuer);
	if (!*e->keys)
		printf("weir takes them when policy.keys has %s/%s/policy.pub\n", e->dir,
		       e->answer.issuer);
	printf("undo: rm -r %s/%s", e->dir, e->answer.issuer);
	if (*e->keys)
		printf(" %s%s.pub", e->keys, e->answer.issuer);
	putchar('\n');
}

static int prepare(struct enrol *e)
{
	int rc = e->token_file ? read_token(e) : 0;

	if (!e->m.name[0] && gethostname(e->m.name, sizeof(e->m.name) - 1))
		e->m.name[0] = '\0';
	rc = rc ?: check_token(e);
	rc = rc ?: enrolment_dir(&e->where, e->dir);
	rc = rc ?: enrolment_keys_dir(&e->where, e->keys);
	rc = rc ?: can_keep(e->dir);
	if (!rc && *e->keys)
		rc = can_keep(e->keys);
	return rc ?: make_request(e);
}

static int take(struct enrol *e, int id)
{
	if (id == OPT_TOKEN)
		snprintf(e->m.token, sizeof(e->m.token), "%s", e->c.arg);
	else if (id == OPT_TOKEN_FILE)
		e->token_file = e->c.arg;
	else if (id == OPT_NAME)
		snprintf(e->m.name, sizeof(e->m.name), "%s", e->c.arg);
	else if (id == CLI_OPERAND && e->url)
		return cli_error(&e->c, "one collector at a time");
	else if (id == CLI_OPERAND)
		e->url = e->c.arg;
	else
		client_option(&e->where, id, e->c.arg);
	return 0;
}

static int cmd_enrol(int argc, char **argv)
{
	static struct enrol e;
	int id, rc = 0;

	e.c = (struct cli){.cmd = &command_enrol, .argc = argc, .argv = argv};
	while (!rc && (id = cli_next(&e.c)) != CLI_END) {
		if (id == CLI_STOP)
			return e.c.status;
		rc = take(&e, id);
	}
	if (rc)
		return rc;
	if (!e.url)
		return cli_error(&e.c, "which collector?");
	if (!e.token_file == !e.m.token[0])
		return cli_error(&e.c, "--token or --token-file is wanted");
	rc = prepare(&e);
	rc = rc ?: ask(&e);
	rc = rc ?: keep_all(&e);
	if (!rc)
		say(&e);
	if (e.key_pem)
		explicit_bzero(e.key_pem, strlen(e.key_pem));
	free(e.key_pem);
	free(e.authority);
	return rc;
}
