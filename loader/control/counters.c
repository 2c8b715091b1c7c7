// SPDX-License-Identifier: Apache-2.0
/*
 * counters.c - see counters.h.
 */
#include "loader/control/counters.h"

#include "weir/counters.h"

static const struct {
	const char *name, *class, *help;
} defs[_CNT_MAX] = {
#define COUNTER(name_, class_, help_) [CNT_##name_] = {#name_, #class_, help_},
#include "weir/counters.def"
#undef COUNTER
};

struct counter_text counter_rows[_CNT_MAX];
const unsigned int counter_rows_n = _CNT_MAX;

void counter_rows_init(void)
{
	for (unsigned int i = 0; i < _CNT_MAX; i++) {
		struct counter_text *t = &counter_rows[i];
		unsigned int n = 0;

		for (; n < sizeof(t->name) - 1 && defs[i].name[n]; n++) {
			const char ch = defs[i].name[n];

			t->name[n] = ch >= 'A' && ch <= 'Z' ? (char)(ch | 0x20) : ch;
		}
		t->name[n] = 0;
		t->class = defs[i].class;
		t->help = defs[i].help;
	}
}
