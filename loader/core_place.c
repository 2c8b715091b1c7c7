// SPDX-License-Identifier: Apache-2.0
/*
 * core_place.c - the place under the directory of --pin: how the core finds it, takes it from another weir
 * that is at work there, and leaves it to another. handover.h tells the steps.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"
#include "loader/core_int.h"
#include "loader/handover.h"

#define LEAVE_S 40 /* for one that was asked to leave: its exports may take a while */

int core_open_pin(struct core *c)
{
	int r;

	if (!c->cfg.pin)
		return 0;
	r = pin_open(&c->pin, c->cfg.pin, c->cfg.replace);
	if (!r)
		c->dp.pin = &c->pin;
	return r;
}

void core_in_place(struct core *c)
{
	if (!c->dp.pin)
		return;
	pin_link_sweep(&c->pin, places_watch, &c->places);
	/* programs that were replaced, on their way through a packet, end before this returns */
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

void core_start_policy(struct core *c)
{
	const struct policy_host_start start = {
		.cfg = &c->cfg.policy,
		.exports = c->cfg.exports,
		.n_exports = c->cfg.n_exports,
		.dp = &c->dp,
		.table = c->places.own.table,
		.mirror = &c->mirror,
		.recorder = &c->recorder,
	};
	const struct mirror_host_start mirror = {
		.cfg = &c->cfg.policy,
		.exports = c->cfg.exports,
		.n_exports = c->cfg.n_exports,
		.dp = &c->dp,
		.ifaces = c->places.own.table,
		.asked = &c->places.own.table->mirrors,
	};
	int r;

	mirror_host_start(&c->mirror, &mirror);
	mirror_host_configure(&c->mirror, &c->cfg.mirrors);
	r = c->cfg.dp.policy_entries ? policy_host_start(&c->policy, &start) : 0;
	if (r)
		log_warn("policy", "%s; nothing can be blocked", strerror(-r));
}

/* The one that leaves writes its last records. */
static int wait_for_lock(struct core *c)
{
	const uint64_t until = core_ns() + LEAVE_S * CORE_NS_PER_S;
	int r;

	do {
		policy_host_wait(&c->policy);
		r = pin_wait(&c->pin, 100);
	} while (r == -EBUSY && core_ns() < until);
	return r;
}

int core_take_place(struct core *c)
{
	const char *tables = strrchr(c->pin.tables, '/');
	int fd = handover_ask(c->pin.lock), r;

	if (fd < 0) {
		log_error(NULL, "%s: the weir that is at work there does not leave; stop it",
			  c->pin.dir);
		return -EBUSY;
	}
	core_start_policy(c);
	r = places_start(&c->places);
	if (!r)
		core_in_place(c);
	handover_done(fd, r || !tables ? "" : tables + 1);
	r = r ?: wait_for_lock(c);
	if (r && c->pin.error[0])
		log_error(NULL, "%s", c->pin.error);
	return r;
}

/* ---- another one takes it ---- */

void core_listen(struct core *c)
{
	if (c->dp.pin)
		c->heirs = handover_listen(c->pin.lock);
	pin_started(&c->pin);
}

bool core_heard_heir(struct core *c)
{
	int pid;

	c->heir = handover_accept(c->heirs, &pid);
	if (c->heir < 0)
		return false;
	log_info(NULL, "process %d takes over", pid);
	close(c->heirs);
	c->heirs = -1;
	return true;
}

void core_make_room(struct core *c)
{
	const char *tables = strrchr(c->pin.tables, '/');

	if (c->heir < 0)
		return;
	handover_left(c->heir);
	c->superseded = handover_wait(c->heir, tables ? tables + 1 : "");
	close(c->heir);
	c->heir = -1;
}
