// SPDX-License-Identifier: Apache-2.0
/*
 * packs.c - packs of rules: looked at, put in, taken away, as `weir-collector pack` does it.
 */
#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "collector/api/api_int.h"
#include "collector/packs/packs.h"

#define FILE_PATH 32u

int api_run_packs(struct api_call *call)
{
	char said[PACKS_SAID] = "";
	json_t *list = call->api->cfg.ops->packs(call->api->cfg.arg, NULL, said);

	if (!list)
		return api_problem(&call->problem, MHD_HTTP_SERVICE_UNAVAILABLE, "packs", "%.400s",
				   said);
	return api_pages(call, list, "name");
}

int api_run_pack(struct api_call *call)
{
	char said[PACKS_SAID] = "";
	json_t *o = call->api->cfg.ops->packs(call->api->cfg.arg, api_text(call, "name"), said);

	if (!o)
		return api_problem(&call->problem, MHD_HTTP_NOT_FOUND, "unknown", "%.400s", said);
	return api_answer(call, o);
}

/* ---- changes ---- */

static const struct api_refusal refusals[] = {
	{-EEXIST, MHD_HTTP_CONFLICT, "conflict"},   {-ESTALE, MHD_HTTP_CONFLICT, "version"},
	{-ENOENT, MHD_HTTP_NOT_FOUND, "unknown"},   {-EKEYREJECTED, MHD_HTTP_CONFLICT, "signature"},
	{-EBADMSG, MHD_HTTP_BAD_REQUEST, "pack"},   {-EBUSY, MHD_HTTP_SERVICE_UNAVAILABLE, "busy"},
	{0, MHD_HTTP_SERVICE_UNAVAILABLE, "packs"},
};

/* It is known by what it is, not by where it stands for the moment. */
static void rename_places(char *said, const char *path)
{
	const size_t len = strlen(path);

	for (char *at = said; (at = strstr(at, path)); at += 4) {
		memcpy(at, "body", 4);
		memmove(at + 4, at + len, strlen(at + len) + 1);
	}
}

/* In memory: nothing is left of it. Return: a descriptor, -errno. */
static int file_of(const struct api_text *body)
{
	const int fd = memfd_create("pack", MFD_CLOEXEC);
	size_t at = 0;

	while (fd >= 0 && at < body->len) {
		const ssize_t n = write(fd, body->s + at, body->len - at);

		if (n <= 0) {
			close(fd);
			return -EIO;
		}
		at += (size_t)n;
	}
	return fd >= 0 ? fd : -errno;
}

static bool asks(const struct api_call *call, const char *key)
{
	return json_is_true(json_object_get(call->values, key));
}

static int put(struct api_call *call, struct packs_change *c)
{
	char said[PACKS_SAID] = "", path[FILE_PATH];
	const int fd = file_of(&call->file);
	json_t *o = NULL;
	int r;

	if (fd < 0)
		return api_answer(call, NULL);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	c->path = path;
	r = call->api->cfg.ops->pack_change(call->api->cfg.arg, c, said, &o);
	close(fd);
	rename_places(said, path);
	if (r) {
		json_decref(o);
		return api_refused(&call->problem, refusals, r, said);
	}
	r = api_answer(call, o);
	if (!r && !c->update)
		call->status = MHD_HTTP_CREATED;
	return r;
}

int api_run_pack_put(struct api_call *call)
{
	const bool update = api_routes[call->route].method == METHOD_PUT;
	char actor[80];
	struct packs_change c = {.actor = actor,
				 .update = update,
				 .name = update ? api_text(call, "name") : NULL,
				 .unsigned_too = asks(call, "unsigned"),
				 .downgrade = asks(call, "downgrade")};

	if (c.unsigned_too && !api_may(call->who.rights, RIGHT_ADMIN))
		return api_problem(&call->problem, MHD_HTTP_FORBIDDEN, "role",
				   "unsigned: a pack that nobody has signed takes an admin");
	snprintf(actor, sizeof(actor), "token:%s", call->who.name);
	return put(call, &c);
}

int api_run_pack_end(struct api_call *call)
{
	char said[PACKS_SAID] = "", actor[80];
	struct packs_change c = {.actor = actor, .name = api_text(call, "name")};
	json_t *o = NULL;
	int r;

	snprintf(actor, sizeof(actor), "token:%s", call->who.name);
	r = call->api->cfg.ops->pack_change(call->api->cfg.arg, &c, said, &o);
	json_decref(o);
	if (r)
		return api_refused(&call->problem, refusals, r, said);
	call->status = MHD_HTTP_NO_CONTENT;
	return 0;
}
