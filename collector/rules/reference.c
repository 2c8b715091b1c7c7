// SPDX-License-Identifier: Apache-2.0
/*
 * reference.c - keys.def as a part of weir-collector-rules(8).
 */
#include <stdio.h>
#include <string.h>

#include "collector/rules/explain.h"
#include "collector/rules/rule_int.h"
#include "common/commands.h"

static void put_words(const struct rule_key *k)
{
	if (k->kind == RK_WORD) {
		for (const char *s = k->words; *s;) {
			const size_t n = strcspn(s, "|");

			printf("%s*%.*s*", s == k->words ? "" : s[n] ? ", " : " or ", (int)n, s);
			s += n + (s[n] == '|');
		}
	} else if (k->kind == RK_LIST || k->kind == RK_SKIP || k->kind == RK_OBJECT) {
		printf("%s", rule_kind_words[k->kind]);
	} else {
		reference_put(rule_kind_words[k->kind]);
	}
}

static void put_objects(enum rule_object from, enum rule_object to)
{
	for (unsigned int o = from; o < to; o++) {
		printf("## In %s\n\n", rule_object_names[o]);
		for (unsigned int i = 0; i < rule_keys_n; i++) {
			const struct rule_key *k = &rule_keys[i];

			if (k->object != o)
				continue;
			printf("*%s*: ", k->name);
			put_words(k);
			printf("%s\n\t", k->needed ? ", required" : "");
			reference_put_sentence(k->doc);
			printf("\n\n");
		}
	}
}

void explain_reference(void)
{
	put_objects(RO_FILE, RO_PACK);
}

void explain_pack_reference(void)
{
	put_objects(RO_PACK, _RO_MAX);
}
