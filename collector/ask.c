// SPDX-License-Identifier: Apache-2.0
#include "collector/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/enrich/enrich.h"
#include "collector/local_store.h"
#include "collector/query/answer_line.h"
#include "collector/query/answer_print.h"
#include "collector/query/query.h"
#include "common/commands.h"
#include "common/output.h"

struct asking {
	const struct ask *a;
	struct answer_print *print;
	struct output *out; /* of flows */
	struct answer_end end;
	bool progress_shown, tty;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

static void catch_interrupt(void)
{
	const struct sigaction sa = {.sa_handler = on_interrupt}; /* calls return -EINTR */

	sigaction(SIGINT, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* ---- the answer's sink ---- */

static void forget_progress(struct asking *x)
{
	if (x->progress_shown)
		fputs("\r\033[K", stderr);
	x->progress_shown = false;
}

static int on_progress(void *arg, double percent)
{
	struct asking *x = arg;

	if (interrupted)
		return -ECANCELED;
	if (!x->tty)
		return 0;
	x->progress_shown = true;
	if (percent >= 0)
		fprintf(stderr, "\rweir-collector: %3.0f %% ", percent);
	else
		fputs("\rweir-collector: working ", stderr);
	return 0;
}

static int on_flow(void *arg, const struct flow_record *r)
{
	struct asking *x = arg;

	return output_flow(x->out, r);
}

static int on_head(void *arg, const struct answer_column *columns, uint32_t n)
{
	struct asking *x = arg;
	const struct answer_sink k = answer_print_sink(x->print);

	return k.head(k.arg, columns, n);
}

static int on_row(void *arg, const struct answer_cell *cells, bool other)
{
	struct asking *x = arg;
	const struct answer_sink k = answer_print_sink(x->print);

	return k.row(k.arg, cells, other);
}

static int on_note(void *arg, const char *text)
{
	struct asking *x = arg;
	const struct answer_sink k = answer_print_sink(x->print);

	return k.note(k.arg, text);
}

static int on_end(void *arg, const struct answer_end *end)
{
	struct asking *x = arg;
	const struct answer_sink k = answer_print_sink(x->print);

	x->end = *end;
	return k.end(k.arg, end);
}

/* ---- where from ---- */

static int copy_file(int fd)
{
	char buf[65536];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t done = 0, w; done < n; done += w) {
			w = write(STDOUT_FILENO, buf + done, (size_t)(n - done));
			if (w < 0)
				return -errno;
		}
	return n < 0 ? -errno : 0;
}

static void put_pair(void *arg, const char *key, const char *value)
{
	json_object_set_new(arg, key, json_string(value));
}

static json_t *request(const struct ask *a)
{
	json_t *spec = json_object();

	spec_each(&a->spec, put_pair, spec);
	return json_pack("{s:i,s:s,s:o,s:s}", "v", 1, "command", "query", "spec", spec, "output",
			 strcmp(a->format, "parquet") ? "rows" : "parquet");
}

static int say_refused(struct answer_reader *reader)
{
	const char *code, *text = answer_error(reader, &code);

	fprintf(stderr, "weir-collector: %s\n", text);
	if (!strcmp(code, "request") || !strcmp(code, "query"))
		return EXIT_USAGE;
	return !strcmp(code, "busy") ? EXIT_PEER : EXIT_FAILED;
}

/* 0, or what answer_read() and client_line() return. */
static int read_answer(struct client *c, struct answer_reader *reader, const struct answer_sink *k)
{
	bool done = false;
	int r = 0;

	while (!r && !done) {
		json_t *line = NULL;
		int fd;

		r = interrupted ? -EINTR : client_line(c, &line, &fd);
		if (r == -EINTR && !interrupted) {
			r = 0;
			continue;
		}
		if (!r && fd >= 0) {
			r = copy_file(fd);
			close(fd);
			done = true;
		} else if (!r) {
			r = answer_read(reader, line, k, &done);
		}
		json_decref(line);
	}
	return r;
}

static int ask_collector(struct asking *x, struct client *c, const struct answer_sink *k)
{
	struct answer_reader *reader = answer_reader_new();
	int rc = EXIT_FAILED, r;

	if (!reader)
		return rc;
	rc = client_send(c, request(x->a));
	if (rc) {
		answer_reader_free(reader);
		return rc;
	}
	r = read_answer(c, reader, k);
	forget_progress(x);
	if (r == -EREMOTEIO) {
		rc = say_refused(reader);
	} else if (r == -EINTR || r == -ECANCELED) {
		rc = EXIT_INTERRUPTED;
	} else if (r == -EPIPE && !ferror(stdout)) {
		fprintf(stderr,
			"weir-collector: the collector has gone before the answer was complete\n");
		rc = EXIT_PEER;
	} else if (r && r != -EPIPE) {
		fprintf(stderr, "weir-collector: %s\n",
			r == -EBADMSG ? "the collector's answer can't be read" : strerror(-r));
		rc = EXIT_FAILED;
	}
	answer_reader_free(reader);
	return rc;
}

/* A file beside the others of the store's temporary ones, gone as soon as it is open. */
static int export_here(const struct query_env *env, const struct ask *a, struct asking *x,
		       char *error)
{
	const char *dir = getenv("TMPDIR");
	char path[PATH_MAX];
	int fd, r;

	if (!dir || !*dir)
		dir = "/tmp";
	if (snprintf(path, sizeof(path), "%s/weir-answer-XXXXXX", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0) {
		r = -errno;
		snprintf(error, STORE_ERROR, "%s: %s", dir, strerror(-r));
		return r;
	}
	close(fd);
	r = query_export(
		env, &a->spec,
		&(struct query_export){.path = path, .progress = on_progress, .progress_arg = x},
		error);
	fd = r ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	(void)unlink(path); /* made a moment ago */
	if (fd < 0)
		return r ?: -EIO;
	r = copy_file(fd);
	close(fd);
	return r;
}

static int ask_store(struct asking *x, const struct answer_sink *k)
{
	char error[STORE_ERROR] = "";
	struct query_env env = {};
	static struct ask a;
	struct enrich *enrich = NULL;
	struct settings *s;
	int rc = client_settings(&x->a->at, &s), r;

	if (rc)
		return rc;
	rc = enrich_new(s, NULL, &enrich) ? EXIT_FAILED : local_store_open(s, &env.store);
	settings_free(s);
	if (rc) {
		enrich_free(enrich);
		return rc;
	}
	a = *x->a;
	a.spec.env = enrich_lists(enrich);
	r = strcmp(a.format, "parquet") ? query_run(&env, &a.spec, k, error)
					: export_here(&env, &a, x, error);
	forget_progress(x);
	store_close(env.store);
	enrich_free(enrich);
	if (!r || r == -EPIPE)
		return EXIT_OK;
	if (r == -ECANCELED)
		return EXIT_INTERRUPTED;
	fprintf(stderr, "weir-collector: %s\n", *error ? error : strerror(-r));
	return r == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
}

/* ---- output ---- */

static void say_more(const struct asking *x)
{
	if (x->a->verbose && x->end.source[0])
		fprintf(stderr, "weir-collector: %llu rows from %s in %.3f s\n",
			(unsigned long long)x->end.rows, x->end.source, (double)x->end.us / 1e6);
	if (x->end.cursor[0])
		fprintf(stderr, "weir-collector: there are more: --cursor %s\n", x->end.cursor);
}

static int start_output(struct asking *x)
{
	struct print_cfg cfg = {
		.numeric = x->a->numeric, .out = stdout, .bars = isatty(STDOUT_FILENO)};
	const char *format = x->a->format;
	int r;

	if (!strcmp(format, "json"))
		cfg.format = PRINT_JSON;
	else if (!strcmp(format, "csv"))
		cfg.format = PRINT_CSV;
	x->print = answer_print_new(&cfg);
	if (!x->print)
		return -ENOMEM;
	if (x->a->spec.what != SPEC_FLOWS || !strcmp(format, "parquet"))
		return 0;
	r = output_new(strcmp(format, "wide") ? format : "table", STDOUT_FILENO, &x->out);
	if (!r)
		output_added(x->out);
	return r;
}

int ask_run(const struct ask *a)
{
	struct asking x = {.a = a, .tty = isatty(STDERR_FILENO)};
	const struct answer_sink k = {.head = on_head,
				      .row = on_row,
				      .flow = on_flow,
				      .note = on_note,
				      .end = on_end,
				      .arg = &x,
				      .progress = on_progress,
				      .progress_arg = &x};
	struct client *c;
	int rc;

	catch_interrupt();
	if (start_output(&x))
		return EXIT_FAILED;
	rc = client_connect(&a->at, &c);
	if (!rc)
		rc = c ? ask_collector(&x, c, &k) : ask_store(&x, &k);
	if (x.out && output_flush(x.out) && !rc)
		rc = EXIT_FAILED;
	if (!rc)
		say_more(&x);
	client_free(c);
	output_free(x.out);
	answer_print_free(x.print);
	return rc;
}
