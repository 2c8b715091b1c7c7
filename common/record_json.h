/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record_json.h - a flow record from the JSON that output.h writes of it. Members that this version
 * does not know are passed over; members that are not what weir/fields.def says are errors. One
 * thread per reader.
 */
#ifndef WEIR_COMMON_RECORD_JSON_H
#define WEIR_COMMON_RECORD_JSON_H

#include <jansson.h>
#include "common/flow.h"

#define RECORD_JSON_ERROR 96u

struct record_reader;

struct record_reader *record_reader_new(void); /* NULL: no memory */
void record_reader_free(struct record_reader *rr);

/**
 * record_read - fill a record
 * @obj:    must stay as long as @ret is used: texts point into it
 * @reterr: what is wrong, with the member's path
 *
 * community_id is computed from the record again when it is written; its text is not kept.
 * Return: 0 or -EINVAL. What @ret points to is valid until the next call.
 */
int record_read(struct record_reader *rr, json_t *obj, struct flow_record *ret,
		char reterr[static RECORD_JSON_ERROR]);

#endif
