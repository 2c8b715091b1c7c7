/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enforce_int.h - what the parts of enforce.h share.
 */
#ifndef WEIR_LOADER_POLICY_ENFORCE_INT_H
#define WEIR_LOADER_POLICY_ENFORCE_INT_H

#include "loader/policy/enforce.h"

/* Issuers of the tables. The guard's come first among equals. */
enum {
	SLOT_GUARD = 0,
	SLOT_LOCAL = 1,
	SLOT_FIRST = 2,			 /* of others, as they come */
	SLOT_NAMED = POLICY_ISSUERS - 3, /* flows whose names userspace found */
	SLOT_QUIC = POLICY_ISSUERS - 2,
	SLOT_AGENT = POLICY_ISSUERS - 1, /* what agents' rules have led to */
};

#define AGENT_MADE_MAX 4096u /* decisions of agents' rules in force */
#define AGENT_KEPT     1024u /* of the last ones, for the collector */

/* An agent's rule in force. */
struct agent {
	uint32_t slot; /* of its issuer */
	const struct policy_agent *a;
	const struct policy_rule *rule;
};

/* A decision of one. */
struct agent_made {
	uint32_t slot;
	uint8_t id[16]; /* of the rule */
	struct policy_addr addr;
};

struct agents {
	struct agent_board *board; /* or NULL: nobody looks at flows */
	uint32_t n;
	struct agent of[POLICY_AGENTS_MAX];
	uint32_t n_made;
	struct agent_made made[AGENT_MADE_MAX];
	uint64_t n_kept;			/* ever */
	struct policy_decided kept[AGENT_KEPT]; /* a ring */
	uint32_t kept_slot[AGENT_KEPT];
	uint64_t refused_minute; /* that a refusal was said in */
	uint64_t refused;	 /* ever */
};

#define HITS_GONE  65536u /* entries that have gone, for the collector: the last so many */
#define HITS_TWINS (2 * POLICY_AGENTS_MAX) /* rules that agents' entries stand under, or stood */

/* The rule that what an agent's rule has led to stands under. */
struct agent_twin {
	uint8_t twin[16], id[16]; /* their ids */
	uint32_t slot;		  /* of the issuer; 0: there is none */
};

struct hits {
	struct {
		struct policy_hit hit;
		uint32_t slot;
	} * gone;		  /* a ring; NULL: nothing has gone yet */
	uint64_t n_gone, n_twins; /* ever */
	struct agent_twin twin[HITS_TWINS];
	uint32_t life; /* other tables count anew */
};

#define CAPTURES_TOLD 1024u /* of the last ones, so that none begins twice */

struct captures_told {
	uint64_t n; /* ever */
	struct {
		uint64_t decision, made;
		uint32_t slot;
	} of[CAPTURES_TOLD];
};

/* An automatic decision against an internal source. */
struct inside {
	enum policy_type type; /* of its record; POLICY_RULE: a rule without key */
	uint32_t at;	       /* among those */
	uint64_t packets;      /* that it had stopped when it was last looked at */
};

/* An image that was checked, in memory of its own. */
struct held {
	uint8_t *image;
	size_t len;
	uint8_t hash[32]; /* of a signed one as it came, SHA-256 */
	struct policy p;
	bool *watched; /* by rule: the breaker counts what it drops */
	struct inside *inside;
	uint32_t n_inside;
};

struct issuer {
	char name[32];	     /* "": free */
	uint64_t generation; /* the highest that has ever come */
	struct held now;
	struct held before; /* for a rollback */
	bool has_before;
	uint8_t why;	     /* enum policy_held */
	uint64_t confirm_at; /* monotonic seconds; 0: nothing waits */
	uint64_t ifaces;     /* enforce_ifaces() of what is in the tables */
};

struct enforce {
	const struct enforce_cfg *cfg;
	struct policy_table *table;
	struct policy_time time;
	struct guard guard;
	struct issuer issuers[POLICY_ISSUERS];
	bool guarding; /* the guard's rules are in the tables */
	bool stopped;  /* panic */
	bool shadow;   /* the breaker has acted */
	enforce_mute_fn *mute;
	const void *mute_arg;
	uint32_t last;		/* slot that changed last */
	uint64_t lease_renewed; /* monotonic seconds */
	uint64_t node_read;
	struct enforce_traffic traffic; /* at the last tick */
	struct {
		uint64_t frames, dropped;
	} past[5]; /* of the breaker: sums of some seconds ago */
	unsigned int n_past;
	uint64_t watched; /* the last sum */
	/* names in force, sorted, for enforce_named() */
	struct named *names;
	uint32_t n_names;
	uint64_t names_changes;
	struct policy_draft named; /* decisions of SLOT_NAMED */
	struct agents agents;
	struct recorder *recorder;  /* or NULL */
	struct mirror_host *mirror; /* or NULL */
	struct captures_told told;
	struct hits hits;
};

uint64_t enforce_mono_s(void);
uint64_t enforce_wall_s(const struct enforce *e);

/* enforce.c: what an issuer has goes to the tables. 0 or -errno. */
int enforce_put(struct enforce *e, uint32_t slot);
struct policy_set enforce_set(const struct policy *p);
void held_free(struct held *h);
/* Copy and check. -EINVAL with @reterr. */
int held_take(const struct enforce *e, const void *image, size_t len, struct held *ret,
	      struct policy_error *reterr);
/* Rules by name have changed. */
void enforce_names_changed(struct enforce *e);

int enforce_put_held(struct enforce *e, uint32_t slot, const struct held *h);
int enforce_put_guard(struct enforce *e);
int enforce_put_quic(struct enforce *e);

/* enforce_iface.c: which indices the interfaces have that these rules name, as one number; 0: none does. */
uint64_t enforce_ifaces(const struct policy_rule *rules, uint32_t n);
/* The rules of a set as they go to the tables, or NULL: as they are. The caller frees. 0 or -ENOMEM. */
int enforce_rules(const struct policy_set *set, bool shadow, struct policy_rule **ret);

/* What came with a request. */
struct came {
	const void *image;
	size_t len;
	uid_t uid;
};

/* enforce_change.c. The replies are filled; 0 or -errno. */
int enforce_change(struct enforce *e, const struct policy_request *q, const struct came *came,
		   struct policy_reply *ret);
int enforce_refuse(struct policy_reply *ret, int r, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int enforce_refuse_full(const struct enforce *e, uint32_t slot, const struct held *h,
			struct policy_reply *ret);
/* ASK_HELD. 0. */
int enforce_held(struct enforce *e, const char *name, struct policy_reply *ret);
int enforce_check_guards(struct enforce *e, const struct policy *p, bool by_hand,
			 struct policy_reply *ret);
/* What else there is to know of rules that reset. */
void enforce_note_resets(const struct enforce *e, const struct policy *p, struct policy_reply *ret);
/* @h takes the place of what the issuer has; it is the issuer's then. */
int enforce_replace(struct enforce *e, uint32_t slot, struct held *h, uint32_t confirm_s,
		    struct policy_reply *ret);

/* enforce_local.c */
int local_add(struct enforce *e, const struct policy_request *q, const struct came *came,
	      struct policy_reply *ret);
int local_remove(struct enforce *e, const struct policy_request *q, struct policy_reply *ret);
void local_forget_ended(struct enforce *e);

/* enforce_state.c */
void state_load(struct enforce *e);
void state_save(struct enforce *e, uint32_t slot);
void state_save_stopped(struct enforce *e);

/* enforce_show.c */
int enforce_show(struct enforce *e, const struct policy_request *q, struct policy_shown **ret,
		 uint32_t *ret_n);
/* Packets dropped by rules that the breaker watches. */
uint64_t enforce_watched(const struct enforce *e);

/* enforce_breaker.c. What it watches of these rules: 0, -ENOMEM. */
int breaker_watch(const struct enforce *e, struct held *h);
/* They are in the tables now. */
void breaker_begin(const struct enforce *e, uint32_t slot, const struct held *h);
/* Once a second. Return: it has acted: everything is in shadow. */
bool breaker_check(struct enforce *e);

/* Would an automatic decision against this address stop an internal source? */
bool breaker_inside(const struct enforce *e, const uint8_t addr[16]);

/* enforce_agent.c. Rules have changed, or all are in shadow now, or are not any more. */
void enforce_agents_changed(struct enforce *e);
void enforce_agents_forget(struct enforce *e);
/* The clock was set. */
void enforce_agents_shift(struct enforce *e, int64_t by);
/* Counters of what the rule has led to; false: nothing, or it is no agent's rule. */
bool enforce_agent_counters(const struct enforce *e, uint32_t slot, const struct policy_rule *r,
			    struct policy_counters *ret);
/* ASK_DECIDED. 0 or -ENOMEM. */
int enforce_decided(const struct enforce *e, const struct policy_request *q,
		    struct policy_answer *ret);
uint64_t enforce_last_decided(const struct enforce *e, uint32_t slot);

/* enforce_capture.c. An agent's rule that captures has picked a flow. False: nobody is told. */
bool enforce_capture_hit(struct enforce *e, const struct agent *a, const struct agent_hit *h);
/* What an issuer wants has changed. */
void enforce_captures_changed(struct enforce *e, uint32_t slot);

/* enforce_mirror.c. The same of one that mirrors. */
bool enforce_mirror_hit(struct enforce *e, const struct agent *a, const struct agent_hit *h);
/* What issuers want has changed, or nothing is enforced now, or is again. */
void enforce_mirrors_changed(struct enforce *e);
/* What of an issuer is refused now, in words, or "". */
void enforce_refused_mirrors(const struct enforce *e, uint32_t slot, char *buf, size_t size);

/* enforce_hits.c: the tables are there; they will go. */
void enforce_hits_begin(struct enforce *e);
void enforce_hits_done(struct enforce *e);
/* Entries of @t->slot stand under this rule too. */
void enforce_twin_note(struct enforce *e, const struct agent_twin *t);
/* ASK_HITS. 0 or -ENOMEM. */
int enforce_ask_hits(struct enforce *e, const struct policy_request *q, struct policy_answer *ret);

/* enforce_name.c */
void enforce_names_free(struct enforce *e);
void enforce_names_forget(struct enforce *e);

#endif
