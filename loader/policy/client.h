/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - the commands' side of wire.h, and what they share: filters made into rules, tables of rules
 * for people and for programs. Says what is wrong on standard error. One thread.
 */
#ifndef WEIR_LOADER_POLICY_CLIENT_H
#define WEIR_LOADER_POLICY_CLIENT_H

#include "common/policy.h"
#include "loader/command.h"
#include "loader/control/client.h"
#include "loader/policy/wire.h"

struct mirror_shown;

struct policy_result {
	struct policy_reply reply;
	struct policy_shown *shown;	/* mapped; reply.n of them */
	struct policy_decided *decided; /* the same */
	struct mirror_shown *mirrors;	/* the same */
	struct policy_hit *hits;	/* the same */
	size_t bytes;
};

/* Start. @q: zeroed, with version and ask. */
void policy_request_init(struct policy_request *q, enum policy_ask ask);

/**
 * policy_ask - one request, one answer
 * @image: a policy to send along, @len bytes; or NULL
 *
 * A refusal has been said on standard error. Return: enum exit_code; *ret is to be done on EXIT_OK.
 */
int policy_ask(const struct client_where *where, const struct policy_request *q, const void *image,
	       size_t len, struct policy_result *ret);
/**
 * policy_call - the same without a word on standard error
 * @path: of the control socket
 *
 * Return: 0 with an answer in *ret, which may be a refusal (reply.r); -EPIPE: none came; -errno: nobody is
 * there. Any thread.
 */
int policy_call(const char *path, const struct policy_request *q, const void *image, size_t len,
		struct policy_result *ret);
void policy_result_done(struct policy_result *r);

/* Rules as a table, or as JSON lines. @why: the entry that was asked about instead of the rule. */
void policy_show_table(const struct policy_result *r, FILE *out);
void policy_show_json(const struct policy_result *r, FILE *out);
/* One rule as a story, for `weir why`. */
void policy_show_story(const struct policy_shown *s, const struct policy_reply *reply, FILE *out);

/**
 * policy_operand - the filter that a command was given, in its one form
 * @words: of the command line; an address or a network alone is `host` or `net`
 * @iface: to be a condition of it, or NULL
 *
 * Return: 0 with *ret to be freed, or enum exit_code; said on standard error.
 */
int policy_operand(struct cli *c, const char *words, const char *iface, char **ret);

/* "8m12s", "3d4h", "now" */
const char *policy_duration(uint64_t s, char buf[32]);

/* The whole of a file; NULL: *ret_why. To be freed. */
char *policy_read_file(const char *path, size_t *ret_len, const char **ret_why);

/* A filter in one form: blanks and sugar do not matter. To be freed; NULL: said on standard error. */
char *policy_normal_filter(const char *text);

/**
 * policy_matches - what a filter would have stopped: packets and bytes of the last minute, on the
 * running weir
 *
 * Both directions of each flow are looked at, as the rule would. Return: 0, or EXIT_PEER.
 */
struct policy_matched {
	uint64_t packets, bytes, flows;
	bool more; /* there were more flows than were looked at */
};
int policy_matches(const struct client_where *where, const char *filter,
		   struct policy_matched *ret);

#endif
