// SPDX-License-Identifier: Apache-2.0
#include "common/ack.h"

#include <errno.h>
#include <string.h>

#include "common/ipfix_get.h"
#include "common/ipfix_put.h"

#define VERSION 1u

static const uint8_t magic[4] = {'W', 'A', 'C', 'K'};

void ack_reset(struct ack_reader *a)
{
	memset(a, 0, sizeof(*a));
}

static int take(struct ack_reader *a, uint32_t domain, uint64_t start_ms)
{
	const uint8_t *p = a->part;
	uint32_t sequence = get32(p + 12);

	if (memcmp(p, magic, sizeof(magic)) || get16(p + 4) != VERSION || get16(p + 6) != ACK_BYTES)
		return -EBADMSG;
	if (get32(p + 8) != domain)
		return 0;
	a->any = true;
	if (get_number(p + 16, 8) != start_ms)
		return 0;
	/* never back: an older one may have waited somewhere */
	if (!a->known || (int32_t)(sequence - a->sequence) > 0)
		a->sequence = sequence;
	a->known = true;
	return 0;
}

int ack_feed(struct ack_reader *a, const uint8_t *p, size_t len, uint32_t domain, uint64_t start_ms)
{
	while (len) {
		size_t n = ACK_BYTES - a->have < len ? ACK_BYTES - a->have : len;

		memcpy(a->part + a->have, p, n);
		a->have += (uint32_t)n;
		p += n;
		len -= n;
		if (a->have < ACK_BYTES)
			break;
		a->have = 0;
		if (take(a, domain, start_ms))
			return -EBADMSG;
	}
	return 0;
}

bool ack_covers(const struct ack_reader *a, uint32_t sequence_end)
{
	return a->known && (int32_t)(a->sequence - sequence_end) >= 0;
}

void ack_put(uint8_t to[static ACK_BYTES], uint32_t domain, uint32_t sequence, uint64_t start_ms)
{
	memset(to, 0, ACK_BYTES);
	memcpy(to, magic, sizeof(magic));
	put16(to + 4, VERSION);
	put16(to + 6, ACK_BYTES);
	put32(to + 8, domain);
	put32(to + 12, sequence);
	put_number(to + 16, start_ms, 8);
}
