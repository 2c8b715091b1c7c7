/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide.h - from an alert to what is done about it. A rule in mode shadow, canary or prevent proposes;
 * gates say why not; what is left is a decision about one address, pair or port, with an end. Offenders
 * climb the rule's ladder. Counted and audited whatever comes of it. All of it in the book's
 * transactions, under its lock.
 */
#ifndef WEIR_COLLECTOR_CONTROL_DECIDE_H
#define WEIR_COLLECTOR_CONTROL_DECIDE_H

#include <jansson.h>

#include "collector/alerts/runner.h"
#include "collector/endpoint/endpoint.h"

struct book;

/* Why an alert does not become a decision, or not at once. */
enum decide_gate {
	GATE_NONE,
#define GATE(id, name, doc) GATE_##id,
#include "collector/control/gates.def"
#undef GATE
	_GATE_MAX
};

struct decide_cfg {
	uint32_t rate;	    /* new automatic decisions a minute; 0: none */
	uint32_t max;	    /* decisions in force */
	uint64_t forget_us; /* an offender is a new one after that */
};

struct decide_stats {
	uint64_t made, expired, withdrawn;
	uint64_t refused[_GATE_MAX];
};

extern const char *const decide_gate_names[_GATE_MAX];

/* Refusals beyond what is written down one by one. */
struct decide_refusals {
	int64_t since_us;
	uint32_t n;
	uint64_t more[_GATE_MAX];
};

/* An alert that has begun. Return: 0, -EIO, -ENOMEM. */
int decide_alert(struct book *b, const struct alert_event *ev, int64_t alert, bool silenced);

/* What a node has decided by itself, by an agent's rule. */
struct node_decision {
	const char *node, *rule; /* names */
	uint8_t id[16];		 /* of the rule's record: node_rule_id() */
	uint8_t addr[16], to[16];
	bool has_to, shadow;
	uint16_t port;
	int64_t made_us, took_us, ttl_us; /* made_us: its clock */
};

/**
 * decide_node - write it down as a decision in force there
 *
 * Twice is once. What this collector would not have decided, since the address is exempt, is taken back at once.
 * In a transaction. Return: 0, -EIO.
 */
int decide_node(struct book *b, const struct node_decision *d);

/* Rules have changed: what they do not stand behind any more is taken back. Return: as above. */
int decide_rules(struct book *b);

/* What has come to its end; what goes on is decided anew. Return: as above. */
int decide_tick(struct book *b, int64_t now_us);

/* Requests "decisions": list, show, approve, withdraw, panic, resume. Return: see book_ask(). */
json_t *decide_ask(struct book *b, const json_t *request, const struct endpoint_peer *peer);

#endif
