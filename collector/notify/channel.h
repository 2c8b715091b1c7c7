/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.h - a channel: where events are told, in which form and which of them. A section [channel NAME] of
 * the configuration; its keys are channel_keys.def's, what its url may be is schemes.def's. No I/O.
 */
#ifndef WEIR_COLLECTOR_NOTIFY_CHANNEL_H
#define WEIR_COLLECTOR_NOTIFY_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include "common/config.h"

#define CHANNELS_MAX 32u
#define CHANNEL_NAME 32u

enum channel_scheme_id {
#define SCHEME(id, ...) SCHEME_##id,
#include "collector/notify/schemes.def"
#undef SCHEME
	_SCHEME_MAX
};

enum channel_key {
#define KEY(id, ...) CKEY_##id,
#include "collector/notify/channel_keys.def"
#undef KEY
	_CKEY_MAX
};

/* MAIL is no word of the key: there it is the only one. */
enum channel_format { FORMAT_SYSLOG, FORMAT_CEF, FORMAT_EVE, FORMAT_JSON, FORMAT_MAIL };

enum channel_events { EVENTS_ALERTS, EVENTS_DECISIONS, EVENTS_ALL };

struct channel_cfg {
	char name[CHANNEL_NAME];
	enum channel_scheme_id scheme;
	enum channel_format format;
	char *text[_CKEY_MAX];	 /* as the user or the table says; "" never NULL */
	uint64_t num[_CKEY_MAX]; /* index of a WORD, ns of a TIME */
	uint32_t set;		 /* bits: the user has said it */
	/* of the url */
	char *host, *path;
	uint16_t port;
};

struct channel_set {
	uint32_t n;
	struct channel_cfg *v;
};

/**
 * channel_read - a section of the file
 * @ret: released with channel_done() whatever comes back
 *
 * Return: 0; -EINVAL: what is wrong was added to @errs; -ENOMEM.
 */
int channel_read(const struct config *file, const struct config_section *sec,
		 struct channel_cfg *ret, struct config_errors *errs);

/* Return: 0, -ENOMEM: @ret is empty. */
int channel_copy(const struct channel_cfg *from, struct channel_cfg *ret);
void channel_done(struct channel_cfg *cfg);

/* What it is called in messages, without what is secret: "syslog+tcp://192.0.2.1:601". Into @buf, @cap bytes. */
const char *channel_url(const struct channel_cfg *cfg, char *buf, size_t cap);

const char *channel_scheme_name(enum channel_scheme_id id);
const char *channel_format_name(enum channel_format f);

/* Tables of schemes and keys, for weir-collector.conf(5). */
void channel_reference(void);

#endif
