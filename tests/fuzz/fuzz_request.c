// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_request.c - what clients send: lines to the control socket, heads of HTTP requests; and what a
 * client reads back: records as JSON.
 *
 * The first byte chooses: 'h' an HTTP head, 'r' a record, others a request. A record that is read is
 * written, read and written again: the same text twice.
 *
 * Covers: loader/control/request.c common/record_json.c
 * Options: -max_len=8192
 */
#include <stdlib.h>
#include <string.h>

#include "common/output.h"
#include "common/record_json.h"
#include "loader/control/request.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct record_reader *reader;
static struct output *out;
static char first[OUTPUT_LINE_MAX], second[OUTPUT_LINE_MAX];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	json_object_seed(1);
	reader = record_reader_new();
	if (!reader || output_new("json", 1, &out))
		abort();
	return 0;
}

static void request(const char *text, size_t len)
{
	struct request_error err = {};
	struct request q;

	if (request_parse(text, len, &q, &err)) {
		if (!err.code || !err.at.message[0] || !err.at.column || q.filter)
			abort();
		return;
	}
	if (!q.limit || q.limit > TOP_LIMIT || !q.by_member[0])
		abort();
	filter_free(q.filter);
}

/* Return: the text of the record in @text, in @buf; 0: it was none. */
static size_t written(const char *text, size_t len, char *buf)
{
	json_t *obj = json_loadb(text, len, 0, NULL);
	char why[RECORD_JSON_ERROR] = "";
	struct flow_record r;
	ssize_t n = 0;

	if (obj && !record_read(reader, obj, &r, why))
		n = output_text(out, &r, buf);
	else if (obj && !why[0])
		abort();
	json_decref(obj);
	return n > 0 ? (size_t)n : 0;
}

static void record(const char *text, size_t len)
{
	const size_t n = written(text, len, first);

	if (n && (written(first, n, second) != n || memcmp(first, second, n) != 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;
	int status;

	if (!size)
		return 0;
	switch (data[0]) {
	case 'h':
		status = http_parse(text, size - 1);
		if (status && status != 200 && (status < 400 || status > 431))
			abort();
		break;
	case 'r':
		record(text, size - 1);
		break;
	default:
		request(text, size - 1);
	}
	return 0;
}
