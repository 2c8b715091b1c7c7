// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_diff.c - `weir-collector rules diff`: what is different between two files or directories of rules. Rules are
 * told apart by their id.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/cmd_rules.h"
#include "common/units.h"

static int cmd_diff(int argc, char **argv);

static const struct cli_option options[] = {
	RULES_SITE_OPTIONS,
	{},
};

const struct cli_command rules_command_diff = {
	.name = "diff",
	.help = "what is different between two sets of rules",
	.operands = "OLD NEW",
	.words = CLI_FILE,
	.doc = "OLD and NEW are files or directories. Prints what has come (+), gone (-) and changed (~), key by "
	       "key, and exits with 1 if there is something. A rule that changed while its version did not is "
	       "pointed out.",
	.options = options,
	.examples = "weir-collector rules diff /usr/share/weir/rules rules/\n",
	.run = cmd_diff,
};

/* ---- keys as text ---- */

static void put_text(FILE *out, const char *s)
{
	fputs(s ?: "", out);
}

static void put_duration(FILE *out, uint64_t ns)
{
	char buf[UNITS_TEXT];

	if (ns)
		fputs(units_duration(ns, buf), out);
}

static void put_mode(const struct rule *r, FILE *out)
{
	fputs(rule_word(RO_RULE, "mode", r->mode), out);
}

static void put_status(const struct rule *r, FILE *out)
{
	fputs(rule_word(RO_RULE, "status", r->status), out);
}

static void put_where(const struct rule *r, FILE *out)
{
	put_text(out, r->where.s);
}

static void put_having(const struct rule *r, FILE *out)
{
	put_text(out, r->having.s);
}

static void put_exempt(const struct rule *r, FILE *out)
{
	put_text(out, r->exempt_text.s);
}

static void put_window(const struct rule *r, FILE *out)
{
	put_duration(out, r->window.size_ns);
	if (r->window.size_ns)
		fputs(" by ", out);
	put_duration(out, r->window.slide_ns);
}

static void put_by(const struct rule *r, FILE *out)
{
	for (uint32_t i = 0; i < r->by.n; i++)
		fprintf(out, "%s%s", i ? ", " : "", flow_fields[r->by.v[i]].path);
}

static void put_for(const struct rule *r, FILE *out)
{
	put_duration(out, r->for_ns);
}

static void put_keep(const struct rule *r, FILE *out)
{
	put_duration(out, r->keep_ns);
}

static void put_groups_max(const struct rule *r, FILE *out)
{
	fprintf(out, "%llu", (unsigned long long)r->groups_max);
}

static void put_params(const struct rule *r, FILE *out)
{
	for (uint32_t i = 0; i < r->params.n; i++) {
		const struct rule_param *p = &r->params.v[i];

		fprintf(out, "%s%s = %s (%s to %s)", i ? ", " : "", p->name, p->value ?: "",
			p->min.s ?: "", p->max.s ?: "");
	}
}

static void put_evidence(const struct rule *r, FILE *out)
{
	fputs(r->evidence.handshake ? "handshake required" : "", out);
}

static const char *action_word(unsigned int action)
{
	static const char *const words[] = {[RO_DROP] = "drop",
					    [RO_LIMIT] = "limit",
					    [RO_RESET] = "reset",
					    [RO_CAPTURE] = "capture",
					    [RO_MIRROR] = "mirror"};

	return words[action];
}

static void put_action(const struct rule_action *a, FILE *out)
{
	fprintf(out, "%s %s", action_word(a->type),
		a->scope == RULE_SCOPE_PAIR ? "pair" : flow_fields[a->scope].path);
	fputs(a->direction == 1 ? " ingress" : a->direction == 2 ? " egress" : "", out);
	if (a->rate)
		fprintf(out, " %s", a->rate);
	if (a->ttl_ns)
		fputs(" for ", out);
	put_duration(out, a->ttl_ns);
	for (uint32_t i = 0; i < a->escalate.n; i++) {
		fputs(" then ", out);
		put_duration(out, a->escalate.ns[i]);
	}
}

static void put_actions(const struct rule *r, FILE *out)
{
	for (uint32_t i = 0; i < r->actions.n; i++) {
		fputs(i ? ", " : "", out);
		put_action(&r->actions.v[i], out);
	}
}

static void put_pairs(const struct rule_pairs *p, FILE *out)
{
	for (uint32_t i = 0; i < p->n; i++)
		fprintf(out, "%s%s: %s", i ? ", " : "", p->v[i].key, p->v[i].value);
}

static void put_labels(const struct rule *r, FILE *out)
{
	put_pairs(&r->labels, out);
}

static void put_annotations(const struct rule *r, FILE *out)
{
	put_pairs(&r->annotations, out);
}

static void put_correlate(const struct rule *r, FILE *out)
{
	if (!r->correlate.at.line)
		return;
	for (uint32_t i = 0; i < r->correlate.rules.n; i++)
		fprintf(out, "%s%s", i ? ", " : "", r->correlate.rules.v[i].s);
	fprintf(out, " of %s within ", r->correlate.by.s ?: "host");
	put_duration(out, r->correlate.within_ns);
}

static void put_name(const struct rule *r, FILE *out)
{
	put_text(out, r->name);
}

static const struct {
	const char *name;
	void (*put)(const struct rule *r, FILE *out);
} keys[] = {
	{"name", put_name},
	{"status", put_status},
	{"mode", put_mode},
	{"where", put_where},
	{"window", put_window},
	{"by", put_by},
	{"having", put_having},
	{"for", put_for},
	{"keep_firing_for", put_keep},
	{"groups_max", put_groups_max},
	{"params", put_params},
	{"evidence", put_evidence},
	{"exempt", put_exempt},
	{"correlate", put_correlate},
	{"actions", put_actions},
	{"labels", put_labels},
	{"annotations", put_annotations},
};

/* ---- two sets ---- */

static char *text_of(const struct rule *r, unsigned int key)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	keys[key].put(r, out);
	return fclose(out) ? NULL : text;
}

/* Return: how many keys are different; -1: no memory. */
static int compare(const struct rule *a, const struct rule *b)
{
	int n = strcmp(a->version, b->version) != 0;

	if (n)
		printf("~ %s %s -> %s\n", b->name, a->version, b->version);
	for (unsigned int i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		char *was = text_of(a, i), *is = text_of(b, i);
		const bool ok = was && is;

		if (ok && strcmp(was, is) != 0) {
			if (!n++)
				printf("~ %s %s, and the version is the same\n", b->name,
				       b->version);
			printf("    %s: %s\n    %*s  %s\n", keys[i].name, *was ? was : "(nothing)",
			       (int)strlen(keys[i].name) + 1, "->", *is ? is : "(nothing)");
		}
		free(was);
		free(is);
		if (!ok)
			return -1;
	}
	return n;
}

/* Return: whether something is different, or -1. */
static int compare_sets(const struct rule_set *a, const struct rule_set *b)
{
	int n = 0, r = 0;

	for (uint32_t i = 0; i < a->n; i++) {
		if (rules_find(b, a->v[i].id))
			continue;
		printf("- %s %s\n", a->v[i].name, a->v[i].version);
		n = 1;
	}
	for (uint32_t i = 0; i < b->n && r >= 0; i++) {
		const struct rule *was = rules_find(a, b->v[i].id);

		if (was)
			r = compare(was, &b->v[i]);
		else
			printf("+ %s %s (%s)\n", b->v[i].name, b->v[i].version,
			       rule_word(RO_RULE, "mode", b->v[i].mode));
		n |= !was || r > 0;
	}
	return r < 0 ? r : n;
}

static int read_set(struct rules_call *k, const char *path, struct rule_files *f)
{
	k->paths[0] = path;
	k->n = 1;
	return rules_need_all(k, f);
}

static int cmd_diff(int argc, char **argv)
{
	static struct rules_call k;
	struct rule_files was = {}, is = {};
	const char *path[2];
	int rc = rules_begin(&k, &rules_command_diff, argc, argv), n;

	if (rc >= 0)
		return rc;
	if (k.n != 2) {
		site_done(&k.site);
		return cli_error(&k.c, "two files or directories are compared, not %u", k.n);
	}
	path[0] = k.paths[0];
	path[1] = k.paths[1];
	rc = read_set(&k, path[0], &was);
	if (!rc)
		rc = read_set(&k, path[1], &is);
	if (!rc) {
		n = compare_sets(&was.set, &is.set);
		rc = n < 0 ? rules_no_memory() : n ? EXIT_FAILED : EXIT_OK;
	}
	if (is.site)
		rule_files_done(&is);
	return rules_finish(&k, &was, rc);
}
