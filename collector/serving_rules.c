// SPDX-License-Identifier: Apache-2.0
#include "collector/serving_rules.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/alerts/backtest_ask.h"
#include "collector/metrics_text.h"
#include "collector/serving_rules_int.h"
#include "common/log.h"
#include "common/num_text.h"

#define NS_PER_MS UINT64_C(1000000)

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
	struct ruleset *held = ruleset_hold(set), *was;
	struct timespec now;
	int r = serving_packs_feeds(v, s, set);

	if (r)
		ruleset_drop(set);
	else
		r = runner_rules(v->runner, set, settings_num(s, CSET_RULES_AHEAD),
				 settings_num(s, CSET_RULES_BEHIND));
	if (r) {
		ruleset_drop(held);
		return r;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	pthread_mutex_lock(&v->lock);
	was = v->set;
	v->set = held;
	v->errors = (struct ruleset_errors){};
	v->fingerprint = fingerprint;
	v->loaded_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	v->rules = n;
	v->files = files;
	pthread_mutex_unlock(&v->lock);
	ruleset_drop(was);
	serving_packs_warn(held);
	if (n)
		log_info("rules", "%u rules of %u files are at work", n, files);
	return 0;
}

static int load(struct serving_rules *v, const struct settings *s, bool again)
{
	struct ruleset_errors *errs = calloc(1, sizeof(*errs));
	struct ruleset *set;
	int r = errs ? ruleset_load(s, &set, errs) : -ENOMEM;

	if (!r) {
		r = book_modes(v->book, set);
		if (r) {
			log_error("rules", "their modes can't be read: %s", strerror(-r));
			ruleset_drop(set);
			free(errs);
			return r;
		}
	}
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

static void book_settings(const struct settings *s, struct book_cfg *ret)
{
	*ret = (struct book_cfg){
		.dir = settings_text(s, CSET_STORE_DIR),
		.queue = (uint32_t)settings_num(s, CSET_ALERTS_QUEUE),
		.reopen_us = settings_num(s, CSET_ALERTS_REOPEN) / 1000,
		.keep_us = settings_num(s, CSET_ALERTS_KEEP) / 1000,
		.decide = {.rate = (uint32_t)settings_num(s, CSET_POLICY_RATE),
			   .max = (uint32_t)settings_num(s, CSET_POLICY_MAX),
			   .forget_us = settings_num(s, CSET_POLICY_FORGET) / 1000},
		.promote = {.seen_us = {[RM_DETECT] = settings_num(s, CSET_PROMOTE_DETECT) / 1000,
					[RM_SHADOW] = settings_num(s, CSET_PROMOTE_SHADOW) / 1000,
					[RM_CANARY] = settings_num(s, CSET_PROMOTE_CANARY) / 1000},
			    .decisions = (uint32_t)settings_num(s, CSET_PROMOTE_DECISIONS)},
		.publish = {.dir = settings_text(s, CSET_STORE_DIR),
			    .key = collector_path(s, CSET_POLICY_KEY),
			    .issuer = settings_text(s, CSET_POLICY_ISSUER),
			    .valid_us = settings_num(s, CSET_POLICY_VALID) / 1000},
	};
}

static void notifier_settings(const struct settings *s, struct notifier_cfg *ret)
{
	*ret = (struct notifier_cfg){.dir = settings_text(s, CSET_STORE_DIR),
				     .channels = &collector_own(s)->channels,
				     .most = settings_num(s, CSET_NOTIFY_WAITING)};
}

static void reload_channels(struct serving_rules *v, const struct settings *s)
{
	struct notifier_cfg cfg;
	int r;

	notifier_settings(s, &cfg);
	r = notifier_reload(v->notifier, &cfg);
	if (r)
		log_error("channels", "%s: not all of them are told", strerror(-r));
}

/* Return: of load(). @s: NULL: the settings at work. */
static int load_again(struct serving_rules *v, const struct settings *s)
{
	int r;

	pthread_mutex_lock(&v->reading);
	if (s)
		v->settings = s;
	r = load(v, v->settings, true);
	pthread_mutex_unlock(&v->reading);
	if (r == -ENOMEM)
		log_error("rules", "out of memory: the rules stay as they were");
	else if (r)
		log_error("rules", "they have errors: the rules stay as they were");
	return r;
}

/* A list has other values; they are at work when this is over. */
static void feed_changed(void *arg)
{
	(void)load_again(arg, NULL); /* said */
}

static void count_reload(struct serving_rules *v, int r)
{
	pthread_mutex_lock(&v->lock);
	v->reloads++;
	v->failed += r != 0;
	pthread_mutex_unlock(&v->lock);
}

void serving_rules_reload(struct serving_rules *v, const struct settings *s)
{
	const int r = load_again(v, s);
	struct book_cfg cfg;

	book_settings(s, &cfg);
	book_reload(v->book, &cfg);
	reload_channels(v, s);
	count_reload(v, r);
}

int serving_rules_again(struct serving_rules *v, char *said)
{
	const int r = load_again(v, NULL);

	count_reload(v, r);
	runner_settle(v->runner);
	pthread_mutex_lock(&v->lock);
	snprintf(said, PACKS_SAID, "%s", r == -ENOMEM ? "out of memory" : v->errors.text);
	pthread_mutex_unlock(&v->lock);
	return r;
}

/* ---- life ---- */

static uint32_t queue_of(const struct settings *s)
{
	const uint64_t want = settings_num(s, CSET_RULES_QUEUE);
	const uint64_t most = settings_num(s, CSET_STORE_BLOCKS) / 6 ?: 1;

	return (uint32_t)(want < most ? want : most);
}

static int open_book(struct serving_rules *v, const struct settings *s,
		     const struct serving_rules_agents *agents)
{
	char error[DB_ERROR] = "";
	struct notifier_cfg channels;
	struct book_cfg cfg;
	int r;

	notifier_settings(s, &channels);
	r = notifier_open(&channels, error, &v->notifier);
	book_settings(s, &cfg);
	cfg.agent = agents->is_agent;
	cfg.published = agents->published;
	cfg.canaries = agents->canaries;
	cfg.arg = agents->arg;
	cfg.notifier = v->notifier;
	r = r ?: book_open(&cfg, error, &v->book);
	if (r)
		log_error(cfg.dir, "control.db: %s", *error ? error : strerror(-r));
	return r;
}

int serving_rules_open(const struct settings *s, struct block_pool *pool,
		       const struct serving_rules_agents *agents, struct serving_rules **ret)
{
	struct serving_rules *v = calloc(1, sizeof(*v));
	struct runner_cfg cfg = {.pool = pool,
				 .queue = queue_of(s),
				 .behind_ns = settings_num(s, CSET_RULES_BEHIND),
				 .event = book_event};
	const struct feeds_cfg feeds = {settings_text(s, CSET_STORE_DIR), feed_changed, v};
	int r;

	if (!v)
		return -ENOMEM;
	pthread_mutex_init(&v->lock, NULL);
	pthread_mutex_init(&v->reading, NULL);
	v->settings = s;
	r = open_book(v, s, agents);
	cfg.arg = v->book;
	r = r ?: runner_new(&cfg, &v->runner);
	r = r ?: feeds_new(&feeds, &v->feeds);
	r = r ?: load(v, s, false);
	if (!r)
		book_watch(v->book, v->runner);
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
	feeds_free(v->feeds);
	if (v->book)
		book_watch(v->book, NULL);
	runner_free(v->runner);
	book_close(v->book);
	notifier_close(v->notifier);
	ruleset_drop(v->set);
	pthread_mutex_destroy(&v->lock);
	pthread_mutex_destroy(&v->reading);
	free(v);
}

int serving_rules_decided(struct serving_rules *v, const struct node_decision *d)
{
	return book_node_decided(v->book, d);
}

int serving_rules_resync(struct serving_rules *v, int64_t above)
{
	return book_resync(v->book, above);
}

struct runner *serving_rules_runner(struct serving_rules *v)
{
	return v ? v->runner : NULL;
}

struct ruleset *serving_rules_set(struct serving_rules *v)
{
	struct ruleset *set;

	pthread_mutex_lock(&v->lock);
	set = ruleset_hold(v->set);
	pthread_mutex_unlock(&v->lock);
	return set;
}

json_t *serving_rules_ask(struct serving_rules *v, const json_t *request,
			  const struct endpoint_peer *peer)
{
	const char *command = json_string_value(json_object_get(request, "command")) ?: "";

	if (!strcmp(command, "packs"))
		return serving_packs_ask(v, request, peer);
	if (!strcmp(command, "rules"))
		return serving_modes_ask(v, request, peer);
	if (cli_word("channels", command) >= 0)
		return notifier_ask(v->notifier, request);
	return cli_word("alerts|decisions|policy|audit", command) >= 0
		       ? book_ask(v->book, request, peer)
		       : NULL;
}

/* The rules at work for a back-test: one at a time, since each may need as much memory as they do. */
static struct ruleset *begin_backtest(struct serving_rules *v)
{
	struct ruleset *set = NULL;

	pthread_mutex_lock(&v->lock);
	if (!v->backtest) {
		v->backtest = true;
		set = ruleset_hold(v->set);
	}
	pthread_mutex_unlock(&v->lock);
	return set;
}

int serving_rules_backtest(struct serving_rules *v, struct store *store, const json_t *request,
			   const struct endpoint_answer *to, char *error)
{
	struct ruleset *set = begin_backtest(v);
	const struct backtest_asker a = {.store = store,
					 .set = set,
					 .put = to->line,
					 .progress = to->progress,
					 .arg = to->arg};
	int r;

	if (!set) {
		snprintf(error, STORE_ERROR, "another back-test is under way: one at a time");
		return -EBUSY;
	}
	r = backtest_ask(&a, request, error);
	pthread_mutex_lock(&v->lock);
	v->backtest = false;
	pthread_mutex_unlock(&v->lock);
	ruleset_drop(set);
	return r;
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

json_t *serving_rules_alerts(struct serving_rules *v)
{
	json_t *o = json_object();
	struct book_stats st;

	book_stats(v->book, &st);
	put_u64(o, "firing", st.firing);
	put_u64(o, "silenced", st.silenced);
	put_u64(o, "acknowledged", st.acked);
	put_u64(o, "fired", st.fired);
	put_u64(o, "reopened", st.reopened);
	put_u64(o, "resolved", st.resolved);
	put_u64(o, "lost", st.lost_queue);
	put_u64(o, "waiting", st.waiting);
	put_u64(o, "failed", st.failed);
	return o;
}

json_t *serving_rules_channels(struct serving_rules *v)
{
	return notifier_status(v->notifier);
}

json_t *serving_rules_decisions(struct serving_rules *v)
{
	json_t *o = json_object(), *refused = json_object();
	struct book_stats st;

	book_stats(v->book, &st);
	put_u64(o, "active", st.active);
	put_u64(o, "shadow", st.shadow);
	put_u64(o, "held", st.held);
	put_u64(o, "made", st.decide.made);
	put_u64(o, "expired", st.decide.expired);
	put_u64(o, "withdrawn", st.decide.withdrawn);
	for (unsigned int i = GATE_NONE + 1; i < _GATE_MAX; i++)
		if (st.decide.refused[i])
			put_u64(refused, decide_gate_names[i], st.decide.refused[i]);
	json_object_set_new(o, "refused", refused);
	put_u64(o, "generation", (uint64_t)st.generation);
	json_object_set_new(o, "breaker", json_boolean(st.breaker));
	json_object_set_new(o, "policy_failed", json_boolean(st.policy_failed));
	json_object_set_new(o, "audit_broken", json_integer(st.audit_broken));
	return o;
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
	json_object_set_new(o, "packs", serving_packs_status(v->set));
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
	json_object_set_new(o, "feeds", feeds_status(v->feeds));
	return o;
}

/* ---- metrics ---- */

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
	metrics_head(out, name, name_and_type + len + 1, help);
	runner_each(r, rule_sample, &(struct sampling){out, name, offset});
}

static void firing_sample(void *arg, const char *rule, const char *severity, uint64_t n)
{
	fprintf(arg, "weir_alerts_firing{rule=\"%s\",severity=\"", rule);
	metrics_label(arg, severity);
	fprintf(arg, "\"} %" PRIu64 "\n", n);
}

static void alert_metrics(struct book *b, FILE *out)
{
	struct book_stats st;

	book_stats(b, &st);
	metrics_head(out, "weir_alerts_firing", "gauge", "Alerts that are firing.");
	book_each_firing(b, firing_sample, out);
	metrics_one(out, "weir_alerts_fired_total", "counter", "Alerts that began.", st.fired);
	metrics_one(out, "weir_alerts_reopened_total", "counter",
		    "Alerts that fired again soon after their end.", st.reopened);
	metrics_one(out, "weir_alerts_resolved_total", "counter", "Alerts that ended.",
		    st.resolved);
	metrics_one(out, "weir_alerts_lost_total", "counter", "Alerts that there was no room for.",
		    st.lost_queue);
	metrics_one(out, "weir_alerts_waiting", "gauge", "Alerts that wait to be written.",
		    st.waiting);
	metrics_head(out, "weir_decisions_active", "gauge",
		     "Decisions in force; shadow ones only count.");
	fprintf(out, "weir_decisions_active{shadow=\"0\"} %" PRIu64 "\n", st.active - st.shadow);
	fprintf(out, "weir_decisions_active{shadow=\"1\"} %" PRIu64 "\n", st.shadow);
	metrics_one(out, "weir_decisions_held", "gauge",
		    "Decisions that wait for somebody to approve them.", st.held);
	metrics_one(out, "weir_decisions_made_total", "counter", "Decisions that came into force.",
		    st.decide.made);
	metrics_head(out, "weir_decisions_refused_total", "counter",
		     "Alerts that became no decision, by reason; see weir-collector-decisions(8).");
	for (unsigned int i = GATE_NONE + 1; i < _GATE_MAX; i++)
		fprintf(out, "weir_decisions_refused_total{reason=\"%s\"} %" PRIu64 "\n",
			decide_gate_names[i], st.decide.refused[i]);
	metrics_one(out, "weir_decisions_breaker", "gauge",
		    "1: too many decisions, all of them only count.", st.breaker);
	metrics_one(out, "weir_policy_failed", "gauge",
		    "1: the policy can't be written, nodes are told what was before.",
		    st.policy_failed);
	metrics_one(
		out, "weir_audit_broken", "gauge",
		"0: the audit log was as it was written at the start; else the first entry that was not.",
		(uint64_t)st.audit_broken);
	metrics_one(out, "weir_policy_generation", "gauge", "Of the policy that nodes shall have.",
		    (uint64_t)st.generation);
	metrics_one(out, "weir_alerts_failed_total", "counter",
		    "Times that writing failed and was tried again.", st.failed);
}

void serving_rules_metrics(struct serving_rules *v, FILE *out)
{
	struct runner_stats st;

	runner_stats(v->runner, &st);
	serving_packs_metrics(v, out);
	metrics_one(out, "weir_rules_flows_total", "counter", "Flows that the rules have seen.",
		    st.flows);
	metrics_one(out, "weir_rules_future_total", "counter",
		    "Of those, flows that claimed to be of the future.", st.future);
	metrics_head(out, "weir_rules_lost_total", "counter",
		     "Flows that the rules have not seen, by reason.");
	fprintf(out, "weir_rules_lost_total{reason=\"queue\"} %" PRIu64 "\n", st.lost_queue);
	fprintf(out, "weir_rules_lost_total{reason=\"memory\"} %" PRIu64 "\n", st.lost_memory);
	metrics_one(out, "weir_rules_queued", "gauge", "Blocks of flows that wait for the rules.",
		    st.queued);
	pthread_mutex_lock(&v->lock);
	metrics_one(out, "weir_rules_reloads_total", "counter", "Times rules were read again.",
		    v->reloads);
	metrics_one(out, "weir_rules_reloads_failed_total", "counter",
		    "Of those, with errors: the rules stayed as they were.", v->failed);
	pthread_mutex_unlock(&v->lock);
	metrics_head(out, "weir_rules_cpu_seconds_total", "counter",
		     "Processor time of the rules.");
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
	alert_metrics(v->book, out);
	serving_channel_metrics(v->notifier, out);
}
