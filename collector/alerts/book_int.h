/* SPDX-License-Identifier: Apache-2.0 */
/*
 * book_int.h - what the parts of the book share.
 */
#ifndef WEIR_COLLECTOR_ALERTS_BOOK_INT_H
#define WEIR_COLLECTOR_ALERTS_BOOK_INT_H

#include <pthread.h>

#include "collector/alerts/book.h"
#include "collector/control/audit.h"
#include "collector/control/modes.h"
#include "common/record_json.h"

struct book {
	struct book_cfg cfg;
	pthread_t thread;
	/* the queue */
	pthread_mutex_t queue_lock;
	pthread_cond_t more;
	struct alert_event *first, **last;
	uint32_t waiting;
	uint64_t lost;
	bool stop, started;
	bool lost_end; /* that an alert has ended was lost: nobody will say it again */
	/* everything else: the book's thread, and who asks */
	pthread_mutex_t lock;
	struct db *db;
	char path[4096];	  /* of control.db; "": in memory */
	struct audit_state audit; /* as of the start */
	struct ruleset *set;	  /* at work */
	int64_t run;		  /* number of this start */
	int64_t epoch;		  /* of the engine at work, unique over restarts */
	int64_t epoch_us;	  /* since when */
	int64_t tidied_us;
	struct record_reader *reader;
	struct book_stats stats;
	bool complained;
	struct decide_stats decide;
	struct decide_refusals refusals;
	struct publish publish;
	bool policy_dirty;  /* the files are not what the database says */
	bool policy_failed; /* they could not be written the last time */
	struct modes_watch watch;
};

/* A fired alert as the table has it. */
struct alert_row {
	int64_t id;
	const char *key, *by; /* by: JSON of the values, as in a flow record */
	json_t *json;	      /* of the alert */
	int64_t silence;      /* that covers it; 0: none */
	bool was_open;	      /* it was firing before */
};

int64_t book_now_us(void);

/* Counts as they were when a transaction began. */
struct book_counts {
	struct book_stats stats;
	struct decide_stats decide;
	struct decide_refusals refusals;
};

/* Return: 0, -EIO: none has begun. */
int book_begin(struct book *b, struct book_counts *ret);
/* What it has done is undone, counts too. */
void book_undo(struct book *b, const struct book_counts *was);

/* The end of a transaction; where decisions have changed, policies follow. Return: 0, -EIO. */
int book_commit(struct book *b);

/*
 * In a transaction: what has changed becomes rows of the table notice, the last of which is @ret_last; 0: none.
 * Return: 0, -EIO, -ENOMEM.
 */
int book_tell(struct book *b, int64_t *ret_last);

/* An alert as people see it; NULL: there is none. */
json_t *book_alert_json(struct book *b, int64_t id);

/* Values of a filter over alerts. Return: does it match? */
bool book_matches(struct book *b, const struct filter *f, const char *by);

/* book_write.c: in a transaction. Return: 0, -EIO, -ENOMEM. */
int book_write(struct book *b, const struct alert_event *ev);
/* Alerts of engines that are gone, old ones. Return: 0, -EIO. */
int book_tidy(struct book *b, int64_t now_us);

/* silences.c: the one that covers it; 0: none. */
int64_t silence_of(struct book *b, const char *rule, const char *by, int64_t now_us);
json_t *silence_add(struct book *b, const json_t *request, const struct endpoint_peer *peer);
json_t *silence_list(struct book *b);
json_t *silence_end(struct book *b, int64_t id);

/* ---- answers ---- */

/* A member; "" where it is missing or no text. */
const char *book_text(const json_t *o, const char *key);
/* Member before: a list goes on with what has a lower number. INT64_MAX: it begins. */
int64_t book_before(const json_t *request);
/* RFC 3339; 0: nothing is put. */
void book_put_time(json_t *o, const char *key, int64_t us);
/* The last line; a refusal in place of all where they could not be read. */
json_t *book_ended(struct book *b, json_t *list, bool failed);

/* A list with one line: {"type":"error"...}, {"type":"done"...} */
json_t *book_refuse(const char *code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
json_t *book_done(const char *key, int64_t value);

#endif
