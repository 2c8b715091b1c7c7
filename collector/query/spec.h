/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec.h - a question to the store, as the command line and the endpoint put it: KEY=VALUE pairs,
 * checked one by one and then together. Holds no pointers into its input. Pure.
 */
#ifndef WEIR_COLLECTOR_QUERY_SPEC_H
#define WEIR_COLLECTOR_QUERY_SPEC_H

#include "common/filter.h"

#define SPEC_BY_MAX	4u
#define SPEC_MEASURES	8u
#define SPEC_TOP_MAX	100000u
#define SPEC_STEPS_MAX	100000u
#define SPEC_ERROR	320u
#define SPEC_FILTER_MAX (16u << 10)
#define SPEC_NO_PREFIX	255u

enum measure_kind {
	MK_BYTES,
	MK_PACKETS,
	MK_FLOWS,
	MK_SAMPLED, /* flows that stand for others: their bytes and packets are estimates */
	MK_DISTINCT,
	MK_AVG,
	MK_P95,
	MK_MIN,
	MK_MAX,
	MK_SUM
};

struct spec_measure {
	uint8_t kind;  /* enum measure_kind */
	uint8_t field; /* enum flow_field, from MK_DISTINCT on */
};

struct spec_by {
	uint8_t field;		  /* enum flow_field */
	uint8_t prefix4, prefix6; /* addresses: networks of so many bits; SPEC_NO_PREFIX: none */
};

enum spec_what {
	SPEC_TOP,   /* groups, or one row of sums */
	SPEC_FLOWS, /* flows one by one */
};

struct spec {
	enum spec_what what;
	char filter[SPEC_FILTER_MAX + 1]; /* "" everything */
	struct spec_by by[SPEC_BY_MAX];
	uint32_t n_by;
	struct spec_measure measures[SPEC_MEASURES];
	uint32_t n_measures;
	uint32_t order; /* index of a measure */
	uint32_t top;	/* groups, or flows */
	bool ascending;
	bool dedup;
	bool previous;		/* the same for the time before */
	bool raw;		/* no roll-up, though one would do */
	bool unscaled;		/* counts as they came, though some were sampled */
	bool explain;		/* how it would be answered, instead of an answer */
	int64_t from_us, to_us; /* [from, to) of the flows' ends */
	int64_t step_us;	/* 0: no series */
	const struct filter_env
		*env;	 /* lists of filters; NULL: not known here, @NAME is not checked */
	char cursor[64]; /* SPEC_FLOWS: where the last page ended; "" begin */
};

/* Time now is @now_us; everything else as it is when nothing is said. */
void spec_init(struct spec *s, enum spec_what what, int64_t now_us);

/**
 * spec_set - take a pair
 * @key:    filter by measure top order last from to step dedup previous raw unscaled explain cursor
 *          what
 * @reterr: SPEC_ERROR octets: what is wrong with the value, with the nearest word
 *
 * Return: 0, -EINVAL, -ENOENT: no such key.
 */
int spec_set(struct spec *s, const char *key, const char *value, char *reterr);

/**
 * spec_finish - check what depends on several keys; once, after the last spec_set()
 *
 * Return: 0 or -EINVAL.
 */
int spec_finish(struct spec *s, char *reterr);

/* For filters: its lists, and the words that only the collector knows. */
const struct filter_env *spec_env(const struct spec *s);

/* "bytes", "distinct(dst.ip)", "src.ip/24": as columns are called. @cap octets. */
void spec_measure_name(const struct spec_measure *m, char *buf, size_t cap);
void spec_by_name(const struct spec_by *b, char *buf, size_t cap);

/* Calls @put with each pair that says this spec again: spec_set() of them gives the same. */
void spec_each(const struct spec *s, void (*put)(void *arg, const char *key, const char *value),
	       void *arg);

#endif
