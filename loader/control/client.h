/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - the other end of the control socket, for the commands. Says what is wrong on standard
 * error. One thread.
 */
#ifndef WEIR_LOADER_CONTROL_CLIENT_H
#define WEIR_LOADER_CONTROL_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/cli.h"

struct control_client {
	int fd;
	char *buf;
	size_t len, done; /* bytes in buf; of these taken */
};

/* Options that every client has (cli_command.more), and what they said. Start zeroed. */
extern const struct cli_option client_options[];

struct client_where {
	const char *socket, *config;
};

/* Is it one of those options? Then it is taken. */
bool client_option(struct client_where *where, int id, const char *arg);

/**
 * client_path - --socket, else WEIR_CONTROL_SOCKET, else of the configuration, else where weir puts it
 * @ret: static memory
 *
 * Return: 0, EXIT_USAGE: a configuration that says nothing of use, EXIT_PEER: it says there is none.
 *         enum exit_code; said on standard error.
 */
int client_path(const struct client_where *where, const char **ret);

/**
 * client_open - connect
 *
 * Return: 0, EXIT_PERM, EXIT_PEER: nobody there, or as client_path(). enum exit_code; said on
 *         standard error.
 */
int client_open(const struct client_where *where, struct control_client *ret);
void client_close(struct control_client *c);

/* Send a request; taken over. Return: 0 or EXIT_PEER. */
int client_ask(struct control_client *c, json_t *request);

/**
 * client_next - a line of the answer
 * @wait:    until one has come
 * @ret:     the object, the caller's
 *
 * Return: 1; 0: nothing there yet (@wait not set); -EPIPE: the other side has closed; -EINTR a
 *         signal came; -EBADMSG: that was no answer.
 */
int client_next(struct control_client *c, bool wait, json_t **ret);

/**
 * client_block - a block of a pcapng file, after a line that said they come
 * @ret, @ret_len: until the next call
 *
 * Waits. Return: 1, or as client_next().
 */
int client_block(struct control_client *c, const uint8_t **ret, size_t *ret_len);

/* No more requests: what goes on for ever ends now. */
void client_end(struct control_client *c);

/* Member "type" of a line; "" for records and rows. */
const char *client_type(const json_t *line);

/* An answer of type "error", said on standard error. Return: enum exit_code. */
int client_refused(const json_t *line);

/* What client_next() returned, negative, said on standard error. Return: EXIT_PEER. */
int client_lost(int r);

/* Operands of a command, joined by blanks: a filter need not be quoted. False: too long. */
bool client_join(char *buf, size_t cap, const char *word);

/* Check a filter here, where the error can be said well. Return: 0 or EXIT_USAGE. */
int client_check_filter(const char *text);

#endif
