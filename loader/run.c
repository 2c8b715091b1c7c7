// SPDX-License-Identifier: Apache-2.0
#include "loader/run.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/scan.h"
#include "loader/command.h"
#include "loader/core.h"
#include "loader/pin.h"
#include "loader/policy/host.h"
#include "loader/settings.h"

const struct cli_command command_run = {
	.name = "run",
	.help = "watch interfaces: count, name and export their flows",
	.doc = "Attach to interfaces, count every packet of every flow, read names, print flows. "
	       "Ctrl-C writes what is left, detaches and prints a summary.",
	.options = settings_options,
	.examples = "weir run -i eth0\n"
		    "weir run -i eth0 -o json --idle-timeout 30s > flows.ndjson\n"
		    "weir run -i eth1 --mirror-target --health-listen 0.0.0.0:8477\n"
		    "weir run --config /etc/weir/weir.conf\n",
	.run = cmd_run,
};

static void take(const struct iface_settings *how, struct iface_want *ret)
{
	ret->role = how->role;
	ret->hook = how->hook;
	ret->sample = how->sample;
	ret->decap_depth = how->decap_depth;
}

static bool pick(const void *arg, const char *ifname, struct iface_want *ret)
{
	struct iface_settings how;

	if (!settings_iface(arg, ifname, &how))
		return false;
	take(&how, ret);
	return true;
}

/* A name that can be one: IFACE, NAMESPACE/IFACE, PATH/IFACE. */
static bool fits(const char *name, bool pattern)
{
	char label[NETNS_LABEL_MAX];
	const char *slash = strrchr(name, '/');

	return !netns_label(name, label) &&
	       strlen(slash ? slash + 1 : name) < (pattern ? IFACE_PATTERN_MAX / 2 : IF_NAMESIZE);
}

static int add_ifaces(const struct settings *s, struct run_cfg *cfg)
{
	struct iface_settings how;
	const char *name;
	bool pattern;

	for (uint32_t i = 0; (name = settings_iface_name(s, i, &pattern)); i++) {
		struct iface_want *w = &cfg->iface[cfg->ifaces];

		if (name[0] == '!')
			continue;
		if (cfg->ifaces == RUN_IFACES_MAX || !fits(name, pattern)) {
			log_error(
				name, "%s",
				cfg->ifaces == RUN_IFACES_MAX
					? "64 interfaces are the limit; a pattern takes many at once"
					: "too long for the name of an interface");
			return -E2BIG;
		}
		snprintf(w->name, sizeof(w->name), "%s", name);
		settings_all_ifaces(s, &how);
		take(&how, w);
		pick(s, name, w); /* a pattern: each interface that fits it is asked for again */
		cfg->ifaces++;
	}
	cfg->pick = pick;
	cfg->pick_arg = s;
	return 0;
}

/* "127.0.0.1:9477", "[::1]:9477": checked when the settings were loaded. */
static void split_address(const char *text, char *ret_host, size_t room, uint16_t *ret_port)
{
	const char *colon = strrchr(text, ':');
	const bool brackets = text[0] == '[';
	uint64_t port;

	snprintf(ret_host, room, "%.*s", (int)(colon - text - 2 * brackets), text + brackets);
	if (!scan_u64(colon + 1, 0, UINT16_MAX, &port))
		*ret_port = (uint16_t)port;
}

static int make_control(const struct settings *s, struct control_cfg *cfg)
{
	const char *path = settings_text(s, SET_CONTROL_SOCKET);

	if (!settings_is_word(s, SET_CONTROL_SOCKET)) {
		if (strlen(path) >= sizeof(cfg->path)) {
			log_error(path, "too long for a socket, %zu letters at most",
				  sizeof(cfg->path) - 1);
			return -ENAMETOOLONG;
		}
		snprintf(cfg->path, sizeof(cfg->path), "%s", path);
		cfg->optional = s->v[SET_CONTROL_SOCKET].origin == FROM_DEFAULT;
	}
	snprintf(cfg->group, sizeof(cfg->group), "%s", settings_text(s, SET_CONTROL_GROUP));
	cfg->mode = (uint32_t)settings_num(s, SET_CONTROL_MODE);
	cfg->history = (uint32_t)settings_num(s, SET_CONTROL_HISTORY);
	snprintf(cfg->capture_group, sizeof(cfg->capture_group), "%s",
		 settings_text(s, SET_CAPTURE_GROUP));
	if (!settings_is_word(s, SET_METRICS_LISTEN))
		split_address(settings_text(s, SET_METRICS_LISTEN), cfg->host, sizeof(cfg->host),
			      &cfg->port);
	if (!settings_is_word(s, SET_HEALTH_LISTEN))
		split_address(settings_text(s, SET_HEALTH_LISTEN), cfg->health_host,
			      sizeof(cfg->health_host), &cfg->health_port);
	cfg->health_window_ns = settings_num(s, SET_HEALTH_WINDOW);
	cfg->health_refuse = settings_num(s, SET_HEALTH_REFUSE);
	return 0;
}

static int make_recorder(const struct settings *s, struct recorder_cfg *cfg)
{
	const char *dir = settings_text(s, SET_CAPTURE_DIR);

	cfg->quota = settings_num(s, SET_CAPTURE_QUOTA);
	cfg->disk = (struct disk_cfg){.quota = settings_num(s, SET_CAPTURE_DISK),
				      .file_bytes = settings_num(s, SET_CAPTURE_DISK_FILE),
				      .file_ns = settings_num(s, SET_CAPTURE_DISK_TIME)};
	snprintf(cfg->group, sizeof(cfg->group), "%s", settings_text(s, SET_CAPTURE_GROUP));
	if (settings_is_word(s, SET_CAPTURE_DIR))
		return 0;
	if (strlen(dir) < sizeof(cfg->dir)) {
		snprintf(cfg->dir, sizeof(cfg->dir), "%s", dir);
		return 0;
	}
	log_error(dir, "capture.dir is %zu letters at most", sizeof(cfg->dir) - 1);
	return -ENAMETOOLONG;
}

static int make_labels(const struct settings *s, struct run_cfg *cfg)
{
	const struct setting_value *l = &s->v[SET_LABELS];
	struct flow_str *v = l->n ? calloc(l->n, sizeof(*v)) : NULL;

	if (l->n && !v)
		return -ENOMEM;
	for (uint32_t i = 0; i < l->n; i++)
		v[i] = (struct flow_str){l->list[i], (uint32_t)strlen(l->list[i])};
	cfg->labels = (struct flow_strs){v, l->n};
	cfg->node = settings_text(s, SET_NODE_NAME);
	return 0;
}

static int make_cfg(const struct settings *s, struct run_cfg *cfg)
{
	const struct settings_exports *x = settings_exports(s);

	settings_dataplane(s, &cfg->dp);
	cfg->sample = (uint32_t)settings_num(s, SET_SAMPLE);
	cfg->interval_ns = settings_num(s, SET_DRAIN_INTERVAL);
	cfg->active_ns = settings_num(s, SET_ACTIVE_TIMEOUT);
	cfg->idle_ns = settings_num(s, SET_IDLE_TIMEOUT);
	cfg->syn_ns = settings_num(s, SET_SYN_TIMEOUT);
	cfg->duration_ns = settings_is_word(s, SET_DURATION) ? 0 : settings_num(s, SET_DURATION);
	cfg->summary_json = settings_num(s, SET_SUMMARY) == 1;
	memcpy(cfg->exports, x->cfg, x->n * sizeof(cfg->exports[0]));
	cfg->n_exports = x->n;
	cfg->mirrors = *settings_mirrors(s);
	if (settings_is_word(s, SET_PIN))
		cfg->pin = strcmp(settings_text(s, SET_PIN), "yes") ? NULL : PIN_DIR;
	else
		cfg->pin = settings_text(s, SET_PIN);
	cfg->replace = settings_num(s, SET_REPLACE);
	if (cfg->replace && !cfg->pin) {
		fputs("weir: --replace takes the place of a weir that runs with --pin; give --pin too\n",
		      stderr);
		return -EINVAL;
	}
	cfg->policy.keep = cfg->pin != NULL;
	return make_labels(s, cfg)
		       ?: make_recorder(s, &cfg->recorder)
			       ?: make_control(s, &cfg->control)
				  ?: policy_host_cfg(s, &cfg->policy) ?: add_ifaces(s, cfg);
}

/* ---- settings at start, and again ---- */

static struct settings_args run_args;
static struct settings *in_force, *before;

static int load(struct settings **ret)
{
	static struct config_errors errs;
	int r;

	errs.count = 0;
	r = settings_load(&weir_settings, &run_args, ret, &errs);
	if (r)
		settings_print_errors(&weir_settings, &run_args, &errs, stderr);
	return r;
}

/* What takes a restart stays as it is. */
static void keep_fixed(struct settings *now, const struct settings *was)
{
	char name[64];

	for (unsigned int id = 0; (id = settings_changed(was, now, id)) < _SET_MAX; id++) {
		if (settings_table[id].flags & SF_RELOAD)
			continue;
		log_warn(setting_name(&weir_settings, id, name, sizeof(name)),
			 "changed from '%s' to '%s', which takes a restart", was->v[id].text,
			 now->v[id].text);
		settings_keep(now, was, id);
	}
}

int run_reload(struct run_cfg *ret)
{
	struct settings *now;

	if (load(&now))
		return -EINVAL;
	keep_fixed(now, in_force);
	if (make_cfg(now, ret)) {
		settings_free(now);
		return -EINVAL;
	}
	log_set_level(settings_num(now, SET_LOG_LEVEL));
	settings_free(before);
	before = in_force;
	in_force = now;
	return 0;
}

int cmd_run(int argc, char **argv)
{
	static struct run_cfg cfg;
	struct cli c = {.cmd = &command_run, .argc = argc, .argv = argv};
	int id;

	while ((id = cli_next(&c)) > 0)
		if (settings_option(&run_args, id, c.arg))
			return cli_error(&c, "more than %u options", SETTINGS_ARGS_MAX);
	if (id == CLI_STOP)
		return c.status;
	if (load(&in_force))
		return EXIT_USAGE;
	log_init(settings_num(in_force, SET_LOG_FORMAT), settings_num(in_force, SET_LOG_LEVEL));
	if (!in_force->v[SET_INTERFACES].n && !in_force->v[SET_NETNS].n && !in_force->n_sections)
		return cli_error(&c, "which interface? give -i IFACE, or name it in the "
				     "configuration file");
	if (make_cfg(in_force, &cfg))
		return EXIT_USAGE;
	cfg.reload = run_reload;
	return core_run(&cfg); /* the settings stay: cfg points into them */
}
