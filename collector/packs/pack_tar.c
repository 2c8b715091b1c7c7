// SPDX-License-Identifier: Apache-2.0
/*
 * pack_tar.c - tar.gz, strictly: plain files and directories in ustar (what `tar czf` writes for names of a
 * hundred octets), no links, no devices, no long names, nothing behind the end. zlib inflates it, into no more than
 * a pack may have.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "collector/packs/pack.h"

#define BLOCK	    512u
#define INFLATE_MAX (PACK_BYTES_MAX + (PACK_FILES_MAX + 64u) * 2 * BLOCK + 20 * BLOCK)
#define GZIP_WINDOW (16 + MAX_WBITS) /* a gzip header is expected, see zlib.h */

/* POSIX.1-2017 pax, "ustar Header Block". */
enum { NAME = 0, SIZE = 124, SUM = 148, TYPE = 156, MAGIC = 257, PREFIX = 345 };
enum { NAME_LEN = 100, SIZE_LEN = 12, SUM_LEN = 8, PREFIX_LEN = 155 };

/* Twice the room, or all that may be. Return: 0, -E2BIG, -ENOMEM. */
static int grow(uint8_t **to, size_t *cap)
{
	uint8_t *more = *cap < INFLATE_MAX ? realloc(*to, *cap * 2) : NULL;

	if (!more)
		return *cap < INFLATE_MAX ? -ENOMEM : -E2BIG;
	*to = more;
	*cap *= 2;
	return 0;
}

static int inflate_into(z_stream *z, uint8_t **to, size_t *ret_len)
{
	size_t cap = 1u << 16, at = 0;
	int rc = Z_OK, r = 0;

	*to = malloc(cap);
	if (!*to)
		return -ENOMEM;
	while (rc == Z_OK) {
		if (at == cap)
			r = grow(to, &cap);
		if (r)
			return r;
		z->next_out = *to + at;
		z->avail_out = (uInt)(cap - at);
		rc = inflate(z, Z_NO_FLUSH);
		at = cap - z->avail_out;
	}
	*ret_len = at;
	if (rc == Z_STREAM_END && !z->avail_in)
		return 0;
	return rc == Z_MEM_ERROR ? -ENOMEM : -EINVAL;
}

static int inflate_all(const void *bytes, size_t len, uint8_t **ret, size_t *ret_len)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)len};
	int r;

	if (inflateInit2(&z, GZIP_WINDOW) != Z_OK)
		return -ENOMEM;
	r = inflate_into(&z, ret, ret_len);
	inflateEnd(&z);
	return r;
}

/* An octal number, blanks or 0 behind it. */
static int number(const uint8_t *s, unsigned int len, uint64_t *ret)
{
	unsigned int i = 0;

	for (*ret = 0; i < len && s[i] >= '0' && s[i] <= '7'; i++)
		*ret = *ret << 3 | (uint64_t)(s[i] - '0');
	if (!i)
		return -EINVAL;
	for (; i < len; i++)
		if (s[i] && s[i] != ' ')
			return -EINVAL;
	return 0;
}

static int check_sum(const uint8_t *h)
{
	uint64_t want, sum = 0;

	for (unsigned int i = 0; i < BLOCK; i++)
		sum += i >= SUM && i < SUM + SUM_LEN ? ' ' : h[i];
	return number(h + SUM, SUM_LEN, &want) || want != sum ? -EINVAL : 0;
}

static bool is_zero(const uint8_t *h)
{
	for (unsigned int i = 0; i < BLOCK; i++)
		if (h[i])
			return false;
	return true;
}

struct entry {
	char name[NAME_LEN + PREFIX_LEN + 2]; /* without ./ before it */
	uint8_t type;
	const uint8_t *bytes;
	uint64_t len;
};

static int read_entry(const uint8_t *tar, size_t left, struct entry *ret, char *why)
{
	const char *name = (const char *)tar + NAME, *prefix = (const char *)tar + PREFIX;
	const bool ustar = !memcmp(tar + MAGIC, "ustar\0", 6);

	if (check_sum(tar) || memcmp(tar + MAGIC, "ustar", 5) != 0 ||
	    number(tar + SIZE, SIZE_LEN, &ret->len)) {
		snprintf(why, PACK_WHY, "it is no tar, or damaged");
		return -EINVAL;
	}
	snprintf(ret->name, sizeof(ret->name), "%.*s%s%.*s", ustar ? PREFIX_LEN : 0,
		 ustar ? prefix : "", ustar && *prefix ? "/" : "", NAME_LEN, name);
	while (!strncmp(ret->name, "./", 2))
		memmove(ret->name, ret->name + 2, strlen(ret->name + 2) + 1);
	ret->type = tar[TYPE];
	ret->bytes = tar + BLOCK;
	if (ret->len > PACK_FILE_MAX || ret->len > left - BLOCK) {
		snprintf(why, PACK_WHY, "%.120s: it is too large, or not all there", ret->name);
		return ret->len > PACK_FILE_MAX ? -E2BIG : -EINVAL;
	}
	return 0;
}

struct walk {
	struct pack *p;
	size_t strip; /* of names: the directory that all is in, with its slash */
	char top[NAME_LEN + PREFIX_LEN + 2];
	char *why;
};

static int take_file(struct walk *w, const struct entry *e)
{
	char *bytes;

	if (strncmp(e->name, w->top, w->strip) != 0) {
		snprintf(w->why, PACK_WHY, "%.120s is not in %.60s as all else", e->name, w->top);
		return -EINVAL;
	}
	bytes = malloc(e->len + 1);
	if (!bytes)
		return -ENOMEM;
	memcpy(bytes, e->bytes, e->len);
	return pack_add(w->p, e->name + w->strip, bytes, e->len, w->why);
}

static int take_entry(struct walk *w, const struct entry *e)
{
	if (e->type == '0' || e->type == 0)
		return take_file(w, e);
	if (e->type == '5' || e->type == 'g') /* a directory; a remark, as git archive leaves */
		return 0;
	snprintf(w->why, PACK_WHY,
		 "%.120s: a pack has files and directories alone, no links, devices and long names "
		 "(tar's type '%c')",
		 e->name, e->type >= ' ' && e->type < 0x7f ? e->type : '?');
	return -EINVAL;
}

/* Where pack.yaml is: DIR/pack.yaml makes DIR/ go from all names. */
static void find_top(struct walk *w, const struct entry *e)
{
	const char *slash = strchr(e->name, '/');

	if (w->strip || !slash || strcmp(slash + 1, PACK_META) != 0)
		return;
	w->strip = (size_t)(slash + 1 - e->name);
	snprintf(w->top, sizeof(w->top), "%.*s", (int)w->strip, e->name);
}

static int walk(struct walk *w, const uint8_t *tar, size_t len, bool take)
{
	struct entry e;
	int r = 0;

	for (size_t at = 0; !r && len - at >= BLOCK && !is_zero(tar + at);) {
		r = read_entry(tar + at, len - at, &e, w->why);
		if (!r && take)
			r = take_entry(w, &e);
		else if (!r)
			find_top(w, &e);
		at += BLOCK + (e.len + BLOCK - 1) / BLOCK * BLOCK;
		if (!r && at > len) {
			snprintf(w->why, PACK_WHY, "%.120s: it ends in its midst", e.name);
			r = -EINVAL;
		}
	}
	return r;
}

int pack_read_ustar(struct pack *p, const void *bytes, size_t len, char *why)
{
	struct walk w = {.p = p, .why = why};
	int r;

	why[0] = 0;
	r = walk(&w, bytes, len, false) ?: walk(&w, bytes, len, true);
	if (r && !*why)
		snprintf(why, PACK_WHY, "out of memory");
	return r;
}

int pack_read_tar(struct pack *p, const void *bytes, size_t len, char *why)
{
	uint8_t *tar = NULL;
	size_t n = 0;
	int r;

	if (len > PACK_BYTES_MAX) {
		snprintf(why, PACK_WHY, "it is larger than %u MiB", PACK_BYTES_MAX >> 20);
		return -E2BIG;
	}
	r = inflate_all(bytes, len, &tar, &n);
	if (r)
		snprintf(why, PACK_WHY, "%s",
			 r == -E2BIG	? "there is more in it than a pack may have"
			 : r == -EINVAL ? "it is no tar.gz, or damaged"
					: "out of memory");
	r = r ?: pack_read_ustar(p, tar, n, why);
	free(tar);
	return r;
}
