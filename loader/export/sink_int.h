/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink_int.h - what the kinds of sinks share. A kind has an encoder, which runs on the drain
 * thread, and a sender, which runs on the sink thread and never blocks; between them is the queue.
 */
#ifndef WEIR_LOADER_EXPORT_SINK_INT_H
#define WEIR_LOADER_EXPORT_SINK_INT_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include "common/filter.h"
#include "loader/export/queue.h"
#include "loader/export/sink.h"

#define EXPORT_NS_PER_S UINT64_C(1000000000)

struct sink;

struct sink_ops {
	/* Before the sandbox. Return 0 or -errno with reterr. */
	int (*open)(struct sink *s, char *reterr);
	void (*close)(struct sink *s);
	/* Append one record to @c. Return bytes, -ENOSPC: not in this chunk, or -EMSGSIZE. Drain thread. */
	long (*encode)(struct sink *s, const struct flow_record *r, struct chunk *c);
	/* All I/O that is possible now; sets s->events, s->wake_ns. Sink thread. */
	void (*work)(struct sink *s, uint64_t now_ns);
	/* Time is up: what is in the queue goes to the spool, or is lost. Sink thread. */
	void (*abandon)(struct sink *s);
	/* Is all sent that ever will be? Sink thread, when stopping. */
	bool (*idle)(struct sink *s);
};

struct sink_counts {
	_Atomic uint64_t taken, sent, waiting, replayed, old_lost, bytes, messages, trimmed;
	_Atomic uint64_t lost[_LOSS_MAX];
	_Atomic uint64_t spool_bytes, last_ok_ns, last_error_ns, reconnects;
	atomic_bool connected;
};

struct sink {
	const struct export_cfg *cfg;
	struct exports *x;
	unsigned int index;
	const struct sink_ops *ops;
	struct filter *filter; /* NULL = all; drain thread */
	struct queue q;
	struct sink_counts n;
	void *enc;	     /* of the kind; drain thread */
	void *out;	     /* of the kind; sink thread */
	struct chunk *chunk; /* being filled; drain thread */
	_Atomic int blocked; /* enum export_loss: why the queue does not empty */
	_Atomic int error;   /* standard output: takes nothing more */
	atomic_bool away;    /* the end does not wait for it any longer */
	/* sink thread */
	int fd;		  /* polled; -1 = none */
	short events;	  /* what for; 0 = not */
	uint64_t wake_ns; /* monotonic; when work() wants to be called again, 0 = not by time */
	bool drained;	  /* work() stopped because no chunk beyond `held` was there */
	uint32_t held;	  /* chunks at the front of the queue that are sent, not confirmed */
	bool stopping;
	atomic_bool finished;
	bool reopen;
	pthread_mutex_t text_lock; /* last_error */
	char last_error[128];
	struct export_mark mark; /* under text_lock */
	uint64_t skip_before;	 /* records it has had from an earlier process; drain thread */
};

struct exports {
	struct export_env env;
	unsigned int n;
	struct sink sinks[EXPORTS_MAX];
	pthread_t thread;
	bool started;
	int event_fd;
	atomic_bool asleep, stopping, reopen;
	_Atomic uint64_t deadline_ns; /* monotonic; 0 = not stopping */
	uint64_t patience_ns;	      /* left in this tick */
	uint64_t looked_ns;	      /* monotonic: when env.hurry was asked; drain thread */
	uint64_t calls;		      /* number of the next record; drain thread */
};

uint64_t export_mono_ns(void);
uint64_t export_wall_ns(void);

static inline void sink_add(_Atomic uint64_t *c, uint64_t v)
{
	atomic_fetch_add_explicit(c, v, memory_order_relaxed);
}

/* @flows have left: delivered, or lost for @why. */
void sink_sent(struct sink *s, uint64_t flows, uint64_t bytes);
void sink_lost(struct sink *s, uint64_t flows, enum export_loss why);

/* Note it for status; @err may be 0. Not a loss by itself. */
void sink_error(struct sink *s, const char *what, int err);

/* Records before @no have left, and the file @fd (-1: it is none) is as long as that makes it. */
void sink_mark(struct sink *s, int fd, uint64_t no);

/* Where an earlier process was: records to pass over; a file to cut. When opening. */
void sink_resume(struct sink *s);
void sink_resume_file(struct sink *s, int fd);

/* File work, through the environment or directly. */
int sink_file(struct sink *s, uint32_t what, uint32_t n);

/* Body of the sink thread. */
void *export_thread(void *arg);

extern const struct sink_ops sink_text_ops;	/* standard output, files */
extern const struct sink_ops sink_datagram_ops; /* IPFIX over UDP */
extern const struct sink_ops sink_stream_ops;	/* IPFIX over TCP, TLS */

#endif
