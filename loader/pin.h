/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pin.h - what stays in the kernel when weir ends (--pin DIR, on a BPF file system): links, so that
 * packets go on being counted; the maps they are counted in; the ledger of what has been exported.
 *
 *	DIR			locked (flock) by the weir at work, and by its worker
 *	DIR/owner		who that is
 *	DIR/links/INDEX-HOOK	one link: interface index, hook
 *	DIR/tables-vN-LAYOUT/	maps by name, `ledger`, and `meta`, which is made last
 *
 * LAYOUT is a hash of every map's kind and size: another one means other tables. Core only; the
 * worker inherits lock and mappings.
 */
#ifndef WEIR_LOADER_PIN_H
#define WEIR_LOADER_PIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "loader/dataplane.h"

#define PIN_DIR "/sys/fs/bpf/weir"

struct bpf_object;

struct pin {
	char dir[192];
	char tables[256]; /* DIR/tables-... of ours */
	int lock;	  /* the directory, locked; -1 = none */
	uint64_t seed[12];
	bool took_over; /* the maps were there */
	uint32_t max_flows;
	size_t slots;
	void *ledger; /* mapped */
	size_t ledger_bytes;
	char error[320];
};

/**
 * pin_open - make or find the directory, and lock it
 * @dir: below a BPF file system
 *
 * Waits for a worker that still drains for a core that has died. Return: 0 or -errno with p->error
 * set: -EBUSY (somebody is at work: who), -EMEDIUMTYPE (not a BPF file system), ...
 */
int pin_open(struct pin *p, const char *dir);

/**
 * pin_reuse - between open and load of the first object: its maps become those that are pinned
 *
 * Return: 1 they were there, p->seed is theirs; 0 there are none yet; -errno with p->error.
 */
int pin_reuse(struct pin *p, struct bpf_object *obj);

/**
 * pin_keep - after its load: pin what is not, make or find the ledger
 * @dp: loaded
 * @max_flows: of the merge
 */
int pin_keep(struct pin *p, struct bpf_object *obj, const struct dataplane *dp, uint32_t max_flows);

/* Tables of another layout are left there; their name, or false. */
bool pin_other_tables(const struct pin *p, char *ret, size_t room);

/**
 * pin_link_take - an earlier weir's link of that interface and hook runs @prog_fd from now on
 *
 * Return: its descriptor, or -ENOENT: there is none that works.
 */
int pin_link_take(const struct pin *p, unsigned int ifindex, const char *hook, int prog_fd);
/* A new link stays. 0 or -errno. */
int pin_link_keep(const struct pin *p, unsigned int ifindex, const char *hook, int link_fd);
/* A link need not stay; it goes with its last descriptor. None is fine. */
void pin_link_drop(const struct pin *p, unsigned int ifindex, const char *hook);

/* Drop the links of interfaces that @keep says no to. */
void pin_link_sweep(const struct pin *p, bool (*keep)(void *arg, unsigned int ifindex), void *arg);

/**
 * pin_remove - take off and forget everything under the directory, which pin_open() has locked
 *
 * Return: how many links there were.
 */
int pin_remove(struct pin *p);

/* Close; what is pinned stays. Safe on a zeroed or failed one. */
void pin_close(struct pin *p);

#endif
