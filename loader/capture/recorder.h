/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recorder.h - packets that rules ask for go into files here, by a process of their own: it reads the ring as
 * any other reader, so that nobody waits for a disk, has no capability, and sees of the file system what its
 * system calls and its user let it. The core tells it what to keep; it parses nothing but packets' headers. One
 * file for a rule and a value at a time: who asks again has it go on for longer. Beside those files it writes the
 * disk ring (disk_ring.h), if that is wanted. If it dies, the process that looks after it starts another, with the
 * same orders waiting.
 */
#ifndef WEIR_LOADER_RECORDER_H
#define WEIR_LOADER_RECORDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "loader/capture/disk_board.h"

#define RECORDER_FILES	   8u	 /* written at one time */
#define RECORDER_LONGEST_S 3600u /* that one file goes on, however often it is asked for */

struct dataplane;
struct iface_table;

/* Core to recorder, one a message. */
struct record_order {
	uint8_t rule[16]; /* its id */
	uint32_t slot;	  /* of its issuer */
	uint32_t ends;	  /* addresses: 1, or 2: between them */
	uint8_t addr[2][16];
	uint8_t scope; /* enum policy_capture_scope, for people */
	uint8_t pad[3];
	uint32_t pre_s, post_s;
	uint64_t max_bytes;
	uint64_t fired_ns;	  /* CLOCK_MONOTONIC */
	uint64_t alert, decision; /* of the collector; 0: none */
	char name[64];		  /* of the rule */
	char origin[64];
};

/* Shared; off is the core's, the others the recorder's. */
struct record_counts {
#define COUNTED(member, metric, help) uint64_t member;
#include "loader/capture/record_counts.def"
#undef COUNTED
	uint64_t open; /* files being written now */
};

/* Shared; of the process that looks after the one that writes. */
struct recorder_board {
	uint64_t restarts; /* times that the one that writes died, and another was started */
	int32_t pid;	   /* of the one that writes; 0: none */
};

struct recorder_cfg {
	char dir[192]; /* "": none */
	uint64_t quota;
	struct disk_cfg disk; /* all packets, see disk_ring.h */
	char group[64];	      /* that may have the files; "": nobody but root and weir itself */
};

struct recorder {
	int fd;	   /* to the process; -1: there is none */
	pid_t pid; /* of the one that looks after it */
	struct record_counts *counts;
	struct recorder_board *board;
	struct disk_board *disk;
	const char *off; /* why not */
	uint64_t said_s; /* when that was said */
};

struct recorder_start {
	const struct recorder_cfg *cfg;
	const struct dataplane *dp;
	struct iface_table *table; /* shared; what it has of the recorder is used */
	const char *node;	   /* for the files */
};

/**
 * recorder_start - fork it, if packets are kept and there is a place for files
 *
 * Before privileges are given up, and while nothing is open that it should not have. Return: 0, also where
 * there is none (off says why); -errno: what is wrong has been said.
 */
int recorder_start(struct recorder *r, const struct recorder_start *start);

/* Never waits. False: it can't, which is counted, and said once a minute. */
bool recorder_order(struct recorder *r, const struct record_order *o);

/* The disk ring is to be another one, from now on. */
void recorder_reload(struct recorder *r, const struct disk_cfg *disk);

/* Its socket has something to say, which is that nobody is there: what is asked for from now on is refused. */
void recorder_gone(struct recorder *r);

/* It ends its files and itself. */
void recorder_stop(struct recorder *r);

#endif
