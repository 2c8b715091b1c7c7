// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_export.c - `weir-collector decisions export`: what is in force, for nft(8) and ExaBGP.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collector/command.h"
#include "collector/notify/drops.h"
#include "collector/talk.h"
#include "common/address.h"

#define ROWS	10000 /* of one answer */
#define LATELY	1000
#define TICK_MS 1000

enum { OPT_FORM = 1, OPT_FOLLOW, OPT_HOP4, OPT_HOP6 };

static const struct cli_option options[] = {
	{OPT_FORM, 0, "form", "FORM", "nft|flowspec|rtbh", "nft",
	 "a file for nft -f; ExaBGP's commands with flow routes (RFC 8955); the same with blackhole routes (RFC 7999)"},
	{OPT_FOLLOW, 'f', "follow", NULL, NULL, NULL,
	 "go on with what changes, as a process of ExaBGP; not for nft"},
	{OPT_HOP4, 0, "next-hop", "ADDRESS", NULL, "192.0.2.1", "next hop of blackhole routes"},
	{OPT_HOP6, 0, "next-hop6", "ADDRESS", NULL, "100::1", "the same of IPv6 (RFC 6666)"},
	{},
};

static int cmd_export(int argc, char **argv);

const struct cli_command collector_command_export = {
	.name = "export",
	.help = "drops in force, as sets of nftables or routes of ExaBGP",
	.options = options,
	.more = client_where_options,
	.doc = "What only counts is left out, as are limits and resets; rtbh leaves out pairs and ports too. Elements "
	       "of nftables end by themselves; routes are withdrawn at their end, also while the collector is away.",
	.examples = "weir-collector decisions export --form nft\n"
		    "weir-collector decisions export --form flowspec --follow\n",
	.run = cmd_export,
};

struct call {
	struct cli c;
	struct client_at at;
	enum drop_form form;
	struct drop_hops hops;
	bool follow;
	/* an answer on its way */
	struct drop_set *into;
	uint64_t now_us;
	bool ended; /* decisions that have: as if they had not */
	uint32_t rows;
	int error;
};

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int take(struct call *k, int id)
{
	uint8_t ip[16];

	if (id == OPT_FORM)
		k->form = (enum drop_form)cli_word("nft|flowspec|rtbh", k->c.arg);
	else if (id == OPT_FOLLOW)
		k->follow = true;
	else if ((id == OPT_HOP4 || id == OPT_HOP6) &&
		 (address_ip(k->c.arg, ip) || (strchr(k->c.arg, ':') != NULL) != (id == OPT_HOP6)))
		return cli_error(&k->c, "'%.40s': want an address of IPv%c", k->c.arg,
				 id == OPT_HOP6 ? '6' : '4');
	else if (id == OPT_HOP4)
		k->hops.v4 = k->c.arg;
	else if (id == OPT_HOP6)
		k->hops.v6 = k->c.arg;
	else if (id == CLI_OPERAND)
		return cli_error(&k->c, "'%.40s': what for?", k->c.arg);
	else
		client_where_option(&k->at, id, k->c.arg);
	return 0;
}

/* ---- asking ---- */

static void on_line(void *arg, const json_t *o)
{
	struct call *k = arg;
	json_t *copy = NULL;

	if (k->ended) {
		copy = json_copy((json_t *)(uintptr_t)o);
		json_object_set_new(copy, "expires", json_string("9999-01-01T00:00:00Z"));
	}
	k->rows++;
	k->error = k->error ?: drops_add(k->into, k->form, copy ?: o, k->now_us);
	json_decref(copy);
}

/* Return: exit status. */
static int ask(struct call *k, const char *state, int limit, struct drop_set *into)
{
	int rc;

	k->into = into;
	k->rows = 0;
	k->now_us = now_us();
	k->ended = strcmp(state, "active") != 0;
	rc = talk(&k->at,
		  json_pack("{s:s,s:s,s:s,s:i}", "command", "decisions", "what", "list", "state",
			    state, "limit", limit),
		  on_line, k);
	if (!rc && k->error) {
		fputs("weir-collector: out of memory\n", stderr);
		rc = EXIT_FAILED;
	}
	if (!rc && k->rows == ROWS) { /* whoever is missing would be let in */
		fprintf(stderr,
			"weir-collector: %d decisions or more are in force: too many for one answer\n",
			ROWS);
		rc = EXIT_FAILED;
	}
	return rc;
}

/* ---- following ---- */

/* For a tick; what ExaBGP answers is read so that it need not wait. Return: goes it on? */
static bool pause_reading(struct pollfd *in)
{
	char drop[4096];

	if (poll(in, 1, TICK_MS) > 0 && read(in->fd, drop, sizeof(drop)) <= 0)
		in->fd = -1;
	return !ferror(stdout);
}

/* What ended before we came may have been announced by who was here before us. */
static int begin(struct call *k, struct drop_set *was)
{
	int rc = ask(k, "expired", LATELY, was);

	rc = rc ?: ask(k, "withdrawn", LATELY, was);
	drops_settle(was, now_us());
	return rc;
}

static int follow(struct call *k)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	struct drop_set was = {}, now = {};
	int rc = begin(k, &was);

	while (!rc) {
		rc = ask(k, "active", ROWS, &now);
		if (rc == EXIT_PEER && was.n) { /* away: what has not ended goes on */
			drops_done(&now);
			now.v = reallocarray(NULL, was.n, sizeof(*now.v));
			if (!now.v)
				break;
			memcpy(now.v, was.v, was.n * sizeof(*now.v));
			now.n = now.cap = was.n;
		}
		if (rc && rc != EXIT_PEER)
			break;
		drops_settle(&now, now_us());
		drops_put_changes(stdout, k->form, &was, &now, &k->hops);
		fflush(stdout);
		drops_done(&was);
		was = now;
		now = (struct drop_set){};
		rc = pause_reading(&in) ? 0 : EXIT_FAILED;
	}
	drops_done(&was);
	drops_done(&now);
	return rc;
}

static int once(struct call *k)
{
	const struct drop_set none = {};
	struct drop_set now = {};
	const int rc = ask(k, "active", ROWS, &now);

	drops_settle(&now, now_us());
	if (!rc && k->form == DROP_NFT)
		drops_put_nft(stdout, &now, now_us());
	else if (!rc)
		drops_put_changes(stdout, k->form, &none, &now, &k->hops);
	drops_done(&now);
	return rc;
}

static int cmd_export(int argc, char **argv)
{
	struct call k = {.c = {.cmd = &collector_command_export,
			       .argc = argc,
			       .argv = argv,
			       .path = "decisions"},
			 .hops = {"192.0.2.1", "100::1"}};
	int id, rc = 0;

	while (!rc && (id = cli_next(&k.c)) != CLI_END) {
		if (id == CLI_STOP)
			return k.c.status;
		rc = take(&k, id);
	}
	if (rc)
		return rc;
	if (k.at.store)
		return cli_error(&k.c, "--store: decisions are asked of a running collector");
	if (k.follow && k.form == DROP_NFT)
		return cli_error(&k.c, "--follow: nft takes whole files, ask again instead");
	return k.follow ? follow(&k) : once(&k);
}
