// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_reload.c - `weir reload`: tells the running weir to read its configuration again. It is found by
 * the process that listens on the local socket; what it made of the file is in its own messages.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "loader/command.h"
#include "loader/control/client.h"
#include "loader/settings.h"

static int cmd_reload(int argc, char **argv);

const struct cli_command command_reload = {
	.name = "reload",
	.help = "have the running weir read its configuration again, without losing a count",
	.more = client_options,
	.examples = "weir reload\n"
		    "weir reload --config /etc/weir/weir.conf\n",
	.run = cmd_reload,
};

/* A file that was named is looked at first: a mistake is told to who made it. */
static int check(const char *config)
{
	const struct settings_args args = {.config = config};
	struct config_errors errs;
	struct settings *s;

	if (!config)
		return EXIT_OK;
	if (settings_check(&weir_settings, config, &s, &errs)) {
		settings_print_errors(&weir_settings, &args, &errs, stderr);
		fputs("weir: nothing was told to the running weir\n", stderr);
		return EXIT_FAILED;
	}
	settings_free(s);
	return EXIT_OK;
}

/* The privileged process: it made the socket. */
static int tell(const struct control_client *client)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) || peer.pid <= 0) {
		fprintf(stderr, "weir: who listens on the socket can't be told: %s\n",
			strerror(errno));
		return EXIT_PEER;
	}
	if (kill(peer.pid, SIGHUP)) {
		int e = errno;

		fprintf(stderr, "weir: process %d: %s%s\n", (int)peer.pid, strerror(e),
			e == EPERM ? " - needs root, or the user that weir runs as" : "");
		return e == EPERM ? EXIT_PERM : EXIT_PEER;
	}
	fprintf(stderr,
		"weir: process %d reads its configuration again; its messages say what changed\n",
		(int)peer.pid);
	return EXIT_OK;
}

static int cmd_reload(int argc, char **argv)
{
	struct cli c = {.cmd = &command_reload, .argc = argc, .argv = argv};
	struct control_client client = {};
	struct client_where where = {};
	int id, rc;

	while ((id = cli_next(&c)) > 0)
		client_option(&where, id, c.arg);
	if (id == CLI_STOP)
		return c.status;
	if (id == CLI_OPERAND)
		return cli_error(&c, "'%s': what for?", c.arg);
	rc = check(where.config);
	rc = rc ?: client_open(&where, &client);
	if (!rc) {
		rc = tell(&client);
		client_close(&client);
	}
	return rc;
}
