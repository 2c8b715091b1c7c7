// SPDX-License-Identifier: Apache-2.0
/*
 * test_captures.c - files of packets from a node to its collector, which speak HTTPS with each other, each without
 * the rest of its program.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "collector/control/audit.h"
#include "collector/nodes/captures.h"
#include "collector/nodes/nodes_int.h"
#include "loader/capture/pcapng.h"
#include "loader/capture/store.h"
#include "loader/follow/follow.h"

#define ISSUER "collector"
#define LONG_S 60

TestSuite(captures, .timeout = 240);

static char dir[64], files[80];
static struct nodes *nodes;
static uint16_t port;
static struct enrolment enrolment;
static struct follow_captures node;
static pthread_t thread;
static bool running;

static void put_file(const char *path, EVP_PKEY *key, const char *text)
{
	FILE *f = fopen(path, "w");

	cr_assert(f != NULL);
	if (key)
		PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
	else
		fputs(text, f);
	fclose(f);
}

static void collector_open(void)
{
	const struct address at = {.v4 = {.sin_family = AF_INET,
					  .sin_port = htons(port),
					  .sin_addr = {htonl(INADDR_LOOPBACK)}},
				   .len = sizeof(struct sockaddr_in)};
	const struct nodes_cfg cfg = {.listen = &at,
				      .dir = dir,
				      .issuer = ISSUER,
				      .certificate_us = 3600 * UINT64_C(1000000),
				      .max = 4};
	char error[NODES_ERROR] = "";

	cr_assert(eq(int, nodes_open(&cfg, error, &nodes), 0), "%s", error);
	port = MHD_get_daemon_info(nodes->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

static void collector_close(void)
{
	fetch_stop(nodes);
	nodes_close(nodes);
	nodes = NULL;
}

static char *csr_of(EVP_PKEY *key)
{
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
	return text;
}

static void enrol(void)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	const struct token t = {.name = "", .labels = "", .valid_us = 1000000000};
	uint8_t pin[NODE_PIN], secret[NODE_SECRET];
	char token[NODE_TOKEN], *csr = csr_of(key);
	struct enrolling e = {.secret = secret, .wish = "edge", .csr = csr};
	struct node *x;

	pthread_mutex_lock(&nodes->lock);
	cr_assert(eq(int, table_token(nodes, &t, "test", token), 0));
	cr_assert(eq(int, node_token_read(token, pin, secret), 0));
	cr_assert(eq(int, table_enrol(nodes, &e, &x), 0));
	pthread_mutex_unlock(&nodes->lock);
	enrolment_init(&enrolment, dir, ISSUER);
	cr_assert(eq(int, mkdir(enrolment.dir, 0700), 0));
	put_file(enrolment.key, key, NULL);
	put_file(enrolment.cert, NULL, e.issued.pem);
	snprintf(enrolment.ca, sizeof(enrolment.ca), "%s/nodes/ca.pem", dir);
	snprintf(enrolment.url, sizeof(enrolment.url), "https://127.0.0.1:%u", port);
	cr_assert(eq(int, https_url(enrolment.url, &enrolment.host, &enrolment.port), 0));
	free(csr);
	EVP_PKEY_free(key);
}

static void node_start(void)
{
	node = (struct follow_captures){.f = {.e = &enrolment, .wake = eventfd(0, EFD_CLOEXEC)},
					.dir = files};
	cr_assert(eq(int, pthread_create(&thread, NULL, follow_captures_run, &node), 0));
	running = true;
}

static void node_stop(void)
{
	if (!running)
		return;
	running = false;
	__atomic_store_n(&node.f.stop, true, __ATOMIC_RELAXED);
	(void)eventfd_write(node.f.wake, 1);
	pthread_join(thread, NULL);
	close(node.f.wake);
}

static void begin(void)
{
	signal(SIGPIPE, SIG_IGN); /* of connections, as both programs do */
	snprintf(dir, sizeof(dir), "/tmp/weir-test-captures.XXXXXX");
	cr_assert(mkdtemp(dir) != NULL);
	snprintf(files, sizeof(files), "%s/files", dir);
	cr_assert(eq(int, mkdir(files, 0700), 0));
	port = 0;
	collector_open();
	enrol();
}

static int wipe(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static void end(void)
{
	node_stop();
	collector_close();
	cr_expect(eq(int, nftw(dir, wipe, 8, FTW_DEPTH | FTW_PHYS), 0));
}

/* A file as the recorder writes it, with @packets of 1,000 octets; how long it is. */
static size_t record(const char *id, const char *issuer, uint32_t packets, bool complete)
{
	const struct pcapng_totals totals = {
		.ns = 1, .received = packets, .dropped = 5, .taken = packets};
	static uint8_t block[PCAPNG_BLOCK_MAX + 1000], frame[1000];
	char name[STORE_NAME], path[128], comment[300];
	size_t len = 0;
	FILE *f;

	store_name(id, !complete, name);
	snprintf(path, sizeof(path), "%s/%s", files, name);
	snprintf(comment, sizeof(comment),
		 "{\"rule\":\"scan\",\"origin\":\"rule:scan@%s\",\"scope\":\"src.ip\","
		 "\"value\":\"192.0.2.9\",\"alert\":17,\"decision\":3,"
		 "\"fired\":\"2026-09-01T12:41:08.120113Z\"}",
		 issuer);
	f = fopen(path, "w");
	cr_assert(f != NULL);
	len += fwrite(block, 1, pcapng_section(block, "weir", "Linux", comment), f);
	len += fwrite(block, 1, pcapng_interface(block, "eth0", 256), f);
	for (uint32_t i = 0; i < packets; i++) {
		const struct pcapng_packet p = {.ns = (UINT64_C(1788266468) + i) * 1000000000,
						.wire_len = sizeof(frame),
						.len = sizeof(frame),
						.bytes = frame};

		frame[0] = (uint8_t)i;
		frame[999] = (uint8_t)(i >> 8);
		len += fwrite(block, 1, pcapng_packet(block, &p), f);
	}
	if (complete)
		len += fwrite(block, 1, pcapng_totals(block, &totals), f);
	fclose(f);
	return len;
}

static void path_of(const char *id, bool part, char ret[128])
{
	char name[STORE_NAME];

	store_name(id, part, name);
	snprintf(ret, 128, "%s/%s", files, name);
}

/* "edge ID state packets dropped alert; ..." of what the collector lists, the latest first. */
static const char *listed(const char *state)
{
	static char text[4096];
	json_t *q =
		json_pack("{s:s,s:s,s:s}", "command", "captures", "what", "list", "state", state);
	json_t *lines = captures_ask(nodes, q, &(struct endpoint_peer){.name = "test"}), *o;
	size_t i;

	text[0] = '\0';
	json_array_foreach(lines, i, o)
	{
		if (strcmp(json_string_value(json_object_get(o, "type")), "capture") != 0)
			continue;
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s %s %s %d %d %d",
			 *text ? "; " : "", json_string_value(json_object_get(o, "node")),
			 json_string_value(json_object_get(o, "file")),
			 json_string_value(json_object_get(o, "state")),
			 (int)json_integer_value(json_object_get(o, "packets")),
			 (int)json_integer_value(json_object_get(o, "dropped")),
			 (int)json_integer_value(json_object_get(o, "alert")));
	}
	json_decref(lines);
	json_decref(q);
	return text;
}

static void moment(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

static void await_listed(const char *state, const char *want)
{
	const time_t until = time(NULL) + LONG_S;

	while (strcmp(listed(state), want) != 0 && time(NULL) < until)
		moment();
	cr_assert(eq(str, (char *)(uintptr_t)listed(state), (char *)(uintptr_t)want));
}

static void await_here(void)
{
	const time_t until = time(NULL) + LONG_S;
	bool here = false;

	while (!here && time(NULL) < until) {
		pthread_mutex_lock(&nodes->lock);
		here = table_by_name(nodes, "edge")->fetcher != NULL;
		pthread_mutex_unlock(&nodes->lock);
		moment();
	}
	cr_assert(here);
}

/* All of it, or why not; the file's octets in *ret, @from on. */
static const char *fetched(int64_t id, uint64_t from, uint8_t **ret, size_t *ret_len)
{
	const struct fetch_wish w = {.id = id, .from = from, .actor = "token:test"};
	static struct fetch_refusal why;
	struct fetch_of of;
	struct fetch *f;
	size_t len = 0;
	ssize_t n;

	if (fetch_open(nodes, &w, &f, &of, &why))
		return why.code;
	*ret = malloc(of.size + 1);
	while ((n = fetch_read(f, *ret + len, of.size + 1 - len)) > 0)
		len += (size_t)n;
	fetch_close(f);
	*ret_len = len;
	return n ? "cut" : len == of.size - from ? "" : "short";
}

/* The same octets as the file's, @from on? */
static bool same(const char *id, uint64_t from, const uint8_t *octets, size_t len)
{
	char path[128];
	uint8_t *own;
	bool yes;
	FILE *f;

	path_of(id, false, path);
	f = fopen(path, "r");
	if (!f) {
		path_of(id, true, path);
		f = fopen(path, "r");
	}
	cr_assert(f != NULL);
	own = malloc(len + 1);
	fseek(f, (long)from, SEEK_SET);
	yes = fread(own, 1, len + 1, f) == len && !memcmp(own, octets, len);
	fclose(f);
	free(own);
	return yes;
}

static void expect_same(int64_t id, const char *file, uint64_t from)
{
	uint8_t *octets = NULL;
	size_t len = 0;
	const char *why = fetched(id, from, &octets, &len);

	cr_expect(eq(str, (char *)(uintptr_t)why, ""));
	cr_expect(same(file, from, octets, len));
	free(octets);
}

static void expect_refused(int64_t id, uint64_t from, const char *code)
{
	uint8_t *octets = NULL;
	size_t len;

	cr_expect(eq(str, (char *)(uintptr_t)fetched(id, from, &octets, &len),
		     (char *)(uintptr_t)code));
	free(octets);
}

#define A "00000000000000a1"
#define B "00000000000000b2"
#define C "00000000000000c3"

Test(captures, are_told_as_they_come_end_and_go, .init = begin, .fini = end)
{
	char from[128], to[128];

	node_start();
	record(A, ISSUER, 0, false); /* without a packet: there may never be one */
	record(B, ISSUER, 3, true);
	record(C, "another", 3, true); /* of a rule of somebody else */
	await_listed("kept", "edge " B " complete 3 5 17");
	record(A, ISSUER, 2, false);
	await_listed("kept", "edge " A " open 0 0 17; edge " B " complete 3 5 17");
	record(A, ISSUER, 9, false);
	path_of(A, true, from);
	path_of(A, false, to);
	record(A, ISSUER, 9, true);
	cr_assert(eq(int, remove(from), 0));
	await_listed("kept", "edge " A " complete 9 5 17; edge " B " complete 3 5 17");
	cr_assert(eq(int, remove(to), 0));
	await_listed("kept", "edge " B " complete 3 5 17");
	await_listed("all", "edge " A " removed 9 5 17; edge " B " complete 3 5 17");
}

Test(captures, nothing_is_lost_when_either_side_begins_anew, .init = begin, .fini = end)
{
	char path[128];

	record(A, ISSUER, 1, true);
	record(B, ISSUER, 2, true);
	node_start();
	await_listed("kept", "edge " B " complete 2 5 17; edge " A " complete 1 5 17");
	node_stop();
	path_of(A, false, path);
	cr_assert(eq(int, remove(path), 0));
	record(C, ISSUER, 3, true);
	node_start();
	await_listed("kept", "edge " C " complete 3 5 17; edge " B " complete 2 5 17");
	collector_close();
	path_of(B, false, path);
	cr_assert(eq(int, remove(path), 0));
	collector_open();
	await_listed("kept", "edge " C " complete 3 5 17");
	await_here();
	expect_same(3, C, 0);
}

Test(captures, more_than_a_message_has, .init = begin, .fini = end)
{
	char id[STORE_ID + 1], *last = NULL;
	size_t n = 0;

	for (unsigned int i = 0; i < 3 * NODE_CAPTURES_MAX + 1; i++) {
		snprintf(id, sizeof(id), "%016x", i);
		record(id, ISSUER, 1, true);
	}
	node_start();
	await_here();
	for (const char *at = listed("kept"); (last = strchr(at, ';')); at = last + 1)
		n++;
	cr_expect(eq(sz, n + 1, (size_t)(3 * NODE_CAPTURES_MAX + 1)));
}

static void *fetch_thread(void *arg)
{
	expect_same((intptr_t)arg, (intptr_t)arg == 1 ? A : B, 0);
	return NULL;
}

Test(captures, octets_are_those_of_the_file, .init = begin, .fini = end)
{
	pthread_t of[6];
	size_t len;

	len = record(A, ISSUER, 1500, true); /* many pieces */
	record(B, ISSUER, 2, false);	     /* that is being written */
	cr_assert(gt(sz, len, (size_t)(4 * NODE_PIECE_OCTETS)));
	node_start();
	await_here();
	expect_same(1, A, 0);
	expect_same(2, B, 0);
	expect_same(1, A, 1);
	expect_same(1, A, NODE_PIECE_OCTETS);
	expect_same(1, A, len - 1);
	expect_same(1, A, len);
	expect_refused(1, len + 1, "beyond");
	for (intptr_t i = 0; i < 6; i++)
		pthread_create(&of[i], NULL, fetch_thread, (void *)(1 + i % 2));
	for (unsigned int i = 0; i < 6; i++)
		pthread_join(of[i], NULL);
	cr_expect(eq(u64, nodes->counts.fetched_octets > 4 * len, 1));
}

Test(captures, a_slow_reader_keeps_nobody_waiting, .init = begin, .fini = end)
{
	const struct fetch_wish w = {.id = 1, .actor = "slow"};
	struct fetch *slow[FETCHES_MAX];
	struct fetch_refusal why;
	struct fetch_of of;

	record(A, ISSUER, 1500, true);
	node_start();
	await_here();
	for (unsigned int i = 0; i < FETCHES_MAX; i++)
		cr_assert(eq(int, fetch_open(nodes, &w, &slow[i], &of, &why), 0));
	expect_refused(1, 0, "busy");
	fetch_close(slow[0]);
	expect_same(1, A, 0);
	for (unsigned int i = 1; i < FETCHES_MAX; i++)
		fetch_close(slow[i]);
}

Test(captures, why_there_is_none, .init = begin, .fini = end)
{
	uint8_t buf[100];
	const struct fetch_wish w = {.id = 1, .actor = "test"};
	struct fetch_refusal why;
	struct fetch_of of;
	struct fetch *f;
	char path[128];
	ssize_t n;

	record(A, ISSUER, 1500, true);
	record(B, ISSUER, 1, false);
	node_start();
	await_here();
	expect_refused(99, 0, "unknown");
	cr_assert(eq(int, fetch_open(nodes, &w, &f, &of, &why), 0));
	path_of(A, false, path);
	cr_assert(eq(int, remove(path), 0)); /* as for room, in the midst of it */
	while ((n = fetch_read(f, buf, sizeof(buf))) > 0)
		;
	cr_expect(eq(i64, n, -ENOENT));
	fetch_close(f);
	expect_refused(1, 0, "gone");
	cr_expect(eq(int, fetch_remove(nodes, &(struct fetch_wish){.id = 2, .actor = "x"}, &why),
		     -1));
	cr_expect(eq(str, (char *)(uintptr_t)why.code, "conflict"));
	node_stop();
	pthread_mutex_lock(&nodes->lock);
	table_by_name(nodes, "edge")->fetcher_us -= INT64_C(60000000); /* a minute goes by */
	pthread_mutex_unlock(&nodes->lock);
	expect_refused(2, 0, "offline");
}

Test(captures, what_is_done_is_in_the_audit_log, .init = begin, .fini = end)
{
	struct fetch_refusal why;
	struct audit_state st;
	char *text;
	json_t *list;

	record(A, ISSUER, 1, true);
	node_start();
	await_here();
	expect_same(1, A, 0);
	cr_expect(eq(int, fetch_remove(nodes, &(struct fetch_wish){.id = 1, .actor = "boss"}, &why),
		     0));
	expect_refused(1, 0, "gone");
	await_listed("all", "edge " A " removed 1 5 17");
	pthread_mutex_lock(&nodes->lock);
	list = audit_list(nodes->db, INT64_MAX, 100);
	cr_expect(eq(int, audit_verify(nodes->db, "", &st), 0));
	pthread_mutex_unlock(&nodes->lock);
	cr_expect(eq(i64, st.broken, 0));
	text = json_dumps(list, 0);
	cr_expect(strstr(text, "\"token:test\", \"action\": \"capture.fetched\"") != NULL, "%s",
		  text);
	cr_expect(strstr(text, "\"boss\", \"action\": \"capture.removed\"") != NULL);
	free(text);
	json_decref(list);
}
