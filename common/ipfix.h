/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipfix.h - IPFIX messages: flow records and options into them, and any exporter's messages out of
 * them. Both directions are pure: bytes in, bytes out, bounded. Not here: transport, sequence
 * numbers over several messages. What is in a record is weir/ipfix.def. One thread per object.
 *
 * Source: RFC 7011 (protocol), 5103 (biflow), 6313 (lists), 5610 (type information).
 */
#ifndef WEIR_COMMON_IPFIX_H
#define WEIR_COMMON_IPFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/flow.h"

#define IPFIX_VERSION	  10u
#define IPFIX_HEADER	  16u /* octets of a message header */
#define IPFIX_SET_HEADER  4u
#define IPFIX_MESSAGE_MAX 65535u
#define IPFIX_PEN_REVERSE 29305u
#define IPFIX_PEN_CERT	  6871u
#define IPFIX_PEN_WEIR	  32473u /* stands for the configured one in the tables */

#define IPFIX_SET_TEMPLATE 2u
#define IPFIX_SET_OPTIONS  3u
#define IPFIX_ID_MIN	   256u

/* Ids of our templates. Those of flow records are a base + a key that says what is in them: 4096 keys
 * with the form above them, and above that the key's thirteenth bit.
 */
#define IPFIX_FLOW_TEMPLATES 8192u
#define IPFIX_ID_FLOW(form)  (4096u * (form))
#define IPFIX_ID_FORM(id)    ((id) / 4096u % 8u)
#define IPFIX_ID_KEY(id)     ((id) % 4096u + (id) / 32768u * 4096u)
#define IPFIX_ID_QUERY	     256u
#define IPFIX_ID_OPTION(o)   (257u + (o))

/* Form of an exporter's flow records; 0: none. */
#define IPFIX_FORM_BIFLOW 1u /* RFC 5103; else a record per direction */
#define IPFIX_FORM_MICRO  2u /* times in microseconds, in milliseconds, or in both */
#define IPFIX_FORM_MILLI  4u
#define IPFIX_FORM_MAX	  7u

enum ipfix_option {
	IPFIX_OPT_EXPORTER,
	IPFIX_OPT_INTERFACE,
	IPFIX_OPT_SAMPLING,
	IPFIX_OPT_STATISTICS,
	IPFIX_OPT_COUNTER,
	IPFIX_OPT_TYPE,
	IPFIX_OPT_SPOOLED,
	_IPFIX_OPT_MAX
};

/* Bit per template of flow records: which are used in a message, which were announced. */
struct ipfix_used {
	uint64_t bits[IPFIX_FLOW_TEMPLATES / 64];
};

/* ---- writing ---- */

struct ipfix_cfg {
	uint32_t pen;	 /* instead of IPFIX_PEN_WEIR */
	uint32_t domain; /* observation domain id */
	uint8_t form;	 /* IPFIX_FORM_... */
};

/* A message being written into the caller's buffer. */
struct ipfix_msg {
	uint8_t *buf;
	uint32_t cap; /* at most IPFIX_MESSAGE_MAX */
	uint32_t len;
	uint32_t set_at; /* of the open set; 0 = none */
	uint16_t set_id;
	uint32_t records;	 /* data records so far */
	struct ipfix_used *used; /* NULL: not wanted */
};

/* Start a message in @buf, of at most @cap octets (512 at least). */
void ipfix_begin(struct ipfix_msg *m, uint8_t *buf, uint32_t cap, struct ipfix_used *used);

/**
 * ipfix_put_flow - one flow as a data record (two where not biflow and both ways had packets)
 *
 * Return: 0; 1: without lists, or also without texts, since it would not have fit the largest
 *         message; -ENOSPC: not in this message; -EMSGSIZE: in none.
 */
int ipfix_put_flow(const struct ipfix_cfg *cfg, struct ipfix_msg *m, const struct flow_record *r);

/**
 * ipfix_finish - the header of a message that is complete
 * @export_s: seconds since 1970
 * @sequence: data records before this message, modulo 2^32
 *
 * May be called again on the same bytes.
 */
void ipfix_finish(const struct ipfix_cfg *cfg, uint8_t *buf, uint32_t len, uint32_t export_s,
		  uint32_t sequence);

/**
 * ipfix_put_templates - announce templates of flow records
 * @want: those to announce; the ones that went into @m are cleared
 *
 * The template of dns.queries goes with the first that needs it.
 * Return: 0 all are in, -ENOSPC: call again with another message.
 */
int ipfix_put_templates(const struct ipfix_cfg *cfg, struct ipfix_msg *m, struct ipfix_used *want);

/* Announce one options template, or all in turn with @o from 0. Return: 0 or -ENOSPC. */
int ipfix_put_option_template(const struct ipfix_cfg *cfg, struct ipfix_msg *m,
			      enum ipfix_option o);

/**
 * ipfix_put_withdrawal - take back templates of flow records, one by one (RFC 7011 section 8.1)
 * @done: those announced; the ones that went into @m are cleared
 *
 * Return: 0 all are in, -ENOSPC: call again with another message.
 */
int ipfix_put_withdrawal(const struct ipfix_cfg *cfg, struct ipfix_msg *m, struct ipfix_used *done);

/* A value of an options record, in the order of its template. */
struct ipfix_arg {
	uint64_t number;
	struct flow_str text; /* of variable length fields */
};

/* One options record. Return: 0 or -ENOSPC. */
int ipfix_put_option(const struct ipfix_cfg *cfg, struct ipfix_msg *m, enum ipfix_option o,
		     const struct ipfix_arg *args);

#define IPFIX_TYPE_ARGS 9u

/* Element number @i that has no number of IANA's, as args of IPFIX_OPT_TYPE. False: no more. */
bool ipfix_type_args(const struct ipfix_cfg *cfg, unsigned int i,
		     struct ipfix_arg args[static IPFIX_TYPE_ARGS]);

/* ---- reading ---- */

#define IPFIX_FIELDS_MAX 512u /* of one template that is accepted */

struct ipfix_field {
	uint32_t pen;
	uint16_t element;
	uint16_t len; /* 65535 = variable */
	uint8_t what; /* row of weir/ipfix.def + 1; 0 = none of them */
};

struct ipfix_template {
	uint16_t id;
	uint16_t n;
	uint16_t scope; /* of those; 0 = no options template */
	uint32_t min;	/* octets of the shortest record */
	struct ipfix_field f[];
};

struct ipfix_header {
	uint32_t len;
	uint32_t export_s;
	uint32_t sequence;
	uint32_t domain;
};

struct ipfix_value {
	const uint8_t *p;
	uint32_t len;
};

struct ipfix_record {
	const struct ipfix_header *h;
	const struct ipfix_template *t;
	const struct ipfix_value *v; /* t->n */
};

/* What came, counted. */
struct ipfix_counts {
	uint64_t messages;
	uint64_t records;   /* data records, options too */
	uint64_t templates; /* taken */
	uint64_t withdrawn;
	uint64_t refused;     /* templates: too many, or too long */
	uint64_t no_template; /* data sets whose template is not known */
	uint64_t reserved;    /* sets with an id that means nothing */
	uint64_t malformed;   /* messages that contradict themselves; what came before is kept */
};

/* The templates of one observation domain and transport session. */
struct ipfix_templates;

/**
 * ipfix_templates_new - none yet
 * @pen:        stands for IPFIX_PEN_WEIR in what is received
 * @fields_max: of all templates together; bounds memory at about 16 octets each
 */
struct ipfix_templates *ipfix_templates_new(uint32_t pen, uint32_t fields_max);
struct ipfix_templates *ipfix_templates_free(struct ipfix_templates *t);
const struct ipfix_template *ipfix_templates_find(const struct ipfix_templates *t, uint16_t id);

/**
 * ipfix_read_header - the header of a message, also when the rest has yet to come
 * @len: octets there are, IPFIX_HEADER at least
 *
 * Return: 0, or -EBADMSG: not IPFIX, or a length that can't be.
 */
int ipfix_read_header(const uint8_t *p, size_t len, struct ipfix_header *ret);

/* Where records go. */
struct ipfix_reader {
	struct ipfix_templates *t;
	struct ipfix_counts counts;
	/* Each data record; values point into the message. Other than 0 ends the message. NULL: none. */
	int (*fn)(void *arg, const struct ipfix_record *r);
	void *arg;
};

/**
 * ipfix_read - all of one message
 * @p, @len: the whole message, its length as in its header
 *
 * Return: 0; what r->fn returned; -EBADMSG: malformed, records before that were given to r->fn.
 */
int ipfix_read(struct ipfix_reader *r, const uint8_t *p, size_t len);

/* Room for the lists of a record that was read. */
struct ipfix_lists {
	struct flow_str hosts[FLOW_HOSTS_MAX];
	struct flow_query queries[FLOW_QUERIES_MAX];
	struct flow_str answers[FLOW_ANSWERS_MAX];
	uint8_t alpn[512];
};

/**
 * ipfix_to_flow - the flow in a data record
 * @t: for templates of lists
 *
 * Texts point into the message, lists into @l. Elements that are not in weir/ipfix.def, values of
 * lengths that can't be and lists that contradict themselves are passed over.
 * Return: 0, or -ENOENT: an options record.
 */
int ipfix_to_flow(const struct ipfix_templates *t, const struct ipfix_record *rec,
		  struct ipfix_lists *l, struct flow_record *ret);

#endif
