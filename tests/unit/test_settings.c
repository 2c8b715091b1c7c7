/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_settings.c - every row of settings.def has a default that it accepts; precedence and origin;
 * what is wrong is told with its place and a suggestion.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/settings.h"

static char path[64];
static struct settings_args args;
static struct settings *s;
static struct config_errors errs;

static void init(void)
{
	int fd;

	snprintf(path, sizeof(path), "/tmp/weir-settings.XXXXXX");
	fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	close(fd);
	args.config = path;
	for (int id = 0; id < _SET_MAX; id++)
		unsetenv(settings_table[id].env);
	unsetenv("WEIR_CONFIG");
}

static void done(void)
{
	settings_free(s);
	unlink(path);
}

TestSuite(settings, .init = init, .fini = done, .timeout = 120);

static int load(const char *text)
{
	FILE *f = fopen(path, "w");

	fputs(text, f);
	fclose(f);
	return settings_load(&weir_settings, &args, &s, &errs);
}

static void flag(enum setting_id id, const char *text)
{
	cr_assert_eq(settings_option(&args, SETTINGS_OPTION + (int)id, text), 0);
}

static const char *origin(enum setting_id id)
{
	static char buf[128];

	return setting_origin(s, id, buf, sizeof(buf));
}

Test(settings, every_default_is_a_value_that_is_taken)
{
	cr_assert_eq(load(""), 0, "%s", errs.list[0].text);
	for (int id = 0; id < _SET_MAX; id++) {
		const struct setting *d = &settings_table[id];

		cr_assert_not_null(s->v[id].text, "%s.%s", d->section, d->key ?: "");
		cr_assert_str_eq(s->v[id].text, d->def);
		cr_assert_eq(s->v[id].origin, FROM_DEFAULT);
		cr_assert(d->doc[strlen(d->doc) - 1] != '.', "%s", d->doc);
		cr_assert(!strncmp(d->env, "WEIR_", 5));
	}
}

Test(settings, names_are_unique)
{
	for (int a = 0; a < _SET_MAX; a++)
		for (int b = a + 1; b < _SET_MAX; b++) {
			const struct setting *x = &settings_table[a], *y = &settings_table[b];

			cr_assert(strcmp(x->env, y->env));
			cr_assert(!x->flag || !y->flag || strcmp(x->flag, y->flag));
			cr_assert(!x->letter || x->letter != y->letter);
			cr_assert(strcmp(x->section, y->section) || !x->key || !y->key ||
				  strcmp(x->key, y->key));
		}
}

Test(settings, flag_beats_environment_beats_file_beats_default)
{
	char want[128];

	setenv("WEIR_FLOWS", "3000", 1);
	setenv("WEIR_SAMPLE", "30", 1);
	flag(SET_FLOWS, "4Ki");
	cr_assert_eq(load("[run]\nidle-timeout = 2s\nflows = 2000\nsample = 20\n"), 0);
	cr_assert_eq(settings_num(s, SET_FLOWS), 4096);
	cr_assert_str_eq(origin(SET_FLOWS), "command line");
	cr_assert_eq(settings_num(s, SET_SAMPLE), 30);
	cr_assert_str_eq(origin(SET_SAMPLE), "environment WEIR_SAMPLE");
	cr_assert_eq(settings_num(s, SET_IDLE_TIMEOUT), 2000000000);
	snprintf(want, sizeof(want), "%s:2", path);
	cr_assert_str_eq(origin(SET_IDLE_TIMEOUT), want);
	cr_assert_str_eq(origin(SET_SYN_TIMEOUT), "default");
}

Test(settings, a_list_on_the_command_line_replaces_that_of_the_file)
{
	flag(SET_INTERFACES, "eth0");
	flag(SET_INTERFACES, "eth1, veth*,!veth9");
	cr_assert_eq(load("[run]\ninterfaces = wan0\n"), 0);
	cr_assert_eq(s->v[SET_INTERFACES].n, 4);
	cr_assert_str_eq(s->v[SET_INTERFACES].list[2], "veth*");
	cr_assert_str_eq(settings_text(s, SET_INTERFACES), "eth0,eth1,veth*,!veth9");
}

Test(settings, labels_add_up_and_the_stronger_one_stays)
{
	setenv("WEIR_LABELS", "site=b,rack=2", 1);
	flag(SET_LABELS, "rack=3");
	cr_assert_eq(load("[labels]\nsite = a\nowner = \"net work\"\n"), 0, "%s",
		     errs.list[0].text);
	cr_assert_str_eq(settings_text(s, SET_LABELS), "site=b,owner=net work,rack=3");
}

Test(settings, words_stand_for_no_value)
{
	flag(SET_NAMES, NULL);
	cr_assert_eq(
		load("[control]\nsocket = none\nmode = 0600\n[metrics]\nlisten = \"[::1]:9464\"\n"),
		0);
	cr_assert(settings_is_word(s, SET_CONTROL_SOCKET));
	cr_assert(settings_is_word(s, SET_DECAP));
	cr_assert(!settings_is_word(s, SET_METRICS_LISTEN));
	cr_assert_eq(settings_num(s, SET_CONTROL_MODE), 0600);
	cr_assert_eq(settings_num(s, SET_NAMES), 0);
}

Test(settings, an_interface_section_speaks_unless_a_flag_does)
{
	struct iface_settings how;

	flag(SET_HOOK, "tc");
	cr_assert_eq(load("[run]\nrole = veth\n[interface eth*]\nrole = mirror\nhook = xdp\n"
			  "[interface lan0]\n[interface eth7]\nrole = uplink\n"),
		     0);
	cr_assert(settings_iface(s, "eth0", &how));
	cr_assert_eq(how.role, 2);
	cr_assert_eq(how.hook, 2);
	cr_assert(settings_iface(s, "eth7", &how), "its own name goes before a pattern");
	cr_assert_eq(how.role, 0);
	cr_assert(settings_iface(s, "lan0", &how));
	cr_assert_eq(how.role, 1);
	cr_assert(!settings_iface(s, "lan1", &how));
}

Test(settings, a_list_of_interfaces_decides_and_can_leave_some_out)
{
	struct iface_settings how;
	bool pattern;

	cr_assert_eq(load("[run]\ninterfaces = eth*, !eth9, lan0\n[interface wan0]\n"), 0);
	cr_assert(settings_iface(s, "eth1", &how));
	cr_assert(settings_iface(s, "lan0", &how));
	cr_assert(!settings_iface(s, "eth9", &how));
	cr_assert(!settings_iface(s, "wan0", &how));
	cr_assert_str_eq(settings_iface_name(s, 2, &pattern), "lan0");
	cr_assert(!pattern);
	cr_assert_null(settings_iface_name(s, 3, &pattern));
}

Test(settings, exports_come_from_sections_and_urls)
{
	flag(SET_EXPORT, "ipfix://192.0.2.1:4739?filter=bytes%20>%201");
	cr_assert_eq(
		load("[export a]\ntype = file\npath = /var/log/a, b.ndjson\nqueue-bytes = 1Mi\n"),
		0, "%s", errs.list[0].text);
	cr_assert_eq(settings_exports(s)->n, 2);
	cr_assert_str_eq(settings_exports(s)->cfg[0].name, "a");
	cr_assert_str_eq(settings_exports(s)->cfg[0].path, "/var/log/a, b.ndjson");
	cr_assert_eq(settings_exports(s)->cfg[0].queue_bytes, 1 << 20);
	cr_assert_eq(settings_exports(s)->cfg[1].type, EXPORT_IPFIX_UDP);
	cr_assert_str_eq(settings_exports(s)->cfg[1].filter, "bytes > 1");
}

Test(settings, records_go_to_standard_output_unless_they_go_elsewhere)
{
	cr_assert_eq(load(""), 0);
	cr_assert_eq(settings_exports(s)->n, 1);
	cr_assert_eq(settings_exports(s)->cfg[0].type, EXPORT_STDOUT);
	cr_assert_eq(settings_exports(s)->cfg[0].format, FORMAT_TABLE);
	settings_free(s);
	cr_assert_eq(load("[run]\noutput = none\n"), 0);
	cr_assert_eq(settings_exports(s)->n, 0);
	settings_free(s);
	cr_assert_eq(load("[run]\noutput = json\n[export a]\ntype = file\npath = /x\n"), 0);
	cr_assert_eq(settings_exports(s)->n, 2);
}

Test(settings, what_changed_between_two_loads)
{
	struct settings *first;

	cr_assert_eq(load("[run]\nflows = 2000\n"), 0);
	first = s;
	cr_assert_eq(load("[run]\nflows = 3000\nidle-timeout = 3s\n"), 0);
	cr_assert_eq(settings_changed(first, s, 0), SET_FLOWS);
	cr_assert_eq(settings_changed(first, s, SET_FLOWS + 1), SET_IDLE_TIMEOUT);
	cr_assert_eq(settings_changed(first, s, SET_IDLE_TIMEOUT + 1), _SET_MAX);
	settings_keep(s, first, SET_FLOWS);
	cr_assert_eq(settings_num(s, SET_FLOWS), 2000);
	cr_assert_eq(settings_changed(first, s, 0), SET_IDLE_TIMEOUT);
	settings_free(first);
}

struct error_case {
	char text[96];
	uint32_t line, col;
	char want[112];
};

ParameterizedTestParameters(settings, an_error_says_where_what_and_what_was_meant)
{
	static struct error_case cases[] = {
		{"[run]\nintrval = 1s\n", 2, 1, "unknown key 'intrval'"},
		{"[run]\nidle-timout = 1s\n", 2, 1, "did you mean 'idle-timeout'?"},
		{"[rum]\nflows = 1\n", 1, 2, "unknown section 'rum', did you mean 'run'?"},
		{"[interfaces eth0]\n", 1, 2, "did you mean 'interface'?"},
		{"[log]\nflows = 2000\n", 2, 1,
		 "'flows' does not belong here, but in section [run]"},
		{"[run]\nmetrics-listen = 1\n", 2, 1,
		 "--metrics-listen is 'listen' in section [metrics] of the file"},
		{"[run]\niface = eth0\n", 2, 1, "--iface is 'interfaces' in section [run]"},
		{"[interface eth0]\nflows = 2000\n", 2, 1,
		 "one for all interfaces: it belongs in section [run]"},
		{"[interface eth0]\nrole = veth\n names = no\n", 3, 2, "'names' is one for all"},
		{"[interface eth0]\ndecap = 5\n", 2, 9, "want auto or a number from 0 to 4"},
		{"[interface eth0]\nsample = 0\n", 2, 10, "want a number from 1 to 1048576"},
		{"[run]\ninterfaces = a2345678901234567\n", 2, 14,
		 "longer than the name of an interface"},
		{"[run]\ninterfaces = blue/a234567890123456\n", 2, 14,
		 "longer than the name of an interface"},
		{"[interface]\nrole = veth\n", 1, 11, "want [interface NAME-OR-PATTERN]"},
		{"[export]\n", 1, 8, "want [export NAME]"},
		{"[run x]\n", 1, 6, "section [run] takes no name"},
		{"[run]\nflows = 1\n", 2, 9, "want a number from 1024 to 67108864"},
		{"[run]\nhook = xpd\n", 2, 8, "want auto, xdp, tc or generic, did you mean 'xdp'?"},
		{"[run]\nnames = perhaps\n", 2, 9, "want yes or no"},
		{"[run]\nidle-timeout = 5\n", 2, 16, "want a time from 10ms to 1d"},
		{"[run]\nduration = 5\n", 2, 12, "want none or a time"},
		{"[run]\ndecap = 5\n", 2, 9, "want auto or a number from 0 to 4"},
		{"[run]\npin = here\n", 2, 7, "want no or yes or a path that begins with /"},
		{"[control]\nmode = 999\n", 2, 8, "octal"},
		{"[metrics]\nlisten = localhost:1\n", 2, 10, "want none or ADDRESS:PORT"},
		{"[metrics]\nlisten = 127.0.0.1:0\n", 2, 10, "want none or ADDRESS:PORT"},
		{"[metrics]\nlisten = [127.0.0.1]:1\n", 2, 10, "want none or ADDRESS:PORT"},
		{"[run]\ninterfaces = a,,b\n", 2, 14, "an item of the list is empty"},
		{"[run]\ninterfaces = abcdefghijklmnopq\n", 2, 14, "longer than the name"},
		{"[labels]\na = b,c\n", 2, 5, "no commas"},
		{"[export a]\ntype = file\npth = /x\n", 3, 1, "did you mean 'path'?"},
		{"[export a]\ntype = fil\n", 2, 8, "want stdout, file"},
		{"[export a]\ntype = file\n", 1, 2, "type file needs path"},
		{"[export a]\ntype = stdout\nfilter = prot = tcp\n", 3, 10, "unknown field 'prot'"},
		{"[export a]\ntype = stdout\nfilter = \"bytes > 1 and x = 1\"\n", 3, 25, "'x'"},
	};

	return cr_make_param_array(struct error_case, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct error_case *c, settings, an_error_says_where_what_and_what_was_meant,
		  .init = init, .fini = done)
{
	cr_assert_eq(load(c->text), -EINVAL, "%s", c->text);
	cr_assert_eq(errs.count, 1, "%s: %u errors", c->text, errs.count);
	cr_assert_eq(errs.list[0].line, c->line, "%s: line %u", c->text, errs.list[0].line);
	cr_assert_eq(errs.list[0].col, c->col, "%s: column %u", c->text, errs.list[0].col);
	cr_assert(strstr(errs.list[0].text, c->want), "%s: %s", c->text, errs.list[0].text);
}

Test(settings, all_errors_are_told_of_file_environment_and_flags)
{
	setenv("WEIR_SAMPLE", "none", 1);
	flag(SET_FLOWS, "many");
	flag(SET_LABELS, "oops");
	cr_assert_eq(load("[run]\nhook = no\nrole = no\n[x\n"), -EINVAL);
	cr_assert_eq(errs.count, 6);
	cr_assert_eq(errs.list[0].line, 0);
	cr_assert_eq(errs.list[5].line, 4);
}

Test(settings, a_file_that_was_named_must_be_there)
{
	args.config = "/nonexistent/weir.conf";
	cr_assert_eq(settings_load(&weir_settings, &args, &s, &errs), -EINVAL);
	cr_assert_str_eq(errs.list[0].text, "/nonexistent/weir.conf: No such file or directory");
}

Test(settings, the_environment_can_name_the_file)
{
	setenv("WEIR_CONFIG", path, 1);
	args.config = NULL;
	cr_assert_eq(load("[run]\nflows = 2000\n"), 0);
	cr_assert_eq(settings_num(s, SET_FLOWS), 2000);
}
