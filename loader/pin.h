/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pin.h - what stays in the kernel when weir ends (--pin DIR, on a BPF file system): links, so that
 * packets go on being counted; the maps they are counted in; the ledger of what has been exported.
 *
 *	DIR			locked (flock) by the weir at work, and by its worker
 *	DIR/owner		who that is
 *	DIR/links/		locked by a weir that starts, until others could take its place
 *	DIR/links/INDEX-HOOK	one link: interface index, hook; NETNS-INDEX-HOOK: another namespace's
 *	DIR/ledger		flows and records, see ledger.h
 *	DIR/tables-vN-LAYOUT/	maps by name, `read` (struct ledger_tables), and `meta`, made last; locked
 *				by who reads them to the end beside its own
 *
 * LAYOUT is a hash of every map's kind and size: another one means other tables. Those of an earlier
 * weir are read to the end beside ours, and removed. Core only; the worker inherits lock and mappings.
 */
#ifndef WEIR_LOADER_PIN_H
#define WEIR_LOADER_PIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "loader/dataplane.h"
#include "loader/ledger.h"

#define PIN_DIR "/sys/fs/bpf/weir"

struct bpf_object;

/* Tables of another layout that hold counts: of an earlier weir of this version. */
struct pin_older {
	char path[256];	     /* "" = none */
	struct dataplane dp; /* mapped, without programs */
	int lock;	     /* of path: nobody else takes them; -1 = none. The core's */
};

struct pin {
	char dir[192];
	char tables[256]; /* DIR/tables-... of ours */
	int lock;	  /* the directory; -1 = none */
	bool locked;	  /* by us; else another weir is at work that can be asked to leave */
	int starting;	  /* lock of DIR/links until pin_started(); -1 = none */
	uint64_t seed[12];
	uint32_t id;	    /* of our tables */
	bool took_over;	    /* the maps were there */
	uint32_t max_flows; /* that the ledger has room for */
	void *ledger;	    /* mapped */
	size_t ledger_bytes;
	struct ledger_part part[LEDGER_TABLES_MAX]; /* the first is ours; older[i] has part[i + 1] */
	struct pin_older older[LEDGER_TABLES_MAX - 1];
	unsigned int olders;
	char error[384];
};

/**
 * pin_open - make or find the directory, and lock it
 * @dir: below a BPF file system
 * @replace: where another weir is at work that listens (handover.h), go on without the lock
 *
 * Waits for a worker that still drains for a core that has died. Return: 0 or -errno with p->error
 * set: -EBUSY (somebody is at work: who), -EMEDIUMTYPE (not a BPF file system), ...
 */
int pin_open(struct pin *p, const char *dir, bool replace);

/* The weir that was at work has been asked to leave: wait until it has, @ms at most. 0 or -errno with
 * p->error: -EBUSY: not yet.
 */
int pin_wait(struct pin *p, int ms);

/* ---- pin_lock.c ---- */

/* One weir starts at a time: wait for another one that does, then keep others off. 0 or -errno, p->error. */
int pin_start(struct pin *p);
/* From now on a weir that starts finds us at work. */
void pin_started(struct pin *p);

/* Lock the directory, or find somebody at work there as pin_open(). */
int pin_lock(struct pin *p, bool replace);

/* Nobody else begins to count in these tables. Return: descriptor, -EWOULDBLOCK, -ENOENT, ... */
int pin_tables_lock(const char *tables);

/* Wait until nobody reads p->tables to the end, after which they are gone. 0 or -errno with p->error. */
int pin_tables_wait(struct pin *p);

/* A pinned map of one element, made if it is not there. 0 or -errno. */
int pin_value_put(const char *path, const char *name, const void *value, uint32_t size);
/* -ESTALE: it has another size. */
int pin_value_get(const char *path, void *ret, uint32_t size);

/* ---- */

/**
 * pin_reuse - between open and load of the first object: its maps become those that are pinned
 *
 * Return: 1 they were there, p->seed is theirs; 0 there are none yet; -errno with p->error.
 */
int pin_reuse(struct pin *p, struct bpf_object *obj);

/**
 * pin_keep - after its load: pin what is not
 * @dp: loaded
 */
int pin_keep(struct pin *p, struct bpf_object *obj, const struct dataplane *dp);

/* Does the ledger that is there say that those tables have been read to the end? */
bool pin_has_ended(struct pin *p, uint32_t id);

/**
 * pin_ledger - locked, and after pin_keep(): make or find the ledger, and older tables
 * @max_flows: of the merge; where more flows are known that have not been written, p->max_flows is more
 *
 * Return: 0 or -errno with p->error: -ESTALE: what is there is of another version of weir.
 */
int pin_ledger(struct pin *p, uint32_t max_flows);

/* In the process that calls it, older[i] and its part are not mapped any more. */
void pin_older_unmap(struct pin *p, unsigned int i);
/* The same, and nobody keeps others off them any more. Core only. */
void pin_older_done(struct pin *p, unsigned int i);

/* Tables of p->older[] have been read to the end (ledger_end()): they go. */
void pin_older_drop(struct pin *p, uint32_t id);

/* Does any directory of tables there, but @not, pass @is? The path of one. */
bool pin_find_tables(const struct pin *p, bool (*is)(const char *path), const char * not, char *ret,
		     size_t room);
/* Unlink what is in a directory of tables, and it. */
void pin_remove_tables(const char *path);
bool pin_is_complete(const char *path); /* and not what is left of making or removing some */
bool pin_is_foreign(const char *path);	/* of another version of weir */

/* "meta" of tables. */
struct pin_meta {
	uint64_t seed[12];
	uint32_t id;
	uint32_t abi;
};

int pin_meta_read(const char *tables, struct pin_meta *ret);

/**
 * pin_map_memory - memory of @bytes that stays: map @path, made if it is not there
 * @bytes: 0: as many as it has
 *
 * Return: 0 or -errno with p->error.
 */
int pin_map_memory(struct pin *p, const char *path, size_t bytes, void **ret, size_t *ret_bytes);

/**
 * pin_link_take - an earlier weir's link of that interface and hook runs @prog_fd from now on
 *
 * Return: its descriptor, or -ENOENT: there is none that works.
 */
int pin_link_take(const struct pin *p, uint32_t netns, unsigned int ifindex, const char *hook,
		  int prog_fd);
/* A new link stays. 0 or -errno. */
int pin_link_keep(const struct pin *p, uint32_t netns, unsigned int ifindex, const char *hook,
		  int link_fd);
/* A link need not stay; it goes with its last descriptor. None is fine. */
void pin_link_drop(const struct pin *p, uint32_t netns, unsigned int ifindex, const char *hook);

/* Drop the links of interfaces that @keep says no to. */
void pin_link_sweep(const struct pin *p,
		    bool (*keep)(void *arg, uint32_t netns, unsigned int ifindex), void *arg);

/**
 * pin_remove - take off and forget everything under the directory, which pin_open() has locked
 *
 * Return: how many links there were.
 */
int pin_remove(struct pin *p);

/* Close; what is pinned stays. Safe on a zeroed or failed one. */
void pin_close(struct pin *p);

#endif
