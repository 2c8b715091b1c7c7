/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml.h - a YAML 1.1 text as a tree in which every node knows where it stands, read by libyaml's
 * event parser. A subset: one document, no anchors, aliases and tags, no merge keys, no duplicate keys;
 * keys are scalars. Bounded in bytes, nodes and depth. Pure; any thread.
 */
#ifndef WEIR_COLLECTOR_RULES_YAML_H
#define WEIR_COLLECTOR_RULES_YAML_H

#include "common/config.h"

#define YAML_TEXT_MAX  (1u << 20)
#define YAML_NODES_MAX 65536u
#define YAML_DEPTH_MAX 12u
#define YAML_KEYS_MAX  256u /* of one map */

enum yaml_type { YAML_SCALAR, YAML_MAP, YAML_SEQ };
enum yaml_style { YAML_PLAIN, YAML_SINGLE, YAML_DOUBLE, YAML_BLOCK };

/* Index 0 is no node. The children of a map are key, value, key, value. */
struct yaml_node {
	uint8_t type;	 /* enum yaml_type */
	uint8_t style;	 /* enum yaml_style, of scalars */
	uint32_t line;	 /* of its first character, from 1 */
	uint32_t column; /* the same, in characters */
	uint32_t at;	 /* offset of its first character */
	uint32_t text;	 /* of scalars: offset in bytes, terminated */
	uint32_t len;
	uint32_t first; /* child */
	uint32_t next;	/* sibling */
	uint32_t n;	/* children */
};

struct yaml {
	const char *source; /* of the caller */
	uint32_t source_len;
	struct yaml_node *nodes;
	char *bytes;
	uint32_t n_nodes, cap_nodes, n_bytes, cap_bytes;
	uint32_t root; /* 0: there is nothing in it */
};

/**
 * yaml_parse - text to tree
 * @text: @len bytes that stay as long as the tree
 * @ret:  to be done, also when it fails
 *
 * Return: 0; -EINVAL: @errs says where and why; -E2BIG: beyond a limit above, said too; -ENOMEM.
 */
int yaml_parse(const char *text, size_t len, struct yaml *ret, struct config_errors *errs);

void yaml_done(struct yaml *y);

/* Text of a scalar, terminated; "" of others. It holds no 0 before its end. */
const char *yaml_text(const struct yaml *y, uint32_t node);

/* The value of a key of a map; 0: it has none. */
uint32_t yaml_get(const struct yaml *y, uint32_t map, const char *key);

/* A place in a text, from 1; columns are characters. */
struct yaml_place {
	uint32_t line, column;
};

/**
 * yaml_place - where in the file a character of a scalar's value stands
 * @at: within the value
 *
 * Escapes, folded lines and the indentation of blocks are walked through as they were read.
 */
struct yaml_place yaml_place(const struct yaml *y, uint32_t node, struct yaml_place at);

#endif
