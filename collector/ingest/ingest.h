/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ingest.h - receiving: UDP, TCP and TLS listeners, watched directories of cloud flow logs, files.
 * What comes is decoded into blocks of the pool and sent to its writer.
 *
 * Threads: one per UDP receiver (each exporter's address stays with one of them), one for all streams,
 * one for directories and the templates' file. UDP never waits: without a block, records are counted
 * as lost against their exporter. Streams and files wait; what they do not read stays with the sender.
 */
#ifndef WEIR_COLLECTOR_INGEST_INGEST_H
#define WEIR_COLLECTOR_INGEST_INGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include "collector/ingest/exporter.h"
#include "collector/ingest/ops.h"

struct block_pool;
struct ingest;

enum ingest_transport {
	INGEST_UDP,
	INGEST_TCP,
	INGEST_TLS,
	INGEST_DIR, /* cloud flow logs that appear in a directory */
	_INGEST_TRANSPORTS
};

struct ingest_listener {
	enum ingest_transport transport;
	struct sockaddr_storage
		address;	/* UDP, TCP, TLS: any format that counts.def knows, on any port */
	const char *dir;	/* INGEST_DIR */
	const char *cert, *key; /* TLS: PEM files */
	const char *ca;		/* TLS: who signs clients; NULL: clients need no certificate */
};

/* What is configured of an exporter. */
struct ingest_override {
	uint8_t address[16];
	const char *name;  /* NULL: as it says itself */
	uint32_t sampling; /* 1 packet in so many, whatever it says; 0: as it says */
};

struct ingest_cfg {
	const struct ingest_listener *listeners;
	uint32_t listeners_n;
	const struct ingest_override *overrides;
	uint32_t overrides_n;
	struct block_pool *pool;
	const struct ingest_ops *ops; /* NULL: nothing is asked */
	void *arg;		      /* of ops */
	const char *state;	      /* file of templates, kept over restarts; NULL: none */
	uint32_t threads;	      /* UDP receivers; 0: as many as CPUs, 8 at most */
	uint32_t exporters_max;	      /* 0: 4096 */
	uint32_t own_pen;	      /* of weir's elements; 0: 32473 */
	uint32_t rcvbuf;	      /* octets of each UDP socket; 0: 64 MiB */
	uint32_t flush_ms;	      /* a block that is not full is sent after; 0: 1000 */
};

#define INGEST_ERROR 256u /* octets of a message, terminated */

/**
 * ingest_new - open everything, receive nothing yet
 * @error: INGEST_ERROR octets: what can't be done, on what, why
 *
 * Strings of @cfg are copied or read before it returns; listeners' ports may be 0 (ingest_port()).
 * Return: 0; -EADDRINUSE, -EACCES, ... of a socket; -EINVAL: certificates; -ENOMEM.
 */
int ingest_new(const struct ingest_cfg *cfg, char *error, struct ingest **ret);

/* Port that listener @i has. */
uint16_t ingest_port(const struct ingest *g, uint32_t i);

int ingest_start(struct ingest *g);

/* No more is received; blocks at hand are sent. The pool may be closed behind it. */
void ingest_stop(struct ingest *g);
struct ingest *ingest_free(struct ingest *g); /* stops too; returns NULL */

/**
 * ingest_committed - the store's word, see store_cfg.committed
 *
 * Thread: any. Does not wait.
 */
void ingest_committed(struct ingest *g, uint32_t stream, uint64_t epoch, uint64_t to);

/* ---- how it is ---- */

/* What a listener saw; all since the start. */
struct ingest_listener_stats {
	uint64_t datagrams; /* UDP */
	uint64_t octets;
	uint64_t kernel_drops; /* datagrams the socket had no room for (SO_MEMINFO) */
	uint32_t rcvbuf;       /* octets that the kernel gave, of all its sockets */
	uint64_t connections;  /* streams: taken */
	uint64_t refused;      /* streams: TLS that failed, or too many */
	uint32_t open;	       /* streams: now */
	uint64_t files;	       /* directories: read to their end */
};

void ingest_listener_stats(const struct ingest *g, uint32_t i, struct ingest_listener_stats *ret);

/* Exporters one after another, NULL: first. They live as long as @g. Fields are atomic. */
struct exporter *ingest_exporters(const struct ingest *g, const struct exporter *e);

/* A copy of its name, "" when it has none. */
void ingest_exporter_name(const struct ingest *g, const struct exporter *e,
			  char ret[static EXPORTER_NAME]);

/* Messages that are no exporter's, by enum ingest_count. */
void ingest_strays(const struct ingest *g, uint64_t ret[static _IC_MAX]);

/* ---- files ---- */

struct ingest_file {
	uint64_t octets;
	uint64_t messages; /* or lines */
	uint64_t records;  /* flows that went into blocks */
	uint64_t malformed;
	uint64_t lost; /* sets without a template */
};

/* Now and then, octets of the file done and all. Other than 0 stops. */
struct ingest_progress {
	int (*fn)(void *arg, uint64_t done, uint64_t of);
	void *arg;
};

/**
 * ingest_import - a file's flows into blocks
 * @path:     IPFIX (RFC 5655), or a flow log of AWS, Azure or GCP; gzip too
 * @progress: may be NULL
 *
 * Return: 0; what @progress returned; -EBADMSG: no format that is known, or damaged: what came before
 *         is taken; -errno of the file. Thread: any.
 */
int ingest_import(const struct ingest_cfg *cfg, const char *path,
		  const struct ingest_progress *progress, struct ingest_file *ret);

#endif
