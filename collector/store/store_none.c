// SPDX-License-Identifier: Apache-2.0
/*
 * store_none.c - the store of a build without an engine (`make deps` was not run, or has none for
 * this architecture): it can't be opened, and says why.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "collector/store/schema.h"
#include "collector/store/store.h"

int store_open(const struct store_cfg *cfg, char *error, struct store **ret)
{
	(void)ret;
	snprintf(error, STORE_ERROR, "%s: built without libduckdb; `make deps` fetches it",
		 cfg->dir);
	return -ENOSYS;
}

/* Without a store nothing below is ever called with one. */
#define NONE(type, name, params, value) \
	type name params                \
	{                               \
		return value;           \
	}

#pragma GCC diagnostic ignored "-Wunused-parameter"
NONE(struct store *, store_close, (struct store * s), NULL)
NONE(int, store_flush, (struct store * s), -ENOSYS)
NONE(int, store_exporter,
     (struct store * s, const struct store_exporter *e, uint32_t *ret_id, uint32_t *ret_stream),
     -ENOSYS)
NONE(int, store_committed, (struct store * s, uint32_t stream, uint64_t epoch, uint64_t *ret_to),
     -ENOSYS)
NONE(int, store_interface,
     (struct store * s, uint32_t exporter, uint32_t index, struct flow_str name), -ENOSYS)
NONE(int, store_as, (struct store * s, uint32_t number, struct flow_str name), -ENOSYS)
NONE(int, store_zone, (struct store * s, struct flow_str name, uint16_t *ret), -ENOSYS)
NONE(void, store_hold, (struct store * s), )
NONE(bool, store_is_sampled, (const struct store *s), false)
NONE(void, store_release, (struct store * s), )
NONE(int, store_select,
     (struct store * s, const struct store_query *q, char *error, struct store_result **ret),
     -ENOSYS)
NONE(uint32_t, store_columns, (const struct store_result *r), 0)
NONE(const char *, store_column_name, (const struct store_result *r, uint32_t column), "")
NONE(enum store_type, store_column_type, (const struct store_result *r, uint32_t column), ST_NULL)
NONE(int, store_next, (struct store_result * r, uint32_t *ret_rows), -ENODATA)
NONE(const char *, store_error, (const struct store_result *r), "")
NONE(bool, store_get,
     (const struct store_result *r, uint32_t column, uint32_t row, struct store_value *ret), false)
NONE(const void *, store_values,
     (const struct store_result *r, uint32_t column, uint32_t *ret_width,
      const uint64_t **ret_valid),
     NULL)
NONE(double, store_progress, (const struct store_result *r), -1)
NONE(void, store_cancel, (struct store_result * r), )
NONE(struct store_result *, store_result_free, (struct store_result * r), NULL)
NONE(int, store_file_new,
     (struct store * s, const struct store_file_column *columns, uint32_t n, char *error,
      struct store_file **ret),
     -ENOSYS)
NONE(void, store_file_put, (struct store_file * f, const struct store_value *row), )
NONE(int, store_file_write, (struct store_file * f, const char *path, char *error), -ENOSYS)
NONE(struct store_file *, store_file_free, (struct store_file * f), NULL)
NONE(int, store_source, (struct store * s, const struct flow_source_cfg *cfg, char **ret), -ENOSYS)
NONE(int, store_rollup, (struct store * s, const struct rollup_cfg *cfg, char **ret), -ENOSYS)
NONE(const char *, flow_source_name, (unsigned int column), "")

void store_stats(struct store *s, struct store_stats *ret)
{
	memset(ret, 0, sizeof(*ret));
}
