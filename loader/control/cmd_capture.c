// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_capture.c - `weir capture`: packets of the running weir into a pcapng file, those to come and, with
 * --pre, those of before. With --from or --to: out of the disk ring (past.h).
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "common/filter.h"
#include "common/scan.h"
#include "loader/capture/files.h"
#include "loader/capture/past.h"
#include "loader/command.h"
#include "loader/control/client.h"
#include "loader/control/control.h"

#define BLOCK_STATISTICS 5u
#define BLOCK_PACKET	 6u
#define OPTIONS_AT	 20u /* of the options in a block of statistics */
#define OPT_DROPPED	 5u
#define FOR_MAX_NS	 (UINT64_C(86400000000000) * 30)

enum {
	OPT_WRITE = 1,
	OPT_FOR,
	OPT_PRE,
	OPT_COUNT,
	OPT_SNAPLEN,
	OPT_FROM,
	OPT_TO,
	OPT_DIR,
	OPT_OUTPUT,
	OPT_VERBOSE
};

static const struct cli_option options[] = {
	{OPT_WRITE, 'w', "write", "FILE", "@file", NULL,
	 "where to, - is standard output; a file that is there is written over"},
	{OPT_FOR, 0, "for", "TIME", NULL, NULL, "end after so long, such as 2m (else at Ctrl-C)"},
	{OPT_PRE, 0, "pre", "TIME", NULL, "0s",
	 "and the packets of so long before, as far as they are kept"},
	{OPT_COUNT, 'c', "count", "N", NULL, NULL, "end after N packets"},
	{OPT_SNAPLEN, 's', "snaplen", "BYTES", NULL, NULL, "so much of each packet at most"},
	{OPT_FROM, 0, "from", "TIME", NULL, NULL,
	 "out of the disk ring, from then on: 2026-09-01T12:41:08Z, or -10m"},
	{OPT_TO, 0, "to", "TIME", NULL, NULL,
	 "out of the disk ring, up to before then (else until now)"},
	{OPT_DIR, 0, "dir", "DIR", CLI_DIR, NULL,
	 "with --from or --to: where the ring is; else capture.dir of the configuration"},
	{OPT_OUTPUT, 'o', "output", "FORMAT", "text|json", "text",
	 "with --from or --to: the account at the end; json: on standard output, unless the packets go there"},
	{OPT_VERBOSE, 'v', "verbose", NULL, NULL, NULL,
	 "with --from or --to: say of each file whether it was read"},
	{},
};

static int cmd_capture(int argc, char **argv);

const struct cli_command command_capture = {
	.name = "capture",
	.help = "packets into a pcapng file, those of before too",
	.operands = "[FILTER]",
	.words = CLI_FILTER,
	.doc = "Packets as they came, those that were dropped too, with their interface, direction and what became "
	       "of them. weir keeps the last ones if capture.ring says so (weir.conf(5)), and has those of before "
	       "with --pre. FILTER is described in weir-filter(5), and sees what a packet's headers say: addresses, "
	       "ports, protocol, flags, lengths. With --from or --to packets come out of the disk ring (capture.disk), "
	       "whether a weir runs or not; files that can have none of them, by their time and their index of addresses "
	       "and ports, are not opened.",
	.options = options,
	.more = client_options,
	.examples =
		"weir capture 'host 192.0.2.7' --pre 30s --for 2m -w suspect.pcapng\n"
		"weir capture 'dst port 53' -w - | tshark -r -\n"
		"weir capture 'host 192.0.2.7' --from -2h --to -1h -w was.pcapng\n"
		"weir capture --from 2026-09-01T12:40:00Z --to 2026-09-01T12:45:00Z -o json -w was.pcapng\n",
	.run = cmd_capture,
};

struct capture {
	char filter[FILTER_TEXT_MAX + 1];
	struct client_where where;
	const char *path, *from, *to, *dir;
	bool json, verbose;
	const char *past_only, *live_only; /* an option that asks for either; or NULL */
	uint64_t for_ns, pre_ns, count, snaplen;
	struct control_client client;
	FILE *file;
	uint64_t packets, lost;
	bool ending;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	(void)sig;
	interrupted = 1;
}

static int take_time(struct cli *c, const char *option, uint64_t *ret)
{
	if (scan_duration_ns(c->arg, 0, FOR_MAX_NS, ret))
		return cli_error(c, "%s '%s': want a time such as 30s or 5m, 30 days at most",
				 option, c->arg);
	return 0;
}

/* Options of the disk ring alone. */
static bool take_past(struct capture *f, int id, const char *arg)
{
	const char **text = id == OPT_FROM  ? &f->from
			    : id == OPT_TO  ? &f->to
			    : id == OPT_DIR ? &f->dir
					    : NULL;

	if (text)
		*text = arg;
	f->json |= id == OPT_OUTPUT && !strcmp(arg, "json");
	f->verbose |= id == OPT_VERBOSE;
	if (!text && id != OPT_OUTPUT && id != OPT_VERBOSE)
		return false;
	f->past_only = id == OPT_DIR ? "--dir" : id == OPT_OUTPUT ? "--output" : "--verbose";
	return true;
}

static int take(struct cli *c, struct capture *f, int id)
{
	switch (id) {
	case OPT_WRITE:
		f->path = c->arg;
		break;
	case OPT_FOR:
		f->live_only = "--for";
		return take_time(c, "--for", &f->for_ns);
	case OPT_PRE:
		f->live_only = "--pre";
		return take_time(c, "--pre", &f->pre_ns);
	case OPT_COUNT:
		if (scan_u64(c->arg, 1, UINT64_MAX, &f->count))
			return cli_error(c, "--count '%s': want a number of packets", c->arg);
		break;
	case OPT_SNAPLEN:
		if (scan_u64(c->arg, 1, UINT16_MAX, &f->snaplen))
			return cli_error(c, "--snaplen '%s': want 1 to 65535", c->arg);
		break;
	default:
		if (take_past(f, id, c->arg))
			break;
		if (client_option(&f->where, id, c->arg))
			break;
		if (!client_join(f->filter, sizeof(f->filter), c->arg))
			return cli_error(c, "the filter is too long");
	}
	return 0;
}

static json_t *request(const struct capture *f)
{
	json_t *q = json_pack("{s:i,s:s,s:s,s:I}", "v", (int)CONTROL_VERSION, "command", "capture",
			      "filter", f->filter, "pre_ns", (json_int_t)f->pre_ns);

	if (f->snaplen)
		json_object_set_new(q, "snaplen", json_integer((json_int_t)f->snaplen));
	return q;
}

static uint32_t get_le(const uint8_t *p, unsigned int n)
{
	uint32_t v = 0;

	while (n--)
		v = v << 8 | p[n];
	return v;
}

/* How many packets of an interface were lost. */
static uint64_t dropped_of(const uint8_t *block, size_t len)
{
	size_t at = OPTIONS_AT;

	while (at + 4 <= len - 4) {
		const uint32_t code = get_le(block + at, 2), n = get_le(block + at + 2, 2);

		if (code == OPT_DROPPED && n == 8 && at + 12 <= len - 4)
			return (uint64_t)get_le(block + at + 8, 4) << 32 |
			       get_le(block + at + 4, 4);
		if (!code)
			break;
		at += 4 + ((n + 3) & ~3u);
	}
	return 0;
}

/* What comes after the last packet that was wanted is left out. Return: 0 or -errno. */
static int take_block(struct capture *f, const uint8_t *block, size_t len)
{
	const uint32_t type = get_le(block, 4);

	if (type == BLOCK_PACKET && f->count && f->packets == f->count)
		return 0;
	f->packets += type == BLOCK_PACKET;
	f->lost += type == BLOCK_STATISTICS ? dropped_of(block, len) : 0;
	if (fwrite(block, 1, len, f->file) != len || fflush(f->file))
		return -errno;
	return 0;
}

/* Told to end: what is there by now still comes. */
static void end(struct capture *f)
{
	if (f->ending)
		return;
	f->ending = true;
	client_end(&f->client);
}

static int read_blocks(struct capture *f)
{
	const uint8_t *block;
	size_t len;
	int r;

	for (;;) {
		if (interrupted || (f->count && f->packets == f->count))
			end(f);
		r = client_block(&f->client, &block, &len);
		if (r == -EINTR)
			continue;
		if (r == -EPIPE && f->ending)
			return EXIT_OK;
		if (r < 0)
			return client_lost(r);
		r = take_block(f, block, len);
		if (r == -EPIPE)
			return EXIT_OK; /* our reader has enough */
		if (r) {
			fprintf(stderr, "weir: %s: %s\n", f->path, strerror(-r));
			return EXIT_FAILED;
		}
	}
}

static int read_head(struct capture *f)
{
	json_t *line;
	int r, rc = EXIT_OK;

	do {
		r = client_next(&f->client, true, &line);
	} while (r == -EINTR && !interrupted);
	if (r < 0)
		return r == -EINTR ? EXIT_OK : client_lost(r);
	if (!strcmp(client_type(line), "error"))
		rc = client_refused(line);
	else if (strcmp(client_type(line), "capture") != 0)
		rc = client_lost(-EBADMSG);
	json_decref(line);
	return rc;
}

/* Not before there is something to write: what was there stays until then. */
static int open_file(struct capture *f)
{
	return files_create(f->path, &f->file);
}

static void set_timer(uint64_t ns)
{
	const struct itimerval t = {
		.it_value = {.tv_sec = (time_t)(ns / 1000000000),
			     .tv_usec = (suseconds_t)(ns / 1000 % 1000000)},
		.it_interval = {.tv_sec = 1}, /* one that came between two looks is not missed */
	};

	if (ns)
		setitimer(ITIMER_REAL, &t, NULL);
}

static int capture(struct capture *f)
{
	int rc = client_open(&f->where, &f->client);

	rc = rc ?: client_ask(&f->client, request(f));
	rc = rc ?: read_head(f);
	rc = rc ?: open_file(f);
	if (!rc && f->file) {
		set_timer(f->for_ns);
		rc = read_blocks(f);
		fprintf(stderr,
			"weir: %llu packets, %llu were written over before they were read\n",
			(unsigned long long)f->packets, (unsigned long long)f->lost);
	}
	if (f->file && fclose(f->file) && errno != EPIPE && !rc) {
		fprintf(stderr, "weir: %s: %s\n", f->path, strerror(errno));
		rc = EXIT_FAILED;
	}
	client_close(&f->client);
	return rc;
}

/* Return: 0; EXIT_USAGE. */
static int read_time(const struct cli *c, const char *option, const char *text, uint64_t *ret)
{
	struct timespec ts;
	uint64_t now;

	clock_gettime(CLOCK_REALTIME, &ts);
	now = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	if (!text || !past_time(text, now, ret))
		return 0;
	return cli_error(c, "%s '%s': want a time such as 2026-09-01T12:41:08Z, -10m, or now",
			 option, text);
}

/* Out of the disk ring. */
static int capture_past(const struct cli *c, const struct capture *f)
{
	struct past p = {.filter = f->filter,
			 .path = f->path,
			 .dir = f->dir,
			 .config = f->where.config,
			 .count = f->count,
			 .snaplen = (uint32_t)f->snaplen,
			 .verbose = f->verbose,
			 .json = f->json,
			 .end = &interrupted};
	int rc;

	if (f->live_only)
		return cli_error(
			c,
			"%s is for packets of the running weir: leave it out with --from and --to",
			f->live_only);
	rc = read_time(c, "--from", f->from, &p.from_ns);
	rc = rc ?: read_time(c, "--to", f->to ?: "now", &p.to_ns);
	if (!rc && p.from_ns >= p.to_ns)
		rc = cli_error(c, "--from is not before --to");
	return rc ?: past_capture(&p);
}

static int cmd_capture(int argc, char **argv)
{
	static struct capture f;
	struct cli c = {.cmd = &command_capture, .argc = argc, .argv = argv};
	const struct sigaction sa = {.sa_handler = on_signal}; /* without SA_RESTART */
	int id, rc;

	while ((id = cli_next(&c)) > 0 || id == CLI_OPERAND) {
		rc = take(&c, &f, id);
		if (rc)
			return rc;
	}
	if (id == CLI_STOP)
		return c.status;
	if (!f.path)
		return cli_error(&c, "want a file: -w FILE, or -w - for standard output");
	if (!strcmp(f.path, "-") && isatty(STDOUT_FILENO))
		return cli_error(&c, "-w -: packets are nothing for a terminal");
	rc = client_check_filter(f.filter);
	if (rc)
		return rc;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGALRM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (f.from || f.to)
		return capture_past(&c, &f);
	if (f.past_only)
		return cli_error(&c, "%s wants --from or --to", f.past_only);
	return capture(&f);
}
