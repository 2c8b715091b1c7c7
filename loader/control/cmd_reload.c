// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_reload.c - `weir reload`: tells the running weir to read its configuration again. It is found by
 * the process that listens on the local socket, or named by a service manager; what it made of the
 * file is in its own messages.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/scan.h"
#include "loader/command.h"
#include "loader/control/client.h"
#include "loader/settings.h"

enum { OPT_PID = 1 };

static const struct cli_option options[] = {
	{OPT_PID, 0, "pid", "PID", NULL, NULL,
	 "process to tell, for service managers; else the one that listens on the control socket"},
	{},
};

static int cmd_reload(int argc, char **argv);

const struct cli_command command_reload = {
	.name = "reload",
	.help = "have the running weir read its configuration again, without losing a count",
	.options = options,
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
		fprintf(stderr, "%sweir: nothing was told to the running weir\n",
			log_mark(LEVEL_ERROR));
		return EXIT_FAILED;
	}
	settings_free(s);
	return EXIT_OK;
}

static int tell(pid_t pid)
{
	if (kill(pid, SIGHUP)) {
		int e = errno;

		fprintf(stderr, "weir: process %d: %s%s\n", (int)pid, strerror(e),
			e == EPERM ? " - needs root, or the user that weir runs as" : "");
		return e == EPERM ? EXIT_PERM : EXIT_PEER;
	}
	fprintf(stderr,
		"weir: process %d reads its configuration again; its messages say what changed\n",
		(int)pid);
	return EXIT_OK;
}

/* The privileged process: it made the socket. */
static int tell_listener(const struct client_where *where)
{
	struct control_client client = {};
	struct ucred peer = {};
	socklen_t len = sizeof(peer);
	int rc = client_open(where, &client);

	if (rc)
		return rc;
	if (getsockopt(client.fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) || peer.pid <= 0) {
		fprintf(stderr, "weir: who listens on the socket can't be told: %s\n",
			strerror(errno));
		rc = EXIT_PEER;
	} else {
		rc = tell(peer.pid);
	}
	client_close(&client);
	return rc;
}

static int cmd_reload(int argc, char **argv)
{
	struct cli c = {.cmd = &command_reload, .argc = argc, .argv = argv};
	struct client_where where = {};
	uint64_t pid = 0;
	int id, rc;

	while ((id = cli_next(&c)) > 0) {
		if (client_option(&where, id, c.arg))
			continue;
		if (scan_u64(c.arg, 1, INT32_MAX, &pid))
			return cli_error(&c, "--pid '%s': want the number of a process", c.arg);
	}
	if (id == CLI_STOP)
		return c.status;
	if (id == CLI_OPERAND)
		return cli_error(&c, "'%s': what for?", c.arg);
	rc = check(where.config);
	if (rc)
		return rc;
	return pid ? tell((pid_t)pid) : tell_listener(&where);
}
