// SPDX-License-Identifier: Apache-2.0
#include "collector/talk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/commands.h"
#include "common/scan.h"

const char *talk_text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "";
}

int64_t talk_number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

const char *talk_time(const json_t *o, const char *key, char *buf)
{
	snprintf(buf, 20, "%.19s", talk_text(o, key));
	if (strlen(buf) > 10)
		buf[10] = ' ';
	return buf;
}

void talk_json(const json_t *o)
{
	json_t *copy = json_copy((json_t *)(uintptr_t)o);

	json_object_del(copy, "type");
	json_dumpf(copy, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(copy);
}

static int refused(const json_t *o)
{
	const char *code = talk_text(o, "code");

	fprintf(stderr, "weir-collector: %s\n", talk_text(o, "message"));
	if (!strcmp(code, "filter") || !strcmp(code, "request"))
		return EXIT_USAGE;
	return !strcmp(code, "permission") ? EXIT_PERM : EXIT_FAILED;
}

static int answer(struct client *c, void (*line)(void *arg, const json_t *o), void *arg)
{
	for (;;) {
		const char *type;
		json_t *o;
		int fd, rc = -1, r;

		r = client_line(c, &o, &fd);
		if (r == -EINTR)
			continue;
		if (r) {
			fputs("weir-collector: the collector has gone\n", stderr);
			return EXIT_PEER;
		}
		if (fd >= 0)
			close(fd);
		type = talk_text(o, "type");
		if (!strcmp(type, "error"))
			rc = refused(o);
		else if (!strcmp(type, "end"))
			rc = EXIT_OK;
		else
			line(arg, o);
		if (!strcmp(type, "done"))
			rc = EXIT_OK;
		json_decref(o);
		if (rc >= 0)
			return rc;
	}
}

int talk(const struct client_at *at, json_t *request, void (*line)(void *arg, const json_t *o),
	 void *arg)
{
	struct client *c;
	int rc = client_connect(at, &c);

	if (!rc && !c) {
		fputs("weir-collector: no collector is running here — 'weir-collector serve' starts one; "
		      "--socket names another\n",
		      stderr);
		rc = EXIT_PEER;
	}
	if (rc) {
		json_decref(request);
		return rc;
	}
	json_object_set_new(request, "v", json_integer(1));
	rc = client_send(c, request);
	rc = rc ?: answer(c, line, arg);
	client_free(c);
	return rc;
}

int talk_take_id(struct cli *c, struct talk_ids *ids, const char *what)
{
	uint64_t id;

	if (scan_u64(c->arg, 1, INT64_MAX, &id))
		return cli_error(c, "'%.40s' is not the number of a %s", c->arg, what);
	if (ids->n == TALK_IDS_MAX)
		return cli_error(c, "more than %u at one time", TALK_IDS_MAX);
	ids->v[ids->n++] = (int64_t)id;
	return 0;
}

int talk_each(const struct client_at *at, json_t *request, const struct talk_ids *ids,
	      void (*line)(void *arg, const json_t *o), void *arg)
{
	uint32_t failed = 0;
	int rc = 0;

	for (uint32_t i = 0; i < ids->n && rc != EXIT_PEER && rc != EXIT_PERM; i++) {
		json_t *one = json_deep_copy(request);

		json_object_set_new(one, "id", json_integer(ids->v[i]));
		rc = talk(at, one, line, arg);
		failed += rc != 0;
	}
	json_decref(request);
	if (!failed || rc == EXIT_PEER || rc == EXIT_PERM)
		return failed ? rc : EXIT_OK;
	return failed < ids->n ? EXIT_PARTLY : EXIT_FAILED;
}
