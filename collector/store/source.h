/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.h - text of FROM clauses, piece by piece.
 */
#ifndef WEIR_COLLECTOR_STORE_SOURCE_H
#define WEIR_COLLECTOR_STORE_SOURCE_H

#include <stdio.h>
#include "collector/store/schema.h"

/*
 * Service of a flow: proto * 65536 + port. Where the exporter knows both directions the port is that
 * of the responder; a record per direction has the service on either side: the lower port.
 */
#define SQL_SERVICE(f)                                                           \
	"(coalesce(" f ".proto::UINTEGER, 256) * 65536 + coalesce((CASE WHEN " f \
	".in_packets IS NULL THEN least(" f ".src_port, " f ".dst_port) ELSE " f \
	".dst_port END)::UINTEGER, 0))"

struct from {
	FILE *f;
	char *text;
	size_t len;
};

void from_begin(struct from *q);
void from_add(struct from *q, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Return: 0, -ENOMEM: all that was added is gone. */
int from_end(struct from *q, char **ret);

/* store_source() as a piece. */
void source_add(struct from *q, struct store *s, const struct flow_source_cfg *cfg);

#endif
