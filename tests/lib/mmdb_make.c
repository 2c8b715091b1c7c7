// SPDX-License-Identifier: Apache-2.0
#include "mmdb_make.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/scan.h"

#define NOTHING	 UINT32_MAX
#define DATA	 UINT32_C(0x80000000) /* with the number of a network */
#define SEPARATE 16u

/* Types of the data section. */
enum { TYPE_TEXT = 2, TYPE_U16 = 5, TYPE_U32 = 6, TYPE_MAP = 7, TYPE_U64 = 9, TYPE_ARRAY = 11 };

struct tree {
	uint32_t (*node)[2];
	uint32_t n, cap;
};

/* Return: number of the new node, whose sides both have @value; NOTHING: no memory. */
static uint32_t add_node(struct tree *t, uint32_t value)
{
	if (t->n == t->cap) {
		void *v = realloc(t->node, (t->cap + 4096) * sizeof(*t->node));

		if (!v)
			return NOTHING;
		t->node = v;
		t->cap += 4096;
	}
	t->node[t->n][0] = t->node[t->n][1] = value;
	return t->n++;
}

static int insert(struct tree *t, const uint8_t *ip, unsigned int bits, uint32_t number)
{
	uint32_t at = 0;

	for (unsigned int i = 0; i < bits; i++) {
		const unsigned int side = ip[i / 8] >> (7 - i % 8) & 1;
		const uint32_t there = t->node[at][side];
		uint32_t next = there;

		if (i + 1 == bits) {
			t->node[at][side] = DATA | number;
			break;
		}
		if (there == NOTHING || there & DATA) {
			next = add_node(t, there);
			if (next == NOTHING)
				return -ENOMEM;
			t->node[at][side] = next;
		}
		at = next;
	}
	return 0;
}

static int add_network(struct tree *t, const char *cidr, uint32_t number)
{
	char text[64], *slash;
	uint8_t ip[16];
	uint64_t bits;

	snprintf(text, sizeof(text), "%s", cidr);
	slash = strchr(text, '/');
	if (!slash)
		return -EINVAL;
	*slash = 0;
	if (address_ip(text, ip) || scan_u64(slash + 1, 0, 128, &bits))
		return -EINVAL;
	if (strchr(text, ':'))
		return insert(t, ip, (unsigned int)bits, number);
	ip[10] = ip[11] = 0; /* IPv4 is ::/96 in these trees */
	return insert(t, ip, (unsigned int)bits + 96, number);
}

/* ---- data ---- */

static void put_control(FILE *f, unsigned int type, uint32_t size)
{
	const unsigned int small = size < 29 ? size : 29;

	fputc((int)((type < 8 ? type << 5 : 0) | small), f);
	if (type >= 8)
		fputc((int)(type - 7), f);
	if (size >= 29)
		fputc((int)(size - 29), f);
}

static void put_text(FILE *f, const char *s)
{
	put_control(f, TYPE_TEXT, (uint32_t)strlen(s));
	fputs(s, f);
}

static void put_number(FILE *f, unsigned int type, uint64_t v)
{
	uint32_t size = 0;

	while (size < 8 && v >> 8 * size)
		size++;
	put_control(f, type, size);
	while (size--)
		fputc((int)(v >> 8 * size & 0xff), f);
}

static void put_data(FILE *f, const struct mmdb_network *n)
{
	put_control(f, TYPE_MAP, (n->as != 0) + (n->org != NULL) + (n->country != NULL));
	if (n->as) {
		put_text(f, "autonomous_system_number");
		put_number(f, TYPE_U32, n->as);
	}
	if (n->org) {
		put_text(f, "autonomous_system_organization");
		put_text(f, n->org);
	}
	if (n->country) {
		put_text(f, "country");
		put_control(f, TYPE_MAP, 1);
		put_text(f, "iso_code");
		put_text(f, n->country);
	}
}

static void put_metadata(FILE *f, uint32_t nodes)
{
	fputs("\xab\xcd\xefMaxMind.com", f);
	put_control(f, TYPE_MAP, 9);
	put_text(f, "node_count");
	put_number(f, TYPE_U32, nodes);
	put_text(f, "record_size");
	put_number(f, TYPE_U16, 32);
	put_text(f, "ip_version");
	put_number(f, TYPE_U16, 6);
	put_text(f, "database_type");
	put_text(f, "Test");
	put_text(f, "languages");
	put_control(f, TYPE_ARRAY, 0);
	put_text(f, "binary_format_major_version");
	put_number(f, TYPE_U16, 2);
	put_text(f, "binary_format_minor_version");
	put_number(f, TYPE_U16, 0);
	put_text(f, "build_epoch");
	put_number(f, TYPE_U64, 1700000000);
	put_text(f, "description");
	put_control(f, TYPE_MAP, 0);
}

static void put_record(FILE *f, const struct tree *t, const uint32_t *at, uint32_t value)
{
	if (value == NOTHING)
		value = t->n;
	else if (value & DATA)
		value = t->n + SEPARATE + at[value & ~DATA];
	for (int shift = 24; shift >= 0; shift -= 8)
		fputc((int)(value >> shift & 0xff), f);
}

static int write_file(const char *path, const struct tree *t, const struct mmdb_network *v,
		      uint32_t n)
{
	uint32_t *at = calloc(n + 1, sizeof(*at));
	char *data = NULL;
	size_t len = 0;
	FILE *mem = open_memstream(&data, &len), *f = fopen(path, "w");
	int r = at && mem && f ? 0 : -ENOMEM;

	for (uint32_t i = 0; !r && i < n; i++) {
		fflush(mem);
		at[i] = (uint32_t)len;
		put_data(mem, &v[i]);
	}
	if (mem)
		fclose(mem);
	for (uint32_t i = 0; !r && i < t->n; i++) {
		put_record(f, t, at, t->node[i][0]);
		put_record(f, t, at, t->node[i][1]);
	}
	if (!r) {
		fwrite((char[SEPARATE]){0}, 1, SEPARATE, f);
		fwrite(data, 1, len, f);
		put_metadata(f, t->n);
	}
	if (f && fclose(f))
		r = r ?: -EIO;
	free(data);
	free(at);
	return r;
}

int mmdb_make(const char *path, const struct mmdb_network *v, uint32_t n)
{
	struct tree t = {0};
	int r = add_node(&t, NOTHING) == NOTHING ? -ENOMEM : 0;

	for (uint32_t i = 0; !r && i < n; i++)
		r = add_network(&t, v[i].cidr, i);
	r = r ?: write_file(path, &t, v, n);
	free(t.node);
	return r;
}
