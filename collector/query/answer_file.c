// SPDX-License-Identifier: Apache-2.0
#include "collector/query/answer_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/community_id.h"
#include "common/flow_text.h"

_Static_assert(_FF_MAX <= STORE_FILE_COLUMNS && ANSWER_COLUMNS < STORE_FILE_COLUMNS,
	       "columns of a file");

struct answer_file {
	struct store *s;
	struct store_file *file;
	struct community *community;
	char *error;
	bool flows, other;
	uint32_t n;
	uint8_t type[STORE_FILE_COLUMNS]; /* enum store_type */
	uint8_t field[_FF_MAX];		  /* of the columns of flows */
	struct store_value row[STORE_FILE_COLUMNS];
	char text[_FF_MAX][FLOW_TEXT];
};

struct answer_file *answer_file_new(struct store *s, bool flows, char *error)
{
	struct answer_file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->s = s;
	f->flows = flows;
	f->error = error;
	if (flows && community_new(&f->community)) {
		free(f);
		return NULL;
	}
	return f;
}

void answer_file_free(struct answer_file *f)
{
	if (!f)
		return;
	store_file_free(f->file);
	community_free(f->community);
	free(f);
}

static void add(struct answer_file *f, struct store_file_column *columns, const char *name,
		enum store_type type)
{
	columns[f->n] = (struct store_file_column){name, type};
	f->type[f->n++] = (uint8_t)type;
}

/* ---- groups, series, totals ---- */

static int on_head(void *arg, const struct answer_column *columns, uint32_t n)
{
	static const uint8_t types[] = {
		[AK_TEXT] = ST_TEXT, [AK_U64] = ST_U64, [AK_F64] = ST_F64, [AK_TIME] = ST_TIME};
	struct store_file_column file[STORE_FILE_COLUMNS];
	struct answer_file *f = arg;

	f->n = 0;
	f->other = false;
	for (uint32_t i = 0; i < n; i++) {
		f->other |= columns[i].unit == AU_NONE && columns[i].kind != AK_TIME;
		add(f, file, columns[i].name, types[columns[i].kind]);
	}
	if (f->other)
		add(f, file, "other", ST_BOOL);
	return store_file_new(f->s, file, f->n, f->error, &f->file);
}

/* What 64 bits do not hold is a double: as much as they hold. */
static struct store_value cell_value(const struct answer_cell *c, enum store_type type)
{
	struct store_value v = {.type = type};

	if (c->kind == AK_NULL)
		v.type = ST_NULL;
	else if (type == ST_TEXT)
		v.s = c->s;
	else if (type == ST_F64)
		v.f = c->kind == AK_F64 ? c->f : (double)c->u;
	else
		v.u = c->kind == AK_F64 ? UINT64_MAX : c->u;
	return v;
}

static int on_row(void *arg, const struct answer_cell *cells, bool other)
{
	struct answer_file *f = arg;

	for (uint32_t i = 0; i < f->n - f->other; i++)
		f->row[i] = cell_value(&cells[i], f->type[i]);
	if (f->other)
		f->row[f->n - 1] = (struct store_value){.type = ST_BOOL, .b = other};
	store_file_put(f->file, f->row);
	return 0;
}

/* ---- flows ---- */

static int flows_head(struct answer_file *f)
{
	struct store_file_column file[STORE_FILE_COLUMNS];

	f->n = 0;
	for (unsigned int i = 0; i < _FF_MAX; i++) {
		const enum flow_type t = flow_fields[i].type;

		if (flow_type_list(t))
			continue;
		f->field[f->n] = (uint8_t)i;
		add(f, file, flow_fields[i].path,
		    t == FT_TIME	  ? ST_TIME
		    : flow_type_number(t) ? ST_U64
					  : ST_TEXT);
	}
	return store_file_new(f->s, file, f->n, f->error, &f->file);
}

static struct store_value flow_value(struct answer_file *f, const struct flow_record *r, uint32_t i)
{
	const enum flow_field field = f->field[i];
	struct store_value v = {.type = f->type[i]};

	if (!flow_has(r, field))
		return (struct store_value){};
	if (v.type == ST_U64) {
		v.u = flow_number(r, field);
	} else if (v.type == ST_TIME) {
		v.i = (int64_t)(flow_number(r, field) / 1000);
	} else if (flow_fields[field].type == FT_CID) {
		if (community_id(f->community, r, f->text[i]))
			v.type = ST_NULL;
		v.s = (struct flow_str){f->text[i], COMMUNITY_ID_TEXT - 1};
	} else {
		v.s = flow_text(r, field, f->text[i]);
	}
	return v;
}

static int on_flow(void *arg, const struct flow_record *r)
{
	struct answer_file *f = arg;
	int e = f->file ? 0 : flows_head(f);

	if (e)
		return e;
	for (uint32_t i = 0; i < f->n; i++)
		f->row[i] = flow_value(f, r, i);
	store_file_put(f->file, f->row);
	return 0;
}

/* ---- the rest ---- */

static int on_note(void *arg, const char *text)
{
	struct answer_file *f = arg;

	(void)text;
	snprintf(f->error, STORE_ERROR, "an explanation is text, and no Parquet file");
	return -EINVAL;
}

static int on_end(void *arg, const struct answer_end *end)
{
	struct answer_file *f = arg;

	(void)end;
	return f->flows && !f->file ? flows_head(f) : 0;
}

struct answer_sink answer_file_sink(struct answer_file *f)
{
	return (struct answer_sink){.head = on_head,
				    .row = on_row,
				    .flow = on_flow,
				    .note = on_note,
				    .end = on_end,
				    .arg = f};
}

int answer_file_write(struct answer_file *f, const char *path)
{
	return f->file ? store_file_write(f->file, path, f->error) : -EINVAL;
}
