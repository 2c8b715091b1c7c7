/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_message.h - the messages between a node and its collector (docs/nodes.md): JSON objects, read
 * and written by the table node_message.def. Every text has a bound, every number a range; members
 * that are not known are passed over. Pure; any thread.
 */
#ifndef WEIR_COMMON_NODE_MESSAGE_H
#define WEIR_COMMON_NODE_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#define NODE_MESSAGE_MAX   16384u /* octets of a body */
#define NODE_MESSAGE_ERROR 160u
#define NODE_NAME	   64u /* octets */
#define NODE_PIN	   32u /* SHA-256 of the collector's authority, in a token */
#define NODE_SECRET	   16u
#define NODE_TOKEN	   72u /* as text: "weir1-", 64 characters, 0 */
#define NODE_WAIT_MS	   25000

#define NODE_PATH_ENROL	   "/node/v1/enrol"
#define NODE_PATH_RENEW	   "/node/v1/renew"
#define NODE_PATH_SYNC	   "/node/v1/sync"
#define NODE_PATH_DECIDED  "/node/v1/decided"
#define NODE_PATH_HITS	   "/node/v1/hits"
#define NODE_PATH_CAPTURES "/node/v1/captures"
#define NODE_PATH_PIECE	   "/node/v1/piece"

enum node_message {
	NODE_ENROL,
	NODE_ENROLLED,
	NODE_REPORT,
	NODE_DECIDED,
	NODE_HIT, /* one of a list */
	NODE_CAPTURES,
	NODE_CAPTURE, /* one of them */
	NODE_PIECE,
	NODE_WANT,
	NODE_PROBLEM,
	_NODE_MESSAGE_MAX
};

enum node_state {
#define NODE_STATE(id, word, said, doc) NODE_##id,
#include "common/node_state.def"
#undef NODE_STATE
	_NODE_STATE_MAX
};

/* One message; which members it has, its kind says. Texts end with 0, numbers are 0 where they are absent. */
struct node_text {
	char token[128 + 1], name[64 + 1], csr[4096 + 1];
	char issuer[31 + 1], certificate[4096 + 1], policy_key[512 + 1];
	char hash[64 + 1], state[16 + 1], error[256 + 1], version[32 + 1], kernel[64 + 1];
	char id[32 + 1], rule[63 + 1], value[45 + 1], to[45 + 1];
	char file[16 + 1], scope[8 + 1];
	char title[64 + 1], detail[256 + 1], code[32 + 1];
	int64_t generation, highest, rules, entries, refused, wait_ms, clock_us;
	int64_t port, made_us, took_us, ttl_s, shadow;
	int64_t entry, flows;
	int64_t round, all, alert, decision, fired_us, first_us, last_us, packets, dropped, bytes;
	int64_t fetch, offset, size, remove;
};

/**
 * node_message_read - a body
 * @reterr: NODE_MESSAGE_ERROR bytes: the member, and what is wrong with it
 *
 * Return: 0, -EINVAL with @reterr.
 */
int node_message_read(enum node_message kind, const char *text, size_t len, struct node_text *ret,
		      char *reterr);

/* The body of one; free() it. NULL: no memory. Empty texts and zeros that are not required are left out. */
char *node_message_write(enum node_message kind, const struct node_text *m);

extern const char *const node_state_words[_NODE_STATE_MAX];

/* What a node may say of itself; _NODE_STATE_MAX: no such word. */
enum node_state node_state_read(const char *word);

/* Letters, digits, . _ -, at most NODE_NAME, none at first but a letter or digit. */
int node_name_check(const char *name);

/* 32 hexadecimal digits. Return: 0, -EINVAL. */
int node_id_read(const char *text, uint8_t ret[16]);
void node_id_write(const uint8_t id[16], char ret[33]);

/* Two parts as text, NODE_TOKEN bytes. */
void node_token_write(const uint8_t pin[NODE_PIN], const uint8_t secret[NODE_SECRET], char *ret);
/* Return: 0, -EINVAL: it is no token, or has been cut. */
int node_token_read(const char *text, uint8_t ret_pin[NODE_PIN], uint8_t ret_secret[NODE_SECRET]);

/* The table, for what is made of it. */
struct node_member {
	enum node_message kind;
	const char *name, *doc;
	uint16_t at;	 /* in struct node_text */
	uint16_t octets; /* of a text, at most; 0: a number */
	int64_t least;
	uint64_t most;
	int required;
};
extern const struct node_member node_members[];
extern const size_t node_members_n;

#endif
