// SPDX-License-Identifier: Apache-2.0
/*
 * pin_lock.c - who may do what under the directory of --pin: one weir is at work, one starts at a time, and
 * tables that somebody reads to the end are not taken by another. Locks are flock(2) on directories, so
 * that the kernel gives them back when their holder dies.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "loader/handover.h"
#include "loader/pin.h"

#define LOOK_MS 20
#define WAIT_MS 15000 /* for the worker of a core that has died: it drains and writes */

/* DIR/owner: never changes its form. */
struct pin_owner {
	uint32_t pid;
	uint32_t abi;
};

__attribute__((format(printf, 3, 4))) static int say(struct pin *p, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->error, sizeof(p->error), fmt, ap);
	va_end(ap);
	return r;
}

static void look_again_later(void)
{
	const struct timespec t = {.tv_nsec = LOOK_MS * 1000000L};

	nanosleep(&t, NULL);
}

/* ---- small maps of one element ---- */

int pin_value_put(const char *path, const char *name, const void *value, uint32_t size)
{
	uint32_t zero = 0;
	int fd = bpf_obj_get(path), r;

	if (fd < 0)
		fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(zero), size, 1, NULL);
	if (fd < 0)
		return -errno;
	r = bpf_map_update_elem(fd, &zero, value, BPF_ANY) ? -errno : 0;
	if (!r && bpf_obj_pin(fd, path) && errno != EEXIST)
		r = -errno;
	close(fd);
	return r;
}

int pin_value_get(const char *path, void *ret, uint32_t size)
{
	struct bpf_map_info info = {};
	uint32_t zero = 0, len = sizeof(info);
	int fd = bpf_obj_get(path), r = 0;

	if (fd < 0)
		return -errno;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) || info.value_size != size)
		r = -ESTALE;
	else if (bpf_map_lookup_elem(fd, &zero, ret))
		r = -errno;
	close(fd);
	return r;
}

/* ---- at work ---- */

static bool owner_lives(const struct pin_owner *o)
{
	return o->pid && (!kill((pid_t)o->pid, 0) || errno == EPERM);
}

static int tell_owner(struct pin *p)
{
	struct pin_owner owner = {.pid = (uint32_t)getpid(), .abi = WEIR_ABI_VERSION};
	char path[256];

	p->locked = true;
	snprintf(path, sizeof(path), "%s/owner", p->dir);
	if (pin_value_put(path, "weir_owner", &owner, sizeof(owner)))
		return say(p, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

/* Two at once would both read, and both export, one cache. @ms: how long to wait for a dead one. */
static int wait_for_lock(struct pin *p, bool replace, int wait_ms, bool for_living)
{
	struct pin_owner owner = {};
	char path[256];

	snprintf(path, sizeof(path), "%s/owner", p->dir);
	for (int ms = 0;; ms += LOOK_MS) {
		if (!flock(p->lock, LOCK_EX | LOCK_NB))
			return tell_owner(p);
		if (errno != EWOULDBLOCK)
			return say(p, -errno, "%s: lock: %s", p->dir, strerror(errno));
		if (replace && handover_is_there(p->lock))
			return 0;
		/* not readable yet: its owner has just begun */
		if ((!pin_value_get(path, &owner, sizeof(owner)) && owner_lives(&owner) &&
		     !for_living) ||
		    ms > wait_ms)
			break;
		look_again_later();
	}
	return say(
		p, -EBUSY,
		"%s is in use by another weir (pid %u); %s, or give this one a directory of its own",
		p->dir, owner.pid,
		for_living || replace ? "it does not leave: stop it"
				      : "stop that one first, or take its place with --replace");
}

int pin_wait(struct pin *p, int ms)
{
	return wait_for_lock(p, false, ms, true);
}

int pin_lock(struct pin *p, bool replace)
{
	return wait_for_lock(p, replace, WAIT_MS, false);
}

/* ---- starting ---- */

static int open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int pin_start(struct pin *p)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/links", p->dir);
	p->starting = open_dir(path);
	if (p->starting < 0)
		return say(p, p->starting, "%s: %s", path, strerror(-p->starting));
	for (int ms = 0; flock(p->starting, LOCK_EX | LOCK_NB); ms += LOOK_MS) {
		if (errno != EWOULDBLOCK)
			return say(p, -errno, "%s: lock: %s", path, strerror(errno));
		if (ms > WAIT_MS)
			return say(p, -EBUSY, "%s: another weir is starting there; try again",
				   p->dir);
		look_again_later();
	}
	return 0;
}

void pin_started(struct pin *p)
{
	if (p->starting >= 0)
		close(p->starting);
	p->starting = -1;
}

/* ---- tables ---- */

int pin_tables_lock(const char *tables)
{
	int fd = open_dir(tables), r;

	if (fd < 0 || !flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	r = -errno;
	close(fd);
	return r;
}

int pin_tables_wait(struct pin *p)
{
	for (int ms = 0;; ms += LOOK_MS) {
		int fd = pin_tables_lock(p->tables);

		if (fd >= 0)
			close(fd);
		if (fd >= 0 || fd == -ENOENT)
			return 0;
		if (fd != -EWOULDBLOCK)
			return say(p, fd, "%s: %s", p->tables, strerror(-fd));
		if (ms > WAIT_MS)
			return say(
				p, -EAGAIN,
				"%s: the weir that is at work has not read it to the end yet; try "
				"again, or give this one other --flows",
				p->tables);
		if (!ms)
			log_info(NULL, "%s: the weir at work reads it to the end first", p->tables);
		look_again_later();
	}
}
