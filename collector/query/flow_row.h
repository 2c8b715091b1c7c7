/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow_row.h - a row of the store as a flow record: every member of weir/fields.def that the store
 * keeps. One thread per struct flow_row.
 */
#ifndef WEIR_COLLECTOR_QUERY_FLOW_ROW_H
#define WEIR_COLLECTOR_QUERY_FLOW_ROW_H

#include "collector/query/bound.h"
#include "collector/store/schema.h"

struct flow_row;

struct flow_row *flow_row_new(void); /* NULL: no memory */
void flow_row_free(struct flow_row *f);

/* What the source must have. */
void flow_row_columns(struct flow_source_cfg *source);

/* "end_us, flow_id, ...": the columns in the order flow_row_read() wants them in. */
void flow_row_select(struct bound *s);

/* Row @row of the rows at hand; valid until the next call or store_next(). */
const struct flow_record *flow_row_read(struct flow_row *f, const struct store_result *r,
					uint32_t row, int64_t *ret_end_us, uint64_t *ret_number);

#endif
