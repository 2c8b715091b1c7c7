// SPDX-License-Identifier: Apache-2.0
#include "collector/control/promote.h"

#include <inttypes.h>
#include <stdio.h>

#define IN(mode) (1u << RM_##mode)

const struct promote_row promote_rows[_PROMOTE_MAX] = {
#define CONDITION(id, name, kind, modes, doc) [PROMOTE_##id] = {name, PROMOTE_##kind, modes, doc},
#include "collector/control/promote.def"
#undef CONDITION
};

static int64_t need(const struct promote_cfg *cfg, enum rule_mode mode, unsigned int id)
{
	if (id == PROMOTE_SEEN)
		return (int64_t)((cfg->seen_us[mode] + 999999) / 1000000);
	return id == PROMOTE_DECIDED ? (int64_t)cfg->decisions : 0;
}

uint32_t promote_judge(const struct promote_cfg *cfg, const struct promote_seen *seen,
		       struct promote_condition ret[_PROMOTE_MAX])
{
	uint32_t n = 0;

	for (unsigned int id = 0; id < _PROMOTE_MAX; id++) {
		struct promote_condition *c = &ret[n];

		if (!(promote_rows[id].modes >> seen->mode & 1))
			continue;
		*c = (struct promote_condition){id, seen->v[id], need(cfg, seen->mode, id), false};
		c->met = promote_rows[id].kind == PROMOTE_AT_MOST ? c->have <= c->need
								  : c->have >= c->need;
		n++;
	}
	return n;
}

void promote_text(const struct promote_condition *c, char *buf, uint32_t cap)
{
	const struct promote_row *r = &promote_rows[c->id];

	snprintf(buf, cap, "%s %" PRId64 "%s %" PRId64 "%s", r->name, c->have,
		 r->kind == PROMOTE_AT_MOST ? ", at most" : " of", c->need,
		 r->kind == PROMOTE_TIME ? " s" : "");
}
