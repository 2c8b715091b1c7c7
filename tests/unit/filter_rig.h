/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter_rig.h - for tests of the filter language: lists and parameters, text to tree and back, a
 * record with something in nearly every field.
 */
#ifndef WEIR_TESTS_FILTER_RIG_H
#define WEIR_TESTS_FILTER_RIG_H

#include "common/filter_int.h"

/* @local, @empty, @wrong, $n, $net, $wrong */
extern const struct filter_env filter_rig_env;

/* What the text parses to, written back; or "LINE:COL message". In memory that is reused. */
const char *filter_rig_parse(const char *text);

/* 1 or 0; -1: the filter does not parse. */
int filter_rig_match(const char *text, const struct flow_record *r);

/* A TLS flow over TCP in a VLAN, IPv4, with most fields. */
const struct flow_record *filter_rig_tls(void);
/* A DNS flow over UDP, IPv6, with further queries. */
const struct flow_record *filter_rig_dns(void);

#endif
