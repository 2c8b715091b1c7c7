// SPDX-License-Identifier: Apache-2.0
/*
 * node_message.c - see node_message.h.
 */
#include "common/node_message_int.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "common/scan.h"

#define TOKEN_HEAD  "weir1-"
#define TOKEN_CHARS 64u /* base64 of pin and secret; nothing is filled up */

const struct node_member node_members[] = {
#define NODE_TEXT(message, member, most, required, doc) \
	{NODE_##message, #member, doc, offsetof(struct node_text, member), most, 0, 0, required},
#define NODE_INT(message, member, least, most, required, doc)                     \
	{NODE_##message, #member, doc,	   offsetof(struct node_text, member), 0, \
	 least,		 most,	  required},
#include "common/node_message.def"
#undef NODE_TEXT
#undef NODE_INT
};
const size_t node_members_n = sizeof(node_members) / sizeof(node_members[0]);

/* What the table allows has room. */
#define NODE_TEXT(message, member, most, required, doc) \
	_Static_assert(sizeof(((struct node_text *)0)->member) > (most), #member);
#define NODE_INT(...)
#include "common/node_message.def"
#undef NODE_TEXT
#undef NODE_INT

const char *const node_state_words[_NODE_STATE_MAX] = {
#define NODE_STATE(id, word, said, doc) word,
#include "common/node_state.def"
#undef NODE_STATE
};

enum node_state node_state_read(const char *word)
{
	static const uint8_t said[] = {
#define NODE_STATE(id, word, said, doc) said,
#include "common/node_state.def"
#undef NODE_STATE
	};

	for (unsigned int i = 0; i < _NODE_STATE_MAX; i++)
		if (said[i] && !strcmp(node_state_words[i], word))
			return (enum node_state)i;
	return _NODE_STATE_MAX;
}

int node_name_check(const char *name)
{
	static const char first[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	static const char others[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	const size_t len = strlen(name);

	return len && len <= NODE_NAME && strchr(first, name[0]) && strspn(name, others) == len
		       ? 0
		       : -EINVAL;
}

int node_id_read(const char *text, uint8_t ret[16])
{
	if (strlen(text) != 32 || strspn(text, "0123456789abcdef") != 32)
		return -EINVAL;
	for (unsigned int i = 0; i < 16; i++)
		ret[i] = (uint8_t)(scan_hex_digit(text[2 * i]) << 4 |
				   scan_hex_digit(text[2 * i + 1]));
	return 0;
}

void node_id_write(const uint8_t id[16], char ret[33])
{
	for (unsigned int i = 0; i < 16; i++)
		snprintf(ret + 2 * i, 3, "%02x", id[i]);
}

/* ---- reading ---- */

static int wrong(char *reterr, const struct node_member *m, const char *why)
{
	snprintf(reterr, NODE_MESSAGE_ERROR, "%s: %s", m->name, why);
	return -EINVAL;
}

static int read_text(const struct node_member *m, const json_t *v, char *ret, char *reterr)
{
	const char *s = json_string_value(v);
	const size_t len = json_string_length(v);

	if (!s)
		return wrong(reterr, m, "want a text");
	if (len > m->octets)
		return wrong(reterr, m, "too long");
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < ' ' && s[i] != '\n')
			return wrong(reterr, m, "has a control character");
	memcpy(ret, s, len);
	ret[len] = '\0';
	return 0;
}

static int read_member(const struct node_member *m, const json_t *o, struct node_text *ret,
		       char *reterr)
{
	const json_t *v = json_object_get(o, m->name);
	char *at = (char *)ret + m->at;
	int64_t n;

	if (!v)
		return m->required ? wrong(reterr, m, "is missing") : 0;
	if (m->octets)
		return read_text(m, v, at, reterr);
	if (!json_is_integer(v))
		return wrong(reterr, m, "want a number");
	n = json_integer_value(v);
	if (n < m->least || (n > 0 && (uint64_t)n > m->most))
		return wrong(reterr, m, "out of range");
	memcpy(at, &n, sizeof(n));
	return 0;
}

int node_message_take(enum node_message kind, const json_t *o, struct node_text *ret, char *reterr)
{
	int r = 0;

	*ret = (struct node_text){};
	if (!json_is_object(o)) {
		snprintf(reterr, NODE_MESSAGE_ERROR, "want a JSON object");
		return -EINVAL;
	}
	for (size_t i = 0; i < node_members_n && !r; i++)
		if (node_members[i].kind == kind)
			r = read_member(&node_members[i], o, ret, reterr);
	return r;
}

int node_message_read(enum node_message kind, const char *text, size_t len, struct node_text *ret,
		      char *reterr)
{
	json_error_t e;
	json_t *o = len > NODE_MESSAGE_MAX ? NULL
					   : json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
	const int r = node_message_take(kind, o, ret, reterr);

	json_decref(o);
	return r;
}

/* ---- writing ---- */

/* Texts of others may have been cut in a character. */
static json_t *text_value(const char *s)
{
	char plain[256 + 1];
	json_t *v = json_string(s);

	if (v)
		return v;
	snprintf(plain, sizeof(plain), "%s", s);
	for (char *at = plain; *at; at++)
		*at = (unsigned char)*at < 0x80 ? *at : '?';
	return json_string(plain);
}

json_t *node_message_put(enum node_message kind, const struct node_text *msg)
{
	json_t *o = json_object();

	for (size_t i = 0; i < node_members_n; i++) {
		const struct node_member *m = &node_members[i];
		const char *at = (const char *)msg + m->at;
		int64_t n;

		if (m->kind != kind)
			continue;
		if (m->octets) {
			if (m->required || *at)
				json_object_set_new(o, m->name, text_value(at));
			continue;
		}
		memcpy(&n, at, sizeof(n));
		if (m->required || n)
			json_object_set_new(o, m->name, json_integer(n));
	}
	return o;
}

char *node_message_write(enum node_message kind, const struct node_text *m)
{
	json_t *o = node_message_put(kind, m);
	char *text = json_dumps(o, JSON_COMPACT);

	json_decref(o);
	return text;
}

/* ---- tokens ---- */

void node_token_write(const uint8_t pin[NODE_PIN], const uint8_t secret[NODE_SECRET], char *ret)
{
	unsigned char both[NODE_PIN + NODE_SECRET];
	char *at = ret + strlen(TOKEN_HEAD);

	memcpy(both, pin, NODE_PIN);
	memcpy(both + NODE_PIN, secret, NODE_SECRET);
	memcpy(ret, TOKEN_HEAD, strlen(TOKEN_HEAD));
	EVP_EncodeBlock((unsigned char *)at, both, sizeof(both));
	for (; *at; at++) /* RFC 4648 section 5: nothing that a shell or a URL minds */
		*at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
}

int node_token_read(const char *text, uint8_t ret_pin[NODE_PIN], uint8_t ret_secret[NODE_SECRET])
{
	unsigned char both[NODE_PIN + NODE_SECRET], chars[TOKEN_CHARS];
	const size_t head = strlen(TOKEN_HEAD);

	if (strlen(text) != head + TOKEN_CHARS || memcmp(text, TOKEN_HEAD, head) != 0)
		return -EINVAL;
	for (unsigned int i = 0; i < TOKEN_CHARS; i++) {
		const char c = text[head + i];

		if (c == '+' || c == '/' || c == '=')
			return -EINVAL;
		chars[i] = (unsigned char)(c == '-' ? '+' : c == '_' ? '/' : c);
	}
	if (EVP_DecodeBlock(both, chars, TOKEN_CHARS) != sizeof(both))
		return -EINVAL;
	memcpy(ret_pin, both, NODE_PIN);
	memcpy(ret_secret, both + NODE_PIN, NODE_SECRET);
	return 0;
}
