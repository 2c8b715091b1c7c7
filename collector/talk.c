// SPDX-License-Identifier: Apache-2.0
#include "collector/talk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/commands.h"
#include "common/output_int.h"
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
		else if (!strcmp(type, "end") || !strcmp(type, "done"))
			rc = EXIT_OK;
		if (strcmp(type, "error") != 0 && strcmp(type, "end") != 0)
			line(arg, o); /* type may be gone then */
		json_decref(o);
		if (rc >= 0)
			return rc;
	}
}

int talk_to(struct client *c, json_t *request, void (*line)(void *arg, const json_t *o), void *arg)
{
	int rc;

	json_object_set_new(request, "v", json_integer(1));
	rc = client_send(c, request);
	return rc ?: answer(c, line, arg);
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
	rc = talk_to(c, request, line, arg);
	client_free(c);
	return rc;
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

void talk_field(const char *name, const char *value)
{
	if (*value)
		printf("  %-14s %s\n", name, value);
}

/* ---- a command with options ---- */

/* "NAME" and "[NAME]". */
static bool takes_name(const struct cli_command *cmd)
{
	return cmd->operands && strstr(cmd->operands, "NAME");
}

static int operand(struct talk_call *k)
{
	const char *word = k->c.arg;
	const size_t at = strlen(k->filter);
	uint64_t id;

	if (takes_name(k->c.cmd)) {
		if (json_object_get(k->request, "name"))
			return cli_error(&k->c, "one at a time");
		return json_object_set_new(k->request, "name", json_string(word))
			       ? cli_error(&k->c, "the name is no valid UTF-8")
			       : 0;
	}
	if (strcmp(k->c.cmd->operands, "ID...") != 0) {
		if (at + strlen(word) + 2 > sizeof(k->filter))
			return cli_error(&k->c, "the filter is too long");
		snprintf(k->filter + at, sizeof(k->filter) - at, "%s%s", at ? " " : "", word);
		return 0;
	}
	if (scan_u64(word, 1, INT64_MAX, &id))
		return cli_error(&k->c, "'%.40s': want a number, as 'list' shows", word);
	if (k->ids.n == TALK_IDS_MAX)
		return cli_error(&k->c, "more than %u at one time", TALK_IDS_MAX);
	k->ids.v[k->ids.n++] = (int64_t)id;
	return 0;
}

static const char *option_name(const struct cli_command *cmd, int id)
{
	const struct cli_option *o = cmd->options;

	while (o->id != id)
		o++;
	return o->name;
}

static int take(struct talk_call *k, int id, const struct talk_word *w)
{
	json_t *value = NULL;
	uint64_t n;

	if (id == CLI_OPERAND)
		return operand(k);
	if (id == TALK_OUTPUT)
		k->json = !strcmp(k->c.arg, "json");
	if (id == TALK_OUTPUT || client_where_option(&k->at, id, k->c.arg))
		return 0;
	while (w->id != id)
		w++;
	if (!w->max)
		value = k->c.arg ? json_string(k->c.arg) : json_true();
	else if (!scan_u64(k->c.arg, 1, w->max, &n))
		value = json_integer((json_int_t)n);
	if (value)
		return json_object_set_new(k->request, w->key, value);
	if (!w->max)
		return cli_error(&k->c, "--%s: no valid UTF-8", option_name(k->c.cmd, id));
	return cli_error(&k->c, "--%s '%.40s': want a number, 1 to %" PRIu64,
			 option_name(k->c.cmd, id), k->c.arg, w->max);
}

static int check(struct talk_call *k, const char *command)
{
	const char *operands = k->c.cmd->operands ?: "";
	const bool wants_ids = !strcmp(operands, "ID...");
	const bool wants_name = !strcmp(operands, "NAME");

	if (k->at.store)
		return cli_error(&k->c, "--store: a running collector is asked about %s", command);
	if ((wants_ids && !k->ids.n) || (wants_name && !json_object_get(k->request, "name")))
		return cli_error(&k->c, "which one?");
	if (*k->filter && json_object_set_new(k->request, "filter", json_string(k->filter)))
		return cli_error(&k->c, "the filter is no valid UTF-8");
	return -1;
}

int talk_begin(struct talk_call *k, const struct cli_command *cmd, const char *command,
	       const struct talk_word *words)
{
	int id, rc = -1;

	k->c.cmd = cmd;
	k->c.path = command;
	k->request = json_pack("{s:s,s:s}", "command", command, "what", cmd->name);
	while (rc < 0 && (id = cli_next(&k->c)) != CLI_END)
		rc = id == CLI_STOP ? k->c.status : take(k, id, words) ?: -1;
	if (rc < 0)
		rc = check(k, command);
	if (rc >= 0)
		json_decref(k->request);
	return rc;
}

/* Summaries have names that strangers have chosen. */
static void clean(json_t *o)
{
	const char *key;
	char text[4096];
	size_t i, len;
	json_t *v;

	if (json_is_string(o)) {
		len = text_clean((struct flow_str){json_string_value(o),
						   (uint32_t)json_string_length(o)},
				 text, sizeof(text));
		json_string_setn(o, text, len);
	}
	json_object_foreach(o, key, v) clean(v);
	json_array_foreach(o, i, v) clean(v);
}

static void show_line(void *arg, const json_t *o)
{
	struct talk_call *k = arg;

	if (k->json)
		talk_json(o);
	else
		clean((json_t *)(uintptr_t)o); /* of the answer that was read for this */
	if (!k->json || k->shows_json)
		k->show(k, o);
	k->lines++;
}

int talk_run(struct talk_call *k, void (*show)(struct talk_call *k, const json_t *o))
{
	k->show = show;
	return k->ids.n ? talk_each(&k->at, k->request, &k->ids, show_line, k)
			: talk(&k->at, k->request, show_line, k);
}
