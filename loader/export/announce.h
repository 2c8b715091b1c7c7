/* SPDX-License-Identifier: Apache-2.0 */
/*
 * announce.h - what an exporter says besides flows: templates, and options about itself. Sink
 * thread.
 */
#ifndef WEIR_LOADER_EXPORT_ANNOUNCE_H
#define WEIR_LOADER_EXPORT_ANNOUNCE_H

#include "common/ipfix.h"

struct sink;

struct announce {
	const struct sink *s;
	struct ipfix_cfg cfg;
	struct ipfix_used done;	 /* flow templates the collector knows */
	uint64_t start_ms;	 /* since 1970, when numbering began */
	uint32_t ifaces;	 /* checksum of the interfaces last told */
	bool of_domain;		 /* the message of options is one of the flows' domain, else of 0 */
	unsigned int step, item; /* where announce_options() is */
};

/* A new session: nothing is known. */
void announce_reset(struct announce *a);

/**
 * announce_templates - templates of @used that are not known yet, into one message
 *
 * Return: true: there is a message in @m, and maybe need for another; false: all are known.
 */
bool announce_templates(struct announce *a, struct ipfix_msg *m, const struct ipfix_used *used);

/**
 * announce_options - options templates and options, message after message
 *
 * They are of observation domain 0, so that numbers of the flows' domain count flows alone.
 * Return: true: there is a message in @m; false: that was all, the next call starts again.
 */
bool announce_options(struct announce *a, struct ipfix_msg *m);

/* Have interfaces come or gone since their names were told? */
bool announce_ifaces_changed(const struct announce *a);

#endif
