// SPDX-License-Identifier: Apache-2.0
#include "common/node_capture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/node_message_int.h"

#define LIST "captures"

const char *const node_capture_words[_CAPTURE_STATE_MAX] = {
	[CAPTURE_OPEN] = "open",
	[CAPTURE_COMPLETE] = "complete",
	[CAPTURE_REMOVED] = "removed",
};

enum node_capture_state node_capture_state(const char *word)
{
	unsigned int i = 0;

	while (i < _CAPTURE_STATE_MAX && strcmp(node_capture_words[i], word) != 0)
		i++;
	return (enum node_capture_state)i;
}

int node_capture_id(const char *text)
{
	return strspn(text, "0123456789abcdef") == NODE_CAPTURE_ID && !text[NODE_CAPTURE_ID];
}

static int wrong(char *reterr, const char *why)
{
	snprintf(reterr, NODE_MESSAGE_ERROR, "%s", why);
	return -EINVAL;
}

/* ---- lists ---- */

char *node_captures_write(const struct node_text *head, const struct node_text *of, size_t n)
{
	json_t *o = node_message_put(NODE_CAPTURES, head), *list = json_array();
	char *text;

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, node_message_put(NODE_CAPTURE, &of[i]));
	json_object_set_new(o, LIST, list);
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return text;
}

/* What the table does not say of one. */
static int check(const struct node_text *m, char *reterr)
{
	const enum node_capture_state s = node_capture_state(m->state);
	uint8_t ip[16];

	if (!node_capture_id(m->file))
		return wrong(reterr, "file: want 16 hexadecimal digits");
	if (s == _CAPTURE_STATE_MAX)
		return wrong(reterr, "state: no such word");
	if (s == CAPTURE_REMOVED)
		return 0;
	if (!m->rule[0])
		return wrong(reterr, "rule: is missing");
	if (address_ip(m->value, ip))
		return wrong(reterr, "value: want an address");
	if (m->to[0] && address_ip(m->to, ip))
		return wrong(reterr, "to: want an address");
	return 0;
}

static int each(const json_t *list, const struct node_captures *to, const struct node_text *head,
		char *reterr)
{
	struct node_text *m = malloc(sizeof(*m));
	const json_t *o;
	size_t i;
	int r = m ? 0 : -ENOMEM;

	json_array_foreach(list, i, o)
	{
		r = r ?: node_message_take(NODE_CAPTURE, o, m, reterr);
		r = r ?: check(m, reterr);
		r = r ?: to->one(to->arg, head, m);
		if (r)
			break;
	}
	free(m);
	return r;
}

int node_captures_read(const char *text, size_t len, const struct node_captures *to,
		       struct node_text *ret_head, char *reterr)
{
	json_t *o = len > NODE_MESSAGE_MAX ? NULL
					   : json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *list = json_object_get(o, LIST);
	int r = node_message_take(NODE_CAPTURES, o, ret_head, reterr);

	if (!r && (!json_is_array(list) || json_array_size(list) > NODE_CAPTURES_MAX))
		r = wrong(reterr, LIST ": want a list, 24 at most");
	r = r ?: each(list, to, ret_head, reterr);
	json_decref(o);
	return r;
}

/* ---- octets ---- */

int node_piece_read(const char *text, size_t len, struct node_text *ret,
		    struct node_octets *ret_octets, char *reterr)
{
	const size_t most = len < NODE_PIECE_HEAD ? len : NODE_PIECE_HEAD;
	const char *nl = memchr(text, '\n', most);
	int r;

	if (!nl)
		return wrong(reterr, "want a line of JSON");
	r = node_message_read(NODE_PIECE, text, (size_t)(nl - text), ret, reterr);
	if (r)
		return r;
	*ret_octets = (struct node_octets){(const uint8_t *)nl + 1, len - (size_t)(nl + 1 - text)};
	if (ret_octets->n > NODE_PIECE_OCTETS)
		return wrong(reterr, "more octets than a piece has");
	if (!ret->fetch && ret_octets->n)
		return wrong(reterr, "fetch: is missing");
	if (ret->error[0] && ret_octets->n)
		return wrong(reterr, "error: with octets");
	if (ret->offset > ret->size || (int64_t)ret_octets->n > ret->size - ret->offset)
		if (!ret->error[0] && ret->fetch)
			return wrong(reterr, "offset: beyond size");
	return 0;
}
