// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_notice.c - the forms that alerts and decisions are told in, of any JSON object, and sections [channel NAME].
 * The first byte is a choice.
 *
 * Covers: collector/notify/notice.c collector/notify/notice_json.c collector/notify/notice_mail.c
 * collector/notify/channel.c
 * Options: -max_len=4096
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/notify/notice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool right)
{
	if (!right)
		abort();
}

/* One line, and where it is JSON, JSON. */
static void line(const struct notice_from *from, const struct notice *n, unsigned int form,
		 bool syslog)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	json_t *j;

	if (!out)
		return;
	(syslog ? notice_syslog : notice_line)(out, (enum channel_format)form, from, n);
	check(!fclose(out));
	check(len && !memchr(text, '\n', len) && !memchr(text, '\r', len) && strlen(text) == len);
	if (!syslog && form >= FORMAT_EVE) {
		j = json_loads(text, 0, NULL);
		check(j != NULL);
		json_decref(j);
	}
	free(text);
}

/* A header more, or a line too long, would be somebody else's. */
static void mail(const struct notice_from *from, const struct notice *n)
{
	const struct notice_mail m = {"a@example.org", "b@example.org"};
	char *text = NULL, *at, *end;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	bool body = false;

	if (!out)
		return;
	notice_mail(out, from, &m, n, 1);
	check(!fclose(out));
	for (at = text; (end = strstr(at, "\r\n")); at = end + 2) {
		check((size_t)(end - at) <= 998 && !memchr(at, '\n', (size_t)(end - at)));
		body |= end == at;
		check(body || memchr(at, ':', (size_t)(end - at)));
	}
	check(body && !strchr(at, '\n'));
	free(text);
}

static void webhook(const struct notice_from *from, const struct notice *n)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	json_t *j;

	if (!out)
		return;
	notice_webhook(out, from, n, 1);
	check(!fclose(out));
	j = json_loads(text, 0, NULL);
	check(json_array_size(json_object_get(j, "events")) == 1);
	json_decref(j);
	free(text);
}

static void tell(uint8_t choice, const char *data, size_t size)
{
	const struct notice_from from = {.host = "collector", .pid = 7, .facility = choice % 24u};
	struct notice n = {
		.id = 5, .at_us = 1700000000000000, .json = json_loadb(data, size, 0, NULL)};

	n.kind = (enum notice_kind)(choice % _NOTICE_MAX);
	n.severity = (enum notice_severity)(choice / _NOTICE_MAX % 4);
	if (json_is_object(n.json)) {
		for (unsigned int form = 0; form < FORMAT_MAIL; form++) {
			line(&from, &n, form, false);
			line(&from, &n, form, true);
		}
		mail(&from, &n);
		webhook(&from, &n);
	}
	json_decref(n.json);
}

static void configure(const char *data, size_t size)
{
	static struct config_errors errs;
	struct channel_cfg one, copy;
	struct config *c;
	char url[400];

	errs.count = 0;
	if (config_parse(data, size, &c, &errs) == -ENOMEM)
		return;
	for (uint32_t i = 0; i < c->n_sections; i++) {
		if (!c->sections[i].name)
			continue;
		if (!channel_read(c, &c->sections[i], &one, &errs) && !channel_copy(&one, &copy)) {
			check(*channel_url(&copy, url, sizeof(url)) != 0);
			channel_done(&copy);
		}
		channel_done(&one);
	}
	config_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] >= 'a')
		configure((const char *)data + 1, size - 1);
	else
		tell(data[0], (const char *)data + 1, size - 1);
	return 0;
}
