// SPDX-License-Identifier: Apache-2.0
/*
 * test_nodes.c - nodes and their collector, without a network between them: messages, tokens, certificates,
 * rows, what is made of a report; answers of HTTP in pieces.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/nodes/nodes_int.h"
#include "loader/follow/https.h"

TestSuite(nodes);

/* ---- messages ---- */

static const char *report_error(const char *text)
{
	static char error[NODE_MESSAGE_ERROR];
	static struct node_text m;
	struct node_report r;

	error[0] = '\0';
	return sync_read(text, strlen(text), &r, &m, error) ? error : "";
}

#define REPORT(more)                                                                        \
	"{\"generation\":3,\"highest\":4,\"rules\":1,\"entries\":2,\"state\":\"in-force\"," \
	"\"hash\":\"\"" more "}"

Test(nodes, every_member_has_its_bound)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{REPORT(""), ""},
		{REPORT(",\"unknown\":[1,{}]"), ""},
		{REPORT(",\"wait_ms\":60000"), ""},
		{REPORT(",\"wait_ms\":60001"), "wait_ms: out of range"},
		{REPORT(",\"wait_ms\":-1"), "wait_ms: out of range"},
		{REPORT(",\"wait_ms\":\"1\""), "wait_ms: want a number"},
		{REPORT(",\"version\":\"123456789012345678901234567890123\""), "version: too long"},
		{REPORT(",\"kernel\":\"a\\u0007\""), "kernel: has a control character"},
		{REPORT(",\"error\":1"), "error: want a text"},
		{"{}", "generation: is missing"},
		{"[]", "want a JSON object"},
		{"{", "want a JSON object"},
		{"", "want a JSON object"},
		{"{\"generation\":5,\"highest\":4,\"rules\":1,\"entries\":2,\"state\":\"none\",\"hash\":\"\"}",
		 "highest: less than generation"},
		{"{\"generation\":0,\"highest\":4,\"rules\":1,\"entries\":2,\"state\":\"gone\",\"hash\":\"\"}",
		 "state: no such word"},
		{"{\"generation\":0,\"highest\":4,\"rules\":1,\"entries\":2,\"state\":\"none\",\"hash\":\"12\"}",
		 "hash: want 64 hexadecimal digits"},
		{"{\"generation\":0,\"generation\":0,\"highest\":4,\"rules\":1,\"entries\":2,\"state\":\"none\",\"hash\":\"\"}",
		 "want a JSON object"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect(eq(str, (char *)(uintptr_t)report_error(cases[i].text),
			     (char *)(uintptr_t)cases[i].error));
}

Test(nodes, what_is_written_is_read_again)
{
	static struct node_text a = {.generation = 7,
				     .highest = INT64_MAX,
				     .entries = UINT32_MAX,
				     .state = "refused",
				     .refused = 9,
				     .error = "a \"quoted\" \\ word",
				     .clock_us = 1},
				b;
	char error[NODE_MESSAGE_ERROR];
	char *text = node_message_write(NODE_REPORT, &a);

	cr_assert(ne(ptr, text, NULL));
	cr_expect(eq(int, node_message_read(NODE_REPORT, text, strlen(text), &b, error), 0));
	cr_expect(eq(int, memcmp(&a, &b, sizeof(a)), 0));
	free(text);
	snprintf(a.error, sizeof(a.error), "cut \xe2\x80");
	text = node_message_write(NODE_REPORT, &a);
	cr_expect(eq(int, node_message_read(NODE_REPORT, text, strlen(text), &b, error), 0));
	cr_expect(eq(str, b.error, "cut ??"));
	free(text);
}

Test(nodes, a_token_is_whole_or_none)
{
	uint8_t pin[NODE_PIN], secret[NODE_SECRET], p[NODE_PIN], s[NODE_SECRET];
	char text[NODE_TOKEN];

	for (unsigned int i = 0; i < sizeof(pin); i++)
		pin[i] = (uint8_t)(250 + 7 * i);
	for (unsigned int i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)(3 + 31 * i);
	node_token_write(pin, secret, text);
	cr_expect(eq(sz, strlen(text), 70));
	cr_expect(eq(ptr, strpbrk(text + 6, "+/="), NULL));
	cr_assert(eq(int, node_token_read(text, p, s), 0));
	cr_expect(eq(int, memcmp(p, pin, sizeof(p)), 0));
	cr_expect(eq(int, memcmp(s, secret, sizeof(s)), 0));
	for (size_t len = 0; len < 70; len++) {
		char cut[NODE_TOKEN];

		snprintf(cut, sizeof(cut), "%.*s", (int)len, text);
		cr_expect(eq(int, node_token_read(cut, p, s), -EINVAL));
	}
	text[20] = '+';
	cr_expect(eq(int, node_token_read(text, p, s), -EINVAL));
}

Test(nodes, labels_have_one_form)
{
	static const struct {
		const char *text, *labels;
	} cases[] = {
		{"", ""},
		{"b,a=1,b", "a=1,b"},
		{" site=north , ring=canary", "ring=canary,site=north"},
		{"a=", NULL},
		{"=a", NULL},
		{"a=b=c", NULL},
		{"a\"b", NULL},
		{"a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", NULL},
	};
	char labels[NODES_LABELS];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const int r = table_labels(cases[i].text, labels);

		cr_expect(eq(int, r, cases[i].labels ? 0 : -EINVAL), "%s", cases[i].text);
		if (!r)
			cr_expect(eq(str, labels, (char *)(uintptr_t)cases[i].labels));
	}
}

/* ---- judging ---- */

static struct image want = {.generation = 8, .entries = 2, .hash = "aa"};
static const struct {
	const char *what;
	struct node_report r;
	enum verdict verdict;
	bool enforced;
} reports[] = {
	{"new", {.state = NODE_NONE}, VERDICT_SEND, false},
	{"older",
	 {.generation = 7, .highest = 7, .state = NODE_IN_FORCE, .hash = "bb"},
	 VERDICT_SEND,
	 false},
	{"the same",
	 {.generation = 8, .highest = 8, .entries = 2, .state = NODE_IN_FORCE, .hash = "aa"},
	 VERDICT_HOLD,
	 true},
	{"fewer entries",
	 {.generation = 8, .highest = 8, .entries = 1, .state = NODE_IN_FORCE, .hash = "aa"},
	 VERDICT_HOLD,
	 false},
	{"panic",
	 {.generation = 8, .highest = 8, .entries = 2, .state = NODE_PANIC, .hash = "aa"},
	 VERDICT_HOLD,
	 false},
	{"shadow, older",
	 {.generation = 7, .highest = 7, .state = NODE_SHADOW, .hash = "bb"},
	 VERDICT_SEND,
	 false},
	{"wrong hash",
	 {.generation = 8, .highest = 8, .state = NODE_IN_FORCE, .hash = "ab"},
	 VERDICT_RESYNC,
	 false},
	{"lost", {.generation = 0, .highest = 8, .state = NODE_NONE}, VERDICT_RESYNC, false},
	{"lost an older one",
	 {.generation = 0, .highest = 7, .state = NODE_NONE},
	 VERDICT_SEND,
	 false},
	{"of a later collector",
	 {.generation = 99, .highest = 99, .state = NODE_IN_FORCE, .hash = "cc"},
	 VERDICT_RESYNC,
	 false},
	{"refused",
	 {.generation = 7, .highest = 7, .refused = 8, .state = NODE_REFUSED, .hash = "bb"},
	 VERDICT_HOLD,
	 false},
	{"refused an older one",
	 {.generation = 6, .highest = 6, .refused = 7, .state = NODE_REFUSED, .hash = "bb"},
	 VERDICT_SEND,
	 false},
	{"rolled back",
	 {.generation = 7, .highest = 8, .state = NODE_ROLLED_BACK, .hash = "bb"},
	 VERDICT_HOLD,
	 false},
	{"rolled back before",
	 {.generation = 6, .highest = 7, .state = NODE_ROLLED_BACK, .hash = "bb"},
	 VERDICT_SEND,
	 false},
	{"by hand", {.generation = 0, .highest = 8, .state = NODE_BY_HAND}, VERDICT_HOLD, false},
	{"no weir", {.state = NODE_ABSENT}, VERDICT_HOLD, false},
};

Test(nodes, judges)
{
	for (size_t i = 0; i < sizeof(reports) / sizeof(reports[0]); i++) {
		cr_expect(eq(int, (int)sync_judge(&reports[i].r, &want), (int)reports[i].verdict),
			  "%s", reports[i].what);
		cr_expect(eq(int, sync_is_enforced(&reports[i].r, &want), reports[i].enforced),
			  "%s", reports[i].what);
	}
	cr_expect(eq(int, (int)sync_judge(&reports[0].r, NULL), VERDICT_HOLD));
}

/* ---- certificates and rows ---- */

static char dir[64];

static struct nodes *open_nodes(uint32_t max)
{
	const struct address any = {.v4 = {.sin_family = AF_INET,
					   .sin_addr = {htonl(INADDR_LOOPBACK)}},
				    .len = sizeof(struct sockaddr_in)};
	const struct nodes_cfg cfg = {.listen = &any,
				      .dir = dir,
				      .issuer = "collector",
				      .certificate_us = 3600 * UINT64_C(1000000),
				      .max = max};
	char error[NODES_ERROR] = "";
	struct nodes *n = NULL;
	const int r = nodes_open(&cfg, error, &n);

	cr_assert(eq(int, r, 0), "%s", error);
	return n;
}

static void make_dir(void)
{
	snprintf(dir, sizeof(dir), "/tmp/weir-test-nodes.XXXXXX");
	cr_assert(ne(ptr, mkdtemp(dir), NULL));
}

static void remove_dir(void)
{
	static const char *const files[] = {
		"nodes/ca.key",	  "nodes/ca.pem", "nodes", "control.db-wal",
		"control.db-shm", "control.db",	  ""};
	char path[128];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		(void)remove(path); /* not all are there */
	}
}

static char *make_csr(const char *curve)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", curve);
	X509_REQ *q = X509_REQ_new();
	BIO *b = BIO_new(BIO_s_mem());
	char *data, *text;
	long n;

	X509_REQ_set_pubkey(q, key);
	X509_REQ_sign(q, key, EVP_sha256());
	PEM_write_bio_X509_REQ(b, q);
	n = BIO_get_mem_data(b, &data);
	text = strndup(data, (size_t)n);
	BIO_free(b);
	X509_REQ_free(q);
	EVP_PKEY_free(key);
	return text;
}

static int enrol(struct nodes *n, const char *token, const char *name, struct ca_issued *ret)
{
	uint8_t pin[NODE_PIN], secret[NODE_SECRET];
	struct enrolling e = {.secret = secret, .wish = name};
	char *csr = make_csr("P-256");
	struct node *x;
	int r;

	e.csr = csr;
	cr_assert(eq(int, node_token_read(token, pin, secret), 0));
	pthread_mutex_lock(&n->lock);
	r = table_enrol(n, &e, &x);
	pthread_mutex_unlock(&n->lock);
	if (!r && ret)
		*ret = e.issued;
	free(csr);
	return r;
}

static void make_token(struct nodes *n, const char *name, uint64_t valid_us, char token[NODE_TOKEN])
{
	const struct token t = {.name = name, .labels = "a=1", .valid_us = valid_us};

	pthread_mutex_lock(&n->lock);
	cr_assert(eq(int, table_token(n, &t, "test", token), 0));
	pthread_mutex_unlock(&n->lock);
}

#define HOUR_US (UINT64_C(3600) * 1000000)

Test(nodes, a_token_is_for_once, .init = make_dir, .fini = remove_dir)
{
	struct nodes *n = open_nodes(2);
	char token[NODE_TOKEN], other[NODE_TOKEN];

	make_token(n, "", HOUR_US, token);
	cr_expect(eq(int, enrol(n, token, "-bad", NULL), -EINVAL));
	cr_expect(eq(int, enrol(n, token, "one", NULL), 0)); /* the attempt has not spent it */
	cr_expect(eq(int, enrol(n, token, "two", NULL), -EACCES));
	make_token(n, "", HOUR_US, other);
	cr_expect(eq(int, enrol(n, other, "one", NULL), -EEXIST));
	cr_expect(eq(int, enrol(n, other, "two", NULL), 0));
	make_token(n, "", HOUR_US, other);
	cr_expect(eq(int, enrol(n, other, "three", NULL), -ENOSPC));
	make_token(n, "one", HOUR_US, other);
	cr_expect(eq(int, enrol(n, other, "whatever", NULL), 0));
	make_token(n, "", 0, other);
	usleep(1000);
	cr_expect(eq(int, enrol(n, other, "late", NULL), -EACCES));
	cr_expect(eq(u32, n->n, 2));
	nodes_close(n);
	n = open_nodes(2); /* they are remembered */
	cr_expect(eq(u32, n->n, 2));
	cr_expect(eq(str, n->first->name, "one"));
	cr_expect(eq(str, n->first->labels, "a=1"));
	cr_expect(eq(int, enrol(n, token, "again", NULL), -EACCES));
	nodes_close(n);
}

static X509 *read_pem(const char *pem)
{
	BIO *b = BIO_new_mem_buf(pem, -1);
	X509 *x = PEM_read_bio_X509(b, NULL, NULL, NULL);

	BIO_free(b);
	return x;
}

static int check(const struct ca *ca, const char *pem, struct ca_node *ret)
{
	X509 *x = read_pem(pem);
	unsigned char *der = NULL;
	const int len = i2d_X509(x, &der);
	const int r = ca_check(ca, &(struct ca_der){der, (size_t)len}, ret);

	OPENSSL_free(der);
	X509_free(x);
	return r;
}

Test(nodes, certificates_are_of_nodes_of_this_collector, .init = make_dir, .fini = remove_dir)
{
	struct nodes *n = open_nodes(2);
	char token[NODE_TOKEN], path[128], error[CA_ERROR];
	struct ca_issued issued, twice;
	char *chain, *key, *csr;
	struct ca_node node;
	struct ca *other;
	struct stat st;

	make_token(n, "", HOUR_US, token);
	cr_assert(eq(int, enrol(n, token, "one", &issued), 0));
	cr_expect(eq(int, check(n->ca, issued.pem, &node), 0));
	cr_expect(eq(int, memcmp(node.key, issued.key, CA_HASH), 0));
	cr_expect(eq(i64, node.expires_us, issued.expires_us));
	cr_assert(eq(int, ca_server(n->ca, &chain, &key), 0));
	cr_expect(eq(int, check(n->ca, chain, &node), -EACCES)); /* a server's is no node's */
	free(chain);
	free(key);
	snprintf(path, sizeof(path), "%s/other", dir);
	cr_assert(eq(int, ca_open(path, error, &other), 0), "%s", error);
	cr_expect(eq(int, check(other, issued.pem, &node), -EACCES));
	csr = make_csr("P-384");
	cr_expect(eq(int, ca_issue(n->ca, csr, &(struct ca_wish){"x", HOUR_US}, &twice, error),
		     -EINVAL));
	cr_expect(eq(str, error, "csr: want a key on P-256"));
	free(csr);
	ca_close(other);
	snprintf(path, sizeof(path), "%s/other/ca.key", dir);
	cr_expect(eq(int, stat(path, &st), 0));
	cr_expect(eq(u32, st.st_mode & 0777, 0600));
	(void)remove(path);
	snprintf(path, sizeof(path), "%s/other/ca.pem", dir);
	(void)remove(path);
	snprintf(path, sizeof(path), "%s/other", dir);
	(void)remove(path);
	nodes_close(n);
}

/* ---- answers of HTTP ---- */

static int feed(const char *text, size_t piece, struct http_reply *r)
{
	const size_t len = strlen(text);
	int rc = 0;

	http_reply_init(r);
	for (size_t at = 0; at < len && !rc;) {
		const size_t n = len - at < piece ? len - at : piece;
		size_t used;

		rc = http_reply_feed(r, (const uint8_t *)text + at, n, 100, &used);
		if (rc >= 0 && used != n && rc != 1)
			return -1000;
		at += used;
	}
	return rc;
}

Test(nodes, an_answer_is_the_same_in_any_pieces)
{
	static const char good[] =
		"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n"
		"Date: Mon, 23 Nov 2026 03:00:00 GMT\r\nConnection: close\r\n\r\nhello";
	static struct http_reply r;

	for (size_t piece = 1; piece <= sizeof(good); piece++) {
		cr_assert(eq(int, feed(good, piece, &r), 1));
		cr_expect(eq(int, r.status, 200));
		cr_expect(eq(str, (char *)r.body, "hello"));
		cr_expect(eq(i64, r.date_s, 1795402800));
		cr_expect(r.close);
	}
	cr_expect(eq(int, feed("HTTP/1.1 204 No Content\r\n\r\n", 3, &r), 1));
	cr_expect(eq(sz, r.length, 0));
	http_reply_init(&r);
}

Test(nodes, answers_that_are_none)
{
	static const struct {
		const char *text;
		int r;
	} cases[] = {
		{"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", -EBADMSG},
		{"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n", -EBADMSG},
		{"HTTP/1.1 200 OK\r\n\r\n", -EBADMSG},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", -EBADMSG},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1k\r\n\r\n", -EBADMSG},
		{"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", -EBADMSG},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", -EBADMSG},
		{"HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 0\r\n\r\n", -EBADMSG},
		{"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", -E2BIG},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", 0},
	};
	static struct http_reply r;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect(eq(int, feed(cases[i].text, 7, &r), cases[i].r), "%s", cases[i].text);
	http_reply_init(&r);
}

Test(nodes, urls)
{
	static const struct {
		const char *url, *host, *port;
	} cases[] = {
		{"https://collector.example:4750", "collector.example", "4750"},
		{"https://192.0.2.1/", "192.0.2.1", "4741"},
		{"https://[2001:db8::1]:1", "2001:db8::1", "1"},
		{"https://[2001:db8::1]", "2001:db8::1", "4741"},
		{"http://a", NULL, NULL},
		{"https://", NULL, NULL},
		{"https://a:b", NULL, NULL},
		{"https://a/b", NULL, NULL},
		{"https://user@a", NULL, NULL},
		{"https://[::1", NULL, NULL},
		{"https://[::1]x", NULL, NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *host = "", *port = "";
		char url[64];
		int r;

		snprintf(url, sizeof(url), "%s", cases[i].url);
		r = https_url(url, &host, &port);
		cr_expect(eq(int, r, cases[i].host ? 0 : -EINVAL), "%s", cases[i].url);
		if (r)
			continue;
		cr_expect(eq(str, (char *)(uintptr_t)host, (char *)(uintptr_t)cases[i].host));
		cr_expect(eq(str, (char *)(uintptr_t)port, (char *)(uintptr_t)cases[i].port));
	}
}
