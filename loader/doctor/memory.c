// SPDX-License-Identifier: Apache-2.0
/*
 * memory.c - what weir takes at most at the settings, against what there is; and the places it
 * needs: bpffs for --pin, the directory of its socket, its user.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/scan.h"
#include "loader/command.h"
#include "loader/control/history.h"
#include "loader/control/live.h"
#include "loader/dataplane.h"
#include "loader/doctor/doctor.h"
#include "loader/drain.h"
#include "loader/ledger.h"
#include "loader/merge.h"
#include "loader/name/name.h"
#include "loader/sighting.h"
#include "loader/worker.h"

#ifndef BPF_FS_MAGIC
#define BPF_FS_MAGIC 0xcafe4a11
#endif
#define PROGRAM_BYTES (16ull << 20) /* both processes without a flow: libraries, buffers, tables */
#define BPFFS	      "/sys/fs/bpf"

const char *bytes_text(uint64_t bytes, char *buf, size_t cap)
{
	if (bytes < 10 << 20)
		snprintf(buf, cap, "%llu KiB", (unsigned long long)(bytes >> 10));
	else
		snprintf(buf, cap, "%llu MiB", (unsigned long long)(bytes >> 20));
	return buf;
}

bool read_line(const char *path, char *buf, size_t cap)
{
	FILE *f = fopen(path, "re");
	bool ok;

	if (!f)
		return false;
	ok = fgets(buf, (int)cap, f) != NULL;
	fclose(f);
	if (ok)
		buf[strcspn(buf, "\n")] = 0;
	return ok;
}

/* MemAvailable; 0 = unknown. */
static uint64_t available(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128], digits[32];
	uint64_t kib = 0;

	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "MemAvailable:", 13))
			continue;
		snprintf(digits, sizeof(digits), "%s", line + 13 + strspn(line + 13, " "));
		digits[strspn(digits, "0123456789")] = 0;
		scan_u64(digits, 0, UINT64_MAX >> 10, &kib);
		break;
	}
	if (f)
		fclose(f);
	return kib << 10;
}

/* memory.max of our control group (v2), or of one above it; UINT64_MAX = no limit. */
static uint64_t group_limit(void)
{
	char group[256], path[400], text[32];
	uint64_t limit = UINT64_MAX, v;

	if (!read_line("/proc/self/cgroup", group, sizeof(group)) || strncmp(group, "0::", 3))
		return limit;
	for (;;) {
		char *slash;

		snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.max", group + 3);
		if (read_line(path, text, sizeof(text)) && !scan_u64(text, 0, UINT64_MAX, &v) &&
		    v < limit)
			limit = v;
		slash = strrchr(group + 3, '/');
		if (!slash)
			return limit;
		*slash = 0;
	}
}

/* Bytes: in the kernel, taken at once; beside it when as many flows are there as are asked for, and
 * at most.
 */
struct need {
	uint64_t kernel, beside, most;
};

/* Flows of several interfaces are remembered once more; a pattern may fit several. */
static bool several_interfaces(const struct settings *s)
{
	bool pattern = false;
	uint32_t n = 0;

	while (!pattern && settings_iface_name(s, n, &pattern))
		n++;
	return pattern || n != 1;
}

static bool has_control(const struct settings *s)
{
	return !settings_is_word(s, SET_CONTROL_SOCKET) || !settings_is_word(s, SET_METRICS_LISTEN);
}

static void flows_need(const struct settings *s, uint64_t slots, struct need *n)
{
	static struct run_cfg run; /* large */
	const uint32_t flows = run.dp.flows = (uint32_t)settings_num(s, SET_FLOWS);
	const uint32_t max = worker_flows(&run);
	const bool verdicts = settings_num(s, SET_POLICY_ENTRIES) != 0;
	const bool pinned = strcmp(settings_text(s, SET_PIN), "no") != 0;

	n->beside += merge_memory(max, pinned ? 0 : flows) + drain_memory(pinned ? 0 : slots);
	n->most += merge_memory(max, pinned ? 0 : max) + drain_memory(pinned ? 0 : slots);
	if (pinned)
		n->kernel += ledger_bytes(max) + ledger_tables_bytes(slots, verdicts ? slots : 0);
	if (several_interfaces(s)) {
		n->beside += sightings_memory(max, flows);
		n->most += sightings_memory(max, max);
	}
	if (settings_num(s, SET_ROLE) == ROLE_MIRROR) {
		n->beside += merge_copies_memory(max, flows);
		n->most += merge_copies_memory(max, max);
	}
	if (has_control(s)) {
		n->beside += history_memory((uint32_t)settings_num(s, SET_CONTROL_HISTORY));
		n->most += history_memory((uint32_t)settings_num(s, SET_CONTROL_HISTORY)) +
			   live_memory(max);
	}
}

/* Return: as dataplane_memory(). */
static int count_need(const struct settings *s, struct need *n)
{
	struct dataplane_cfg cfg;
	uint64_t slots;
	int r;

	*n = (struct need){.beside = PROGRAM_BYTES, .most = PROGRAM_BYTES};
	settings_dataplane(s, &cfg);
	r = dataplane_memory(&cfg, &n->kernel, &slots);
	flows_need(s, slots, n);
	n->most += merge_cfg_default.names_bytes + name_limits_default.bytes;
	for (uint32_t i = 0; i < settings_exports(s)->n; i++)
		n->most += settings_exports(s)->cfg[i].queue_bytes;
	return r;
}

/* Before memory was accounted by control group, maps needed RLIMIT_MEMLOCK. */
static void check_memlock(struct doctor *d, uint64_t bytes)
{
	struct rlimit lim = {};

	if (!d->may_bpf || libbpf_probe_bpf_helper(BPF_PROG_TYPE_SOCKET_FILTER,
						   BPF_FUNC_ktime_get_coarse_ns, NULL) == 1)
		return;
	getrlimit(RLIMIT_MEMLOCK, &lim);
	if (lim.rlim_cur == RLIM_INFINITY || lim.rlim_cur > bytes)
		return;
	doctor_say(d, VERDICT_WARN, "memlock", "%llu bytes may be locked, the maps need %llu",
		   (unsigned long long)lim.rlim_cur, (unsigned long long)bytes);
	doctor_todo(d, "ulimit -l unlimited, or LimitMEMLOCK=infinity in the unit");
}

void doctor_memory(struct doctor *d)
{
	const uint32_t flows = (uint32_t)settings_num(d->settings, SET_FLOWS);
	uint64_t there = available(), limit = group_limit(), all;
	char kernel[32], beside[32], most[32], text[32];
	struct need n;
	int r = count_need(d->settings, &n);

	if (r) {
		doctor_say(d, VERDICT_FAIL, "memory", "can't be told: %s", strerror(-r));
		return;
	}
	all = n.kernel + n.most;
	bytes_text(n.kernel, kernel, sizeof(kernel));
	bytes_text(n.beside, beside, sizeof(beside));
	bytes_text(n.most, most, sizeof(most));
	if (limit < there)
		there = limit;
	if (there && all > there) {
		doctor_say(d, n.kernel + n.beside > there ? VERDICT_FAIL : VERDICT_WARN, "memory",
			   "%u flows need %s in the kernel at once and %s beside it (at most %s); "
			   "%s are there",
			   flows, kernel, beside, most, bytes_text(there, text, sizeof(text)));
		doctor_todo(d, "lower --flows");
		doctor_exit(d, EXIT_FAILED);
	} else {
		doctor_say(d, VERDICT_OK, "memory",
			   "%u flows need %s in the kernel at once and %s beside it (at most %s)",
			   flows, kernel, beside, most);
	}
	check_memlock(d, n.kernel);
}

/* ---- places ---- */

static void check_pin(struct doctor *d)
{
	const char *pin = settings_text(d->settings, SET_PIN);
	const char *dir = settings_is_word(d->settings, SET_PIN) ? BPFFS "/weir" : pin;
	struct statfs fs;

	if (!strcmp(pin, "no")) {
		doctor_say(d, VERDICT_OK, "pin",
			   "off: counts since the last drain are lost if weir is killed");
		return;
	}
	if (statfs(dir, &fs)) {
		doctor_say(d, VERDICT_FAIL, "pin", "%.150s: %s", dir, strerror(errno));
		doctor_todo(d,
			    "mount -t bpf bpf " BPFFS "; install -d -o weir -g weir -m 0700 %.120s",
			    dir);
		doctor_exit(d, EXIT_FAILED);
	} else if ((uint64_t)fs.f_type != BPF_FS_MAGIC) {
		doctor_say(d, VERDICT_FAIL, "pin", "%.150s is not in a bpf file system", dir);
		doctor_todo(d, "mount -t bpf bpf " BPFFS);
		doctor_exit(d, EXIT_FAILED);
	} else if (access(dir, W_OK | X_OK)) {
		doctor_say(d, VERDICT_FAIL, "pin", "%.150s: %s", dir, strerror(errno));
		doctor_todo(d, "chown it to the user that runs weir");
		doctor_exit(d, EXIT_PERM);
	} else {
		doctor_say(d, VERDICT_OK, "pin", "%.150s", dir);
	}
}

static void check_user(struct doctor *d)
{
	if (getpwnam("weir")) {
		doctor_say(d, VERDICT_OK, "user", "weir");
		return;
	}
	doctor_say(d, VERDICT_WARN, "user", "there is no user 'weir'; the unit runs as it");
	doctor_todo(d, "systemd-sysusers, or useradd --system weir");
}

static void check_socket(struct doctor *d)
{
	char dir[256];
	char *slash;

	if (settings_is_word(d->settings, SET_CONTROL_SOCKET))
		return;
	snprintf(dir, sizeof(dir), "%s", settings_text(d->settings, SET_CONTROL_SOCKET));
	slash = strrchr(dir, '/');
	slash[slash == dir] = 0;
	if (access(dir, F_OK)) {
		doctor_say(d, VERDICT_WARN, "control", "%.200s: %s", dir, strerror(errno));
		doctor_todo(d, "systemd-tmpfiles --create weir.conf, or give --control-socket");
	} else {
		doctor_say(d, VERDICT_OK, "control", "%.200s",
			   settings_text(d->settings, SET_CONTROL_SOCKET));
	}
}

void doctor_places(struct doctor *d)
{
	check_pin(d);
	check_socket(d);
	check_user(d);
}
