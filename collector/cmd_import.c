// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_import.c - `weir-collector import`: files of flows into the store, while no collector runs.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/command.h"
#include "collector/enrich/enrich.h"
#include "collector/ingest/ingest.h"
#include "collector/local_store.h"
#include "common/log.h"
#include "common/units.h"

#define FILES_MAX 1024u

static int cmd_import(int argc, char **argv);

const struct cli_command collector_command_import = {
	.name = "import",
	.help = "files of flows into the store, while no collector has it",
	.operands = "FILE...",
	.words = CLI_FILE,
	.doc = "Takes IPFIX files (RFC 5655) and cloud flow logs of AWS (VPC, versions 2 to 5), Azure (NSG, "
	       "VNet) and GCP (JSON lines); gzip too. A file that is imported twice is there twice.",
	.options = collector_options,
	.examples = "weir-collector import flows.ipfix\n"
		    "weir-collector import --store /srv/flows vpc-*.log.gz\n",
	.run = cmd_import,
};

struct import {
	struct settings *settings;
	struct block_pool *pool;
	struct store *store;
	struct enrich *enrich;
	const char *file;
	bool tty;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

static int op_exporter(void *arg, const struct store_exporter *e, uint32_t *ret_id,
		       uint32_t *ret_stream)
{
	const struct import *m = arg;

	return store_exporter(m->store, e, ret_id, ret_stream);
}

static int op_interface(void *arg, uint32_t exporter, uint32_t index, struct flow_str name)
{
	const struct import *m = arg;

	return store_interface(m->store, exporter, index, name);
}

static void op_before_send(void *arg, struct block *b)
{
	const struct import *m = arg;

	enrich_block(m->enrich, b);
}

static const struct ingest_ops ops = {
	.exporter = op_exporter, .interface = op_interface, .before_send = op_before_send};

static int progress(void *arg, uint64_t done, uint64_t of)
{
	const struct import *m = arg;

	if (m->tty && of)
		fprintf(stderr, "\r%s: %3.0f %% ", m->file, 100.0 * (double)done / (double)of);
	return interrupted ? -ECANCELED : 0;
}

static int import_file(struct import *m, const char *path)
{
	const struct ingest_cfg cfg = {.pool = m->pool, .ops = &ops, .arg = m};
	const struct ingest_progress tell = {.fn = progress, .arg = m};
	struct ingest_file st = {};
	char n[UNITS_TEXT];
	int r;

	m->file = path;
	r = ingest_import(&cfg, path, &tell, &st);
	if (m->tty)
		fputs("\r\033[K", stderr);
	printf("%s: %s flows", path, units_grouped(st.records, n));
	if (st.malformed)
		printf(", %" PRIu64 " malformed", st.malformed);
	if (st.lost)
		printf(", %" PRIu64 " sets without a template", st.lost);
	putchar('\n');
	if (r == -EBADMSG)
		fprintf(stderr,
			"weir-collector: %s: no format that is known, or damaged from there on\n",
			path);
	else if (r && r != -ECANCELED)
		fprintf(stderr, "weir-collector: %s: %s\n", path, strerror(-r));
	return r;
}

static int open_all(struct import *m)
{
	char error[STORE_ERROR] = "";
	struct store_cfg cfg;
	int r;

	local_store_cfg(m->settings, &cfg);
	m->pool = block_pool_new((uint32_t)settings_num(m->settings, CSET_STORE_BLOCKS));
	if (!m->pool)
		return -ENOMEM;
	cfg.pool = m->pool;
	r = store_open(&cfg, error, &m->store);
	if (r) {
		fprintf(stderr, "weir-collector: %s: %s%s\n", cfg.dir,
			*error ? error : strerror(-r),
			r == -EBUSY
				? " — stop the collector that has it, or let it watch a directory "
				  "(listen.directories)"
				: "");
		return r;
	}
	return enrich_new(m->settings, m->store, &m->enrich);
}

static int import_all(struct import *m, const char *const *files, uint32_t n)
{
	const struct sigaction sa = {.sa_handler = on_interrupt};
	int r = open_all(m);
	uint32_t failed = 0;

	sigaction(SIGINT, &sa, NULL);
	for (uint32_t i = 0; !r && i < n && !interrupted; i++)
		failed += import_file(m, files[i]) != 0;
	if (!r) {
		r = store_flush(m->store);
		if (r)
			fprintf(stderr, "weir-collector: what came last is not durable: %s\n",
				strerror(-r));
	}
	if (m->pool)
		block_close(m->pool);
	if (m->store)
		store_close(m->store);
	enrich_free(m->enrich);
	if (m->pool)
		block_pool_free(m->pool);
	if (r)
		return local_store_status(r);
	return interrupted  ? EXIT_INTERRUPTED
	       : !failed    ? EXIT_OK
	       : failed < n ? EXIT_PARTLY
			    : EXIT_FAILED;
}

static int cmd_import(int argc, char **argv)
{
	static struct settings_args args;
	static struct config_errors errs;
	static const char *files[FILES_MAX];
	struct cli c = {.cmd = &collector_command_import, .argc = argc, .argv = argv};
	struct import m = {.tty = isatty(STDERR_FILENO)};
	uint32_t n = 0;
	int id, rc;

	while ((id = cli_next(&c)) != CLI_END) {
		if (id == CLI_STOP)
			return c.status;
		if (id == CLI_OPERAND) {
			if (n == FILES_MAX)
				return cli_error(&c, "more than %u files", FILES_MAX);
			files[n++] = c.arg;
		} else if (settings_option(&args, id, c.arg)) {
			return cli_error(&c, "more than %u options", SETTINGS_ARGS_MAX);
		}
	}
	if (!n)
		return cli_error(&c, "which files?");
	if (settings_load(&collector_settings, &args, &m.settings, &errs)) {
		settings_print_errors(&collector_settings, &args, &errs, stderr);
		return EXIT_USAGE;
	}
	log_init(LOG_AUTO, (enum log_level)settings_num(m.settings, CSET_LOG_LEVEL));
	rc = import_all(&m, files, n);
	settings_free(m.settings);
	return rc;
}
