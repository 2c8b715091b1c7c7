/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter_int.h - what the parts of the filter language share: tokens, the tree, the parser's state.
 * Nodes, values and letters live in three arrays; index 0 is nothing.
 */
#ifndef WEIR_COMMON_FILTER_INT_H
#define WEIR_COMMON_FILTER_INT_H

#include <stdio.h>
#include "common/filter.h"

enum filter_op {
	FO_EQ,
	FO_NE,
	FO_LT,
	FO_LE,
	FO_GT,
	FO_GE,
	FO_BITS,
	FO_IN,
	FO_PREFIX,
	FO_SUFFIX,
	FO_CONTAINS,
	_FO_MAX
};

/* "==", "in" ...; indexed by enum filter_op */
extern const char *const filter_op_text[_FO_MAX];

enum filter_token_type {
	TOK_END,
	TOK_WORD,   /* letters, digits, and _ . : / + - */
	TOK_STRING, /* with its quotes */
	TOK_LIST,   /* @name */
	TOK_PARAM,  /* $name */
	TOK_OP,	    /* == ... &, not the words */
	TOK_AND,
	TOK_OR,
	TOK_NOT,
	TOK_OPEN,
	TOK_CLOSE,
	TOK_SET_OPEN,
	TOK_SET_CLOSE,
	TOK_ROW_OPEN, /* [a b c]: nfdump's sets, commas or not */
	TOK_ROW_CLOSE,
	TOK_COMMA,
	TOK_BAD, /* no token begins like this */
};

struct filter_token {
	uint32_t at; /* offset in the text */
	uint32_t len;
	uint8_t type; /* enum filter_token_type */
	uint8_t op;   /* enum filter_op, of TOK_OP */
};

enum filter_node_type { FN_OR, FN_AND, FN_NOT, FN_CMP, FN_EXISTS };

struct filter_node {
	uint8_t type;	/* enum filter_node_type */
	uint8_t op;	/* enum filter_op, of FN_CMP */
	uint8_t field;	/* enum flow_field, of FN_CMP and FN_EXISTS */
	uint32_t at;	/* offset of its first word in the text, of FN_CMP and FN_EXISTS */
	uint32_t first; /* child of OR, AND, NOT; value of CMP */
	uint32_t next;	/* the next child of the same parent */
	uint32_t last;	/* the last child */
	uint32_t prev;
};

enum filter_value_type {
	FV_NUMBER, /* lo: also the number behind a word; times in microseconds */
	FV_RANGE,  /* lo to hi */
	FV_IP,	   /* ip */
	FV_NET,	   /* ip, prefix */
	FV_IPS,	   /* ip to ip_hi */
	FV_STRING, /* bytes[str], str_len */
	FV_LIST,   /* bytes[str] is its name; sub: the first of its values */
};

struct filter_value {
	uint8_t type;	/* enum filter_value_type */
	uint8_t prefix; /* of the address as it is written: 0-32 or 0-128 */
	uint8_t family; /* 4 or 6 */
	uint32_t next;	/* in the same set */
	uint32_t sub;
	uint32_t str;
	uint32_t str_len;
	uint32_t param; /* bytes[param]: name of the parameter it came from, terminated; 0: none */
	uint64_t lo;
	uint64_t hi;
	uint8_t ip[16];
	uint8_t ip_hi[16];
};

struct filter_ast {
	struct filter_node *nodes;
	struct filter_value *values;
	char *bytes;
	uint32_t n_nodes, cap_nodes;
	uint32_t n_values, cap_values;
	uint32_t n_bytes, cap_bytes;
	uint32_t root;
};

/* What could have stood where the text ended; for completion. */
enum filter_expect {
	EXPECT_NOTHING, /* any value, or a mistake earlier */
	EXPECT_FIELD,	/* a field, or a word that begins a primary */
	EXPECT_FIELD_ONLY,
	EXPECT_OP,
	EXPECT_VALUE,
	EXPECT_OP_OR_VALUE,
	EXPECT_SET,
	EXPECT_SIDE, /* after src or dst */
	EXPECT_MORE, /* and, or */
};

struct filter_parser {
	const char *text;
	uint32_t len;
	uint32_t pos; /* behind the token */
	uint32_t depth;
	uint32_t primary_at; /* where the primary at hand begins */
	struct filter_token tok;
	struct filter_ast *ast;
	const struct filter_env *env;
	struct filter_error *err;
	enum filter_expect expect;
	enum flow_field expect_field;
};

/* What operators a field has and how its values are written. */
enum filter_class {
	FC_NUMBER,
	FC_DURATION, /* microseconds */
	FC_TIME,
	FC_IP,
	FC_WORD,    /* of an enum */
	FC_VERSION, /* words with an order */
	FC_FLAGS,
	FC_STRING,
	FC_ID, /* text that is computed: equal or not */
};

enum filter_class filter_class(enum flow_field f);
bool filter_class_has(enum filter_class c, enum filter_op op);

/* Names of hosts: letters compare without case. */
bool filter_field_nocase(enum flow_field f);

/* filter_lex.c */
void filter_next(struct filter_parser *p);
bool filter_token_is(const struct filter_parser *p, const char *word);
bool filter_word_char(char c);

/* filter_error.c: both return -EINVAL. @at: offset in the text. */
int filter_fail(struct filter_parser *p, uint32_t at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int filter_fail_expected(struct filter_parser *p, enum filter_expect e, const char *what);
int filter_fail_limit(struct filter_parser *p, const char *what); /* -E2BIG */
int filter_fail_memory(struct filter_parser *p);		  /* -ENOMEM */

/* "%.*s" of a token, no longer than a message can bear. */
#define TOKEN_SHOWN 60u
#define TOKEN_ARGS(p) \
	(int)((p)->tok.len < TOKEN_SHOWN ? (p)->tok.len : TOKEN_SHOWN), (p)->text + (p)->tok.at

/* filter_ast.c: index of the new one, or a negative error. */
int filter_add_node(struct filter_parser *p, const struct filter_node *n);
int filter_add_value(struct filter_parser *p, const struct filter_value *v);
int filter_add_bytes(struct filter_parser *p, const char *s, uint32_t len); /* and a 0 */
void filter_ast_done(struct filter_ast *a);
int filter_ast_print(const struct filter_ast *a, FILE *out);

/* filter_parse.c: as filter_parse(), up to the tree; @ast is empty when it fails. */
int filter_parse_ast(struct filter_parser *p);
int filter_field_find(const char *word, size_t len); /* enum flow_field, or -1 */
bool filter_field_known(const struct filter_env *env, enum flow_field f); /* may it be named? */
int filter_parse_field(struct filter_parser *p); /* at the token; -EINVAL: said */
int filter_parse_expr(struct filter_parser *p);	 /* from the token on; index of its root */

/* filter_parse.c: parts that words of filter_sugar.c are made of. */
int filter_not_here(struct filter_parser *p, uint32_t at,
		    uint32_t len);		   /* -EINVAL: for the collector */
int filter_op_word(const struct filter_parser *p); /* an operator, or -1 */
int filter_parse_op(struct filter_parser *p, enum flow_field f);
int filter_parse_cmp(struct filter_parser *p, enum flow_field f); /* behind its field */
int filter_add_cmp(struct filter_parser *p, enum flow_field f, enum filter_op op, int value);
/* @child becomes the last child of @n, which is not in the tree yet. */
void filter_link_child(struct filter_parser *p, struct filter_node *n, int child);

/* filter_sugar.c: a primary that begins with such a word, or -ENOENT: the token is none. */
int filter_sugar(struct filter_parser *p);
/* At `flags` behind `not`: is any of them set? nfdump's `not flags AR` is none of them. */
int filter_sugar_any_flag(struct filter_parser *p);
/* Its words one by one, and those that stand behind src, dst, in or out; NULL: no more. */
const char *filter_sugar_word(const struct filter_env *env, unsigned int i);
const char *filter_side_word(const struct filter_env *env, unsigned int i, const char **ret_doc);

/* filter_value.c: at the token; moves behind what it took. Index of the value, or an error. */
int filter_value(struct filter_parser *p, enum flow_field f, bool ranges);

/* filter_set.c: values of a set, `in`'s right side. Index of the first, or an error. */
int filter_set(struct filter_parser *p, enum flow_field f);

/* filter_words.c: the words of an enum type, one a call, from *@i = 0 on; NULL: no more. */
const char *filter_word(enum flow_type t, unsigned int *i, uint64_t *ret);
/* Number behind a word, or one of the forms without a table (TYPE65, 0x0304, 17). 0, -EINVAL. */
int filter_word_number(enum flow_type t, const char *word, uint64_t *ret);

/* filter_compile.c */
int filter_compile(const struct filter_ast *a, struct filter **ret);

#endif
