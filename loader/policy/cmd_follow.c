// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_follow.c - `weir policy follow`: a file's policy is applied, and again whenever the file is replaced.
 * One line for each that was taken: what a collector, or whoever brings the file, wants to hear.
 */
#include <errno.h>
#include <inttypes.h>
#include <openssl/sha.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "common/num_text.h"
#include "loader/policy/compile.h"

#define RETRY_MS 1000

enum { OPT_OUTPUT = 1 };

static int cmd_follow(int argc, char **argv);

static const struct cli_option options[] = {
	{OPT_OUTPUT, 'o', "output", "FORMAT", "table|json", "table", "how it is written"},
	{},
};

const struct cli_command command_policy_follow = {
	.name = "follow",
	.help = "apply a file, and again whenever it is replaced",
	.operands = "FILE",
	.words = CLI_FILE,
	.doc = "Until SIGTERM or SIGINT. One that is refused is said, and the one before holds; while no weir "
	       "runs it is tried again each second.",
	.options = options,
	.more = client_options,
	.examples = "weir policy follow /var/lib/weir-collector/policy/policy.bin\n",
	.run = cmd_follow,
};

struct follow {
	struct cli c;
	struct client_where where;
	const char *file, *base;
	char dir[4096];
	bool json, waiting; /* waiting: no weir took it yet */
	int watch, signals;
};

static void say(const struct follow *f, const uint8_t *image, size_t len,
		const struct policy_reply *r)
{
	const struct policy_header *h = (const void *)image;
	uint8_t hash[SHA256_DIGEST_LENGTH];
	char at[TIME_TEXT];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	time_text((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec, at);
	SHA256(image, len, hash);
	if (!f->json) {
		printf("%s generation %" PRIu64 " of %s: %u rules, %u decisions in use, %.1f ms\n",
		       at, (uint64_t)h->generation, (const char *)h->issuer, h->count[POLICY_RULE],
		       r->decisions, (double)r->took_ns / 1e6);
	} else {
		printf("{\"time\":\"%s\",\"issuer\":\"%s\",\"generation\":%" PRIu64 ",\"rules\":%u,"
		       "\"entries\":%u,\"took_us\":%" PRIu64 ",\"hash\":\"",
		       at, (const char *)h->issuer, (uint64_t)h->generation, h->count[POLICY_RULE],
		       h->count[POLICY_ADDR], (uint64_t)r->took_ns / 1000);
		for (unsigned int i = 0; i < sizeof(hash); i++)
			printf("%02x", hash[i]);
		puts("\"}");
	}
	fflush(stdout);
}

static void apply(struct follow *f)
{
	struct policy_request q;
	struct policy_result r;
	uint8_t *image = NULL;
	size_t len = 0;
	int rc = policy_load(f->file, &image, &len);

	f->waiting = false;
	policy_request_init(&q, ASK_APPLY);
	if (!rc) {
		rc = policy_ask(&f->where, &q, image, len, &r);
		f->waiting = rc == EXIT_PEER;
	}
	if (!rc) {
		say(f, image, len, &r.reply);
		policy_result_done(&r);
	}
	free(image);
}

/* Was it our file? Several replacements at once are one. */
static bool changed(const struct follow *f)
{
	char buf[8192] __attribute__((aligned(8)));
	const ssize_t n = read(f->watch, buf, sizeof(buf));
	bool yes = false;

	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *e = (const void *)(buf + at);

		yes |= e->len && !strcmp(e->name, f->base);
		at += (ssize_t)(sizeof(*e) + e->len);
	}
	return yes;
}

static int follow(struct follow *f)
{
	struct pollfd p[2] = {{.fd = f->watch, .events = POLLIN},
			      {.fd = f->signals, .events = POLLIN}};

	apply(f);
	for (;;) {
		const int n = poll(p, 2, f->waiting ? RETRY_MS : -1);

		if (n < 0 && errno != EINTR)
			return EXIT_FAILED;
		if (n > 0 && p[1].revents)
			return EXIT_OK;
		if (n == 0 || (n > 0 && p[0].revents && changed(f)))
			apply(f);
	}
}

static int open_watch(struct follow *f)
{
	const char *slash = strrchr(f->file, '/');

	f->base = slash ? slash + 1 : f->file;
	snprintf(f->dir, sizeof(f->dir), "%.*s", slash ? (int)(slash - f->file) : 1,
		 slash ? f->file : ".");
	f->watch = inotify_init1(IN_CLOEXEC);
	if (f->watch >= 0 &&
	    inotify_add_watch(f->watch, *f->dir ? f->dir : "/", IN_MOVED_TO | IN_CLOSE_WRITE) >= 0)
		return 0;
	fprintf(stderr, "weir: %s: %s\n", f->dir, strerror(errno));
	return EXIT_FAILED;
}

static int cmd_follow(int argc, char **argv)
{
	struct follow f = {
		.c = {.cmd = &command_policy_follow, .argc = argc, .argv = argv, .path = "policy"},
		.watch = -1,
		.signals = -1};
	sigset_t set;
	int id, rc;

	while ((id = cli_next(&f.c)) != CLI_END) {
		if (id == CLI_STOP)
			return f.c.status;
		if (id == OPT_OUTPUT)
			f.json = !strcmp(f.c.arg, "json");
		else if (id == CLI_OPERAND && f.file)
			return cli_error(&f.c, "one file at a time");
		else if (id == CLI_OPERAND)
			f.file = f.c.arg;
		else
			client_option(&f.where, id, f.c.arg);
	}
	if (!f.file)
		return cli_error(&f.c, "which file?");
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	f.signals = signalfd(-1, &set, SFD_CLOEXEC);
	rc = open_watch(&f) ?: f.signals < 0 ? EXIT_FAILED : follow(&f);
	if (f.watch >= 0)
		close(f.watch);
	if (f.signals >= 0)
		close(f.signals);
	return rc;
}
