/* SPDX-License-Identifier: Apache-2.0 */
/*
 * column.h - where the members of a flow record are in the store: the one table between
 * weir/fields.def and collector/columns.def for filters, groups and listings. Pure.
 */
#ifndef WEIR_COLLECTOR_QUERY_COLUMN_H
#define WEIR_COLLECTOR_QUERY_COLUMN_H

#include "collector/store/schema.h"
#include "common/flow.h"

enum column_kind {
	CK_NUMBER,
	CK_TIME,
	CK_IP, /* two columns, this one and the next */
	CK_TEXT,
	CK_LIST,
	CK_QUERIES,
	CK_VLAN,     /* two columns */
	CK_COMPUTED, /* community_id */
};

struct column {
	uint8_t kind;	/* enum column_kind */
	uint8_t column; /* enum block_column or flow_source */
};

extern const struct column query_columns[_FF_MAX];

/* The query names this field: its columns must be in the source. */
void column_use(struct flow_source_cfg *source, enum flow_field f);

/* Column whose value is NULL exactly when the field is absent; of CK_IP the upper half. */
const char *column_name(enum flow_field f);

/* Name of the lower half of a CK_IP column. */
const char *column_lower(enum flow_field f);

#endif
