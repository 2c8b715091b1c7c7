/* SPDX-License-Identifier: Apache-2.0 */
/*
 * promote.h - whether a rule may go a mode further: what was seen of it in its mode against what has to have
 * been (promote.def). Pure; any thread.
 */
#ifndef WEIR_COLLECTOR_CONTROL_PROMOTE_H
#define WEIR_COLLECTOR_CONTROL_PROMOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/rules/rule.h"

enum promote_condition_id {
#define CONDITION(id, name, kind, modes, doc) PROMOTE_##id,
#include "collector/control/promote.def"
#undef CONDITION
	_PROMOTE_MAX
};

enum promote_kind { PROMOTE_AT_LEAST, PROMOTE_AT_MOST, PROMOTE_TIME };

struct promote_row {
	const char *name;
	enum promote_kind kind;
	uint32_t modes;
	const char *doc;
};

extern const struct promote_row promote_rows[_PROMOTE_MAX];

struct promote_cfg {
	uint64_t seen_us[RM_PREVENT]; /* by enum rule_mode */
	uint32_t decisions;
};

/* A rule in its mode, since it has it. */
struct promote_seen {
	enum rule_mode mode;
	int64_t v[_PROMOTE_MAX]; /* times in seconds */
};

struct promote_condition {
	enum promote_condition_id id;
	int64_t have, need;
	bool met;
};

/**
 * promote_judge - what a rule's next mode asks for
 * @ret: as many as there are; _PROMOTE_MAX at most
 *
 * Return: how many; 0: nothing is asked (draft), or there is no next mode (prevent).
 */
uint32_t promote_judge(const struct promote_cfg *cfg, const struct promote_seen *seen,
		       struct promote_condition ret[_PROMOTE_MAX]);

/* "seen 12 of 86400 s", into @buf. */
void promote_text(const struct promote_condition *c, char *buf, uint32_t cap);

#endif
