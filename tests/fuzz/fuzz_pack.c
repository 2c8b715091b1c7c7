// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_pack.c - packs as strangers make them. The first octet says what the rest is: a tar.gz, a tar, files (a name
 * and a text with a 0 behind each), or values of a list. What comes out of a tar has names that stay below the
 * pack's directory; a pack whose manifest is good is signed by the one key there is, and by no other; what a list has
 * read it reads again.
 *
 * Covers: collector/packs/pack.c collector/packs/pack_tar.c collector/packs/pack_manifest.c
 * Covers: collector/packs/list_text.c
 * Options: -max_len=16384
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/packs/list_text.h"
#include "collector/packs/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t secret[POLICY_KEY] = {1, 2, 3};

/* Does the path lead out of the directory that it is put in? Taken apart at each '/': "a../b" stays. */
static bool leaves(const char *path)
{
	if (*path == '/')
		return true;
	for (const char *at = path; *at; at += strspn(at, "/")) {
		const size_t len = strcspn(at, "/");

		if (len == 2 && !strncmp(at, "..", 2))
			return true;
		at += len;
	}
	return false;
}

static void look(struct pack *p)
{
	struct pack_keys keys = {.n = 1};
	static struct site site;
	struct rule_files f;

	site_init(&site);
	rule_files_init(&f, &site);
	for (uint32_t i = 0; i < p->n; i++)
		if (leaves(p->files[i].name))
			abort();
	if (policy_public(secret, keys.v[0]))
		abort();
	if (pack_check(p, &f, "fuzz") == 0 && (!p->meta.name || !p->meta.version))
		abort();
	pack_verify(p, &keys);
	if ((p->trust != PACK_SIGNED) != (p->why[0] != 0))
		abort();
	keys.n = 0;
	pack_verify(p, &keys);
	if (p->trust == PACK_SIGNED)
		abort();
	rule_files_done(&f);
	site_done(&site);
}

/* Signed anew, it is good. */
static void sign_again(struct pack *p)
{
	struct pack_keys keys = {.n = 1};
	char why[PACK_WHY], *text;
	size_t len;

	if (pack_find(p, PACK_MANIFEST) || p->n == PACK_FILES_MAX ||
	    policy_public(secret, keys.v[0]))
		return;
	text = pack_manifest(p, secret, &len);
	if (!text)
		abort();
	text = realloc(text, len + 1);
	if (!text || pack_add(p, PACK_MANIFEST, text, len, why))
		abort();
	pack_verify(p, &keys);
	if (p->trust != PACK_SIGNED)
		abort();
}

static void add_files(struct pack *p, const char *text, size_t size)
{
	char why[PACK_WHY];

	while (size) {
		const size_t name = strnlen(text, size);
		const size_t len = name < size ? strnlen(text + name + 1, size - name - 1) : 0;
		char *copy = name < size ? strdup(text) : NULL, *bytes;

		if (!copy)
			return;
		bytes = malloc(len + 1);
		if (!bytes)
			abort();
		memcpy(bytes, text + name + 1, len);
		(void)pack_add(p, copy, bytes, len, why);
		free(copy);
		text += name + 1 + len;
		size -= name + 1 + len;
		if (size) {
			text++;
			size--;
		}
	}
}

/* What a list of addresses has read is a range, which meets itself. */
static void ranges(const struct list_parse *p)
{
	struct list_range r;
	char one[LIST_VALUE], both[2 * LIST_VALUE + 2];

	for (const char *at = p->text; *at; at += strcspn(at, "\n") + 1) {
		snprintf(one, sizeof(one), "%.*s", (int)strcspn(at, "\n"), at);
		if (list_range(one, &r) || !list_ranges_meet(&r, &r))
			abort();
		snprintf(both, sizeof(both), "%s-%s", one, one);
		if (!strchr(one, '/') && (list_range(both, &r) || memcmp(r.lo, r.hi, 16) != 0))
			abort();
	}
}

static void values(const uint8_t *data, size_t size)
{
	struct list_parse p = {.max_entries = 1000}, again = {.max_entries = 1000};

	if (!size)
		return;
	p.names = again.names = data[0] & 1;
	p.format = (uint8_t)(data[0] >> 1) % 3;
	if (!list_parse((const char *)data + 1, size - 1, &p)) {
		if (list_parse(p.text, p.len, &again) || again.bad || again.n != p.n ||
		    again.len != p.len || memcmp(again.text, p.text, p.len) != 0)
			abort();
		if (p.bad && !p.bad_line)
			abort();
		if (!p.names)
			ranges(&p);
	}
	list_parse_done(&p);
	list_parse_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pack p = {};
	char why[PACK_WHY];
	int r = 0;

	if (!size)
		return 0;
	data++;
	size--;
	if (data[-1] == 'v') {
		values(data, size);
		return 0;
	}
	if (data[-1] == 'z')
		r = pack_read_tar(&p, data, size, why);
	else if (data[-1] == 't')
		r = pack_read_ustar(&p, data, size, why);
	else
		add_files(&p, (const char *)data, size);
	if (r && !why[0])
		abort();
	look(&p);
	sign_again(&p);
	pack_done(&p);
	return 0;
}
