// SPDX-License-Identifier: Apache-2.0
/*
 * test_export_cfg.c - settings of an export: keys, URLs, what does not fit together.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <string.h>

#include "loader/export/sink.h"

static struct export_cfg cfg;
static char why[EXPORT_ERR_MAX];

static int url(const char *text)
{
	cr_assert(zero(int, export_cfg_init(&cfg, "x", why)));
	return export_cfg_url(&cfg, text, why) ?: export_cfg_check(&cfg, why);
}

Test(export_cfg, url_of_a_collector)
{
	char text[300];

	cr_assert(zero(int, url("ipfix://192.0.2.10")), "%s", why);
	cr_assert(eq(int, cfg.type, EXPORT_IPFIX_UDP));
	cr_assert(eq(u64, cfg.port, 4739));
	cr_assert(eq(u64, cfg.message_bytes, 1420));
	cr_assert(eq(int, cfg.biflow, 1));
	cr_assert(eq(u64, cfg.pen, 32473));
	cr_assert(zero(
		int,
		url("ipfix+tcp://[2001:db8::1]:9995/?biflow=0&domain=7&filter=proto%20%3d%20tcp")));
	cr_assert(eq(str, cfg.host, "2001:db8::1"));
	cr_assert(eq(u64, cfg.port, 9995));
	cr_assert(eq(int, cfg.biflow, 0));
	cr_assert(eq(u64, cfg.domain, 7));
	cr_assert(eq(str, cfg.filter, "proto = tcp"));
	export_cfg_text(&cfg, text, sizeof(text));
	cr_assert(eq(str, text, "ipfix+tcp://[2001:db8::1]:9995"));
	cr_assert(zero(int, url("ipfix+tls://c.example:1?ca=/a&cert=/b&key=/c")));
	cr_assert(eq(str, cfg.server_name, "c.example"));
	cr_assert(zero(int, url("ipfix+tls://c.example?ca=/a")));
	cr_assert(eq(u64, cfg.port, 4740));
}

Test(export_cfg, url_of_a_file)
{
	cr_assert(zero(
		int, url("file:/var/log/a%3fb.json?format=eve&rotate_bytes=1Mi&keep=3&gzip=yes")));
	cr_assert(eq(str, cfg.path, "/var/log/a?b.json"));
	cr_assert(eq(int, cfg.format, FORMAT_EVE));
	cr_assert(eq(u64, cfg.rotate_bytes, 1 << 20));
	cr_assert(eq(u64, cfg.keep, 3));
	cr_assert(eq(int, cfg.gzip, 1));
	cr_assert(eq(u64, cfg.rotate_ns, 0));
	cr_assert(zero(int, url("file:///x?rotate_time=1h")));
	cr_assert(eq(str, cfg.path, "/x"));
	cr_assert(zero(int, url("stdout:?format=csv")));
	cr_assert(eq(int, cfg.type, EXPORT_STDOUT));
}

Test(export_cfg, errors_say_what_would_be_right)
{
	static const struct {
		const char *url, *says;
		int r;
	} cases[] = {
		{"http://x", "want ipfix://", -EINVAL},
		{"ipfix://", "want HOST", -EINVAL},
		{"ipfix://[::1", "want HOST", -EINVAL},
		{"ipfix://[::1]x", "want HOST", -EINVAL},
		{"ipfix://h:0", "port '0': want a number from 1 to 65535", -ERANGE},
		{"ipfix://h:65536", "port '65536'", -ERANGE},
		{"ipfix://h:12x", "port '12x'", -EINVAL},
		{"ipfix://h?bilfow=0", "unknown key 'bilfow', did you mean 'biflow'?", -ENOENT},
		{"ipfix://h?biflow", "want key=value", -EINVAL},
		{"ipfix://h?biflow=2", "biflow '2': want yes or no", -EINVAL},
		{"ipfix://h?gzip=1", "gzip means nothing for type ipfix-udp", -EINVAL},
		{"ipfix://h?spool=/s", "spool means nothing for type ipfix-udp", -EINVAL},
		{"ipfix://h%zz", "two hex digits", -EINVAL},
		{"ipfix://h%00", "two hex digits", -EINVAL},
		{"ipfix+tcp://h?acknowledge=1", "acknowledge needs spool", -EINVAL},
		{"ipfix+tls://h", "needs ca", -EINVAL},
		{"ipfix+tls://h?ca=/a&cert=/b", "belong together", -EINVAL},
		{"file:", "path '': want 1 to", -ERANGE},
		{"file:/x?format=xml", "format 'xml': want json, eve, csv or table", -EINVAL},
		{"file:/x?rotate_time=5", "want a time", -EINVAL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		why[0] = 0;
		cr_expect(eq(int, url(cases[i].url), cases[i].r), "%s: %s", cases[i].url, why);
		cr_expect(ne(ptr, strstr(why, cases[i].says), NULL), "%s: '%s'", cases[i].url, why);
	}
}

Test(export_cfg, names)
{
	cr_assert(eq(int, export_cfg_init(&cfg, "", why), -EINVAL));
	cr_assert(eq(int, export_cfg_init(&cfg, "../x", why), -EINVAL));
	cr_assert(
		eq(int, export_cfg_init(&cfg, "a23456789012345678901234567890123", why), -EINVAL));
	cr_assert(zero(int, export_cfg_init(&cfg, "a-b_9", why)));
	cr_assert(eq(int, export_cfg_check(&cfg, why), -EINVAL));
	cr_assert(zero(int, export_cfg_set(&cfg, "type", "ipfix-tcp", why)));
	cr_assert(eq(int, export_cfg_check(&cfg, why), -EINVAL));
	cr_assert(zero(int, export_cfg_set(&cfg, "host", "h", why)));
	cr_assert(zero(int, export_cfg_check(&cfg, why)));
	cr_assert(eq(str, (char *)export_loss_name(LOSS_QUEUE_FULL, NULL), "queue_full"));
	for (size_t i = 0; i < export_keys_n; i++)
		cr_expect(gt(sz, strlen(export_keys[i].doc), 5));
}
