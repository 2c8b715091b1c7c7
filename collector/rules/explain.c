// SPDX-License-Identifier: Apache-2.0
#include "collector/rules/explain.h"

#include <jansson.h>
#include <string.h>

#include "common/units.h"

static const char *class_text(unsigned int class)
{
	static const char *const text[] = {
		[RC_KERNEL] = "in the kernel, from the packet or its name",
		[RC_AGENT] = "on the node, from the flow's state",
		[RC_COLLECTOR] = "in the collector",
	};

	return text[class];
}

static const char *duration(uint64_t ns, char *buf)
{
	return ns ? units_duration(ns, buf) : "at once";
}

static void put_bytes(FILE *out, uint64_t bytes)
{
	if (bytes < 10240)
		fprintf(out, "%llu B", (unsigned long long)bytes);
	else if (bytes < (UINT64_C(10) << 20))
		fprintf(out, "%llu KiB", (unsigned long long)(bytes >> 10));
	else
		fprintf(out, "%llu MiB", (unsigned long long)(bytes >> 20));
}

static void put_by(const struct rule *r, FILE *out)
{
	for (uint32_t i = 0; i < r->by.n; i++)
		fprintf(out, "%s%s", i ? ", " : "", flow_fields[r->by.v[i]].path);
}

static void put_what(const struct rule_set *set, const struct rule *r, FILE *out)
{
	char size[UNITS_TEXT], slide[UNITS_TEXT];

	if (r->correlate.at.line) {
		fprintf(out, "  joins     ");
		for (uint32_t i = 0; i < r->correlate.rules.n; i++)
			fprintf(out, "%s%s",
				!i				  ? ""
				: r->correlate.type == RT_ORDERED ? ", then "
								  : " and ",
				set->v[r->correlate.index[i]].name);
		fprintf(out, ", of the same %s, within %s\n", r->correlate.by.s ?: "host",
			units_duration(r->correlate.within_ns, size));
		return;
	}
	fprintf(out, "  where     %s\n", r->where.s ?: "every flow");
	if (r->by.n) {
		fputs("  by        ", out);
		put_by(r, out);
		fputc('\n', out);
	}
	if (r->test)
		fprintf(out, "  having    %s, over %s, moving on by %s\n", r->having.s,
			units_duration(r->window.size_ns, size),
			units_duration(r->window.slide_ns, slide));
}

static void put_params(const struct rule *r, FILE *out)
{
	for (uint32_t i = 0; i < r->params.n; i++) {
		const struct rule_param *p = &r->params.v[i];

		fprintf(out, "  %s%s = %s", i ? "          " : "params    ", p->name, p->value);
		if (p->min.s && p->max.s)
			fprintf(out, " (%s to %s)", p->min.s, p->max.s);
		fprintf(out, "%s%s\n", p->doc ? ": " : "", p->doc ?: "");
	}
}

static void put_actions(const struct rule *r, FILE *out)
{
	char buf[UNITS_TEXT];

	for (uint32_t i = 0; i < r->actions.n; i++) {
		const struct rule_action *a = &r->actions.v[i];

		fprintf(out, "  %s%s %s", i ? "          " : "actions   ",
			rule_word(RO_RULE, "mode", r->mode), "");
		fprintf(out, "-> %s %s", rule_action_word(a->type),
			a->scope == RULE_SCOPE_PAIR ? "pair" : flow_fields[a->scope].path);
		if (a->ttl_ns)
			fprintf(out, " for %s", units_duration(a->ttl_ns, buf));
		fputc('\n', out);
	}
}

static void put_cost(const struct rule *r, FILE *out)
{
	struct rule_cost c;
	char buf[UNITS_TEXT];

	rule_cost(r, &c);
	fprintf(out, "  reaction  %s%s\n", r->for_ns || c.reaction_ns ? "at most " : "",
		c.reaction_ns		? duration(c.reaction_ns, buf)
		: r->class == RC_KERNEL ? "with the packet"
					: "with the flow's record");
	if (r->class != RC_KERNEL && !r->correlate.at.line) {
		fputs("  state     at most ", out);
		put_bytes(out, c.group_bytes);
		fputs(" a group, ", out);
		put_bytes(out, c.state_bytes);
		fprintf(out, " for %llu groups\n",
			(unsigned long long)(r->by.n ? r->groups_max : 1));
	}
	if (c.distinct_exact)
		fprintf(out,
			"  distinct  exact up to %u values, then with a standard error of %.1f %%\n",
			c.distinct_exact, 100 * c.distinct_error);
}

void explain_rule(const struct rule_set *set, const struct rule *r, bool cost, FILE *out)
{
	fprintf(out, "%s %s (%s, %s)\n", r->name, r->version,
		rule_word(RO_RULE, "status", r->status), rule_word(RO_RULE, "mode", r->mode));
	fprintf(out, "  class     %s: %s (%s)\n", rule_class_word(r->class), class_text(r->class),
		r->class_why ?: "");
	put_what(set, r, out);
	put_params(r, out);
	if (cost)
		put_cost(r, out);
	put_actions(r, out);
	for (uint32_t i = 0; i < set->n_notes; i++)
		if (set->notes[i].file == r->file && set->notes[i].rule == r->id)
			fprintf(out, "  note      %s\n", set->notes[i].text);
}

void explain_text(const struct rule_set *set, const struct rule *r, FILE *out)
{
	explain_rule(set, r, true, out);
}

/* ---- JSON ---- */

static void dump(json_t *obj, FILE *out)
{
	json_dumpf(obj, out, JSON_COMPACT);
	fputc('\n', out);
	json_decref(obj);
}

void explain_json(const struct rule_set *set, const struct rule *r, FILE *out)
{
	json_t *o = json_object(), *by = json_array(), *notes = json_array();
	struct rule_cost c;

	rule_cost(r, &c);
	json_object_set_new(o, "rule", json_string(r->name));
	json_object_set_new(o, "id", json_string(r->id));
	json_object_set_new(o, "version", json_string(r->version));
	json_object_set_new(o, "status", json_string(rule_word(RO_RULE, "status", r->status)));
	json_object_set_new(o, "mode", json_string(rule_word(RO_RULE, "mode", r->mode)));
	json_object_set_new(o, "class", json_string(rule_class_word(r->class)));
	json_object_set_new(o, "class_why", json_string(r->class_why ?: ""));
	if (r->where.s)
		json_object_set_new(o, "where", json_string(r->where.s));
	if (r->having.s)
		json_object_set_new(o, "having", json_string(r->having.s));
	for (uint32_t i = 0; i < r->by.n; i++)
		json_array_append_new(by, json_string(flow_fields[r->by.v[i]].path));
	json_object_set_new(o, "by", by);
	json_object_set_new(o, "window_ns", json_integer((json_int_t)r->window.size_ns));
	json_object_set_new(o, "slide_ns", json_integer((json_int_t)r->window.slide_ns));
	json_object_set_new(o, "reaction_ns", json_integer((json_int_t)c.reaction_ns));
	json_object_set_new(o, "group_bytes", json_integer((json_int_t)c.group_bytes));
	json_object_set_new(o, "state_bytes", json_integer((json_int_t)c.state_bytes));
	if (c.distinct_exact) {
		json_object_set_new(o, "distinct_exact", json_integer(c.distinct_exact));
		json_object_set_new(o, "distinct_error", json_real(c.distinct_error));
	}
	for (uint32_t i = 0; i < set->n_notes; i++)
		if (set->notes[i].rule == r->id)
			json_array_append_new(notes, json_string(set->notes[i].text));
	json_object_set_new(o, "notes", notes);
	dump(o, out);
}

static json_t *place(const char *file, uint32_t line, uint32_t column, const char *text)
{
	json_t *o = json_object();

	json_object_set_new(o, "file", json_string(file));
	if (line) {
		json_object_set_new(o, "line", json_integer(line));
		json_object_set_new(o, "column", json_integer(column));
	}
	json_object_set_new(o, "message", json_string(text));
	return o;
}

void explain_check_json(const struct rule_files *f, FILE *out)
{
	json_t *o = json_object(), *errors = json_array(), *notes = json_array();

	for (uint32_t i = 0; i < f->n_errors; i++)
		for (uint32_t e = 0; e < f->errors[i].errs.count && e < CONFIG_ERRORS_MAX; e++) {
			const struct config_error *ce = &f->errors[i].errs.list[e];

			json_array_append_new(errors, place(f->errors[i].file, ce->line, ce->col,
							    ce->text));
		}
	for (uint32_t i = 0; i < f->set.n_notes; i++)
		json_array_append_new(notes, place(f->set.notes[i].file, f->set.notes[i].line,
						   f->set.notes[i].column, f->set.notes[i].text));
	json_object_set_new(o, "rules", json_integer(f->set.n));
	json_object_set_new(o, "errors", errors);
	json_object_set_new(o, "notes", notes);
	dump(o, out);
}
