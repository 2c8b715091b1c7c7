/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iface_table.h - the interfaces that are or were watched, in memory that core and worker share:
 * written by the core alone, read by the worker at any time (a sequence number a row tells a torn
 * read). An interface that is gone keeps its row as long as there are others to take: flows that
 * were seen on it are written later.
 */
#ifndef WEIR_LOADER_IFACE_TABLE_H
#define WEIR_LOADER_IFACE_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include "loader/capture/recorder.h"
#include "loader/mirror/asks.h"
#include "loader/netns.h"
#include "loader/policy/agent_board.h"
#include "loader/policy/board.h"
#include "loader/policy/titles.h"
#include "weir/abi.h"

#define IFACE_ROWS 2048u /* twice what can be attached at one time, see ifaces.h */

/* Interface numbers of records: the index where it is of our own network namespace; of another, whose
 * indexes begin at 1 too, this plus the number of its row.
 */
#define IFACE_NUMBER_ELSEWHERE 0x1000000u

struct iface_row {
	uint32_t seq;	   /* odd while it is written */
	uint32_t ifindex;  /* 0 = row never used */
	uint32_t netns;	   /* of flow_key */
	uint32_t number;   /* of records: set by iface_table_put() */
	uint64_t since_ns; /* CLOCK_REALTIME when it was attached or left */
	char name[IFACE_NAME_MAX];
	char mode[40];	  /* "native XDP + TCX", ingress and egress */
	uint8_t attached; /* 0: it is gone, or was let go of */
	uint8_t role;	  /* enum role */
	uint8_t pad[6];
};

/* What the kernel says of the programs of a hook, all roles together; see prog_runs.h. */
struct prog_runs {
	uint64_t ns;
	uint64_t runs;
};

struct iface_table {
	uint64_t names_wanted; /* core: other than before when rules by name changed; 0: there are none */
	uint64_t progress; /* worker: grows while it drains; the core's watchdog looks at it */
	uint32_t netns, netns_gone; /* core: other network namespaces watched; that were, ever */
	uint8_t programs_measured;  /* bool; core: the next is filled */
	uint8_t started;	    /* bool; core: interfaces are attached, privileges given up */
	uint64_t refused_ns; /* core: CLOCK_REALTIME of the last reload, if the file had a mistake; else 0 */
	struct prog_runs programs[_HOOK_MAX];
	struct policy_board policy;
	struct policy_titles titles;	   /* core: names of rules */
	struct agent_board agents;	   /* core: rules for the worker to hold flows against */
	struct record_counts records;	   /* core and recorder */
	struct recorder_board recorder;	   /* who looks after the recorder */
	struct disk_board disk;		   /* core and recorder */
	struct mirror_rule_counts mirrors; /* core */
	struct iface_row row[IFACE_ROWS];
};

/* Memory that stays shared across fork(). NULL: none left. */
struct iface_table *iface_table_new(void);
void iface_table_free(struct iface_table *t);

/* Core: a reload has been tried. */
void iface_table_reloaded(struct iface_table *t, bool refused);

/* Core: the row of that interface becomes *row, or a new row does. seq and number are not looked at. */
void iface_table_put(struct iface_table *t, const struct iface_row *row);

/**
 * iface_table_get - a copy of one row
 * @i: 0 ... IFACE_ROWS - 1
 *
 * Return: true if there is an interface in it.
 */
bool iface_table_get(const struct iface_table *t, unsigned int i, struct iface_row *ret);

/* The row of an interface, the one attached first. False: not known. Any thread. */
bool iface_table_find(const struct iface_table *t, uint32_t netns, uint32_t ifindex,
		      struct iface_row *ret);

#define IFACE_ROLES_KNOWN 256u

/* What the table said when it was last asked. Start zeroed, and again when roles may have changed. */
struct iface_roles {
	struct {
		uint32_t netns, ifindex;
		int role;
	} known[IFACE_ROLES_KNOWN];
};

/* Role of an interface, enum role; -1: not known. */
int iface_roles_get(struct iface_roles *r, const struct iface_table *t, uint32_t netns,
		    uint32_t ifindex);

#endif
