// SPDX-License-Identifier: Apache-2.0
/*
 * policy_draft.c - records gathered, and written as one image.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/policy.h"

int policy_add(struct policy_draft *d, enum policy_type type, const void *record)
{
	const size_t size = policy_record_size(type);
	struct policy_array *a = &d->of[type];

	if (a->n == a->cap) {
		const uint32_t cap = a->cap ? a->cap * 2 : 16;
		void *at;

		if ((uint64_t)cap * size > POLICY_BYTES_MAX)
			return -E2BIG;
		at = reallocarray(a->at, cap, size);
		if (!at)
			return -ENOMEM;
		a->at = at;
		a->cap = cap;
	}
	memcpy(a->at + (size_t)a->n++ * size, record, size);
	return 0;
}

bool policy_is_tcp(const struct policy_rule *r)
{
	const struct policy_match *m = &r->match;
	const bool not_proto = m->negate & COND_PROTO, not_type = m->negate & COND_ETHERTYPE;

	if (m->have & (COND_ICMP_TYPE | COND_ICMP_CODE))
		return false;
	if (m->have & COND_PROTO && (m->proto == POLICY_TCP) == not_proto)
		return false;
	return !(m->have & COND_ETHERTYPE) || not_type || m->ethertype == 0x0800 ||
	       m->ethertype == 0x86dd;
}

bool policy_draft_is_tcp(const struct policy_draft *d, uint32_t from)
{
	const struct policy_rule *r = (const void *)d->of[POLICY_RULE].at;
	const struct policy_addr_port *p = (const void *)d->of[POLICY_ADDR_PORT].at;
	const struct policy_flow *f = (const void *)d->of[POLICY_FLOW].at;

	for (uint32_t i = 0; i < d->of[POLICY_RULE].n; i++)
		if (r[i].number >= from && !policy_is_tcp(&r[i]))
			return false;
	for (uint32_t i = 0; i < d->of[POLICY_ADDR_PORT].n; i++)
		if (p[i].rule >= from && p[i].proto != POLICY_TCP)
			return false;
	for (uint32_t i = 0; i < d->of[POLICY_FLOW].n; i++)
		if (f[i].rule >= from && f[i].proto != POLICY_TCP)
			return false;
	return true;
}

int policy_image(const struct policy_draft *d, uint8_t **ret, size_t *ret_len)
{
	size_t len = sizeof(d->head) + POLICY_SIGNATURE;
	struct policy_header *h;
	uint8_t *image, *at;

	for (unsigned int t = 0; t < POLICY_TYPES; t++)
		len += d->of[t].n * policy_record_size(t);
	image = calloc(1, len);
	if (!image)
		return -ENOMEM;
	h = (void *)image;
	*h = d->head;
	memcpy(h->magic, POLICY_MAGIC, sizeof(h->magic));
	h->version = POLICY_VERSION;
	at = image + sizeof(*h);
	for (unsigned int t = 0; t < POLICY_TYPES; t++) {
		const size_t bytes = d->of[t].n * policy_record_size(t);

		h->count[t] = d->of[t].n;
		if (bytes)
			memcpy(at, d->of[t].at, bytes);
		at += bytes;
	}
	*ret = image;
	*ret_len = len;
	return 0;
}

int policy_draft_from(const struct policy *p, struct policy_draft *ret)
{
	const uint8_t *at = (const uint8_t *)p->rules;

	*ret = (struct policy_draft){.head = *p->head};
	for (unsigned int t = 0; t < POLICY_TYPES; t++) {
		const uint32_t n = p->head->count[t];
		const size_t bytes = n * policy_record_size(t);

		if (!n)
			continue;
		ret->of[t].at = malloc(bytes);
		if (!ret->of[t].at) {
			policy_draft_done(ret);
			return -ENOMEM;
		}
		memcpy(ret->of[t].at, at, bytes);
		ret->of[t].n = ret->of[t].cap = n;
		at += bytes;
	}
	return 0;
}

void policy_draft_done(struct policy_draft *d)
{
	for (unsigned int t = 0; t < POLICY_TYPES; t++)
		free(d->of[t].at);
	memset(d->of, 0, sizeof(d->of));
}
