/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_int.h - what the files of the core share. core.c is its course from start to end, core_place.c the
 * place under the directory of --pin. Core only: the privileged process, one thread.
 */
#ifndef WEIR_LOADER_CORE_INT_H
#define WEIR_LOADER_CORE_INT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "loader/control/control.h"
#include "loader/core.h"
#include "loader/dataplane.h"
#include "loader/ipc.h"
#include "loader/mirror/host.h"
#include "loader/pin.h"
#include "loader/places.h"
#include "loader/policy/host.h"

#define CORE_NS_PER_S 1000000000ull

struct core {
	struct run_cfg cfg;
	struct dataplane dp;
	struct pin pin;
	struct places places;
	pid_t worker;
	int ipc;
	struct run_cfg *news; /* what the worker reads at a reload; shared */
	int broker;	      /* files for the worker */
	int names; /* that it finds and the kernel can't; -1 = the worker has not begun */
	struct policy_host policy;
	struct mirror_host mirror;
	struct recorder recorder;
	int heirs; /* those that would take our place (--pin); -1 = nobody can */
	int heir;  /* who does; -1 = nobody */
	int signals;
	int notify;
	uint64_t watchdog_ns;	    /* 0 = nobody watches */
	uint64_t fed_at;	    /* iface_table.progress at the last WATCHDOG=1 */
	bool ending;		    /* a further signal means: at once */
	bool measured;		    /* the kernel tells how long programs run */
	bool superseded;	    /* another weir has taken our place, with other tables */
	uint64_t stop_at_ns;	    /* CLOCK_MONOTONIC, 0 = never */
	struct control_fds control; /* listening; the worker serves them */
	struct ipc_msg msg;
};

uint64_t core_ns(void); /* CLOCK_MONOTONIC */

/* ---- core_place.c ---- */

/* The directory of --pin, if that is wanted. 0 or -errno; what is wrong is in c->pin.error. */
int core_open_pin(struct core *c);

/* Policies, once nobody else changes the tables. A dataplane without them only observes. */
void core_start_policy(struct core *c);

/**
 * core_take_place - --replace: the weir that is at work leaves, our programs take the place of its
 *
 * Return: 0, with the lock of the directory, or -errno; what was wrong has been said.
 */
int core_take_place(struct core *c);

/* All our programs are where they are to be. Links of others under the directory go. */
void core_in_place(struct core *c);

/* From now on another weir may take our place (c->heirs), and others may start. */
void core_listen(struct core *c);

/* c->heirs has something. True: another weir takes our place, it is time to end. */
bool core_heard_heir(struct core *c);

/* Whoever takes our place puts its programs in place of ours while we go on reading; then our tables
 * are read for the last time.
 */
void core_make_room(struct core *c);

#endif
