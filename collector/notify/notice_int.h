/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notice_int.h - what the writers of the forms share.
 */
#ifndef WEIR_COLLECTOR_NOTIFY_NOTICE_INT_H
#define WEIR_COLLECTOR_NOTIFY_NOTICE_INT_H

#include "collector/notify/notice.h"

/* A member by its path of one or two parts, "" or 0 where it is none. */
const char *notice_get(const struct notice *n, const char *path);
int64_t notice_number(const struct notice *n, const char *path);

/* Addresses and port that it is about, "" or 0. */
const char *notice_source(const struct notice *n);
const char *notice_target(const struct notice *n);
int64_t notice_target_port(const struct notice *n);

/* FORMAT_EVE and FORMAT_JSON. */
void notice_json(FILE *out, enum channel_format f, const struct notice_from *from,
		 const struct notice *n);

#endif
