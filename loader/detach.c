// SPDX-License-Identifier: Apache-2.0
/*
 * detach.c - `weir detach`: takes weir's programs off interfaces when no weir does it itself: after a
 * kill -9 where TC filters or pins stayed. A program is weir's when its name is one of ours and it
 * uses the map that only ours has. What a living process holds is left to that process, unless
 * --force.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/scan.h"
#include "loader/attach.h"
#include "loader/command.h"
#include "loader/mirror/kernel.h"
#include "loader/pin.h"

#define LINK_TCX     11 /* kernel 6.6 */
#define TCX_INGRESS  46
#define OURS_MAP     "flows_cold"
#define PATTERNS_MAX 64

static int cmd_detach(int argc, char **argv);

enum { OPT_IFACE = 1, OPT_ALL, OPT_FORCE, OPT_DRY, OPT_PIN };

static const struct cli_option options[] = {
	{OPT_IFACE, 'i', "iface", "IFACE", CLI_IFACE, NULL,
	 "of this interface, or pattern; repeat for more"},
	{OPT_ALL, 0, "all", NULL, NULL, NULL, "of every interface"},
	{OPT_FORCE, 0, "force", NULL, NULL, NULL,
	 "also from under a weir that runs; it sees nothing more there"},
	{OPT_PIN, 0, "pin", "DIR", CLI_DIR, PIN_DIR,
	 "with --all: where weir run --pin kept things; they go too"},
	{OPT_DRY, 0, "dry-run", NULL, NULL, NULL, "say what would be done, change nothing"},
	{},
};

const struct cli_command command_detach = {
	.name = "detach",
	.help = "take weir's programs off interfaces where no weir runs any more",
	.doc = "Removes pinned links and TC filters that a weir left behind, and with --all what is under "
	       "the directory of --pin, flows that no weir has taken over among it. Programs that a living process "
	       "holds are left alone, unless --force: stop that process instead. Programs of others are "
	       "never touched.",
	.options = options,
	.examples = "weir detach --all --dry-run\n"
		    "weir detach -i eth0\n",
	.run = cmd_detach,
};

struct detach {
	const char *pattern[PATTERNS_MAX];
	unsigned int patterns; /* 0 = all */
	bool force, dry;
	const char *pin;
	unsigned int done, left, failed;
	int error;
};

static bool selected(const struct detach *d, const char *ifname)
{
	for (unsigned int i = 0; i < d->patterns; i++)
		if (!fnmatch(d->pattern[i], ifname, 0))
			return true;
	return !d->patterns;
}

/* ---- whose program, and who holds it ---- */

static bool has_our_map(const uint32_t *ids, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct bpf_map_info info = {};
		uint32_t len = sizeof(info);
		int fd = bpf_map_get_fd_by_id(ids[i]);
		bool ours = fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len) &&
			    !strcmp(info.name, OURS_MAP);

		if (fd >= 0)
			close(fd);
		if (ours)
			return true;
	}
	return false;
}

bool attach_is_ours(uint32_t prog_id)
{
	static const char *const names[] = {"xdp_flows", "tc_ingress", "tc_egress"};
	uint32_t ids[64], len = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = {.nr_map_ids = 64, .map_ids = (uintptr_t)ids};
	int fd = bpf_prog_get_fd_by_id(prog_id), r;

	if (fd < 0)
		return false;
	r = bpf_obj_get_info_by_fd(fd, &info, &len);
	close(fd);
	for (size_t i = 0; !r && i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(info.name, names[i]))
			return has_our_map(ids, info.nr_map_ids < 64 ? info.nr_map_ids : 64);
	return false;
}

/* Does a line "KEY:\tNUMBER" stand in one of the process's fdinfo? */
static bool process_holds(const char *pid, const char *key, uint32_t number)
{
	char path[64], line[128], want[64];
	struct dirent *e;
	bool found = false;
	DIR *dir;

	snprintf(want, sizeof(want), "%s:\t%u\n", key, number);
	snprintf(path, sizeof(path), "/proc/%.16s/fdinfo", pid);
	dir = opendir(path);
	while (dir && !found && (e = readdir(dir))) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%.16s/fdinfo/%.16s", pid, e->d_name);
		f = fopen(path, "re");
		while (f && !found && fgets(line, sizeof(line), f))
			found = !strcmp(line, want);
		if (f)
			fclose(f);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* The process that has "link_id" or "prog_id" @number open; 0 = none. */
static unsigned int holder(const char *key, uint32_t number)
{
	struct dirent *e;
	unsigned int found = 0;
	DIR *dir = opendir("/proc");

	while (dir && !found && (e = readdir(dir))) {
		uint64_t pid;

		if (!scan_u64(e->d_name, 1, UINT32_MAX, &pid) && pid != (uint64_t)getpid() &&
		    process_holds(e->d_name, key, number))
			found = (unsigned int)pid;
	}
	if (dir)
		closedir(dir);
	return found;
}

/* ---- doing it ---- */

/* May it go? Says why not. */
static bool may_go(struct detach *d, const char *ifname, const char *what, unsigned int pid)
{
	if (pid && !d->force) {
		printf("%s: %s is held by process %u: stop that, or --force\n", ifname, what, pid);
		d->left++;
		return false;
	}
	if (d->dry) {
		printf("%s: would detach %s\n", ifname, what);
		d->done++;
		return false;
	}
	return true;
}

static void tell(struct detach *d, const char *ifname, const char *what, int r)
{
	if (r) {
		fprintf(stderr, "weir: %s: detach %s: %s\n", ifname, what, strerror(-r));
		d->failed++;
		d->error = r;
		return;
	}
	printf("%s: detached %s\n", ifname, what);
	d->done++;
}

/* Links know the interface of another namespace by its number too: is it the program on ours? */
static bool is_on(unsigned int ifindex, uint32_t type, uint32_t attach_type, uint32_t prog_id)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);
	uint32_t ids[64];
	union bpf_attr attr = {};

	if (type == BPF_LINK_TYPE_XDP)
		return !bpf_xdp_query((int)ifindex, 0, &q) &&
		       (q.prog_id == prog_id || q.drv_prog_id == prog_id ||
			q.skb_prog_id == prog_id);
	attr.query.target_fd = ifindex;
	attr.query.attach_type = attach_type;
	attr.query.prog_ids = (uintptr_t)ids;
	attr.query.prog_cnt = 64;
	if (syscall(SYS_bpf, BPF_PROG_QUERY, &attr, sizeof(attr)))
		return false;
	for (uint32_t i = 0; i < attr.query.prog_cnt && i < 64; i++)
		if (ids[i] == prog_id)
			return true;
	return false;
}

static void look_at_link(struct detach *d, int fd)
{
	struct bpf_link_info info = {};
	uint32_t len = sizeof(info), attach_type;
	char ifname[IF_NAMESIZE];
	const char *what;

	if (bpf_obj_get_info_by_fd(fd, &info, &len) ||
	    (info.type != BPF_LINK_TYPE_XDP && info.type != LINK_TCX))
		return;
	/* struct {u32 ifindex; u32 attach_type;} of TCX begins as XDP's does */
	if (!if_indextoname(info.xdp.ifindex, ifname) || !selected(d, ifname) ||
	    !attach_is_ours(info.prog_id))
		return;
	memcpy(&attach_type, (const char *)&info.xdp.ifindex + sizeof(uint32_t),
	       sizeof(attach_type));
	if (!is_on(info.xdp.ifindex, info.type, attach_type, info.prog_id))
		return;
	what = info.type == BPF_LINK_TYPE_XDP ? "XDP"
	       : attach_type == TCX_INGRESS   ? "TCX ingress"
					      : "TCX egress";
	if (may_go(d, ifname, what, holder("link_id", info.id)))
		tell(d, ifname, what, bpf_link_detach(fd) ? -errno : 0);
}

static int look_at_links(struct detach *d)
{
	uint32_t id = 0;

	while (!bpf_link_get_next_id(id, &id)) {
		int fd = bpf_link_get_fd_by_id(id);

		if (fd < 0 && errno == EPERM)
			return -EPERM;
		if (fd < 0) /* gone meanwhile */
			continue;
		look_at_link(d, fd);
		close(fd);
	}
	return errno == ENOENT ? 0 : -errno;
}

/* A clsact filter of ours has our handle and priority, and our program. */
static void look_at_filter(struct detach *d, unsigned int ifindex, const char *ifname, bool egress)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
		    .attach_point = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, q, .handle = TC_FILTER_HANDLE, .priority = TC_FILTER_PRIORITY);
	LIBBPF_OPTS(bpf_tc_opts, gone, .handle = TC_FILTER_HANDLE, .priority = TC_FILTER_PRIORITY);
	const char *what = egress ? "TC filter egress" : "TC filter ingress";

	if (bpf_tc_query(&hook, &q) || !attach_is_ours(q.prog_id))
		return;
	if (may_go(d, ifname, what, holder("prog_id", q.prog_id)))
		tell(d, ifname, what, bpf_tc_detach(&hook, &gone));
}

static void look_at_filters(struct detach *d)
{
	struct if_nameindex *list = if_nameindex();

	for (struct if_nameindex *i = list; i && i->if_index; i++) {
		if (!selected(d, i->if_name))
			continue;
		look_at_filter(d, i->if_index, i->if_name, false);
		look_at_filter(d, i->if_index, i->if_name, true);
	}
	if (list)
		if_freenameindex(list);
}

/* ---- command ---- */

static int silent(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	return getenv("WEIR_DEBUG") ? vfprintf(stderr, fmt, ap) : 0;
}

/* Return: -1, or the exit status. */
static int parse(struct cli *c, struct detach *d)
{
	bool all = false;
	int id;

	while ((id = cli_next(c)) > 0) {
		if (id == OPT_ALL)
			all = true;
		else if (id == OPT_FORCE)
			d->force = true;
		else if (id == OPT_DRY)
			d->dry = true;
		else if (id == OPT_PIN)
			d->pin = c->arg;
		else if (d->patterns == PATTERNS_MAX)
			return cli_error(c, "more than %u interfaces", PATTERNS_MAX);
		else
			d->pattern[d->patterns++] = c->arg;
	}
	if (id == CLI_STOP)
		return c->status;
	if (all == (d->patterns != 0))
		return cli_error(c, "which interfaces? give -i IFACE, or --all");
	return -1;
}

static int result(const struct detach *d)
{
	if (d->failed)
		return d->done ? EXIT_PARTLY : d->error == -EPERM ? EXIT_PERM : EXIT_FAILED;
	if (d->left)
		return d->done ? EXIT_PARTLY : EXIT_FAILED;
	if (!d->done)
		puts("no weir program is on these interfaces");
	else if (!d->dry && !d->patterns)
		puts("no weir program is left here");
	return EXIT_OK;
}

/* What a mirror left that was killed. */
static void sweep_mirror(struct detach *d)
{
	int r = d->dry ? (int)(if_nametoindex(MIRROR_PAIR_NEAR) != 0) : mirror_sweep();

	if (r == -EBUSY) {
		printf("%s: a weir that runs mirrors through it: stop that\n", MIRROR_PAIR_NEAR);
		d->left++;
	} else if (r < 0) {
		tell(d, MIRROR_PAIR_NEAR, "the mirror's pair", r);
	} else if (r) {
		printf("%s: %s\n", MIRROR_PAIR_NEAR, d->dry ? "would be deleted" : "deleted");
		d->done++;
	}
}

/* Flows and links under the directory of --pin. One that nobody named need not be there. */
static void forget_pins(struct detach *d)
{
	const char *dir = d->pin ?: PIN_DIR;
	struct pin pin;
	int r;

	if (!d->pin && access(dir, F_OK))
		return;
	if (d->dry) {
		printf("%s: would be forgotten, with the flows in it\n", dir);
		d->done++;
		return;
	}
	r = pin_open(&pin, dir, false);
	if (r == -EBUSY && !d->pin) {
		printf("%s\n", pin.error);
		d->left++;
	} else if (r) {
		fprintf(stderr, "weir: %s\n", pin.error);
		d->failed++;
		d->error = r;
	} else {
		pin_remove(&pin);
		printf("%s: forgotten\n", dir);
		d->done++;
	}
	pin_close(&pin);
}

static int cmd_detach(int argc, char **argv)
{
	struct cli c = {.cmd = &command_detach, .argc = argc, .argv = argv};
	struct detach d = {};
	int rc = parse(&c, &d), r;

	if (rc >= 0)
		return rc;
	libbpf_set_print(silent);
	r = look_at_links(&d);
	if (r == -EPERM) {
		fputs("weir: detach: not permitted — looking at links of others needs root "
		      "(CAP_SYS_ADMIN)\n",
		      stderr);
		return EXIT_PERM;
	}
	if (r) {
		fprintf(stderr, "weir: detach: %s\n", strerror(-r));
		return EXIT_FAILED;
	}
	look_at_filters(&d);
	if (!d.patterns) {
		sweep_mirror(&d);
		forget_pins(&d);
	}
	return result(&d);
}
