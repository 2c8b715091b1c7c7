// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_follow.c - `weir policy follow`: the policies of collectors that this node is enrolled with are
 * applied as they come, or a file's, and again whenever the file is replaced. One line for each that was
 * taken.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/log.h"
#include "loader/follow/follow.h"
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
	.help = "have the policies of collectors hold, or a file's, as they come",
	.operands = "[FILE]",
	.words = CLI_FILE,
	.doc = "Until SIGTERM or SIGINT, or the file's folder is gone. Without FILE: of all collectors that 'weir "
	       "enrol' has met; they are told what holds. One that is refused is said, and the one before holds; "
	       "while no weir runs it is tried again each second.",
	.options = options,
	.more = client_options,
	.examples = "weir policy follow\n"
		    "weir policy follow /var/lib/weir-collector/policy/policy.bin\n",
	.run = cmd_follow,
};

struct file_follow {
	struct cli c;
	struct client_where where;
	const char *file, *base;
	char dir[4096];
	bool json, waiting; /* waiting: no weir took it yet */
	bool gone;	    /* the folder */
	int watch, signals;
};

static void apply(struct file_follow *f)
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
		follow_say(f->json, image, len, &r.reply);
		policy_result_done(&r);
	}
	free(image);
}

/*
 * Was it our file? Several replacements at once are one; so many that the kernel has lost count may be ours.
 * A folder that is gone will tell of nothing any more.
 */
static bool changed(struct file_follow *f)
{
	char buf[8192] __attribute__((aligned(8)));
	const ssize_t n = read(f->watch, buf, sizeof(buf));
	bool yes = false;

	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *e = (const void *)(buf + at);

		yes |= e->mask & IN_Q_OVERFLOW || (e->len && !strcmp(e->name, f->base));
		f->gone |= e->mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF);
		at += (ssize_t)(sizeof(*e) + e->len);
	}
	return yes;
}

static int follow(struct file_follow *f)
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
		/* whatever it was: while it waits, a busy folder does not keep it from trying */
		if (n == 0 || (n > 0 && p[0].revents && (changed(f) || f->waiting)))
			apply(f);
		if (f->gone) {
			fprintf(stderr, "weir: %s: the folder is gone; the last policy holds\n",
				f->dir);
			return EXIT_FAILED;
		}
	}
}

static int open_watch(struct file_follow *f)
{
	const char *slash = strrchr(f->file, '/');

	f->base = slash ? slash + 1 : f->file;
	snprintf(f->dir, sizeof(f->dir), "%.*s", slash ? (int)(slash - f->file) : 1,
		 slash ? f->file : ".");
	f->watch = inotify_init1(IN_CLOEXEC);
	if (f->watch >= 0 && inotify_add_watch(f->watch, *f->dir ? f->dir : "/",
					       IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE_SELF |
						       IN_MOVE_SELF | IN_ONLYDIR) >= 0)
		return 0;
	fprintf(stderr, "weir: %s: %s\n", f->dir, strerror(errno));
	return EXIT_FAILED;
}

/* ---- collectors ---- */

static int collectors(struct file_follow *f)
{
	char dir[PATH_MAX], captures[PATH_MAX], error[ENROLMENT_ERROR];
	struct follow_cfg cfg = {.json = f->json, .signals = f->signals};
	struct enrolment *v = NULL;
	int rc = enrolment_dir(&f->where, dir)
			 ?: enrolment_captures(&f->where, captures)
			 ?: client_path(&f->where, &cfg.socket);

	if (rc)
		return rc;
	cfg.captures = *captures ? captures : NULL;
	signal(SIGPIPE, SIG_IGN); /* of connections */
	log_init(LOG_AUTO, LEVEL_INFO);
	cfg.n = enrolment_read(dir, &v, error);
	cfg.enrolments = v;
	if (cfg.n > 0)
		rc = follow_collectors(&cfg);
	else if (cfg.n < 0 && cfg.n != -ENOENT)
		fprintf(stderr, "weir: %s\n", error);
	else
		fprintf(stderr,
			"weir: this node is enrolled with no collector (%s) — 'weir enrol' does it, or name "
			"a file\n",
			dir);
	free(v);
	return cfg.n > 0 ? rc : cfg.n == -EACCES ? EXIT_PERM : EXIT_FAILED;
}

static int cmd_follow(int argc, char **argv)
{
	struct file_follow f = {
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
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	f.signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (f.signals < 0)
		rc = EXIT_FAILED;
	else
		rc = f.file ? open_watch(&f) ?: follow(&f) : collectors(&f);
	if (f.watch >= 0)
		close(f.watch);
	if (f.signals >= 0)
		close(f.signals);
	return rc;
}
