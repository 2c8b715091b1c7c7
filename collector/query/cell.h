/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cell.h - values of the store as cells of an answer and as members of a flow record. One thread.
 */
#ifndef WEIR_COLLECTOR_QUERY_CELL_H
#define WEIR_COLLECTOR_QUERY_CELL_H

#include "collector/query/answer.h"
#include "collector/query/spec.h"
#include "collector/store/store.h"

#define CELL_TEXT 64u

/* A place in the rows at hand. */
struct cell_at {
	const struct store_result *r;
	uint32_t column, row;
};

/* A number, whatever type the engine gave it. False: NULL. */
bool cell_number(const struct store_result *r, uint32_t column, uint32_t row,
		 struct answer_cell *ret);

/**
 * cell_key - value of a field that groups are by, from @at's column on
 * @buf: CELL_TEXT octets, for its text
 *
 * Return: how many columns it took.
 */
uint32_t cell_key(const struct cell_at *at, const struct spec_by *by, struct answer_cell *ret,
		  char *buf);

/* What answer_column says of such a field. */
enum answer_kind cell_key_kind(const struct spec_by *by);

#endif
