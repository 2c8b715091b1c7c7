// SPDX-License-Identifier: Apache-2.0
/*
 * rules_rig.c - see rules_rig.h.
 */
#include "rules_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char *list(void *arg, const char *name)
{
	(void)arg;
	return !strcmp(name, "local") ? "10.0.0.0/8" : !strcmp(name, "empty") ? "" : NULL;
}

static const char *param(void *arg, const char *rule, const char *name)
{
	(void)arg;
	(void)rule;
	return !strcmp(name, "port") ? "443" : NULL;
}

const struct rule_site rules_rig_site = {.list = list, .param = param};

void rules_rig_error(const char *text, char *got)
{
	static struct config_errors errs;
	struct rule_set set = {};

	errs.count = 0;
	if (!rules_read(&set, &(struct rule_source){"rules.yaml", text, strlen(text)},
			&rules_rig_site, &errs))
		rules_link(&set, &errs);
	rules_done(&set);
	config_errors_sort(&errs);
	got[0] = 0;
	if (errs.count)
		snprintf(got, 300, "%u:%u: %s", errs.list[0].line, errs.list[0].col,
			 errs.list[0].text);
}

void rules_rig_read(const char *text, struct rule_set *ret)
{
	static struct config_errors errs;

	errs.count = 0;
	rules_read(ret, &(struct rule_source){"rules.yaml", text, strlen(text)}, &rules_rig_site,
		   &errs);
	rules_link(ret, &errs);
	cr_assert(errs.count == 0, "%u:%u: %s\n%s", errs.list[0].line, errs.list[0].col,
		  errs.list[0].text, text);
}
