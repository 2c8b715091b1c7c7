/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed.h - values of a list that come from elsewhere: fetched, judged, kept. What turns bad is not taken, and the
 * last good ones stay, on the disk too, until they are too old. One thread at a time.
 */
#ifndef WEIR_COLLECTOR_PACKS_FEED_H
#define WEIR_COLLECTOR_PACKS_FEED_H

#include "collector/packs/list_text.h"
#include "collector/packs/pack.h"

enum feed_bad {
	FEED_GOOD,
#define BAD(id, word, doc) FEED_##id,
#include "collector/packs/feed_bad.def"
#undef BAD
	_FEED_BAD_MAX
};

#define FEED_WHY 240u
#define FEED_TAG 256u

const char *feed_bad_word(enum feed_bad b);
void feed_reference(void); /* for weir-collector-pack(8) */

/* A key of [list NAME] of the configuration, words with - between them. Return: 0, -ENOENT, -EINVAL: @why. */
int feed_key(struct pack_list *l, const char *key, const char *value, char why[FEED_WHY]);
/* What is wrong with a list that has a feed; NULL: nothing. */
const char *feed_check(const struct pack_list *l);
/* A feed before its keys are read. */
extern const struct pack_feed feed_default;

/* What is known of the last good fetch, kept beside the values. */
struct feed_state {
	char source[1024]; /* url or file that it is of */
	int64_t good_us;   /* when it was last had, or found to be the same; 0: never */
	uint64_t n;	   /* values */
	char etag[FEED_TAG], modified[FEED_TAG];
};

/* ---- feed_judge.c, pure ---- */

/* What feeds may have nothing of. */
struct feed_own {
	struct list_range *v;
	uint32_t n;
};

/* Ranges of values with commas between them; what is no address is passed over. Return: 0, -ENOMEM. */
int feed_own_add(struct feed_own *o, const char *values);
void feed_own_done(struct feed_own *o);

/* What was had. */
struct feed_body {
	char *bytes; /* free() it */
	size_t len;
	bool same; /* nothing new: the other side says so */
	char etag[FEED_TAG], modified[FEED_TAG];
};

struct feed_asked {
	const struct pack_list *list;
	const struct feed_own *own;
	uint64_t had; /* values that the list has had; 0: none */
};

/**
 * feed_judge - is it to be taken?
 * @ret: set in any case; to be done
 * @why: FEED_WHY bytes, where it is bad
 *
 * Return: FEED_GOOD, or why not; -ENOMEM.
 */
int feed_judge(const struct feed_asked *q, const struct feed_body *b, struct list_parse *ret,
	       char *why);

/* ---- feed_fetch.c ---- */

/**
 * feed_fetch - ask for it
 * @st:   what is known: no more is sent than that it is the same
 * @stop: atomic; it ends soon then
 *
 * Return: FEED_GOOD with @ret, FEED_FETCH or FEED_LARGE with @why, -ENOMEM, -ECANCELED.
 */
int feed_fetch(const struct pack_feed *f, const struct feed_state *st, const bool *stop,
	       struct feed_body *ret, char *why);

/* ---- feed_keep.c: below DIR/feeds and DIR/feed-state, DIR the store's ---- */

/* All zero where there is none, or it is of another source. */
void feed_state_read(const char *dir, const char *name, const char *source, struct feed_state *ret);
int feed_state_write(const char *dir, const char *name, const struct feed_state *st);
/* One value a line. Return: 0, -errno. */
int feed_values_write(const char *dir, const char *name, const char *text, size_t len);
/* free() it; NULL: none, or too old at @now_us. */
char *feed_values_read(const char *dir, const struct pack_list *l, int64_t now_us);
void feed_values_drop(const char *dir, const char *name);

static inline const char *feed_source(const struct pack_feed *f)
{
	return f->url ? f->url : f->file;
}

static inline bool feed_expired(const struct pack_feed *f, const struct feed_state *st,
				int64_t now_us)
{
	return f->expire_ns && now_us - st->good_us > (int64_t)(f->expire_ns / 1000);
}

#endif
