/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template.h - templates of one session (an exporter's address, port and observation domain):
 * read from IPFIX and NetFlow v9 messages, compiled to a list of operations that fill columns, kept
 * until they are replaced or withdrawn. Memory is bounded per session. One thread per store.
 *
 * Source: RFC 7011 sections 3.4 and 8, RFC 3954 sections 5.2 and 6.1.
 */
#ifndef WEIR_COLLECTOR_INGEST_TEMPLATE_H
#define WEIR_COLLECTOR_INGEST_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEMPLATE_FIELDS_MAX 512u
#define TEMPLATE_VARIABLE   65535u /* length of a field: each record says */
#define TEMPLATE_ID_MIN	    256u

enum template_version {
	TEMPLATE_V9 = 9,
	TEMPLATE_IPFIX = 10,
};

struct template_field {
	uint32_t pen;
	uint16_t element;
	uint16_t len;
};

/* One column (or list, or text) to fill. Where: @off octets behind the end of variable field number
 * @anchor - 1, or behind the record's start if @anchor is 0.
 */
struct template_op {
	uint32_t pen;
	uint16_t element;
	uint16_t len; /* TEMPLATE_VARIABLE: the value is variable field number @anchor */
	uint16_t off;
	uint16_t anchor;
	uint8_t kind; /* enum element_kind */
	uint8_t to;   /* what the kind fills */
};

/* Eight octets of each record in which operations' values stand; see columns_plane.c. */
#define TEMPLATE_WINDOW 8u

struct template_window {
	uint16_t off; /* and @anchor: where, as in struct template_op */
	uint16_t anchor;
	uint16_t ops_end; /* behind the last of its operations; the first follows those before it */
};

struct template
{
	uint16_t id;
	uint16_t n;
	uint16_t scope; /* fields of the scope */
	bool options;
	bool timed; /* has times that the message's own are needed for */
	uint16_t ops_n;
	uint16_t windows_n;
	uint16_t anchors;		       /* variable fields */
	uint8_t version;		       /* enum template_version */
	uint64_t has[2];		       /* bit per column that is filled */
	uint32_t min;			       /* octets of the shortest record */
	const struct template_field *f;	       /* n */
	const struct template_op *ops;	       /* ops_n; those of the windows first */
	const struct template_window *windows; /* windows_n */
	/* Fixed octets before variable field i, and, last, behind them all: anchors + 1. */
	const uint32_t *fixed;
};

struct template_counts {
	uint64_t taken;
	uint64_t changed; /* of those: an id that had meant something else */
	uint64_t withdrawn;
	uint64_t refused; /* too many, too long, or records of no octets */
};

struct template_store {
	uint32_t fields; /* of all templates */
	uint32_t fields_max;
	uint32_t pen;	     /* stands for weir's own elements */
	uint64_t generation; /* grows with each change */
	struct template **page[256];
	struct template_counts counts;
};

/* @pen: see ipfix.h. @fields_max bounds memory at about 40 octets each. */
void template_store_init(struct template_store *s, uint32_t pen, uint32_t fields_max);
void template_store_done(struct template_store *s);

static inline const struct template *template_find(const struct template_store *s, uint16_t id)
{
	return s->page[id >> 8] ? s->page[id >> 8][id & 255] : NULL;
}

static inline bool template_has(const struct template *t, unsigned int column)
{
	return t->has[column / 64] >> column % 64 & 1;
}

/**
 * template_keep - take a definition
 * @f: @n fields, of which the first @scope are the scope
 *
 * Return: 1 taken and new or changed, 0 it was known, -ENOSPC: refused (counted), -ENOMEM
 */
int template_keep(struct template_store *s, const struct template *def,
		  const struct template_field *f);

/**
 * template_read_set - all of a template set or flowset
 * @options: options templates
 *
 * Return: 0, or -EBADMSG: contradicts itself; templates before that are kept.
 */
int template_read_set(struct template_store *s, enum template_version version, bool options,
		      const uint8_t *p, size_t len);

/* A template that no store keeps, for a format that is always the same. Free with free(). NULL: no
 * memory.
 */
struct template *template_compile(uint32_t pen, const struct template *def,
				  const struct template_field *f);

/* Part of it: sorts @ops, which are @t's, and finds their windows, at most as many. */
void template_find_windows(struct template *t, struct template_op *ops, struct template_window *w);

#endif
