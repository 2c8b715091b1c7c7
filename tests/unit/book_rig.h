/* SPDX-License-Identifier: Apache-2.0 */
/*
 * book_rig.h - a book of alerts and decisions in a folder of its own, with rules of every mode and action:
 * act, count (shadow), some (canary), slow (a limit), careless, trusting, two (pairs), look (detect). At
 * most 5 decisions a minute, 20 in force. @local is 10.0.0.0/8, @never_block 192.0.2.200; 192.*.100 exports.
 */
#ifndef WEIR_TESTS_BOOK_RIG_H
#define WEIR_TESTS_BOOK_RIG_H

#include "collector/alerts/book_int.h"
#include "collector/control/decide_int.h"

struct book_rig {
	struct book *book;
	const char *rules;
	uint8_t agents; /* hosts of this network export too */
	char dir[32];
};

extern struct book_rig rig;
extern const struct endpoint_peer rig_root;

struct rig_alert {
	const char *rule;
	uint8_t net, host; /* of src.ip, or dst.ip where there is none */
	uint16_t port;
	bool proven, exempt;
};

/* In rig.dir. */
void rig_put_file(const char *name, const char *text);
/* Rules of rig.rules with more of a configuration. */
struct ruleset *rig_load(const char *words);
void rig_open_book(void);
/* As the runner says it: these rules are at work. Takes them over. */
void rig_at_work(struct ruleset *now);
/* Of a test suite. */
void rig_begin(void);
void rig_end(void);
/* @state: ALERT_FIRING, ALERT_RESOLVED; with RIG_KNOWN: new rules say it of one that goes on */
#define RIG_KNOWN 0x100u
void rig_write_alert(const struct rig_alert *f, unsigned int state);
/* Of 192.0.2.@host. */
void rig_fire(const char *rule, uint8_t host, bool proven);
/* @n alerts in one transaction, of 192.0.2.1 to 90 in turns, whose sources nobody has proven. */
void rig_many(const char *rule, unsigned int n);
/* A request of root, with one more member: a number where it begins like one. */
json_t *rig_ask(const char *command, const char *what, const char *key, const char *value);
/* The latest decision in a state: "MODE REASON"; "": none. */
const char *rig_latest(const char *state);
/* Decisions in a state. */
uint32_t rig_number_of(const char *state);
/* Of the latest decision in a state. */
int64_t rig_member_of(const char *state, const char *key);
/* All in force ends, as if its time had come. */
void rig_expire(void);
/* A minute later: what was refused for the time being. */
void rig_look_again(void);
/* The policy that nodes get: records in all, rules that act. */
void rig_policy_of(const char *file, uint32_t *ret_entries, uint32_t *ret_acting);
void rig_expect_policy(const char *file, uint32_t entries, uint32_t acting);
/* As if it were then. */
void rig_tick_at(int64_t us);

#endif
