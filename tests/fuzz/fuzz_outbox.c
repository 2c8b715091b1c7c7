// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_outbox.c - records packed for the next process, and what it makes of packed bytes.
 *
 * An input is a record as JSON, and after a zero byte changes to its packed form: offset (2 bytes), value
 * to exclusive-or (1), again and again; the top bit of the last odd byte cuts the packed form short. A
 * record that was packed and not changed comes out as the same JSON; any other bytes are refused, or make a
 * record that can be packed again.
 *
 * Covers: loader/outbox.c
 * Options: -max_len=8192
 */
#include <stdlib.h>
#include <string.h>

#include "common/output.h"
#include "common/record_json.h"
#include "loader/outbox.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct record_reader *reader;
static struct output *out;
static char before[OUTPUT_LINE_MAX], after[OUTPUT_LINE_MAX];
static struct outbox_record unpacked, again;

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

/* A copy of its size to the byte: who reads past it is seen. Return: 0 or -errno. */
static int unpack_exactly(const uint8_t *packed, size_t len, struct outbox_record *ret)
{
	uint8_t *copy = malloc(len ? len : 1), *more;
	size_t size;
	int r;

	if (!copy)
		abort();
	memcpy(copy, packed, len);
	r = outbox_unpack(copy, len, ret);
	if (!r) {
		size = outbox_size(&ret->r);
		more = calloc(1, size);
		if (!more)
			abort();
		outbox_pack(&ret->r, more);
		if (outbox_unpack(more, size, &again) || outbox_size(&again.r) != size)
			abort();
		free(more);
	}
	free(copy);
	return r;
}

static void same_text(const struct flow_record *r, const uint8_t *packed, size_t len)
{
	const ssize_t n = output_text(out, r, before);

	if (outbox_unpack(packed, len, &unpacked))
		abort();
	if (output_text(out, &unpacked.r, after) != n ||
	    (n > 0 && memcmp(before, after, (size_t)n) != 0))
		abort();
}

static void changed(uint8_t *packed, size_t len, const uint8_t *how, size_t n)
{
	for (; n >= 3; n -= 3, how += 3)
		packed[(how[0] << 8 | how[1]) % len] ^= how[2];
	if (n && how[0] & 0x80)
		len -= (how[0] & 0x7f) * 16u < len ? (how[0] & 0x7f) * 16u : len;
	(void)unpack_exactly(packed, len, &unpacked); /* either is fine */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, 0, size) : NULL;
	const size_t text = end ? (size_t)(end - data) : size;
	char why[RECORD_JSON_ERROR] = "";
	struct flow_record r;
	uint8_t *packed;
	json_t *obj;
	size_t len;

	obj = json_loadb((const char *)data, text, 0, NULL);
	if (obj && !record_read(reader, obj, &r, why)) {
		len = outbox_size(&r);
		packed = calloc(1, len);
		if (!packed)
			abort();
		outbox_pack(&r, packed);
		same_text(&r, packed, len);
		if (end)
			changed(packed, len, end + 1, size - text - 1);
		free(packed);
	}
	json_decref(obj);
	return 0;
}
