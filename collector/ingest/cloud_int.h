/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloud_int.h - what the files of cloud.h share.
 */
#ifndef WEIR_COLLECTOR_INGEST_CLOUD_INT_H
#define WEIR_COLLECTOR_INGEST_CLOUD_INT_H

#include <stdbool.h>
#include "collector/ingest/cloud.h"
#include "common/flow.h"

#define CLOUD_EXTRAS  64u
#define CLOUD_TEXT    8192u
#define EVENT_DENIED  3u /* IANA: firewallEvent */
#define DIRECTION_IN  1u /* 1 + IANA's flowDirection */
#define DIRECTION_OUT 2u

/* A row being put together. */
struct cloud_row {
	struct flow_record r;
	struct flow_str account; /* whose log it is */
	uint8_t direction;	 /* DIRECTION_..., 0: not said */
	bool denied;
	uint32_t extras_n;
	struct flow_str extras[CLOUD_EXTRAS];
	uint32_t text_len;
	char text[CLOUD_TEXT];
};

void cloud_row_begin(struct cloud_row *row);

/* Digits alone, @max at most. */
bool cloud_number(struct flow_str s, uint64_t max, uint64_t *ret);
bool cloud_ip(struct cloud_row *row, enum flow_field f, struct flow_str s);
bool cloud_port(struct cloud_row *row, enum flow_field f, struct flow_str s);
void cloud_time(struct cloud_row *row, enum flow_field f, uint64_t ns);
void cloud_count(struct cloud_row *row, enum flow_field f, uint64_t v);
void cloud_proto(struct cloud_row *row, uint8_t proto);

/* KEY=VALUE in the column for what has none; what there is no room for is left out. */
void cloud_extra(struct cloud_row *row, const char *key, struct flow_str value);

/* Into a block. Return: 0, or -ENOBUFS: lost, counted. */
int cloud_row_add(struct cloud *c, struct cloud_row *row);

/* A line or record that is none. Return: -EBADMSG. */
int cloud_bad(struct cloud *c);

/* The next word before @end, up to @separator. Return: false: there is none. */
bool cloud_word(struct flow_str *rest, char separator, struct flow_str *ret);

#endif
