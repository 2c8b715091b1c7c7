// SPDX-License-Identifier: Apache-2.0
#include "collector/rules/test_run.h"

#include <errno.h>
#include <libgen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/rules/alert_json.h"
#include "collector/rules/rule_int.h"
#include "collector/rules/series.h"
#include "common/record_json.h"

#define BEGIN_NS (UINT64_C(1767225600) * 1000000000) /* 2026-01-01, where series begin */
#define SECOND	 UINT64_C(1000000000)

/* ---- files of records ---- */

static int feed_line(struct record_reader *rr, struct flow_str line, flow_fn *one, void *arg,
		     char why[static RECORD_JSON_ERROR])
{
	struct flow_record r;
	json_error_t e;
	json_t *obj = json_loadb(line.s, line.len, 0, &e);
	int rc = -EINVAL;

	if (!obj)
		snprintf(why, RECORD_JSON_ERROR, "%.80s", e.text);
	else if (!record_read(rr, obj, &r, why))
		rc = one(arg, &r);
	json_decref(obj);
	return rc;
}

int flows_feed(const char *path, flow_fn *one, void *arg, char *reterr)
{
	FILE *in = strcmp(path, "-") ? fopen(path, "re") : stdin;
	struct record_reader *rr = record_reader_new();
	char *line = NULL, why[RECORD_JSON_ERROR];
	size_t cap = 0;
	ssize_t len;
	uint64_t n = 0;
	int r = 0;

	if (!in)
		snprintf(reterr, RECORD_JSON_ERROR, "%s", strerror(errno));
	if (!in || !rr)
		r = in ? -ENOMEM : -EIO;
	while (!r && (len = getline(&line, &cap, in)) >= 0) {
		n++;
		if (!line[strspn(line, " \t\r\n")])
			continue;
		r = feed_line(rr, (struct flow_str){line, (uint32_t)len}, one, arg, why);
		if (r == -EINVAL)
			snprintf(reterr, RECORD_JSON_ERROR, "line %llu: %.60s",
				 (unsigned long long)n, why);
	}
	free(line);
	record_reader_free(rr);
	if (in && in != stdin)
		fclose(in);
	return r;
}

/* ---- one test ---- */

struct synthetic {
	const char *series;
	uint32_t i;	/* of the series */
	uint32_t order; /* as written */
	uint64_t end_ns;
};

struct run {
	struct rule_reader *rr;
	struct engine *engine;
	struct test_result result;
	const char *dir; /* of files that it names; NULL: it must name none */
	json_t *alerts;	 /* a list */
	struct synthetic *flows;
	uint32_t n, cap;
	struct record_reader *records;
	int rc;
};

static void on_alert(void *arg, const struct alert *a)
{
	char *buf = malloc(ALERT_JSON);
	struct run *t = arg;
	const size_t len = buf ? alert_json(a, buf) : 0;

	if (!len || json_array_append_new(t->alerts, json_loadb(buf, len, 0, NULL)))
		t->rc = -ENOMEM;
	free(buf);
}

static int feed(void *arg, const struct flow_record *r)
{
	struct run *t = arg;

	t->result.flows++;
	return engine_flow(t->engine, r);
}

static int add_flow(struct run *t, const struct synthetic *f)
{
	if (t->n == t->cap) {
		const uint32_t cap = t->cap ? t->cap * 2 : 256;
		struct synthetic *to = reallocarray(t->flows, cap, sizeof(*to));

		if (!to)
			return -ENOMEM;
		t->flows = to;
		t->cap = cap;
	}
	t->flows[t->n++] = *f;
	return 0;
}

static void add_series(struct run *t, const struct rule_flows *f, uint32_t node)
{
	const uint64_t every = f->every_ns ?: SECOND, repeat = f->repeat ?: 1;
	const char *why;
	const uint32_t n = series_count(f->series, &why);

	if (!n || n * repeat > SERIES_MAX) {
		rule_fail(t->rr, node, "series: %s", n ? "more than 100000 flows" : why);
		return;
	}
	for (uint64_t i = 0; i < n * repeat && !t->rc; i++)
		t->rc = add_flow(t, &(struct synthetic){f->series, (uint32_t)(i % n), t->n,
							BEGIN_NS + f->start_ns + i * every});
}

static int by_end(const void *a, const void *b)
{
	const struct synthetic *x = a, *y = b;

	if (x->end_ns != y->end_ns)
		return x->end_ns > y->end_ns ? 1 : -1;
	return x->order > y->order ? 1 : -1;
}

static void feed_file(struct run *t, const struct rule_flows *f, uint32_t node)
{
	char path[4096], why[RECORD_JSON_ERROR] = "";
	int r;

	if (!t->dir) {
		rule_fail(t->rr, node, "%s: these tests name no files, they have series", f->file);
		return;
	}
	if (f->file[0] == '/')
		snprintf(path, sizeof(path), "%s", f->file);
	else
		snprintf(path, sizeof(path), "%s/%s", t->dir, f->file);
	r = flows_feed(path, feed, t, why);
	if (r == -EINVAL || r == -EIO)
		rule_fail(t->rr, node, "%s: %s", f->file, why);
	else
		t->rc = r;
}

static void feed_series(struct run *t, uint32_t node)
{
	struct flow_record r;
	char buf[4 * SERIES_TEXT], why[RECORD_JSON_ERROR];

	if (t->n)
		qsort(t->flows, t->n, sizeof(*t->flows), by_end);
	for (uint32_t i = 0; i < t->n && !t->rc; i++) {
		const struct synthetic *f = &t->flows[i];
		json_t *obj = NULL;

		if (series_json(f->series, f->i, f->end_ns, buf, sizeof(buf))) {
			rule_fail(t->rr, node, "%.150s", buf);
			return;
		}
		obj = json_loads(buf, 0, NULL);
		if (record_read(t->records, obj, &r, why)) {
			rule_fail(t->rr, node, "%s: %.100s", why, f->series);
			json_decref(obj);
			return;
		}
		t->rc = feed(t, &r);
		json_decref(obj);
	}
}

static void feed_all(struct run *t, uint32_t flows)
{
	const struct yaml *y = t->rr->y;

	for (uint32_t i = y->nodes[flows].first; i && !t->rc; i = y->nodes[i].next) {
		struct rule_flows f = {};

		rule_read_object(t->rr, RO_FLOWS, i, &f);
		if (!f.series == !f.file)
			rule_fail(t->rr, i, "flows are a series or a file");
		else if (f.series)
			add_series(t, &f, i);
		else
			feed_file(t, &f, i);
	}
	if (!t->rc)
		feed_series(t, flows);
}

/* ---- what is expected ---- */

static json_t *member(json_t *obj, const char *path)
{
	const char *dot;
	char part[64];

	while (obj && (dot = strchr(path, '.'))) {
		snprintf(part, sizeof(part), "%.*s", (int)(dot - path), path);
		obj = json_object_get(obj, part);
		path = dot + 1;
	}
	return json_object_get(obj, path);
}

static bool equal(json_t *v, const char *text)
{
	double n;

	if (json_is_string(v))
		return !strcmp(json_string_value(v), text);
	if (json_is_boolean(v))
		return !strcmp(text, json_is_true(v) ? "true" : "false");
	return json_is_number(v) && !having_scan_number(text, &n) &&
	       fabs(json_number_value(v) - n) < 1e-9 * (1 + fabs(n));
}

static bool matches(const struct yaml *y, uint32_t match, json_t *alert)
{
	if (!yaml_get(y, match, "state") && !equal(json_object_get(alert, "state"), "firing"))
		return false;
	for (uint32_t key = match ? y->nodes[match].first : 0, v; key; key = y->nodes[v].next) {
		v = y->nodes[key].next;
		if (!equal(member(alert, yaml_text(y, key)), yaml_text(y, v)))
			return false;
	}
	return true;
}

static void fail_expect(struct run *t, uint32_t node, uint64_t want, uint64_t got)
{
	char *first = json_array_size(t->alerts)
			      ? json_dumps(json_array_get(t->alerts, 0), JSON_COMPACT)
			      : NULL;

	t->result.ok = false;
	snprintf(t->result.why, sizeof(t->result.why),
		 "line %u: %llu alerts expected, %llu came%s%.380s", t->rr->y->nodes[node].line,
		 (unsigned long long)want, (unsigned long long)got,
		 first ? "; the first of all: " : "", first ?: "");
	free(first);
}

static void check_expect(struct run *t, uint32_t node)
{
	const struct yaml *y = t->rr->y;
	struct rule_expect e = {};
	const uint32_t errors = t->rr->errs->count;
	uint32_t match;
	uint64_t n = 0;

	rule_read_object(t->rr, RO_EXPECT, node, &e);
	if (t->rr->errs->count != errors)
		return;
	match = yaml_get(y, yaml_get(y, node, "filter"), "match");
	if (match && y->nodes[match].type != YAML_MAP) {
		rule_fail(t->rr, match, "match is a map");
		return;
	}
	for (size_t i = 0; i < json_array_size(t->alerts); i++)
		n += matches(y, match, json_array_get(t->alerts, i));
	if (n != e.filter.count && t->result.ok)
		fail_expect(t, node, e.filter.count, n);
}

static int run_test(struct run *t, uint32_t node)
{
	const struct yaml *y = t->rr->y;
	const struct engine_cfg cfg = {.rules = t->rr->set, .alert = on_alert, .arg = t, .seed = 1};
	const uint32_t expect = yaml_get(y, node, "expect");
	const uint32_t errors = t->rr->errs->count;
	struct rule_test test = {};

	rule_read_object(t->rr, RO_TEST, node, &test);
	if (t->rr->errs->count != errors)
		return 0;
	t->result = (struct test_result){test.name, y->nodes[node].line, true, "", 0};
	t->alerts = json_array();
	t->n = 0;
	t->rc = t->alerts ? engine_new(&cfg, &t->engine) : -ENOMEM;
	if (!t->rc)
		feed_all(t, yaml_get(y, node, "flows"));
	if (!t->rc) {
		engine_flush(t->engine);
		engine_advance(t->engine, engine_clock(t->engine) + test.wait_ns);
	}
	for (uint32_t i = y->nodes[expect].first; i && !t->rc; i = y->nodes[i].next)
		check_expect(t, i);
	t->engine = engine_free(t->engine);
	json_decref(t->alerts);
	return t->rc;
}

/* ---- a file of tests ---- */

static int read_rules(struct rule_files *files, struct run *t, const struct rule_source *src)
{
	const struct yaml *y = t->rr->y;
	const uint32_t rules = yaml_get(y, y->root, "rules");
	char one[8192];
	int r = 0;

	if (!rules)
		return rule_files_text(files, src);
	if (!t->dir) {
		rule_fail(t->rr, rules, "these tests are of the rules beside them, not of files");
		return -EINVAL;
	}
	for (uint32_t i = y->nodes[rules].type == YAML_SEQ ? y->nodes[rules].first : rules; i && !r;
	     i = y->nodes[rules].type == YAML_SEQ ? y->nodes[i].next : 0) {
		snprintf(one, sizeof(one), "%s/%s", t->dir, yaml_text(y, i));
		r = rule_files_read(files, one);
	}
	return r;
}

static int run_all(struct run *t, uint32_t tests, test_result_fn *tell, void *arg)
{
	const struct yaml *y = t->rr->y;
	int r = 0;

	if (y->nodes[tests].type != YAML_SEQ) {
		rule_fail(t->rr, tests, "tests is a list");
		return 0;
	}
	for (uint32_t i = y->nodes[tests].first; i && !r; i = y->nodes[i].next) {
		const uint32_t errors = t->rr->errs->count;

		r = run_test(t, i);
		if (!r && t->rr->errs->count == errors)
			tell(arg, &t->result);
	}
	return r;
}

/* The file's own lists before those of the site, for as long as its rules are read. */
static int bind_lists(const struct yaml *y, struct site *site, struct config_errors *errs)
{
	const uint32_t lists = yaml_get(y, y->root, "lists");
	const char *why;
	int r = 0;

	if (!lists || y->nodes[lists].type != YAML_MAP)
		return 0;
	for (uint32_t key = y->nodes[lists].first, v; key && !r; key = y->nodes[v].next) {
		char *text;

		v = y->nodes[key].next;
		if (site->n_memory == SITE_MAX ||
		    asprintf(&text, "%s=%s", yaml_text(y, key), yaml_text(y, v)) < 0)
			return -ENOMEM;
		site->memory[site->n_memory++] = text;
		r = text[strcspn(text, "=") + 1] == '@' ? -EINVAL : site_list(site, text, &why);
		if (r)
			config_error(errs, y->nodes[v].line, y->nodes[v].column,
				     "a list of tests is values with commas between them");
	}
	return r;
}

static int run_file(struct rule_files *files, struct run *t, const struct rule_source *src)
{
	const struct site *site = files->site;
	struct site own = *site;
	int r;

	own.n_memory = 0;
	files->site = &own;
	r = bind_lists(t->rr->y, &own, t->rr->errs);
	if (!r)
		r = read_rules(files, t, src) ?: rule_files_link(files);
	files->site = site;
	site_done(&own);
	return r;
}

/* @dir: of files that it names; NULL: it must name none. */
static int run_source(struct rule_files *files, const char *dir, const struct rule_source *src,
		      test_result_fn *tell, void *arg)
{
	struct config_errors *errs = calloc(1, sizeof(*errs));
	struct yaml y = {};
	struct rule_reader rr = {
		.set = &files->set, .y = &y, .site = &files->binding, .errs = errs};
	struct run t = {.rr = &rr, .dir = dir, .records = record_reader_new()};
	uint32_t tests;
	int r;

	r = errs && t.records ? yaml_parse(src->text, src->len, &y, errs) : -ENOMEM;
	tests = r || !y.root ? 0 : yaml_get(&y, y.root, "tests");
	if (!r && errs->count)
		r = -EINVAL;
	if (!r && (tests || dir)) /* else nobody wants the rules */
		r = run_file(files, &t, src);
	if (!r)
		r = tests ? run_all(&t, tests, tell, arg) : -ENOENT;
	if (r != -ENOMEM && errs->count)
		r = rule_files_add_errors(files, src->file, errs) ?: -EINVAL;
	record_reader_free(t.records);
	free(t.flows);
	yaml_done(&y);
	free(errs);
	return r;
}

int tests_run_text(struct rule_files *files, const struct rule_source *src, test_result_fn *tell,
		   void *arg)
{
	return run_source(files, NULL, src, tell, arg);
}

static int unreadable(struct rule_files *files, const char *path, const char *why)
{
	struct config_errors *errs = calloc(1, sizeof(*errs));
	int r = -ENOMEM;

	if (errs) {
		config_error(errs, 0, 0, "%s", why);
		r = rule_files_add_errors(files, path, errs) ?: -EINVAL;
	}
	free(errs);
	return r;
}

int tests_run(struct rule_files *files, const char *path, test_result_fn *tell, void *arg)
{
	char copy[4096];
	const char *why;
	size_t len;
	char *text = rule_file_text(path, &len, &why);
	int r;

	snprintf(copy, sizeof(copy), "%s", path);
	r = text ? run_source(files, dirname(copy), &(struct rule_source){path, text, len}, tell,
			      arg)
		 : unreadable(files, path, why);
	free(text);
	return r;
}

json_t *test_result_json(const struct test_result *r, const char *file)
{
	json_t *o = json_pack("{s:s,s:i,s:s,s:b,s:I}", "file", file, "line", (int)r->line, "test",
			      r->name, "passed", r->ok, "flows", (json_int_t)r->flows);

	if (o && !r->ok)
		json_object_set_new(o, "why", json_string(r->why) ?: json_string("?"));
	return o;
}
