/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - the other end of the local socket, for the commands. Says what is wrong on standard
 * error. One thread.
 */
#ifndef WEIR_COLLECTOR_ENDPOINT_CLIENT_H
#define WEIR_COLLECTOR_ENDPOINT_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include "collector/settings.h"

struct client;

/* Options that every command with a client has; ids from CLIENT_SOCKET on. */
enum { CLIENT_SOCKET = 900, CLIENT_CONFIG, CLIENT_STORE };
extern const struct cli_option client_where_options[];

struct client_at {
	const char *socket; /* --socket */
	const char *config; /* --config */
	const char *store;  /* --store: no collector is asked */
};

/* Is it one of those options? Then it is taken. */
bool client_where_option(struct client_at *at, int id, const char *arg);

/**
 * client_connect - to --socket, else the socket of the environment, else of the configuration
 * @ret: NULL when nobody listens there
 *
 * Return: 0; enum exit_code: not permitted, or a configuration that says nothing of use; said.
 */
int client_connect(const struct client_at *at, struct client **ret);
void client_free(struct client *c);

/* Send a request; taken over. Return: 0, EXIT_USAGE: it is too long, or EXIT_PEER; said. */
int client_send(struct client *c, json_t *request);

/**
 * client_line - the next line of the answer
 * @ret_fd: of a line that came with one, else -1; the caller's
 *
 * Return: 0; -EPIPE the other side has closed; -EINTR a signal came; -EBADMSG.
 */
int client_line(struct client *c, json_t **ret, int *ret_fd);

/**
 * client_settings - the configuration, for commands that open the store themselves
 *
 * --store beats it. Return: 0 or enum exit_code; said.
 */
int client_settings(const struct client_at *at, struct settings **ret);

#endif
