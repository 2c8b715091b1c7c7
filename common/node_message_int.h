/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_message_int.h - messages as JSON that is part of another's. Pure; any thread.
 */
#ifndef WEIR_COMMON_NODE_MESSAGE_INT_H
#define WEIR_COMMON_NODE_MESSAGE_INT_H

#include <jansson.h>

#include "common/node_message.h"

/* As node_message_read() and node_message_write(), of an object; NULL: it was none. */
int node_message_take(enum node_message kind, const json_t *o, struct node_text *ret, char *reterr);
json_t *node_message_put(enum node_message kind, const struct node_text *msg);

#endif
