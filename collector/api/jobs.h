/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jobs.h - questions that take long: each runs in a thread of its own and puts lines (JSON objects) down, which are
 * asked for later and forgotten some time after. Bounded: so many at work, so many kept, so many octets of each.
 * Any thread.
 */
#ifndef WEIR_COLLECTOR_API_JOBS_H
#define WEIR_COLLECTOR_API_JOBS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "collector/endpoint/endpoint.h"

#define JOBS_RUNNING_MAX 4u
#define JOBS_KEPT_MAX	 16u	    /* those at work among them */
#define JOB_BYTES_MAX	 (4u << 20) /* of all its lines as text */
#define JOB_KEEP_US	 INT64_C(600000000)
#define JOB_ERROR	 240u

struct jobs;

/* See endpoint_cfg.backtest: puts lines to @to until it is done. */
typedef int job_fn(void *arg, const json_t *request, const struct endpoint_answer *to, char *error);

struct job_spec {
	job_fn *run;
	void *arg;
	json_t *request;   /* taken over */
	const char *owner; /* the token's name */
	uint32_t wait_ms;  /* for a place; 0: not at all */
};

enum job_state { JOB_RUNNING, JOB_DONE, JOB_FAILED, JOB_CANCELLED };

struct job_view {
	enum job_state state;
	double percent; /* -1: not known */
	char owner[48];
	json_t *lines; /* of JOB_DONE; the caller's */
	int failure;   /* of JOB_FAILED: what run() returned */
	char error[JOB_ERROR];
};

int jobs_new(struct jobs **ret); /* 0, -ENOMEM */
/* Those at work are told to stop, and waited for; NULL is fine. */
void jobs_free(struct jobs *j);

/* Return: 0; -EBUSY: so many are at work; -ENOMEM, -EAGAIN: no thread. */
int jobs_start(struct jobs *j, const struct job_spec *spec, int64_t *ret_id);

/* Return: 0; -ENOENT: there has been none; -ESTALE: it is forgotten. */
int jobs_view(struct jobs *j, int64_t id, struct job_view *ret);

/**
 * jobs_wait - until it is at work no more, or for so long
 * @left: asked now and then, under a lock: does nobody wait any more?
 *
 * Return: 0: it is over; -ETIMEDOUT: it is not, or nobody waits; -ECANCELED: it has been cancelled, or is forgotten.
 */
int jobs_wait(struct jobs *j, int64_t id, uint32_t ms, bool (*left)(void *arg), void *arg);

/* It stops soon, and its answer is forgotten. Return: as above. */
int jobs_cancel(struct jobs *j, int64_t id);

#endif
