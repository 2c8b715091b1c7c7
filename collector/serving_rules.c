// SPDX-License-Identifier: Apache-2.0
#include "collector/serving_rules.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/rules/alert_json.h"
#include "common/log.h"
#include "common/num_text.h"

#define NS_PER_MS UINT64_C(1000000)

struct serving_rules {
	struct runner *runner;
	pthread_mutex_t lock; /* what follows */
	struct ruleset_errors errors;
	uint64_t fingerprint;
	uint64_t loaded_ns; /* wall clock */
	uint64_t reloads, failed;
	uint32_t rules, files;
};

/* ---- alerts, for the log ---- */

static const char *summary_of(const struct rule *r)
{
	for (uint32_t i = 0; i < r->annotations.n; i++)
		if (!strcmp(r->annotations.v[i].key, "summary"))
			return r->annotations.v[i].value ?: "";
	return r->title ?: r->name;
}

static void on_event(void *arg, struct alert_event *ev)
{
	const struct alert *a = &ev->alert;
	char text[512];

	(void)arg;
	log_at(LEVEL_INFO, "alert",
	       LOG_FIELDS(LOG_STR("rule", a->rule->name),
			  LOG_STR("state", alert_state_word(a->state))),
	       "%s", alert_render(a, summary_of(a->rule), text, sizeof(text)));
	alert_event_free(ev);
}

/* ---- reading ---- */

static void log_errors(const struct ruleset_errors *errs)
{
	const char *line = errs->text;

	while (*line) {
		const size_t len = strcspn(line, "\n");

		log_error("rules", "%.*s", (int)len, line);
		line += len + (line[len] == '\n');
	}
}

static int put_to_work(struct serving_rules *v, const struct settings *s, struct ruleset *set)
{
	const uint32_t n = ruleset_rules(set)->n, files = set->files.files;
	const uint64_t fingerprint = set->fingerprint;
	struct timespec now;
	const int r = runner_rules(v->runner, set, settings_num(s, CSET_RULES_AHEAD),
				   settings_num(s, CSET_RULES_BEHIND));

	if (r)
		return r;
	clock_gettime(CLOCK_REALTIME, &now);
	pthread_mutex_lock(&v->lock);
	v->errors = (struct ruleset_errors){};
	v->fingerprint = fingerprint;
	v->loaded_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	v->rules = n;
	v->files = files;
	pthread_mutex_unlock(&v->lock);
	if (n)
		log_info("rules", "%u rules of %u files are at work", n, files);
	return 0;
}

static int load(struct serving_rules *v, const struct settings *s, bool again)
{
	struct ruleset_errors *errs = calloc(1, sizeof(*errs));
	struct ruleset *set;
	int r = errs ? ruleset_load(s, &set, errs) : -ENOMEM;

	if (!r && again && set->fingerprint == v->fingerprint) {
		ruleset_drop(set); /* the same: windows go on */
		pthread_mutex_lock(&v->lock);
		v->errors = (struct ruleset_errors){};
		pthread_mutex_unlock(&v->lock);
	} else if (!r) {
		r = put_to_work(v, s, set);
	} else if (r != -ENOMEM) {
		log_errors(errs);
		pthread_mutex_lock(&v->lock);
		v->errors = *errs;
		pthread_mutex_unlock(&v->lock);
	}
	free(errs);
	return r;
}

void serving_rules_reload(struct serving_rules *v, const struct settings *s)
{
	const int r = load(v, s, true);

	pthread_mutex_lock(&v->lock);
	v->reloads++;
	v->failed += r != 0;
	pthread_mutex_unlock(&v->lock);
	if (r == -ENOMEM)
		log_error("rules", "out of memory: the rules stay as they were");
	else if (r)
		log_error("rules", "they have errors: the rules stay as they were");
}

/* ---- life ---- */

static uint32_t queue_of(const struct settings *s)
{
	const uint64_t want = settings_num(s, CSET_RULES_QUEUE);
	const uint64_t most = settings_num(s, CSET_STORE_BLOCKS) / 6 ?: 1;

	return (uint32_t)(want < most ? want : most);
}

int serving_rules_open(const struct settings *s, struct block_pool *pool,
		       struct serving_rules **ret)
{
	struct serving_rules *v = calloc(1, sizeof(*v));
	const struct runner_cfg cfg = {.pool = pool,
				       .queue = queue_of(s),
				       .behind_ns = settings_num(s, CSET_RULES_BEHIND),
				       .event = on_event,
				       .arg = v};
	int r;

	if (!v)
		return -ENOMEM;
	pthread_mutex_init(&v->lock, NULL);
	r = runner_new(&cfg, &v->runner);
	r = r ?: load(v, s, false);
	if (r)
		serving_rules_close(v);
	else
		*ret = v;
	return r;
}

void serving_rules_close(struct serving_rules *v)
{
	if (!v)
		return;
	runner_free(v->runner);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

struct runner *serving_rules_runner(struct serving_rules *v)
{
	return v ? v->runner : NULL;
}

/* ---- status ---- */

static void put_u64(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

static void put_text(json_t *o, const char *key, const char *text)
{
	json_object_set_new(o, key, json_string(text));
}

static void rule_status(void *arg, const struct rule *rule, const struct engine_rule_stats *st)
{
	json_t *o = json_object();

	put_text(o, "rule", rule->name);
	put_text(o, "mode", rule_word(RO_RULE, "mode", rule->mode));
	put_text(o, "class", rule_class_word(rule->class));
	put_u64(o, "matched", st->matched);
	put_u64(o, "late", st->late);
	put_u64(o, "evicted", st->evicted);
	put_u64(o, "fired", st->fired);
	put_u64(o, "firing", st->firing);
	put_u64(o, "groups", st->groups);
	put_u64(o, "bytes", st->bytes);
	json_array_append_new(arg, o);
}

static json_t *errors_status(const struct ruleset_errors *errs)
{
	json_t *list = json_array();

	for (const char *line = errs->text; *line;) {
		const size_t len = strcspn(line, "\n");

		json_array_append_new(list, json_stringn(line, len));
		line += len + (line[len] == '\n');
	}
	return list;
}

json_t *serving_rules_status(struct serving_rules *v)
{
	json_t *o = json_object(), *lost = json_object(), *list = json_array();
	struct runner_stats st;
	char text[TIME_TEXT];

	runner_stats(v->runner, &st);
	runner_each(v->runner, rule_status, list);
	put_u64(lost, "queue", st.lost_queue);
	put_u64(lost, "memory", st.lost_memory);
	pthread_mutex_lock(&v->lock);
	put_u64(o, "rules", v->rules);
	put_u64(o, "files", v->files);
	time_text(v->loaded_ns, text);
	put_text(o, "loaded", text);
	put_u64(o, "reloads", v->reloads);
	put_u64(o, "reloads_failed", v->failed);
	json_object_set_new(o, "errors", errors_status(&v->errors));
	pthread_mutex_unlock(&v->lock);
	put_u64(o, "flows", st.flows);
	put_u64(o, "future", st.future);
	json_object_set_new(o, "lost", lost);
	put_u64(o, "alerts_lost", st.no_memory);
	put_u64(o, "queued", st.queued);
	put_u64(o, "cpu_us", st.cpu_ns / 1000);
	if (st.clock_ns) {
		time_text(st.clock_ns, text);
		put_text(o, "clock", text);
	}
	json_object_set_new(o, "list", list);
	return o;
}

/* ---- metrics ---- */

static void head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(FILE *out, const char *name, const char *type, const char *help, uint64_t v)
{
	head(out, name, type, help);
	fprintf(out, "%s %" PRIu64 "\n", name, v);
}

struct sampling {
	FILE *out;
	const char *name;
	size_t offset; /* of the number in struct engine_rule_stats */
};

/* Names of rules are words without quotes. */
static void rule_sample(void *arg, const struct rule *rule, const struct engine_rule_stats *st)
{
	const struct sampling *k = arg;
	uint64_t n;

	memcpy(&n, (const char *)st + k->offset, sizeof(n));
	fprintf(k->out, "%s{rule=\"%s\",mode=\"%s\"} %" PRIu64 "\n", k->name, rule->name,
		rule_word(RO_RULE, "mode", rule->mode), n);
}

static void each(struct runner *r, FILE *out, const char *help, size_t offset,
		 const char *name_and_type)
{
	const size_t len = strcspn(name_and_type, " ");
	char name[64];

	snprintf(name, sizeof(name), "%.*s", (int)len, name_and_type);
	head(out, name, name_and_type + len + 1, help);
	runner_each(r, rule_sample, &(struct sampling){out, name, offset});
}

void serving_rules_metrics(struct serving_rules *v, FILE *out)
{
	struct runner_stats st;

	runner_stats(v->runner, &st);
	one(out, "weir_rules_flows_total", "counter", "Flows that the rules have seen.", st.flows);
	one(out, "weir_rules_future_total", "counter",
	    "Of those, flows that claimed to be of the future.", st.future);
	head(out, "weir_rules_lost_total", "counter",
	     "Flows that the rules have not seen, by reason.");
	fprintf(out, "weir_rules_lost_total{reason=\"queue\"} %" PRIu64 "\n", st.lost_queue);
	fprintf(out, "weir_rules_lost_total{reason=\"memory\"} %" PRIu64 "\n", st.lost_memory);
	one(out, "weir_rules_queued", "gauge", "Blocks of flows that wait for the rules.",
	    st.queued);
	pthread_mutex_lock(&v->lock);
	one(out, "weir_rules_reloads_total", "counter", "Times rules were read again.", v->reloads);
	one(out, "weir_rules_reloads_failed_total", "counter",
	    "Of those, with errors: the rules stayed as they were.", v->failed);
	pthread_mutex_unlock(&v->lock);
	head(out, "weir_rules_cpu_seconds_total", "counter", "Processor time of the rules.");
	fprintf(out, "weir_rules_cpu_seconds_total %.6f\n", (double)st.cpu_ns / 1e9);
	each(v->runner, out, "Flows that a rule has picked.",
	     offsetof(struct engine_rule_stats, matched), "weir_rule_flows_total counter");
	each(v->runner, out, "Of those, flows too old for its window.",
	     offsetof(struct engine_rule_stats, late), "weir_rule_late_total counter");
	each(v->runner, out, "Groups that went before their time.",
	     offsetof(struct engine_rule_stats, evicted), "weir_rule_evicted_total counter");
	each(v->runner, out, "Alerts of a rule since it is at work.",
	     offsetof(struct engine_rule_stats, fired), "weir_rule_fired_total counter");
	each(v->runner, out, "Memory of a rule's groups.",
	     offsetof(struct engine_rule_stats, bytes), "weir_rule_state_bytes gauge");
}
