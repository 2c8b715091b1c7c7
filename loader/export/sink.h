/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink.h - exports: flow records to standard output, files and IPFIX collectors, several at once.
 *
 * Two threads. The drain thread calls exports_flow(): filter, encode, append to the sink's bounded
 * queue; it never waits for a receiver. The sink thread, one for all sinks, does all file, network,
 * TLS and spool work. Each record that a sink was given is delivered, waits, or is in a counted loss
 * (loss.def): taken = sent + lost + waiting, always.
 */
#ifndef WEIR_LOADER_EXPORT_SINK_H
#define WEIR_LOADER_EXPORT_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/flow.h"

#define EXPORTS_MAX	  8u
#define EXPORT_NAME_MAX	  32u
#define EXPORT_PATH_MAX	  512u
#define EXPORT_FILTER_MAX 2048u
#define EXPORT_ERR_MAX	  256u

enum export_type {
	EXPORT_NONE,
	EXPORT_STDOUT,
	EXPORT_FILE,
	EXPORT_IPFIX_UDP,
	EXPORT_IPFIX_TCP,
	EXPORT_IPFIX_TLS,
	_EXPORT_TYPE_MAX
};

enum export_format { FORMAT_JSON, FORMAT_EVE, FORMAT_CSV, FORMAT_TABLE, _FORMAT_MAX };

enum export_times { TIMES_BOTH, TIMES_US, TIMES_MS };

enum export_loss {
#define LOSS(id, help) LOSS_##id,
#include "loader/export/loss.def"
#undef LOSS
	_LOSS_MAX
};

/* One export as configured; members are explained in keys.def. No pointers: it can be copied. */
struct export_cfg {
	char name[EXPORT_NAME_MAX];
	uint64_t set; /* bit per key of keys.def that was given */
	enum export_type type;
	enum export_format format;
	enum export_times times;
	char path[EXPORT_PATH_MAX];
	char host[256];
	char filter[EXPORT_FILTER_MAX];
	char spool[EXPORT_PATH_MAX];
	char ca[EXPORT_PATH_MAX];
	char cert[EXPORT_PATH_MAX];
	char key[EXPORT_PATH_MAX];
	char server_name[256];
	uint64_t port;
	uint64_t pen;
	uint64_t domain;
	uint64_t rate; /* messages a second */
	uint64_t keep;
	uint64_t queue_bytes;
	uint64_t rotate_bytes; /* 0 = never */
	uint64_t rotate_ns;    /* 0 = never */
	uint64_t refresh_ns;
	uint64_t message_bytes;
	uint64_t spool_bytes;
	bool gzip;
	bool biflow;
	bool acknowledge;
};

/* One row of keys.def. */
struct export_key {
	const char *name;
	const char *fallback;
	const char *types;
	const char *doc;
	const char *const *words; /* of a WORD, ended by NULL; else NULL */
};

extern const struct export_key export_keys[];
extern const size_t export_keys_n;

/**
 * export_cfg_init - an export with nothing set
 * @name: of the config section; [a-z0-9_-], it is in metrics and names of spool files
 *
 * Return: 0, or -EINVAL with @reterr.
 */
int export_cfg_init(struct export_cfg *cfg, const char *name, char reterr[static EXPORT_ERR_MAX]);

/**
 * export_cfg_set - one key, as in `key = value` of the section [export NAME]
 *
 * Return: 0, or with @reterr saying what would be right: -ENOENT (no such key), -EINVAL, -ERANGE.
 */
int export_cfg_set(struct export_cfg *cfg, const char *key, const char *value,
		   char reterr[static EXPORT_ERR_MAX]);

/**
 * export_cfg_url - an --export URL: where to, and after '?' keys joined by '&'
 *
 * ipfix://HOST[:PORT] (UDP), ipfix+tcp://HOST[:PORT], ipfix+tls://HOST[:PORT], file:PATH, stdout:
 * as in ipfix+tcp://[2001:db8::1]:4739?biflow=0&filter=proto%20=%20tcp. %XX is a byte.
 *
 * Return: as export_cfg_set().
 */
int export_cfg_url(struct export_cfg *cfg, const char *url, char reterr[static EXPORT_ERR_MAX]);

/**
 * export_cfg_check - when all keys are set: fill in defaults; does it fit together?
 *
 * Return: 0, or -EINVAL with @reterr.
 */
int export_cfg_check(struct export_cfg *cfg, char reterr[static EXPORT_ERR_MAX]);

/* "ipfix+tcp://192.0.2.10:4739", "file:/var/log/flows.json", "stdout:"; terminated, cut at @cap. */
void export_cfg_text(const struct export_cfg *cfg, char *buf, size_t cap);

/* What the sinks need done with files. Numbers are part of the messages between the processes. */
enum export_file {
	XF_OUTPUT = 1, /* the output, to append: a descriptor */
	XF_ROTATE =
		2, /* PATH.1 becomes PATH.2 ..., PATH becomes PATH.1, what is beyond keep goes: 0 */
	XF_OLD_READ = 3,     /* PATH.1, to read: a descriptor */
	XF_OLD_GZIP = 4,     /* PATH.1.gz, created or emptied, to write: a descriptor */
	XF_OLD_UNLINK = 5,   /* PATH.1 goes; its compressed form is complete: 0 */
	XF_SPOOL_LIST = 6,   /* the spool directory, to list: a descriptor */
	XF_SPOOL_NEW = 7,    /* segment n, created, to read and write: a descriptor; -EEXIST */
	XF_SPOOL_OPEN = 8,   /* segment n, to read: a descriptor */
	XF_SPOOL_UNLINK = 9, /* segment n goes: 0 */
	XF_SPOOL_STATE = 10, /* the spool's position, created if missing, to read and write */
	_XF_MAX
};

/**
 * export_file - do it, with paths from @cfg alone; for whoever has the right to
 * @what: enum export_file
 * @n:    number of a segment
 *
 * The core calls it for the worker; what the worker asks is only @what and @n of its own sinks.
 * Files are made with mode 0640 and opened with O_CLOEXEC and O_NOFOLLOW.
 * Return: a descriptor, 0, or -errno. Any thread.
 */
int export_file(const struct export_cfg *cfg, uint32_t what, uint32_t n);

/*
 * How far a sink is. Records are numbered as exports_flow() gets them, from env.resume_start on. Those
 * before @no are sent, lost for a reason, or in the spool; if it writes to a file (@ino is not 0), it
 * was @bytes long then. A process that goes on where another was killed gives what it found as
 * env.resume: files are cut to that length, and each sink passes over what it has had.
 */
struct export_mark {
	char name[EXPORT_NAME_MAX];
	uint64_t no, dev, ino, bytes;
};

struct export_env {
	void *arg;
	/* File work of sink number @sink, as export_file(). NULL: done directly. Sink thread. */
	int (*file)(void *arg, unsigned int sink, uint32_t what, uint32_t n);
	/* Interface number @i: 1 with *ret_ifindex and name[IFACE_NAME_MAX], 0: none has that number, -1:
	 * nor has a later one. NULL: names are not exported. Sink thread.
	 */
	int (*iface)(void *arg, unsigned int i, uint32_t *ret_ifindex, char *name);
	/* Value of counter enum counter @c. Sink thread. NULL: counters are not exported. */
	uint64_t (*counter)(void *arg, unsigned int c);
	/* While the end waits for receivers, some times a second: records that wait, and for how long at
	 * most they still may. True: no longer. NULL: as long as it takes. Drain thread.
	 */
	bool (*hurry)(void *arg, uint64_t waiting, uint64_t left_ns);
	const char *node;		  /* this host's name */
	struct flow_strs labels;	  /* its labels */
	uint32_t sampling;		  /* 1 in N; 0 and 1: all */
	const struct export_mark *resume; /* of an earlier process, @n_resume; exports_new() only */
	unsigned int n_resume;
	uint64_t resume_start; /* number of the first record that exports_flow() will get */
	uint64_t resume_end; /* records before it are repeated; sinks without a mark pass over them */
	uint64_t patience_ns; /* waits for room in full queues, summed over one tick, at most; 0 = 20 ms */
};

struct exports;

/**
 * exports_new - open what can be opened before privileges and system calls are given up
 * @cfgs: @n checked exports, kept; the memory must stay
 * @env:  copied
 *
 * Names are resolved, certificates read, files opened, the spool's remains looked through. A
 * collector that does not answer is no error. No thread is started yet.
 * Return: 0, -ENOMEM, or -errno with @reterr: which export, what, what to do.
 */
int exports_new(const struct export_cfg *cfgs, unsigned int n, const struct export_env *env,
		struct exports **ret, char reterr[static EXPORT_ERR_MAX]);

/* Start the sink thread: after the sandbox, so that it is in it. Return: 0 or -errno. */
int exports_start(struct exports *x);

/* Give one record to every sink whose filter takes it. Drain thread. Never waits longer than
 * patience_ns a tick.
 */
void exports_flow(struct exports *x, const struct flow_record *r);

/**
 * exports_tick - what is gathered goes out; once each drain interval. Drain thread.
 *
 * Return: 0, or the error after which standard output takes nothing more: -EPIPE, -ENOSPC ...
 */
int exports_tick(struct exports *x);

/* Files are reopened under their names (after logrotate, on reload). Any thread. */
void exports_reopen(struct exports *x);

/**
 * exports_finish - from now on exports_flow() waits for room as long as there is time. Drain thread.
 * @timeout_ns: from now until exports_stop() gives up
 */
void exports_finish(struct exports *x, uint64_t timeout_ns);

/**
 * exports_stop - send what waits, say goodbye, end the sink thread. Drain thread.
 *
 * Takes no longer than what exports_finish() was given (default 5 s). What is still waiting then
 * is in the spool, or lost for reason SHUTDOWN. A collector that is away gets one more try.
 * Return: as exports_tick().
 */
int exports_stop(struct exports *x);

struct exports *exports_free(struct exports *x);

/* Of one sink, all since the start; any thread. One flow is one record here, also where it becomes
 * two IPFIX records (biflow = 0).
 */
struct export_stats {
	uint64_t taken; /* records that passed the filter */
	uint64_t sent;	/* delivered: written, sent, or acknowledged where that is asked for */
	uint64_t lost[_LOSS_MAX];
	uint64_t waiting; /* in memory and in the spool */
	uint64_t replayed; /* sent ones that an earlier run had left in the spool; not in taken, sent */
	uint64_t old_lost; /* the same, lost: spool corrupt or full */
	uint64_t bytes;	   /* written or sent, with headers */
	uint64_t messages;
	uint64_t trimmed; /* records sent without their longest lists or texts, to fit a message */
	uint64_t queue_bytes;
	uint64_t spool_bytes;
	uint64_t last_ok_ns;	/* wall clock; 0 = never */
	uint64_t last_error_ns; /* wall clock; 0 = never */
	uint64_t reconnects;
	bool connected; /* TCP, TLS; files: open */
	char last_error[128];
};

unsigned int exports_n(const struct exports *x);
const struct export_cfg *exports_cfg(const struct exports *x, unsigned int i);
void exports_stats(const struct exports *x, unsigned int i, struct export_stats *ret);

/* How far sink @i is. Drain thread, after exports_tick() or exports_stop(). */
void exports_mark(const struct exports *x, unsigned int i, struct export_mark *ret);

/* "queue_full" and so on; @help may be NULL. */
const char *export_loss_name(enum export_loss l, const char **help);

#endif
