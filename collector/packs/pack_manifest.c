// SPDX-License-Identifier: Apache-2.0
/*
 * pack_manifest.c - the manifest: a line for each file with its hash and length, by name, and below them an
 * ed25519 signature (RFC 8032) over all that stands before it. There is one way to write what is signed, so it is
 * checked by writing it again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/packs/pack.h"
#include "common/scan.h"

#define HEAD	  "weir-pack-manifest 1\n"
#define SIGNATURE "signature "
#define TAIL	  (sizeof(SIGNATURE) - 1 + 2 * POLICY_SIGNATURE + 1)

static void put_hex(FILE *out, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%02x", bytes[i]);
}

static int scan_bytes(const char *s, uint8_t *ret, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const int high = scan_hex_digit(s[2 * i]);
		const int low = high < 0 ? -1 : scan_hex_digit(s[2 * i + 1]);

		if (low < 0)
			return -EINVAL;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct pack_file *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* What is signed; free() it. NULL: no memory. */
static char *signed_text(const struct pack *p, const uint8_t key_id[8], size_t *ret_len)
{
	const struct pack_file **v = calloc(p->n + 1, sizeof(*v));
	char *text = NULL;
	FILE *out = v ? open_memstream(&text, ret_len) : NULL;

	if (!out) {
		free(v);
		return NULL;
	}
	for (uint32_t i = 0; i < p->n; i++)
		v[i] = &p->files[i];
	if (p->n)
		qsort(v, p->n, sizeof(*v), by_name);
	fputs(HEAD "key ", out);
	put_hex(out, key_id, 8);
	fputc('\n', out);
	for (uint32_t i = 0; i < p->n; i++) {
		if (!strcmp(v[i]->name, PACK_MANIFEST))
			continue;
		put_hex(out, v[i]->hash, PACK_HASH);
		fprintf(out, " %zu %s\n", v[i]->len, v[i]->name);
	}
	free(v);
	if (!fclose(out))
		return text;
	free(text);
	return NULL;
}

char *pack_manifest(const struct pack *p, const uint8_t private_key[POLICY_KEY], size_t *ret_len)
{
	uint8_t public[POLICY_KEY], id[8], signature[POLICY_SIGNATURE];
	char *text, *whole = NULL;
	size_t len;
	FILE *out;

	if (policy_public(private_key, public))
		return NULL;
	policy_key_id(public, id);
	text = signed_text(p, id, &len);
	out = text && !policy_sign_bytes(text, len, private_key, signature)
		      ? open_memstream(&whole, ret_len)
		      : NULL;
	if (out) {
		fwrite(text, 1, len, out);
		fputs(SIGNATURE, out);
		put_hex(out, signature, sizeof(signature));
		fputc('\n', out);
		if (fclose(out)) {
			free(whole);
			whole = NULL;
		}
	}
	free(text);
	return whole;
}

/* ---- verifying ---- */

static void judge(struct pack *p, enum pack_trust t, const char *what, const char *name)
{
	p->trust = t;
	snprintf(p->why, sizeof(p->why), "%.180s%.58s", name, what);
}

/* The first file that is not as the manifest has it. @text: its lines, @want: what they should be. */
static void find_changed(struct pack *p, const char *text, size_t len)
{
	char line[2 * PACK_HASH + 32 + PACK_PATH_MAX];

	for (uint32_t i = 0; i < p->n; i++) {
		const struct pack_file *f = &p->files[i];
		FILE *out = fmemopen(line, sizeof(line), "w");

		if (!out || !strcmp(f->name, PACK_MANIFEST)) {
			if (out)
				fclose(out);
			continue;
		}
		fputc('\n', out);
		put_hex(out, f->hash, PACK_HASH);
		fprintf(out, " %zu %s\n", f->len, f->name);
		fclose(out);
		if (!memmem(text, len, line, strlen(line))) {
			judge(p, PACK_CHANGED, " is not as the manifest has it", f->name);
			return;
		}
	}
	judge(p, PACK_CHANGED, "a file that the manifest has is missing", "");
}

static const uint8_t *find_key(const struct pack_keys *keys, const uint8_t id[8])
{
	uint8_t other[8];

	for (uint32_t i = 0; i < keys->n; i++) {
		policy_key_id(keys->v[i], other);
		if (!memcmp(other, id, sizeof(other)))
			return keys->v[i];
	}
	return NULL;
}

struct opened {
	const char *text;
	size_t len; /* that is signed */
	uint8_t id[8], signature[POLICY_SIGNATURE];
};

static int open_manifest(const struct pack_file *f, struct opened *ret)
{
	const size_t head = sizeof(HEAD) - 1 + 4;

	*ret = (struct opened){.text = f->bytes};
	if (f->len < head + 17 + TAIL || memchr(f->bytes, 0, f->len) ||
	    strncmp(f->bytes, HEAD "key ", head) != 0 ||
	    scan_bytes(f->bytes + head, ret->id, sizeof(ret->id)) || f->bytes[head + 16] != '\n')
		return -EINVAL;
	ret->len = f->len - TAIL;
	if (f->bytes[ret->len - 1] != '\n' || f->bytes[f->len - 1] != '\n' ||
	    strncmp(f->bytes + ret->len, SIGNATURE, sizeof(SIGNATURE) - 1) != 0)
		return -EINVAL;
	return scan_bytes(f->bytes + ret->len + sizeof(SIGNATURE) - 1, ret->signature,
			  sizeof(ret->signature));
}

static void compare(struct pack *p, const struct opened *o)
{
	size_t len = 0;
	char *text = signed_text(p, o->id, &len);

	if (!text)
		judge(p, PACK_CHANGED, "out of memory", "");
	else if (len != o->len || memcmp(text, o->text, len) != 0)
		find_changed(p, o->text, o->len);
	free(text);
}

void pack_verify(struct pack *p, const struct pack_keys *keys)
{
	const struct pack_file *f = pack_find(p, PACK_MANIFEST);
	const uint8_t *key;
	struct opened o;

	p->trust = PACK_SIGNED;
	p->why[0] = p->key[0] = 0;
	if (!f) {
		judge(p, PACK_UNSIGNED, "it is not signed", "");
		return;
	}
	if (open_manifest(f, &o)) {
		judge(p, PACK_CHANGED, "the manifest is damaged", "");
		return;
	}
	for (unsigned int i = 0; i < sizeof(o.id); i++)
		snprintf(p->key + 2 * i, 3, "%02x", o.id[i]);
	compare(p, &o);
	if (p->trust != PACK_SIGNED)
		return;
	key = find_key(keys, o.id);
	if (!key)
		judge(p, PACK_UNKNOWN_KEY, " has signed it, which is not trusted here (packs.keys)",
		      p->key);
	else if (policy_verify_bytes(o.text, o.len, o.signature, key))
		judge(p, PACK_CHANGED, "the signature is not that of its key", "");
}

const char *pack_trust_word(enum pack_trust t)
{
	static const char *const words[] = {"signed", "unsigned", "unknown-key", "changed"};

	return words[t];
}
