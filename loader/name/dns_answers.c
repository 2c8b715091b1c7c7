// SPDX-License-Identifier: Apache-2.0
#include "loader/name/dns_answers.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define HEADER	    12u
#define RESPONSE    0x8000u
#define LABEL_MAX   63u
#define POINTER	    0xc0u /* RFC 1035 section 4.1.4 */
#define RECORD_HEAD 10u	  /* type, class, TTL, length */
#define CLASS_IN    1u
#define TTL_MAX	    0x7fffffffu

enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_AAAA = 28 };

struct message {
	const uint8_t *p;
	size_t len;
};

/* Letters in lower case: names are compared so (RFC 4343). */
struct name {
	uint16_t len;
	uint8_t wire[DNS_WIRE_MAX];
};

struct answer {
	struct name owner;
	uint16_t type;
	uint16_t data_len;
	uint32_t ttl;
	size_t data; /* offset */
};

struct section {
	unsigned int n;
	struct answer v[DNS_RECORDS_MAX];
};

static uint16_t u16(const struct message *m, size_t at)
{
	return (uint16_t)(m->p[at] << 8 | m->p[at + 1]);
}

static uint32_t u32(const struct message *m, size_t at)
{
	return (uint32_t)u16(m, at) << 16 | u16(m, at + 2);
}

/* One label at @from to the end of the name. False: beyond the message, or longer than a name is. */
static bool put_label(const struct message *m, size_t from, size_t label, struct name *ret)
{
	if (from + 1 + label > m->len || ret->len + 1 + label > DNS_WIRE_MAX)
		return false;
	memcpy(ret->wire + ret->len, m->p + from, 1 + label);
	ret->len = (uint16_t)(ret->len + 1 + label);
	return true;
}

/*
 * The name at *@at, with what its pointers stand for; *@at is behind it then. A pointer leads to before
 * where it was led to last: that ends.
 */
static bool read_name(const struct message *m, size_t *at, struct name *ret)
{
	size_t pos = *at, before = *at;
	bool led = false;

	ret->len = 0;
	for (;;) {
		uint8_t c;

		if (pos >= m->len)
			return false;
		c = m->p[pos];
		if (c >= POINTER) {
			if (pos + 2 > m->len)
				return false;
			if (!led)
				*at = pos + 2;
			led = true;
			pos = u16(m, pos) & 0x3fffu;
			if (pos >= before)
				return false;
			before = pos;
			continue;
		}
		if (c > LABEL_MAX || !put_label(m, pos, c, ret))
			return false;
		pos += 1u + c;
		if (!c)
			break;
	}
	if (!led)
		*at = pos;
	return true;
}

/* Lengths of labels are below 'A'. */
static void lower(struct name *n)
{
	for (uint16_t i = 0; i < n->len; i++)
		if (n->wire[i] >= 'A' && n->wire[i] <= 'Z')
			n->wire[i] |= 0x20;
}

static bool same(const struct name *a, const struct name *b)
{
	return a->len == b->len && !memcmp(a->wire, b->wire, a->len);
}

/* False: it ends beyond the message. */
static bool read_answer(const struct message *m, size_t *at, struct answer *ret)
{
	uint16_t class;

	if (!read_name(m, at, &ret->owner) || m->len - *at < RECORD_HEAD)
		return false;
	lower(&ret->owner);
	ret->type = u16(m, *at);
	class = u16(m, *at + 2);
	ret->ttl = u32(m, *at + 4);
	ret->data_len = u16(m, *at + 8);
	ret->data = *at + RECORD_HEAD;
	if (m->len - ret->data < ret->data_len)
		return false;
	if (class != CLASS_IN)
		ret->type = 0;
	if (ret->ttl > TTL_MAX)
		ret->ttl = 0;
	*at = ret->data + ret->data_len;
	return true;
}

static void read_section(const struct message *m, size_t at, unsigned int n, struct section *ret)
{
	ret->n = 0;
	while (ret->n < n && ret->n < DNS_RECORDS_MAX && read_answer(m, &at, &ret->v[ret->n]))
		ret->n++;
}

/* What the CNAME of @name leads to takes its place. False: it has none. */
static bool follow(const struct message *m, const struct section *s, struct name *name,
		   uint32_t *ttl)
{
	for (unsigned int i = 0; i < s->n; i++) {
		const struct answer *a = &s->v[i];
		size_t at = a->data;

		if (a->type != TYPE_CNAME || !same(&a->owner, name))
			continue;
		if (!read_name(m, &at, name) || at != a->data + a->data_len)
			return false;
		lower(name);
		if (a->ttl < *ttl)
			*ttl = a->ttl;
		return true;
	}
	return false;
}

static void add_address(const struct message *m, const struct answer *a, uint32_t ttl,
			struct dns_answers *ret)
{
	struct dns_address *to = &ret->v[ret->n];

	if (ret->n == DNS_ADDRESSES_MAX || a->data_len != (a->type == TYPE_A ? 4 : 16))
		return;
	*to = (struct dns_address){.ttl = a->ttl < ttl ? a->ttl : ttl};
	if (a->type == TYPE_A) {
		to->ip[10] = to->ip[11] = 0xff;
		memcpy(to->ip + 12, m->p + a->data, 4);
	} else {
		memcpy(to->ip, m->p + a->data, 16);
	}
	ret->n++;
}

int dns_answers_read(const uint8_t *msg, size_t len, struct dns_answers *ret)
{
	const struct message m = {msg, len};
	uint32_t ttl = TTL_MAX;
	size_t at = HEADER;
	struct section s;
	struct name name;

	ret->n = 0;
	if (len < HEADER || !(u16(&m, 2) & RESPONSE) || u16(&m, 4) != 1)
		return -EINVAL;
	if (!read_name(&m, &at, &name) || len - at < 4)
		return -EINVAL;
	ret->id = u16(&m, 0);
	ret->flags = u16(&m, 2);
	ret->qtype = u16(&m, at);
	ret->qname_len = name.len;
	memcpy(ret->qname, name.wire, name.len);
	if (ret->qtype != TYPE_A && ret->qtype != TYPE_AAAA)
		return 0;
	lower(&name);
	read_section(&m, at + 4, u16(&m, 6), &s);
	for (unsigned int i = 0; i < DNS_CHAIN_MAX && follow(&m, &s, &name, &ttl); i++)
		;
	for (unsigned int i = 0; i < s.n; i++)
		if (s.v[i].type == ret->qtype && same(&s.v[i].owner, &name))
			add_address(&m, &s.v[i], ttl, ret);
	return ret->n;
}
