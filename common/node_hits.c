// SPDX-License-Identifier: Apache-2.0
#include "common/node_hits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/address.h"
#include "common/node_message_int.h"
#include "common/num_text.h"

#define LIST "hits"

static void put(json_t *list, const struct node_hit *h, struct node_text *m)
{
	*m = (struct node_text){.entry = h->entry,
				.packets = h->packets,
				.bytes = h->bytes,
				.flows = h->flows,
				.last_us = h->last_us};
	node_id_write(h->id, m->id);
	ip_text(h->addr, 0, m->value);
	json_array_append_new(list, node_message_put(NODE_HIT, m));
}

char *node_hits_write(const struct node_hit *v, size_t n)
{
	struct node_text *m = malloc(sizeof(*m));
	json_t *o = json_object(), *list = json_array();
	char *text = NULL;

	for (size_t i = 0; m && i < n; i++)
		put(list, &v[i], m);
	json_object_set_new(o, LIST, list);
	if (m)
		text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	free(m);
	return text;
}

static int wrong(char *reterr, const char *why)
{
	snprintf(reterr, NODE_MESSAGE_ERROR, "%s", why);
	return -EINVAL;
}

static int take(const json_t *o, struct node_text *m, struct node_hit *ret, char *reterr)
{
	const int r = node_message_take(NODE_HIT, o, m, reterr);

	if (r)
		return r;
	*ret = (struct node_hit){.entry = m->entry,
				 .packets = m->packets,
				 .bytes = m->bytes,
				 .flows = m->flows,
				 .last_us = m->last_us};
	if (node_id_read(m->id, ret->id))
		return wrong(reterr, "id: want 32 hexadecimal digits");
	if (address_ip(m->value, ret->addr))
		return wrong(reterr, "value: want an address");
	return 0;
}

int node_hits_read(const char *text, size_t len, struct node_hit *ret, size_t *ret_n, char *reterr)
{
	struct node_text *m = malloc(sizeof(*m));
	json_t *o = len > NODE_MESSAGE_MAX ? NULL
					   : json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *list = json_object_get(o, LIST);
	int r = m ? 0 : -ENOMEM;

	*ret_n = json_array_size(list);
	if (!r && (!json_is_array(list) || *ret_n > NODE_HITS_MAX))
		r = wrong(reterr, LIST ": want a list, 64 at most");
	for (size_t i = 0; !r && i < *ret_n; i++)
		r = take(json_array_get(list, i), m, &ret[i], reterr);
	json_decref(o);
	free(m);
	return r;
}
