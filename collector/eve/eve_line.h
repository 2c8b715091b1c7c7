/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eve_line.h - one line of Suricata's EVE: what it says if it is an alert. Members that are not known are
 * passed over; those that are must be what they should be. No state, any thread.
 * Source: Suricata User Guide, "EVE JSON Format".
 */
#ifndef WEIR_COLLECTOR_EVE_LINE_H
#define WEIR_COLLECTOR_EVE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/community_id.h"
#include "common/flow.h"

#define EVE_LINE_MAX (256u << 10) /* octets of a line; a packet in it as base64 is 88 KB at most */
#define EVE_TEXT_MAX 512u	  /* octets of signature, category, action; what is longer is cut */

enum eve_count {
#define COUNT(id, ...) EC_##id,
#include "collector/eve/counts.def"
#undef COUNT
	_EC_MAX
};

enum eve_class { ECC_PLAIN, ECC_LOST, ECC_MALFORMED };

struct eve_count_info {
	const char *name;
	uint8_t class; /* enum eve_class */
};

extern const struct eve_count_info eve_counts[_EC_MAX];

struct eve_alert {
	uint64_t time_us;		/* since 1970 UTC */
	uint8_t tuple[COMMUNITY_TUPLE]; /* community_tuple(), 0 behind it */
	struct flow_record flow;	/* addresses, protocol, ports alone */
	uint32_t sid;
	uint8_t severity;			     /* 0: not said */
	struct flow_str signature, category, action; /* of the text that was read */
	struct flow_str community_id;
};

struct json_t; /* jansson's */

#define EVE_HASH UINT64_C(0xcbf29ce484222325) /* of no octets */

/* FNV-1a of 64 bits, going on from @h. */
static inline uint64_t eve_hash(uint64_t h, const void *p, size_t len)
{
	const uint8_t *s = p;

	for (size_t i = 0; i < len; i++)
		h = (h ^ s[i]) * UINT64_C(0x100000001b3);
	return h;
}

/**
 * eve_read_line - read a line, without its end
 * @ret_doc: what texts of @ret point to: json_decref() it; NULL where it is no alert
 *
 * Return: EC_ALERTS: @ret is filled; EC_OTHER: another event; EC_NO_ADDRESS; EC_BAD_...: it is malformed.
 */
enum eve_count eve_read_line(const char *s, size_t len, struct eve_alert *ret,
			     struct json_t **ret_doc);

#endif
