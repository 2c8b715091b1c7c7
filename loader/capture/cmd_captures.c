// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_captures.c - `weir captures`: the files that rules have asked for, straight from their directory: who may
 * read that may have them, whether a weir runs or not.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/num_text.h"
#include "common/units.h"
#include "loader/capture/files.h"
#include "loader/capture/store.h"
#include "loader/command.h"
#include "loader/settings.h"

#define COPY_BYTES (64u << 10)

enum { OPT_OUTPUT = 1, OPT_WRITE, OPT_CONFIG, OPT_DIR };

static int cmd_list(int argc, char **argv);
static int cmd_get(int argc, char **argv);
static int cmd_rm(int argc, char **argv);
static int cmd_captures(int argc, char **argv);

static const struct cli_option list_options[] = {
	{OPT_OUTPUT, 'o', "output", "FORMAT", "table|json", "table", "how it is written"},
	{},
};

static const struct cli_option get_options[] = {
	{OPT_WRITE, 'w', "write", "FILE", CLI_FILE, NULL,
	 "where to, - is standard output; a file that is there is written over"},
	{},
};

static const struct cli_option rm_options[] = {{}};

static const struct cli_option more_options[] = {
	{OPT_DIR, 0, "dir", "DIR", CLI_DIR, NULL,
	 "where they are; else capture.dir of the configuration"},
	{OPT_CONFIG, 0, "config", "FILE", CLI_FILE, SETTINGS_FILE " if it is there",
	 "configuration file of weir"},
	{},
};

static const struct cli_command command_list = {
	.name = "list",
	.help = "the files that there are, the oldest first",
	.options = list_options,
	.more = more_options,
	.examples = "weir captures list\nweir captures list -o json\n",
	.run = cmd_list,
};

static const struct cli_command command_get = {
	.name = "get",
	.help = "one of them",
	.operands = "ID",
	.doc = "Of one that is still being written: what there is by now.",
	.options = get_options,
	.more = more_options,
	.examples = "weir captures get 18bd2f6a3c4e5f60 -w evidence.pcapng\n"
		    "weir captures get 18bd2f6a3c4e5f60 -w - | tshark -r -\n",
	.run = cmd_get,
};

static const struct cli_command command_rm = {
	.name = "rm",
	.help = "remove some, or all that are complete",
	.operands = "ID...|all",
	.words = "?all",
	.options = rm_options,
	.more = more_options,
	.examples = "weir captures rm 18bd2f6a3c4e5f60\n",
	.run = cmd_rm,
};

static const struct cli_command *const subs[] = {&command_list, &command_get, &command_rm, NULL};

const struct cli_command command_captures = {
	.name = "captures",
	.help = "packets that rules have asked for: list, get, rm",
	.sub = subs,
	.run = cmd_captures,
};

struct captures_cmd {
	struct cli c;
	const char *dir, *config, *path;
	const char **ids; /* as many as there are arguments */
	unsigned int n;
	bool json;
	int fd;
};

/* ---- which directory ---- */

static int open_dir(struct captures_cmd *m)
{
	return files_dir_open(m->dir, m->config, NULL, &m->fd);
}

static int parse(struct captures_cmd *m, const struct cli_command *cmd, int argc, char **argv)
{
	int id;

	*m = (struct captures_cmd){
		.c = {.cmd = cmd, .argc = argc, .argv = argv, .path = "captures"},
		.ids = calloc((size_t)argc + 1, sizeof(*m->ids)),
		.fd = -1};
	if (!m->ids)
		return EXIT_FAILED;
	while ((id = cli_next(&m->c)) != CLI_END) {
		if (id == CLI_STOP)
			return m->c.status;
		if (id == OPT_OUTPUT)
			m->json = !strcmp(m->c.arg, "json");
		else if (id == OPT_WRITE)
			m->path = m->c.arg;
		else if (id == OPT_CONFIG)
			m->config = m->c.arg;
		else if (id == OPT_DIR)
			m->dir = m->c.arg;
		else
			m->ids[m->n++] = m->c.arg;
	}
	return -1;
}

static int done(struct captures_cmd *m, int rc)
{
	if (m->fd >= 0)
		close(m->fd);
	free(m->ids);
	return rc;
}

static int cannot(const char *what, int err)
{
	fprintf(stderr, "weir: %s: %s\n", what, strerror(err));
	return err == EACCES ? EXIT_PERM : EXIT_FAILED;
}

/* ---- list ---- */

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "";
}

static void put_json(json_t *o, const struct store_file *f)
{
	char ended[TIME_TEXT];

	time_text((uint64_t)f->ended_us * 1000, ended);
	json_object_set_new(o, "id", json_string(f->id));
	json_object_set_new(o, "state", json_string(f->part ? "open" : "complete"));
	json_object_set_new(o, "bytes", json_integer((json_int_t)f->bytes));
	json_object_set_new(o, "written", json_string(ended));
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
}

static void put_row(const json_t *o, const struct store_file *f)
{
	const char *to = text_of(o, "to");
	char bytes[UNITS_TEXT], value[2 * IP_TEXT + 4];

	snprintf(value, sizeof(value), "%s%s%s", text_of(o, "value"), *to ? " - " : "", to);
	printf("%-16s  %-19.19s  %-8s  %8s  %-24s  %s\n", f->id, text_of(o, "fired"),
	       f->part ? "open" : "complete", units_si(f->bytes, bytes), text_of(o, "rule"), value);
}

static int list(struct captures_cmd *m)
{
	struct store_file *f = NULL;
	size_t n = 0;
	int r = store_list(m->fd, &f, &n);

	if (r)
		return cannot("captures", -r);
	if (!m->json)
		printf("%-16s  %-19s  %-8s  %8s  %-24s  %s\n", "ID", "FIRED", "STATE", "BYTES",
		       "RULE", "PACKETS OF");
	for (size_t i = 0; i < n; i++) {
		json_t *o = store_tell(m->fd, &f[i]) ?: json_object();

		if (m->json)
			put_json(o, &f[i]);
		else
			put_row(o, &f[i]);
		json_decref(o);
	}
	free(f);
	return EXIT_OK;
}

static int cmd_list(int argc, char **argv)
{
	struct captures_cmd m;
	int rc = parse(&m, &command_list, argc, argv);

	if (rc < 0 && m.n)
		rc = cli_error(&m.c, "'%s' is too much", m.ids[0]);
	if (rc < 0)
		rc = open_dir(&m) ?: list(&m);
	return done(&m, rc);
}

/* ---- get ---- */

static int copy(int from, int to, const char *path)
{
	static char buf[COPY_BYTES];
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) > 0)
		for (ssize_t at = 0; at < n;) {
			const ssize_t w = write(to, buf + at, (size_t)(n - at));

			if (w < 0 && errno == EPIPE)
				return EXIT_OK; /* our reader has enough */
			if (w < 0)
				return cannot(path, errno);
			at += w;
		}
	return n < 0 ? cannot(path, errno) : EXIT_OK;
}

static int get(struct captures_cmd *m)
{
	const bool out = !strcmp(m->path, "-");
	const int from = store_open_file(m->fd, m->ids[0]);
	int to, rc;

	if (from == -ENOENT) {
		fprintf(stderr, "weir: no capture %s — 'weir captures list' says which there are\n",
			m->ids[0]);
		return EXIT_FAILED;
	}
	if (from < 0)
		return cannot(m->ids[0], -from);
	to = out ? STDOUT_FILENO : open(m->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	rc = to < 0 ? cannot(m->path, errno) : copy(from, to, m->path);
	close(from);
	if (to >= 0 && !out && close(to) && !rc)
		rc = cannot(m->path, errno);
	return rc;
}

static int cmd_get(int argc, char **argv)
{
	struct captures_cmd m;
	int rc = parse(&m, &command_get, argc, argv);

	if (rc < 0 && m.n != 1)
		rc = cli_error(&m.c, "want the id of one");
	if (rc < 0 && !store_is_id(m.ids[0]))
		rc = cli_error(&m.c, "'%s' is no id: 16 hexadecimal digits", m.ids[0]);
	if (rc < 0 && !m.path)
		rc = cli_error(&m.c, "want a file: -w FILE, or -w - for standard output");
	if (rc < 0 && !strcmp(m.path, "-") && isatty(STDOUT_FILENO))
		rc = cli_error(&m.c, "-w -: packets are nothing for a terminal");
	if (rc < 0)
		rc = open_dir(&m) ?: get(&m);
	return done(&m, rc);
}

/* ---- rm ---- */

static int remove_one(const struct captures_cmd *m, const char *id)
{
	const int r = store_remove_file(m->fd, id);

	if (r == -EBUSY)
		fprintf(stderr, "weir: capture %s is being written: it stays\n", id);
	else if (r == -ENOENT)
		fprintf(stderr, "weir: no capture %s\n", id);
	else if (r)
		return cannot(id, -r);
	return r ? EXIT_FAILED : EXIT_OK;
}

static int remove_all(const struct captures_cmd *m)
{
	struct store_file *f = NULL;
	size_t n = 0;
	int rc = EXIT_OK;
	const int r = store_list(m->fd, &f, &n);

	if (r)
		return cannot("captures", -r);
	for (size_t i = 0; i < n; i++) {
		const int one = f[i].part ? EXIT_OK : remove_one(m, f[i].id);

		rc = one ? one : rc;
	}
	free(f);
	return rc;
}

static int rm(struct captures_cmd *m)
{
	int rc = EXIT_OK;

	for (unsigned int i = 0; i < m->n; i++) {
		const bool all = !strcmp(m->ids[i], "all");
		const int one = all ? remove_all(m) : remove_one(m, m->ids[i]);

		rc = one ? one : rc;
	}
	return rc;
}

static int cmd_rm(int argc, char **argv)
{
	struct captures_cmd m;
	int rc = parse(&m, &command_rm, argc, argv);

	if (rc < 0 && !m.n)
		rc = cli_error(&m.c, "want ids, or all");
	for (unsigned int i = 0; rc < 0 && i < m.n; i++)
		if (strcmp(m.ids[i], "all") != 0 && !store_is_id(m.ids[i]))
			rc = cli_error(&m.c, "'%s' is no id: 16 hexadecimal digits", m.ids[i]);
	if (rc < 0)
		rc = open_dir(&m) ?: rm(&m);
	return done(&m, rc);
}

static int cmd_captures(int argc, char **argv)
{
	return cli_run(&command_captures, argc, argv);
}
