// SPDX-License-Identifier: Apache-2.0
/*
 * enforce_state.c - what is remembered over restarts: the highest generation of every issuer, and with
 * --pin the policies. A file an issuer, replaced as a whole; a file for panic. Whoever may write there
 * is weir; what is read is checked all the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "loader/policy/enforce_int.h"

#define STATE_MAGIC  "weirst01"
#define STATE_PANIC  "panic"
#define STATE_SHADOW "shadow"

struct state_head {
	uint8_t magic[8];
	uint64_t generation;
	uint64_t len; /* of the image behind it; 0: none */
	uint8_t name[32];
};

static void path_of(const struct enforce *e, const char *name, char path[256])
{
	snprintf(path, 256, "%s/%s", e->cfg->state, name);
}

static void slot_path(const struct enforce *e, uint32_t slot, const char *suffix, char path[256])
{
	snprintf(path, 256, "%s/issuer-%02u%s", e->cfg->state, slot, suffix);
}

/* ---- writing ---- */

static int write_all(int fd, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	while (len) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

void state_save(struct enforce *e, uint32_t slot)
{
	const struct issuer *is = &e->issuers[slot];
	/* what waits for a confirmation is not to come back without one */
	const struct held *h = is->confirm_at ? &is->before : &is->now;
	const bool image = e->cfg->keep && h->image;
	struct state_head head = {.generation = is->generation, .len = image ? h->len : 0};
	char path[256], old[256];
	int fd, r;

	if (!e->cfg->state[0])
		return;
	memcpy(head.magic, STATE_MAGIC, sizeof(head.magic));
	memcpy(head.name, is->name, sizeof(head.name));
	slot_path(e, slot, ".new", path);
	slot_path(e, slot, "", old);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	r = fd < 0 ? -errno : write_all(fd, &head, sizeof(head));
	if (!r && image)
		r = write_all(fd, h->image, h->len);
	if (!r && fdatasync(fd))
		r = -errno;
	if (fd >= 0)
		close(fd);
	if (!r && rename(path, old))
		r = -errno;
	if (r)
		log_warn("policy", "%s: %s; after a restart this change is not known", old,
			 strerror(-r));
}

static void mark(const struct enforce *e, const char *name, bool on)
{
	char path[256];
	int fd;

	path_of(e, name, path);
	if (!on) {
		(void)unlink(path); /* none is fine */
		return;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		log_warn("policy", "%s: %s; a restart would enforce again", path, strerror(errno));
	else
		close(fd);
}

void state_save_stopped(struct enforce *e)
{
	if (!e->cfg->state[0])
		return;
	mark(e, STATE_PANIC, e->stopped);
	mark(e, STATE_SHADOW, e->shadow);
}

/* ---- reading ---- */

static int read_all(int fd, void *bytes, size_t len)
{
	uint8_t *at = bytes;

	while (len) {
		ssize_t n = read(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EBADMSG;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int read_image(struct enforce *e, int fd, uint64_t len, struct held *ret)
{
	struct policy_error err = {};
	uint8_t *image;
	int r;

	if (len > POLICY_BYTES_MAX)
		return -EBADMSG;
	image = malloc(len);
	r = image ? read_all(fd, image, len) : -ENOMEM;
	r = r ?: held_take(e, image, len, ret, &err);
	free(image);
	if (r == -EINVAL)
		log_warn("policy", "what was remembered is no policy: %s", err.text);
	return r;
}

static int load_slot(struct enforce *e, uint32_t slot, const char *path)
{
	struct issuer *is = &e->issuers[slot];
	struct state_head head;
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = read_all(fd, &head, sizeof(head));
	if (!r && (memcmp(head.magic, STATE_MAGIC, sizeof(head.magic)) != 0 ||
		   head.name[sizeof(head.name) - 1] || !head.name[0]))
		r = -EBADMSG;
	if (!r) {
		memcpy(is->name, head.name, sizeof(is->name));
		is->generation = head.generation;
	}
	if (!r && head.len && e->cfg->keep)
		r = read_image(e, fd, head.len, &is->now);
	close(fd);
	return r;
}

static bool is_marked(const struct enforce *e, const char *name)
{
	char path[256];

	path_of(e, name, path);
	return !access(path, F_OK);
}

void state_load(struct enforce *e)
{
	char path[256];
	int r;

	if (!e->cfg->state[0])
		return;
	(void)mkdir(e->cfg->state, 0700); /* what is wrong with it, the first change says */
	e->stopped = is_marked(e, STATE_PANIC);
	e->shadow = is_marked(e, STATE_SHADOW);
	if (e->stopped)
		policy_table_stop(e->table, true);
	for (uint32_t i = SLOT_LOCAL; i < SLOT_NAMED; i++) {
		slot_path(e, i, "", path);
		r = load_slot(e, i, path);
		if (r && r != -ENOENT)
			log_warn("policy", "%s: %s; passed over", path, strerror(-r));
		if (!e->issuers[i].now.image)
			continue;
		r = enforce_put(e, i);
		if (r)
			log_error("policy", "%s: %s; its rules do not hold", e->issuers[i].name,
				  strerror(-r));
	}
	enforce_names_changed(e);
	enforce_agents_changed(e);
	if (e->guarding)
		enforce_put_quic(e);
	if (e->stopped || e->shadow)
		log_warn("policy", "%s; 'weir panic --off' enforces again",
			 e->stopped ? "stopped, as it was before" : "in shadow, as it was before");
}
