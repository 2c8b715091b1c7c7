/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_capture.h - messages between a node and its collector about files of packets (docs/nodes.md): lists of
 * them, and their octets, which stand behind a line of JSON. Pure; any thread.
 */
#ifndef WEIR_COMMON_NODE_CAPTURE_H
#define WEIR_COMMON_NODE_CAPTURE_H

#include "common/node_message.h"

#define NODE_CAPTURE_ID	   16u		/* digits of a file's id */
#define NODE_CAPTURES_MAX  24u		/* in one message; with the longest texts they fit */
#define NODE_PIECE_OCTETS  (256u << 10) /* at most */
#define NODE_PIECE_HEAD	   512u		/* octets of its line */
#define NODE_PIECE_MESSAGE (NODE_PIECE_HEAD + NODE_PIECE_OCTETS)

enum node_capture_state { CAPTURE_OPEN, CAPTURE_COMPLETE, CAPTURE_REMOVED, _CAPTURE_STATE_MAX };

extern const char *const node_capture_words[_CAPTURE_STATE_MAX];

/* _CAPTURE_STATE_MAX: no such word. */
enum node_capture_state node_capture_state(const char *word);

/* "0123456789abcdef" and nothing else? */
int node_capture_id(const char *text);

/**
 * node_captures_write - a body of NODE_PATH_CAPTURES
 * @head: NODE_CAPTURES
 * @of:   NODE_CAPTURE each, @n of them, NODE_CAPTURES_MAX at most
 *
 * Return: free() it; NULL: no memory.
 */
char *node_captures_write(const struct node_text *head, const struct node_text *of, size_t n);

/**
 * node_captures_read - a body of NODE_PATH_CAPTURES
 * @one: called with each, in their order; what it returns but 0 ends it
 *
 * Return: 0 with @ret_head; -EINVAL with @reterr (NODE_MESSAGE_ERROR), perhaps after some; what @one has
 * returned.
 */
struct node_captures {
	int (*one)(void *arg, const struct node_text *head, const struct node_text *capture);
	void *arg;
};
int node_captures_read(const char *text, size_t len, const struct node_captures *to,
		       struct node_text *ret_head, char *reterr);

/**
 * node_piece_read - a body of NODE_PATH_PIECE: a line, NODE_PIECE as JSON, and octets behind it
 * @ret_octets: in @text
 *
 * Return: 0; -EINVAL with @reterr (NODE_MESSAGE_ERROR).
 */
struct node_octets {
	const uint8_t *at;
	size_t n;
};
int node_piece_read(const char *text, size_t len, struct node_text *ret,
		    struct node_octets *ret_octets, char *reterr);

#endif
