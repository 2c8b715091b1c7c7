/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics_text.h - samples in Prometheus' text format (its exposition formats, version 0.0.4).
 */
#ifndef WEIR_COLLECTOR_METRICS_TEXT_H
#define WEIR_COLLECTOR_METRICS_TEXT_H

#include <stdint.h>
#include <stdio.h>

/* @type: "counter", "gauge" ... */
void metrics_head(FILE *out, const char *name, const char *type, const char *help);

/* A name with one sample. */
void metrics_one(FILE *out, const char *name, const char *type, const char *help, uint64_t v);

/* A label's value: backslashes, quotes and line ends are escaped. */
void metrics_label(FILE *out, const char *s);

#endif
