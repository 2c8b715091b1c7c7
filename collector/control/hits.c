// SPDX-License-Identifier: Apache-2.0
#include "collector/control/hits.h"

#include "collector/alerts/book_int.h"

void hits_put(json_t *o, const char *column)
{
	json_t *h = json_loads(column, 0, NULL);
	const int64_t last = json_integer_value(json_object_get(h, "last"));

	if (json_is_integer(json_object_get(h, "packets"))) {
		book_put_time(h, "last", last);
		json_object_set(o, "hits", h);
	}
	json_decref(h);
}

json_t *hits_by_node(struct db *d, int64_t decision)
{
	sqlite3_stmt *s = db_begin(d,
				   "SELECT node, sum(packets), sum(bytes), sum(flows), max(last_us)"
				   " FROM hit WHERE decision = ? GROUP BY node ORDER BY node",
				   "i", decision);
	json_t *list = json_array();

	while (db_step(d, s) == 1) {
		json_t *o = json_pack("{s:s,s:I,s:I,s:I}", "node", db_text(s, 0), "packets",
				      (json_int_t)sqlite3_column_int64(s, 1), "bytes",
				      (json_int_t)sqlite3_column_int64(s, 2), "flows",
				      (json_int_t)sqlite3_column_int64(s, 3));

		book_put_time(o, "last", sqlite3_column_int64(s, 4));
		json_array_append_new(list, o);
	}
	return list;
}
