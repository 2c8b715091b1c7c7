// SPDX-License-Identifier: Apache-2.0
#include "book_rig.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/policy.h"

#define SECOND UINT64_C(1000000000)
#define ID     "9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a0"

#define HEAD(n, name, mode)                                                              \
	"  - id: " ID n "\n    name: " name "\n    version: 1.0.0\n    mode: " mode "\n" \
	"    where: proto == tcp\n    window: {size: 60s}\n    having: count() >= 3\n"   \
	"    exempt: [ \"@never_block\", \"@admin\" ]\n"
#define SOURCE                                                                \
	"    by: src.ip\n    evidence: {handshake: required}\n    actions:\n" \
	"    - drop: {scope: src.ip, direction: ingress, ttl: 10m, escalate: [10m, 1h, 24h]}\n"

static const char some_rules[] = "groups:\n- name: g\n  rules:\n" HEAD(
	"1", "act", "prevent") SOURCE HEAD("2", "count", "shadow") SOURCE HEAD("3", "some",
									       "canary") SOURCE
	HEAD("4", "slow",
	     "prevent") "    by: [dst.ip, dst.port]\n    actions:\n"
			"    - limit: {scope: dst.ip, direction: ingress, ttl: 5m, rate: 100pps}\n" HEAD(
				"5", "careless",
				"prevent") "    by: dst.ip\n    actions:\n"
					   "    - drop: {scope: dst.ip, ttl: 5m}\n" HEAD("6", "trusting", "prevent") "    by: src.ip\n    actions:\n    - drop: {scope: src.ip, ttl: 5m}\n" HEAD(
						   "7", "two",
						   "prevent") "    by: [src.ip, dst.ip]\n    evidence: {handshake: required}\n    actions:\n"
							      "    - drop: {scope: pair, ttl: 5m}\n" HEAD(
								      "8", "look", "detect") SOURCE
								      HEAD("9", "keep",
									   "detect") "    by: [src.ip, dst.ip]\n    actions:\n"
										     "    - capture: {scope: pair, pre: 30s, post: 2m}\n";

struct book_rig rig = {.rules = some_rules, .dir = "/tmp/weir-book.XXXXXX"};

const struct endpoint_peer rig_root = {0, "uid=0 (root)"};

void rig_put_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", rig.dir, name);
	f = fopen(path, "w");
	cr_assert(f != NULL);
	fputs(text, f);
	fclose(f);
}

struct ruleset *rig_load(const char *words)
{
	static struct settings_args args;
	static struct config_errors errs;
	static struct ruleset_errors wrong;
	char conf[128], in[128], text[2048];
	struct ruleset *ret;
	struct settings *s;

	snprintf(conf, sizeof(conf), "%s/conf", rig.dir);
	snprintf(in, sizeof(in), "%s/rules", rig.dir);
	(void)mkdir(in, 0700); /* it is there already the second time */
	rig_put_file("rules/a.yaml", rig.rules);
	snprintf(text, sizeof(text),
		 "[list local]\nvalues = 10.0.0.0/8\n[list never_block]\nvalues = "
		 "192.0.2.200, ::1\n%s",
		 words);
	rig_put_file("conf", text);
	args = (struct settings_args){.config = conf};
	settings_option(&args, SETTINGS_OPTION + CSET_RULES_DIRECTORIES, in);
	cr_assert(eq(int, settings_load(&collector_settings, &args, &s, &errs), 0), "%s",
		  errs.list[0].text);
	cr_assert(eq(int, ruleset_load(s, &ret, &wrong), 0), "%s", wrong.text);
	settings_free(s);
	return ret;
}

static bool is_agent(void *arg, const uint8_t ip[16])
{
	(void)arg;
	return ip[12] == rig.agents || (ip[12] == 192 && ip[15] == 100);
}

void rig_open_book(void)
{
	const struct book_cfg cfg = {
		.dir = rig.dir,
		.queue = 100,
		.reopen_us = 600000000,
		.keep_us = UINT64_C(86400000000),
		.decide = {.rate = 5, .max = 20, .forget_us = 3600000000},
		.publish = {.dir = rig.dir, .issuer = "test", .valid_us = 3600000000},
		.agent = is_agent};
	char error[DB_ERROR] = "";

	cr_assert(eq(int, book_open(&cfg, error, &rig.book), 0), "%s", error);
}

/* As the runner says it: these rules are at work. */
void rig_at_work(struct ruleset *now)
{
	pthread_mutex_lock(&rig.book->lock);
	ruleset_drop(rig.book->set);
	rig.book->set = now;
	rig.book->epoch++;
	rig.book->epoch_us = book_now_us();
	cr_assert(eq(int, db_run(rig.book->db, "BEGIN IMMEDIATE", ""), 0));
	cr_assert(eq(int, modes_settle(rig.book), 0));
	cr_assert(eq(int, decide_rules(rig.book), 0));
	rig.book->policy_dirty = true;
	cr_assert(eq(int, book_commit(rig.book), 0));
	pthread_mutex_unlock(&rig.book->lock);
}

void rig_begin(void)
{
	cr_assert(mkdtemp(rig.dir) != NULL);
	rig_open_book();
	rig_at_work(rig_load(""));
}

void rig_end(void)
{
	char path[128];

	book_close(rig.book);
	for (unsigned int i = 0; i < 10; i++) {
		static const char *const names[] = {"policy/policy.pub.next",
						    "rules/a.yaml",
						    "rules",
						    "conf",
						    "control.db",
						    "policy/policy.key",
						    "policy/policy.pub",
						    "policy/policy.bin",
						    "policy/canary.bin",
						    "policy"};

		snprintf(path, sizeof(path), "%s/%s", rig.dir, names[i]);
		(void)remove(path); /* not all tests make all of them */
	}
	rmdir(rig.dir);
}

/* ---- alerts ---- */

static struct alert_value ip_value(enum flow_field f, uint8_t a, uint8_t d)
{
	struct alert_value v = {.field = (uint8_t)f, .present = true};

	memcpy(v.ip, (uint8_t[16]){[10] = 0xff, 0xff, a, 0, 2, d}, 16);
	return v;
}

/* In a transaction. */
static void write_one(const struct rig_alert *f, unsigned int state)
{
	const struct rule *r = rules_find(ruleset_rules(rig.book->set), f->rule);
	struct alert_event ev = {.set = rig.book->set, .proven = f->proven};

	cr_assert(r != NULL);
	ev.alert = (struct alert){.rule = r,
				  .state = (uint8_t)state,
				  .exempt = f->exempt,
				  .known = state & RIG_KNOWN,
				  .at_ns = (uint64_t)book_now_us() * 1000,
				  .since_ns = 1,
				  .fired_ns = 1,
				  .value = 3,
				  .n_by = r->by.n};
	for (uint32_t i = 0; i < r->by.n; i++) {
		if (r->by.v[i] == FF_DST_PORT)
			ev.alert.by[i] = (struct alert_value){
				.field = FF_DST_PORT, .present = true, .number = f->port};
		else
			ev.alert.by[i] = ip_value(r->by.v[i], i ? 10 : f->net, i ? 7 : f->host);
	}
	cr_assert(eq(int, book_write(rig.book, &ev), 0));
}

void rig_write_alert(const struct rig_alert *f, unsigned int state)
{
	pthread_mutex_lock(&rig.book->lock);
	cr_assert(eq(int, db_run(rig.book->db, "BEGIN IMMEDIATE", ""), 0));
	write_one(f, state);
	cr_assert(eq(int, book_commit(rig.book), 0));
	pthread_mutex_unlock(&rig.book->lock);
}

void rig_many(const char *rule, unsigned int n)
{
	pthread_mutex_lock(&rig.book->lock);
	cr_assert(eq(int, db_run(rig.book->db, "BEGIN IMMEDIATE", ""), 0));
	for (unsigned int i = 0; i < n; i++)
		write_one(&(struct rig_alert){.rule = rule, .net = 192, .host = i % 90 + 1},
			  ALERT_FIRING);
	cr_assert(eq(int, book_commit(rig.book), 0));
	pthread_mutex_unlock(&rig.book->lock);
}

void rig_fire(const char *rule, uint8_t host, bool proven)
{
	rig_write_alert(
		&(struct rig_alert){.rule = rule, .net = 192, .host = host, .proven = proven},
		ALERT_FIRING);
}

/* ---- what has come of it ---- */

json_t *rig_ask(const char *command, const char *what, const char *key, const char *value)
{
	json_t *q = json_pack("{s:s,s:s}", "command", command, "what", what), *a;

	if (key && value[0] >= '0' && value[0] <= '9')
		json_object_set_new(q, key, json_integer((json_int_t)(value[0] - '0')));
	else if (key)
		json_object_set_new(q, key, json_string(value));
	a = book_ask(rig.book, q, &rig_root);
	json_decref(q);
	cr_assert(a != NULL);
	return a;
}

/* The latest decision in a state: "MODE REASON"; "": none. */
const char *rig_latest(const char *state)
{
	static char text[64];
	json_t *a = rig_ask("decisions", "list", "state", state);
	const json_t *o = json_array_get(a, 0);

	text[0] = 0;
	if (!strcmp(json_string_value(json_object_get(o, "type")), "decision"))
		snprintf(text, sizeof(text), "%s %s", json_string_value(json_object_get(o, "mode")),
			 json_string_value(json_object_get(o, "reason")) ?: "");
	json_decref(a);
	return text;
}

uint32_t rig_number_of(const char *state)
{
	json_t *a = rig_ask("decisions", "list", "state", state);
	const uint32_t n = (uint32_t)json_array_size(a) - 1;

	json_decref(a);
	return n;
}

int64_t rig_member_of(const char *state, const char *key)
{
	json_t *a = rig_ask("decisions", "list", "state", state);
	const int64_t n = json_integer_value(json_object_get(json_array_get(a, 0), key));

	json_decref(a);
	return n;
}

/* All in force ends, as if its time had come. */
void rig_expire(void)
{
	pthread_mutex_lock(&rig.book->lock);
	cr_assert(eq(int, db_run(rig.book->db, "BEGIN IMMEDIATE", ""), 0));
	cr_assert(eq(int,
		     db_run(rig.book->db,
			    "UPDATE decision SET expires_us = 1 WHERE state = 'active'", ""),
		     0));
	cr_assert(eq(int, decide_tick(rig.book, book_now_us()), 0));
	cr_assert(eq(int, book_commit(rig.book), 0));
	pthread_mutex_unlock(&rig.book->lock);
}

/* A minute later: what was refused for the time being. */
void rig_look_again(void)
{
	static int64_t later;

	later += 61000000;
	pthread_mutex_lock(&rig.book->lock);
	cr_assert(eq(int, db_run(rig.book->db, "BEGIN IMMEDIATE", ""), 0));
	cr_assert(eq(int, decide_tick(rig.book, book_now_us() + later), 0));
	cr_assert(eq(int, book_commit(rig.book), 0));
	pthread_mutex_unlock(&rig.book->lock);
}

/* The policy that nodes get: records in all, rules that act. */
void rig_policy_of(const char *file, uint32_t *ret_entries, uint32_t *ret_acting)
{
	const struct policy_bounds bounds = {.now = (uint64_t)time(NULL),
					     .expires_max = 31 * 86400};
	static uint8_t image[65536] __attribute__((aligned(16)));
	struct policy_error error;
	struct policy p;
	char path[128];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/policy/%s", rig.dir, file);
	f = fopen(path, "r");
	cr_assert(f != NULL);
	n = fread(image, 1, sizeof(image), f);
	fclose(f);
	cr_assert(eq(int, policy_check(image, n, &bounds, &p, &error), 0), "%s", error.text);
	cr_assert(eq(int, policy_verify(image, n, rig.book->publish.public, 1), 0));
	*ret_entries = p.n_addrs;
	*ret_acting = 0;
	for (uint32_t i = 0; i < p.n_rules; i++) {
		cr_expect(ne(u32, p.rules[i].flags & RULE_AUTOMATIC, 0));
		*ret_acting += !(p.rules[i].flags & RULE_SHADOW);
	}
}

void rig_expect_policy(const char *file, uint32_t entries, uint32_t acting)
{
	uint32_t e, a;

	rig_policy_of(file, &e, &a);
	cr_expect(eq(u32, e, entries));
	cr_expect(eq(u32, a, acting));
}

void rig_tick_at(int64_t us)
{
	pthread_mutex_lock(&rig.book->lock);
	cr_assert(eq(int, db_run(rig.book->db, "BEGIN IMMEDIATE", ""), 0));
	cr_assert(eq(int, decide_tick(rig.book, us), 0));
	cr_assert(eq(int, book_commit(rig.book), 0));
	pthread_mutex_unlock(&rig.book->lock);
}
