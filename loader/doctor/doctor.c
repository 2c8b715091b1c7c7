// SPDX-License-Identifier: Apache-2.0
#include "loader/doctor/doctor.h"

#include <bpf/libbpf.h>
#include <fnmatch.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/json.h"
#include "common/term.h"
#include "loader/command.h"
#include "loader/ifaces.h"
#include "loader/netns.h"

static int cmd_doctor(int argc, char **argv);

enum { OPT_OUTPUT = 1 };

static const struct cli_option options[] = {
	{OPT_OUTPUT, 'o', "output", "FORMAT", "text|json", "text", "json: one object"},
	{},
};

const struct cli_command command_doctor = {
	.name = "doctor",
	.help = "what will work on this machine, and what to do about what won't",
	.doc = "Checks kernel, capabilities, JIT, memory at the given settings, places and interfaces: "
	       "by trying, not by version, and without attaching anything. Takes the options of 'weir "
	       "run'. Without -i and without interfaces in the configuration, all that are up.",
	.options = options,
	.more = settings_options,
	.examples = "weir doctor\n"
		    "weir doctor -i eth0 --flows 1M\n"
		    "weir doctor -o json\n",
	.run = cmd_doctor,
};

#define SUBJECT_WIDTH 20

static const char *const verdicts[] = {"ok", "warn", "fail"};

void doctor_say(struct doctor *d, enum verdict verdict, const char *subject, const char *fmt, ...)
{
	struct finding *f = &d->list[d->n < FINDINGS_MAX ? d->n++ : FINDINGS_MAX - 1];
	va_list ap;

	*f = (struct finding){.verdict = verdict};
	snprintf(f->subject, sizeof(f->subject), "%s", subject);
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
}

void doctor_todo(struct doctor *d, const char *fmt, ...)
{
	struct finding *f = &d->list[d->n - 1];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->todo, sizeof(f->todo), fmt, ap);
	va_end(ap);
}

void doctor_exit(struct doctor *d, int exit_code)
{
	d->list[d->n - 1].exit = exit_code;
}

/* ---- what was found ---- */

static unsigned int count(const struct doctor *d, enum verdict v)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < d->n; i++)
		n += d->list[i].verdict == v;
	return n;
}

/* What nobody may is told before what nothing can. */
static int exit_code(const struct doctor *d)
{
	int rc = EXIT_OK;

	for (unsigned int i = 0; i < d->n; i++) {
		const struct finding *f = &d->list[i];

		if (f->verdict != VERDICT_FAIL)
			continue;
		if (f->exit == EXIT_PERM || (f->exit == EXIT_NOSUPPORT && rc != EXIT_PERM) || !rc)
			rc = f->exit ?: EXIT_FAILED;
	}
	return rc;
}

static void print_text(const struct doctor *d)
{
	unsigned int warnings = count(d, VERDICT_WARN), failures = count(d, VERDICT_FAIL);
	const unsigned int columns = term_columns(STDOUT_FILENO, 0);
	char line[sizeof(d->list[0])];

	for (unsigned int i = 0; i < d->n; i++) {
		const struct finding *f = &d->list[i];

		snprintf(line, sizeof(line), "  %-*s %-5s %s\n", SUBJECT_WIDTH, f->subject,
			 verdicts[f->verdict], f->text);
		term_wrap(stdout, line, columns, SUBJECT_WIDTH + 9);
		if (!*f->todo)
			continue;
		snprintf(line, sizeof(line), "%*s-> %s\n", SUBJECT_WIDTH + 9, "", f->todo);
		term_wrap(stdout, line, columns, SUBJECT_WIDTH + 12);
	}
	printf("  %u %s, %u %s\n", warnings, warnings == 1 ? "warning" : "warnings", failures,
	       failures == 1 ? "failure" : "failures");
}

static void member(struct json *j, const char *key, const char *text)
{
	json_key(j, key, strlen(key));
	json_str(j, text, strlen(text));
}

static void print_json(const struct doctor *d)
{
	static char buf[FINDINGS_MAX * 1024];
	struct json j;
	size_t len;

	json_init(&j, buf, sizeof(buf));
	json_open(&j, '{');
	json_key(&j, "checks", 6);
	json_open(&j, '[');
	for (unsigned int i = 0; i < d->n; i++) {
		const struct finding *f = &d->list[i];

		json_open(&j, '{');
		member(&j, "check", f->subject);
		if (*f->iface)
			member(&j, "iface", f->iface);
		member(&j, "status", verdicts[f->verdict]);
		member(&j, "text", f->text);
		if (*f->todo)
			member(&j, "todo", f->todo);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_key(&j, "warnings", 8);
	json_u64(&j, count(d, VERDICT_WARN));
	json_key(&j, "failures", 8);
	json_u64(&j, count(d, VERDICT_FAIL));
	json_close(&j, '}');
	if (!json_end(&j, &len)) {
		fwrite(buf, 1, len, stdout);
		putchar('\n');
	}
}

/* ---- which interfaces ---- */

static bool is_up(const char *ifname)
{
	char path[64], state[16];

	snprintf(path, sizeof(path), "/sys/class/net/%.15s/operstate", ifname);
	return read_line(path, state, sizeof(state)) && strcmp(state, "down");
}

/* An interface or pattern of another network namespace: how many there are. */
static void look_elsewhere(struct doctor *d, const char *name)
{
	struct if_nameindex *list = NULL;
	char label[NETNS_LABEL_MAX], full[IFACE_NAME_MAX + IF_NAMESIZE];
	struct iface_settings how;
	struct netns ns;
	unsigned int n = 0;

	if (name[0] == '!' || netns_label(name, label) || iface_is_pattern(label))
		return;
	if (netns_open(label, &ns)) {
		doctor_say(d, VERDICT_FAIL, name, "network namespace %s can't be entered", label);
		return;
	}
	if (!netns_enter(&ns)) {
		list = if_nameindex();
		netns_leave();
	}
	for (struct if_nameindex *i = list; i && i->if_index; i++) {
		snprintf(full, sizeof(full), "%s/%s", label, i->if_name);
		n += strcmp(i->if_name, "lo") && !fnmatch(name, full, FNM_PATHNAME) &&
		     settings_iface(d->settings, full, &how);
	}
	if (list)
		if_freenameindex(list);
	netns_close(&ns);
	doctor_say(d, n ? VERDICT_OK : VERDICT_WARN, name, "%u interfaces in network namespace %s",
		   n, label);
}

/* Those of the settings, names that are not there too; or all that are up. */
static void all_interfaces(struct doctor *d)
{
	struct if_nameindex *list = if_nameindex();
	bool any = d->settings->v[SET_INTERFACES].n || d->settings->v[SET_NETNS].n ||
		   d->settings->n_sections;
	bool pattern;
	const char *name;

	for (uint32_t i = 0; (name = settings_iface_name(d->settings, i, &pattern)); i++) {
		if (strchr(name, '/'))
			look_elsewhere(d, name);
		else if (!pattern && !if_nametoindex(name))
			doctor_iface(d, name);
	}
	for (struct if_nameindex *i = list; i && i->if_index; i++) {
		struct iface_settings how;

		if (any ? settings_iface(d->settings, i->if_name, &how)
			: strcmp(i->if_name, "lo") && is_up(i->if_name))
			doctor_iface(d, i->if_name);
	}
	if (list)
		if_freenameindex(list);
}

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	return getenv("WEIR_DEBUG") ? vfprintf(stderr, fmt, ap) : 0;
}

static int cmd_doctor(int argc, char **argv)
{
	static struct settings_args args;
	static struct config_errors errs;
	static struct doctor d;
	struct cli c = {.cmd = &command_doctor, .argc = argc, .argv = argv};
	struct settings *s;
	bool json = false;
	int id;

	while ((id = cli_next(&c)) > 0) {
		if (id == OPT_OUTPUT)
			json = !strcmp(c.arg, "json");
		else if (settings_option(&args, id, c.arg))
			return cli_error(&c, "more than %u options", SETTINGS_ARGS_MAX);
	}
	if (id == CLI_STOP)
		return c.status;
	if (settings_load(&weir_settings, &args, &s, &errs)) {
		settings_print_errors(&weir_settings, &args, &errs, stderr);
		return EXIT_USAGE;
	}
	d.settings = s;
	libbpf_set_print(quiet);
	doctor_host(&d);
	doctor_memory(&d);
	doctor_places(&d);
	all_interfaces(&d);
	if (json)
		print_json(&d);
	else
		print_text(&d);
	settings_free(s);
	return exit_code(&d);
}
