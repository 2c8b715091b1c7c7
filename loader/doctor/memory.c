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
#include "loader/dataplane.h"
#include "loader/doctor/doctor.h"
#include "loader/name/name.h"

#ifndef BPF_FS_MAGIC
#define BPF_FS_MAGIC 0xcafe4a11
#endif
#define SHADOW_BYTES  64ull /* of the drain, a slot of the cache */
#define PROGRAM_BYTES (8ull << 20)
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

/* In userspace at most: the merge's table and flows, the drain's shadow, names, export queues. */
static uint64_t worker_bytes(const struct settings *s)
{
	uint64_t flows = 2 * settings_num(s, SET_FLOWS), places = 64, sum;

	while (places < 2 * flows)
		places *= 2;
	sum = (256 + 2 * SHADOW_BYTES) * flows + 16 * places + name_limits_default.bytes +
	      PROGRAM_BYTES;
	for (uint32_t i = 0; i < s->n_exports; i++)
		sum += s->exports[i].queue_bytes;
	return sum;
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
	struct dataplane_cfg cfg = dataplane_cfg_default;
	uint64_t maps, all, there = available(), limit = group_limit();
	char text[3][32];

	cfg.flows = (uint32_t)settings_num(d->settings, SET_FLOWS);
	maps = dataplane_memory(&cfg, libbpf_num_possible_cpus());
	all = maps + worker_bytes(d->settings);
	bytes_text(maps, text[0], sizeof(text[0]));
	bytes_text(all - maps, text[1], sizeof(text[1]));
	if (limit < there)
		there = limit;
	bytes_text(there, text[2], sizeof(text[2]));
	if (there && all > there) {
		doctor_say(
			d, all > 2 * there ? VERDICT_FAIL : VERDICT_WARN, "memory",
			"%u flows need %s in the kernel at once and up to %s beside it, %s are there",
			cfg.flows, text[0], text[1], text[2]);
		doctor_todo(d, "lower --flows");
		doctor_exit(d, EXIT_FAILED);
	} else {
		doctor_say(d, VERDICT_OK, "memory",
			   "%u flows need %s in the kernel at once and up to %s beside it",
			   cfg.flows, text[0], text[1]);
	}
	check_memlock(d, maps);
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
