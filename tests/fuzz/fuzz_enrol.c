// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_enrol.c - what a node and its collector send to each other: bodies of
 * enrolment and of reports, a certificate request, tokens, labels and names;
 * answers of HTTP, whole and in pieces.
 *
 * The first byte chooses: 'e' enrolment, 'r' a report, 'd' what a node has
 * decided, 'i' what decisions hit, 'k' captures, 'o' octets of one, 'w' what is wanted of one, 'p' a problem, 'c' a certificate request, 't' a token, 'l' labels, others an answer of HTTP whose
 * pieces are as long as that byte says.
 *
 * Covers: common/node_message.c common/node_capture.c common/node_hits.c loader/follow/http_reply.c
 * Options: -max_len=8192
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/control/decide.h"
#include "collector/nodes/nodes_int.h"
#include "common/node_capture.h"
#include "common/node_hits.h"
#include "loader/follow/http_reply.h"

#define BODY_MAX 4096u

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct node_text first, second;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	json_object_seed(1);
	return 0;
}

/* What is taken is written, and taken again as the same. */
static void message(enum node_message kind, const char *text, size_t len)
{
	char error[NODE_MESSAGE_ERROR] = "", *again;

	if (node_message_read(kind, text, len, &first, error)) {
		if (!error[0])
			abort();
		return;
	}
	again = node_message_write(kind, &first);
	if (!again || (strlen(again) <= NODE_MESSAGE_MAX &&
		       (node_message_read(kind, again, strlen(again), &second, error) ||
			memcmp(&first, &second, sizeof(first)) != 0)))
		abort();
	free(again);
}

static void report(const char *text, size_t len)
{
	static const struct image want = {.generation = 8, .entries = 2};
	char error[NODE_MESSAGE_ERROR] = "";
	struct node_report r;

	message(NODE_REPORT, text, len);
	if (sync_read(text, len, &r, &first, error)) {
		if (!error[0])
			abort();
		return;
	}
	if (sync_is_enforced(&r, &want) && sync_judge(&r, &want) != VERDICT_HOLD)
		abort();
}

static void decided(const char *text, size_t len)
{
	char error[NODE_MESSAGE_ERROR] = "";
	struct node_decision d;

	message(NODE_DECIDED, text, len);
	if (sync_read_decided(text, len, &d, &first, error)) {
		if (!error[0])
			abort();
	} else if (!d.rule[0] || d.ttl_us <= 0 || d.made_us <= 0) {
		abort();
	}
}

static int capture(void *arg, const struct node_text *head, const struct node_text *m)
{
	(void)arg;
	if (head->round < 1 || !node_capture_id(m->file) ||
	    node_capture_state(m->state) == _CAPTURE_STATE_MAX)
		abort();
	second = *m;
	return 0;
}

/* The last of a list is written, and taken again. */
static void captures(const char *text, size_t len)
{
	const struct node_captures to = {capture, NULL};
	char error[NODE_MESSAGE_ERROR] = "", *again;
	int r;

	second = (struct node_text){};
	r = node_captures_read(text, len, &to, &first, error);
	if (r && !error[0])
		abort();
	if (r || !second.file[0])
		return;
	again = node_captures_write(&first, &second, 1);
	if (!again || node_captures_read(again, strlen(again), &to, &first, error))
		abort();
	free(again);
}

static void hits(const char *text, size_t len)
{
	static struct node_hit v[NODE_HITS_MAX], w[NODE_HITS_MAX];
	char error[NODE_MESSAGE_ERROR] = "", *again;
	size_t n, m;

	if (node_hits_read(text, len, v, &n, error)) {
		if (!error[0])
			abort();
		return;
	}
	again = node_hits_write(v, n);
	if (!again || node_hits_read(again, strlen(again), w, &m, error) || m != n ||
	    memcmp(v, w, n * sizeof(*v)) != 0)
		abort();
	free(again);
}

static void octets(const uint8_t *text, size_t len)
{
	char error[NODE_MESSAGE_ERROR] = "";
	struct node_octets o;

	if (node_piece_read((const char *)text, len, &first, &o, error)) {
		if (!error[0])
			abort();
	} else if (o.at < text || o.at + o.n != text + len || o.n > NODE_PIECE_OCTETS) {
		abort();
	}
}

static struct ca *new_ca(void)
{
	char dir[] = "/tmp/weir-fuzz-ca.XXXXXX", path[64], error[CA_ERROR];
	struct ca *ca;

	if (!mkdtemp(dir) || ca_open(dir, error, &ca))
		abort();
	snprintf(path, sizeof(path), "%s/ca.key", dir);
	(void)remove(path); /* it is in memory */
	snprintf(path, sizeof(path), "%s/ca.pem", dir);
	(void)remove(path);
	(void)remove(dir);
	return ca;
}

static void request(const char *text)
{
	static struct ca *ca;
	struct ca_issued issued;
	char error[CA_ERROR] = "";

	if (!ca)
		ca = new_ca();
	if (ca_issue(ca, text, &(struct ca_wish){"node", 1000000}, &issued, error) && !error[0])
		abort();
}

static void token(const char *text)
{
	uint8_t pin[NODE_PIN], secret[NODE_SECRET];
	char again[NODE_TOKEN];

	if (node_token_read(text, pin, secret))
		return;
	node_token_write(pin, secret, again);
	if (strcmp(again, text) != 0)
		abort();
}

static void labels(const char *text)
{
	char once[NODES_LABELS], twice[NODES_LABELS];

	if (!node_name_check(text) && strpbrk(text, " \"\n"))
		abort();

	if (!table_labels(text, once) && (table_labels(once, twice) || strcmp(once, twice) != 0))
		abort();
}

static void answer(const uint8_t *bytes, size_t len, size_t piece)
{
	static struct http_reply r;
	int rc = 0;

	http_reply_init(&r);
	for (size_t at = 0; at < len && !rc;) {
		size_t n = len - at < piece ? len - at : piece, used = 0;

		rc = http_reply_feed(&r, bytes + at, n, BODY_MAX, &used);
		if (used > n || (!rc && used != n))
			abort();
		at += used;
	}
	if (rc == 1 &&
	    (r.have != r.length || r.length > BODY_MAX || r.status < 100 || r.status > 599))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (!size)
		return 0;
	text = strndup((const char *)data + 1, size - 1);
	if (!text)
		abort();
	switch (data[0]) {
	case 'e':
		message(NODE_ENROL, (const char *)data + 1, size - 1);
		message(NODE_ENROLLED, (const char *)data + 1, size - 1);
		break;
	case 'r':
		report((const char *)data + 1, size - 1);
		break;
	case 'd':
		decided((const char *)data + 1, size - 1);
		break;
	case 'p':
		message(NODE_PROBLEM, (const char *)data + 1, size - 1);
		break;
	case 'k':
		captures((const char *)data + 1, size - 1);
		break;
	case 'i':
		hits((const char *)data + 1, size - 1);
		break;
	case 'o':
		octets(data + 1, size - 1);
		break;
	case 'w':
		message(NODE_WANT, (const char *)data + 1, size - 1);
		break;
	case 'c':
		request(text);
		break;
	case 't':
		token(text);
		break;
	case 'l':
		labels(text);
		break;
	default:
		answer(data + 1, size - 1, data[0] ?: 1);
	}
	free(text);
	return 0;
}
