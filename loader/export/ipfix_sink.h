/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipfix_sink.h - what the IPFIX sinks over datagrams and over streams share.
 */
#ifndef WEIR_LOADER_EXPORT_IPFIX_SINK_H
#define WEIR_LOADER_EXPORT_IPFIX_SINK_H

#include "loader/export/announce.h"
#include "loader/export/conn.h"
#include "loader/export/sink_int.h"

#define IFACES_NS EXPORT_NS_PER_S /* how often interfaces are compared */

/* The encoder; drain thread. */
struct ipfix_enc {
	struct ipfix_cfg cfg;
	struct ipfix_msg msg;
	uint32_t cap;
};

/* The sender; sink thread. */
struct ipfix_out {
	struct conn conn;
	struct announce say;
	struct announce say_other; /* of another form: left in a spool */
	uint32_t sequence;	   /* data records before the next message */
	uint32_t options_sequence; /* the same, of domain 0 */
	uint64_t refresh_ns;	   /* monotonic: when options (and templates) are due again */
	uint64_t ifaces_ns;	   /* monotonic: when interfaces are compared next */
	uint8_t *buf;		   /* a message of our own: templates, options, goodbye */
	uint32_t cap;
};

/* Fill in the header of @len octets that hold @records data records. */
void ipfix_number(struct ipfix_out *o, uint8_t *msg, uint32_t len, uint32_t records);

/* The same for a message of options. */
void ipfix_number_options(struct ipfix_out *o, struct ipfix_msg *m);

/* Flow templates that the sets of a message need. Return: their form, 0: of none. */
uint8_t ipfix_used_of(const uint8_t *msg, uint32_t len, struct ipfix_used *ret);

/* Parts of struct sink_ops that are the same for both. */
int ipfix_sink_open(struct sink *s, struct ipfix_out *o, char *reterr);
void ipfix_sink_close(struct sink *s, struct ipfix_out *o);
long ipfix_sink_encode(struct sink *s, const struct flow_record *r, struct chunk *c);

#endif
