// SPDX-License-Identifier: Apache-2.0
#include "loader/export/announce.h"

#include <stdio.h>
#include <string.h>

#include "loader/export/sink_int.h"
#include "loader/netns.h"
#include "weir/counters.h"

#define LABELS_TEXT 256u /* of a node's labels, joined by commas */

/* RFC 5476 section 6.5.2.1 */
#define SYSTEMATIC_COUNT 1u

enum step {
	STEP_SAMPLING, /* a message of its own */
	STEP_TYPE_TEMPLATE,
	STEP_TYPES, /* before anything that is of these types */
	STEP_TEMPLATES,
	STEP_EXPORTER,
	STEP_IFACES,
	STEP_STATISTICS,
	STEP_COUNTERS,
	STEP_LOSSES,
	_STEP_MAX
};

static const struct {
	const char *name, *class;
} counters[_CNT_MAX] = {
#define COUNTER(id, cl, help) [CNT_##id] = {#id, #cl},
#include "weir/counters.def"
#undef COUNTER
};

/* Packets that should be in a record and are not; passed over by sampling is as wished. */
static bool is_loss(unsigned int c)
{
	return (!strcmp(counters[c].class, "LOST") || !strcmp(counters[c].class, "SKIPPED")) &&
	       c != CNT_SAMPLED_OUT && c != CNT_LOST_BYTES && c != CNT_BUSY_BYTES;
}

void announce_reset(struct announce *a)
{
	memset(&a->done, 0, sizeof(a->done));
	a->step = 0;
	a->item = 0;
}

bool announce_templates(struct announce *a, struct ipfix_msg *m, const struct ipfix_used *used)
{
	struct ipfix_used want, left;
	uint64_t any = 0;

	for (unsigned int i = 0; i < sizeof(want.bits) / sizeof(want.bits[0]); i++) {
		want.bits[i] = used->bits[i] & ~a->done.bits[i];
		any |= want.bits[i];
	}
	if (!any)
		return false;
	left = want;
	(void)ipfix_put_templates(&a->cfg, m, &left); /* what is left comes with the next call */
	for (unsigned int i = 0; i < sizeof(want.bits) / sizeof(want.bits[0]); i++)
		a->done.bits[i] |= want.bits[i] & ~left.bits[i];
	return true;
}

/* ---- options: each returns 1 when it put one, 0 when there is no item of that number, -ENOSPC ---- */

static int put(struct announce *a, struct ipfix_msg *m, enum ipfix_option o,
	       const struct ipfix_arg *args)
{
	return ipfix_put_option(&a->cfg, m, o, args) ? -1 : 1;
}

static int put_exporter(struct announce *a, struct ipfix_msg *m)
{
	const struct export_env *env = &a->s->x->env;
	const char *node = env->node ? env->node : "";
	char labels[LABELS_TEXT];
	uint32_t n = 0;

	for (uint32_t i = 0; i < env->labels.n; i++) {
		const struct flow_str *l = &env->labels.v[i];

		if (l->len + 1 > sizeof(labels) - n)
			break;
		if (n)
			labels[n++] = ',';
		memcpy(labels + n, l->s, l->len);
		n += l->len;
	}
	return put(a, m, IPFIX_OPT_EXPORTER,
		   (struct ipfix_arg[]){
			   {.number = a->cfg.domain},
			   {.number = a->start_ms},
			   {.text = {node, (uint32_t)strlen(node)}},
			   {.text = {labels, n}},
		   });
}

/* Where it is on; in the domain of the flows, where collectors look for it. */
static bool sampling(struct announce *a, struct ipfix_msg *m)
{
	const uint32_t n = a->s->x->env.sampling;
	struct ipfix_arg args[] = {
		{.number = 1},
		{.number = SYSTEMATIC_COUNT},
		{.number = 1},
		{.number = n ? n - 1 : 0},
	};

	a->of_domain = n > 1;
	return n > 1 && !ipfix_put_option_template(&a->cfg, m, IPFIX_OPT_SAMPLING) &&
	       put(a, m, IPFIX_OPT_SAMPLING, args) > 0;
}

static int put_iface(struct announce *a, struct ipfix_msg *m, unsigned int i)
{
	const struct export_env *env = &a->s->x->env;
	char name[IFACE_NAME_MAX] = "";
	uint32_t ifindex;
	int r = env->iface ? env->iface(env->arg, i, &ifindex, name) : -1;

	if (r <= 0)
		return r < 0 ? 0 : 1;
	return put(a, m, IPFIX_OPT_INTERFACE,
		   (struct ipfix_arg[]){
			   {.number = ifindex},
			   {.text = {name, (uint32_t)strnlen(name, sizeof(name))}},
		   });
}

static uint64_t counter(const struct announce *a, unsigned int c)
{
	const struct export_env *env = &a->s->x->env;

	return env->counter ? env->counter(env->arg, c) : 0;
}

static int put_statistics(struct announce *a, struct ipfix_msg *m)
{
	const struct sink_counts *n = &a->s->n;
	struct ipfix_arg args[6] = {
		{.number = a->cfg.domain},
		{.number = n->messages},
		{.number = n->sent},
		{.number = n->bytes},
	};

	for (unsigned int l = 0; l < _LOSS_MAX; l++)
		args[4].number += n->lost[l];
	for (unsigned int c = 0; c < _CNT_MAX; c++)
		args[5].number += is_loss(c) ? counter(a, c) : 0;
	return put(a, m, IPFIX_OPT_STATISTICS, args);
}

static void lower(const char *from, char *to, size_t cap)
{
	size_t i = 0;

	for (; from[i] && i + 1 < cap; i++)
		to[i] = from[i] >= 'A' && from[i] <= 'Z' ? (char)(from[i] + 'a' - 'A') : from[i];
	to[i] = 0;
}

static int put_counter(struct announce *a, struct ipfix_msg *m, const char *name, uint64_t value)
{
	return put(a, m, IPFIX_OPT_COUNTER,
		   (struct ipfix_arg[]){
			   {.text = {name, (uint32_t)strlen(name)}},
			   {.number = value},
		   });
}

static int put_item(struct announce *a, struct ipfix_msg *m)
{
	struct ipfix_arg args[IPFIX_TYPE_ARGS];
	char name[48];

	switch ((enum step)a->step) {
	case STEP_TYPE_TEMPLATE:
		if (a->item)
			return 0;
		return ipfix_put_option_template(&a->cfg, m, IPFIX_OPT_TYPE) ? -1 : 1;
	case STEP_TEMPLATES:
		if (a->item == IPFIX_OPT_TYPE) /* was sent; what follows is in files only */
			return 0;
		return ipfix_put_option_template(&a->cfg, m, a->item) ? -1 : 1;
	case STEP_TYPES:
		if (!ipfix_type_args(&a->cfg, a->item, args))
			return 0;
		return put(a, m, IPFIX_OPT_TYPE, args);
	case STEP_EXPORTER:
		return a->item ? 0 : put_exporter(a, m);
	case STEP_IFACES:
		return put_iface(a, m, a->item);
	case STEP_STATISTICS:
		return a->item ? 0 : put_statistics(a, m);
	case STEP_COUNTERS:
		if (a->item == _CNT_MAX)
			return 0;
		lower(counters[a->item].name, name, sizeof(name));
		return put_counter(a, m, name, counter(a, a->item));
	default:
		if (a->item == _LOSS_MAX)
			return 0;
		snprintf(name, sizeof(name), "export_lost_%s", export_loss_name(a->item, NULL));
		return put_counter(a, m, name, a->s->n.lost[a->item]);
	}
}

static uint32_t ifaces_sum(const struct announce *a)
{
	const struct export_env *env = &a->s->x->env;
	uint32_t sum = 2166136261u, ifindex; /* FNV-1a */
	char name[IFACE_NAME_MAX];
	int r = env->iface ? 0 : -1;

	for (unsigned int i = 0; r >= 0; i++) {
		r = env->iface(env->arg, i, &ifindex, name);
		if (r != 1)
			continue;
		sum = (sum ^ ifindex) * 16777619u;
		for (unsigned int c = 0; c < IFACE_NAME_MAX && name[c]; c++)
			sum = (sum ^ (uint8_t)name[c]) * 16777619u;
	}
	return sum;
}

bool announce_ifaces_changed(const struct announce *a)
{
	return ifaces_sum(a) != a->ifaces;
}

bool announce_options(struct announce *a, struct ipfix_msg *m)
{
	if (a->step == STEP_SAMPLING && a->step++ == STEP_SAMPLING && sampling(a, m))
		return true;
	a->of_domain = false;
	while (a->step < _STEP_MAX) {
		int r = put_item(a, m);

		if (r < 0 && m->len > IPFIX_HEADER)
			return true; /* full; goes on with this item */
		if (r > 0) {
			a->item++;
			continue;
		}
		if (a->step == STEP_IFACES)
			a->ifaces = ifaces_sum(a);
		a->step++;
		a->item = 0;
	}
	if (m->len > IPFIX_HEADER)
		return true;
	a->step = 0;
	return false;
}
