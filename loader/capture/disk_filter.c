// SPDX-License-Identifier: Apache-2.0
/*
 * disk_filter.c - can a packet of a file meet a filter? What the index cannot tell, packets may.
 */
#include <string.h>

#include "common/filter_int.h"
#include "loader/capture/disk_index.h"

static bool is_ip(uint8_t field)
{
	return field == FF_SRC_IP || field == FF_DST_IP;
}

static bool is_port(uint8_t field)
{
	return field == FF_SRC_PORT || field == FF_DST_PORT;
}

/* One that is no wider than those that the index knows. ::/64 has all of IPv4 in it. */
static bool net_may(const struct disk_index *x, const struct filter_value *v)
{
	static const uint8_t mapped[12] = {[10] = 0xff, 0xff};
	const unsigned int bits = v->prefix + (v->family == 4 ? 96u : 0);

	if (!memcmp(v->ip, mapped, sizeof(mapped)))
		return bits < 96 + DISK_INDEX_V4_NET || disk_index_has(x, DISK_NET, v->ip, 0);
	return bits < DISK_INDEX_V6_NET || !memcmp(v->ip, mapped, DISK_INDEX_V6_NET / 8) ||
	       disk_index_has(x, DISK_NET, v->ip, 0);
}

static bool value_may(const struct disk_index *x, const struct filter_node *n,
		      const struct filter_value *v)
{
	if (is_ip(n->field) && v->type == FV_IP)
		return disk_index_has(x, DISK_ADDR, v->ip, 0);
	if (is_ip(n->field) && v->type == FV_NET)
		return net_may(x, v);
	if (is_port(n->field) && v->type == FV_NUMBER)
		return disk_index_has(x, DISK_PORT, NULL, (uint16_t)v->lo);
	return true;
}

/* One of the values will do. */
static bool cmp_may(const struct disk_index *x, const struct filter_ast *a,
		    const struct filter_node *n)
{
	if ((n->op != FO_EQ && n->op != FO_IN) || (!is_ip(n->field) && !is_port(n->field)))
		return true;
	for (uint32_t i = n->first; i; i = a->values[i].next)
		if (value_may(x, n, &a->values[i]))
			return true;
	return false;
}

static bool node_may(const struct disk_index *x, const struct filter_ast *a, uint32_t at)
{
	const struct filter_node *n = &a->nodes[at];
	bool any = false;

	switch (n->type) {
	case FN_CMP:
		return cmp_may(x, a, n);
	case FN_AND:
		for (uint32_t i = n->first; i; i = a->nodes[i].next)
			if (!node_may(x, a, i))
				return false;
		return true;
	case FN_OR:
		for (uint32_t i = n->first; i; i = a->nodes[i].next)
			any |= node_may(x, a, i);
		return any;
	default: /* what is not in it is no word of what else is */
		return true;
	}
}

bool disk_index_may(const struct disk_index *x, const struct filter_ast *filter)
{
	return !filter || node_may(x, filter, filter->root);
}
