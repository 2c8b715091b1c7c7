/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outlet_int.h - what the ways out share.
 */
#ifndef WEIR_COLLECTOR_NOTIFY_OUTLET_INT_H
#define WEIR_COLLECTOR_NOTIFY_OUTLET_INT_H

#include <curl/curl.h>

#include "collector/notify/outlet.h"

int outlet_file(struct outlet *o, const struct notice *v, uint32_t n);
int outlet_udp(struct outlet *o, const struct notice *v, uint32_t n);
int outlet_stream(struct outlet *o, const struct notice *v, uint32_t n);
int outlet_http(struct outlet *o, const struct notice *v, uint32_t n);
int outlet_mail(struct outlet *o, const struct notice *v, uint32_t n);

/* What was said or is wrong, into o->said. Return: @r. */
int outlet_say(struct outlet *o, int r, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

int64_t outlet_now_ms(void);

/* A handle with times, certificates and the word to stop as the channel says; NULL: no memory. */
CURL *outlet_curl(struct outlet *o);

/* Why libcurl gave up, into o->said. Return: -errno. */
int outlet_curl_failed(struct outlet *o, CURLcode code);

/* All of a batch as the channel's form and framing have it; free() it. NULL: no memory. */
char *outlet_text(const struct outlet *o, const struct notice *v, uint32_t n, size_t *ret_len);

/* First line of a file with a secret. Return: 0, or as outlet_say(). */
int outlet_read(struct outlet *o, const char *path, char *buf, size_t cap);

#endif
