// SPDX-License-Identifier: Apache-2.0
/*
 * host.c - the kernel: what it can do, what this process may, the JIT and the switches about BPF.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "loader/command.h"
#include "loader/control/privileges.h"
#include "loader/dataplane.h"
#include "loader/doctor/doctor.h"
#include "loader/netns.h"

#define TCX_INGRESS 46
#define NO_IFINDEX  0x7ffffffe

/* ---- privileges ---- */

static uint64_t effective_capabilities(void)
{
	struct __user_cap_header_struct hdr = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {};

	if (syscall(SYS_capget, &hdr, data))
		return 0;
	return data[0].effective | (uint64_t)data[1].effective << 32;
}

/* What other network namespaces that are asked for take beside the rest. */
static void check_netns(struct doctor *d, uint64_t have)
{
	char label[NETNS_LABEL_MAX];
	const char *name;
	bool any = false, pattern;

	for (uint32_t i = 0; (name = settings_iface_name(d->settings, i, &pattern)); i++)
		any |= name[0] != '!' && !netns_label(name, label) && label[0];
	if (!any)
		return;
	if (have >> CAP_SYS_ADMIN & 1) {
		doctor_say(d, VERDICT_OK, "network namespaces", "sys_admin, to enter others");
		return;
	}
	doctor_say(d, VERDICT_FAIL, "network namespaces", "missing: sys_admin, to enter others");
	doctor_todo(
		d, "add CAP_SYS_ADMIN (in the unit: AmbientCapabilities, CapabilityBoundingSet and "
		   "RestrictNamespaces=net), or watch pods at the host's side of their veth pairs");
	doctor_exit(d, EXIT_PERM);
}

static void check_capabilities(struct doctor *d)
{
	static const struct {
		int cap;
		const char *name;
	} need[] = {{CAP_BPF, "bpf"}, {CAP_NET_ADMIN, "net_admin"}, {CAP_PERFMON, "perfmon"}};
	uint64_t have = effective_capabilities();
	char missing[64] = "";

	for (size_t i = 0; i < sizeof(need) / sizeof(need[0]); i++) {
		if (have >> need[i].cap & 1)
			continue;
		snprintf(missing + strlen(missing), sizeof(missing) - strlen(missing), " %s",
			 need[i].name);
	}
	d->may_bpf = !*missing;
	if (d->may_bpf) {
		doctor_say(d, VERDICT_OK, "capabilities", "bpf net_admin perfmon");
	} else {
		doctor_say(d, VERDICT_FAIL, "capabilities", "missing:%s", missing);
		doctor_todo(d, "run as root, by the systemd unit, or with "
			       "setcap cap_bpf,cap_net_admin,cap_perfmon+ep on the program");
		doctor_exit(d, EXIT_PERM);
	}
	check_netns(d, have);
}

/* ---- what the kernel can do ---- */

static int tiny_program(enum bpf_prog_type type)
{
	const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(type, "weir_probe", "GPL", code, 2, NULL);
}

/* A kernel with TCX looks for the interface first, one without refuses the attach type. */
static bool has_tcx(void)
{
	union bpf_attr attr = {};
	int prog = tiny_program(BPF_PROG_TYPE_SCHED_CLS);
	bool tcx;

	if (prog < 0)
		return false;
	attr.link_create.prog_fd = (uint32_t)prog;
	attr.link_create.target_ifindex = NO_IFINDEX;
	attr.link_create.attach_type = TCX_INGRESS;
	tcx = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr)) < 0 && errno == ENODEV;
	close(prog);
	return tcx;
}

static bool has_mapped_arrays(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "weir_probe", 4, 8, 8, &opts);
	void *p;

	if (fd < 0)
		return false;
	p = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		munmap(p, page);
	close(fd);
	return p != MAP_FAILED;
}

static bool has_ring(void)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "weir_probe", 0, 0,
				(uint32_t)sysconf(_SC_PAGESIZE), NULL);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool has_xdp(void)
{
	int fd = tiny_program(BPF_PROG_TYPE_XDP);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void append(char *list, size_t cap, const char *word)
{
	size_t n = strlen(list);

	snprintf(list + n, cap - n, "%s%s", n ? ", " : "", word);
}

static void check_kernel(struct doctor *d)
{
	char have[96] = "", lack[96] = "";
	struct utsname u;
	struct {
		bool there;
		const char *name;
	} needed[4];

	uname(&u);
	if (!d->may_bpf) {
		doctor_say(d, VERDICT_WARN, "kernel",
			   "%.60s; its abilities can't be probed without "
			   "capabilities",
			   u.release);
		return;
	}
	d->tcx = has_tcx();
	needed[0] = (typeof(needed[0])){has_xdp(), "XDP"};
	needed[1] = (typeof(needed[0])){has_ring(), "ring buffer"};
	needed[2] = (typeof(needed[0])){has_mapped_arrays(), "mapped arrays"};
	needed[3] = (typeof(needed[0])){access("/sys/kernel/btf/vmlinux", R_OK) == 0, "BTF"};
	for (int i = 0; i < 4; i++)
		append(needed[i].there ? have : lack, sizeof(have), needed[i].name);
	append(have, sizeof(have), d->tcx ? "TCX" : "TC by clsact");
	if (!needed[0].there || !needed[1].there || !needed[2].there) {
		doctor_say(d, VERDICT_FAIL, "kernel", "%.60s: no %s", u.release, lack);
		doctor_todo(d, "a kernel of 6.1 or later with CONFIG_BPF_SYSCALL is needed");
		doctor_exit(d, EXIT_NOSUPPORT);
	} else {
		doctor_say(d, VERDICT_OK, "kernel", "%.60s: %s", u.release, have);
	}
}

static bool is_compiled(int prog_fd)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);

	return !bpf_obj_get_info_by_fd(prog_fd, &info, &len) && info.jited_prog_len;
}

/* The real programs, at the smallest size, all roles: the verifier's word is what counts. */
static void check_programs(struct doctor *d)
{
	static struct dataplane dp;
	struct dataplane_cfg cfg = dataplane_cfg_default;
	int r = 0;

	if (!d->may_bpf)
		return;
	cfg.flows = 1024;
	cfg.evicted_bytes = cfg.events_bytes = 1u << 20;
	for (int role = 0; !r && role < _ROLE_MAX; role++) {
		struct dataplane_variant v = dataplane_variant_default;

		v.role = (enum role)role;
		r = dataplane_load(&dp, &cfg, &v);
	}
	dataplane_done(&dp);
	if (!r) {
		doctor_say(d, VERDICT_OK, "programs", "load for every role");
		return;
	}
	doctor_say(d, VERDICT_FAIL, "programs", "the kernel refuses them: %s", strerror(-r));
	doctor_todo(d, "WEIR_DEBUG=1 weir doctor shows what it says");
	doctor_exit(d, r == -EPERM ? EXIT_PERM : EXIT_NOSUPPORT);
}

/* ---- switches ---- */

static void check_jit(struct doctor *d)
{
	int fd = d->may_bpf ? tiny_program(BPF_PROG_TYPE_XDP) : -1;
	char harden[16] = "?";
	bool jit = fd >= 0 && is_compiled(fd);

	if (fd < 0)
		return;
	close(fd);
	read_line("/proc/sys/net/core/bpf_jit_harden", harden, sizeof(harden));
	if (!jit) {
		doctor_say(d, VERDICT_WARN, "JIT",
			   "off: programs are interpreted, at several times the cost");
		doctor_todo(d, "sysctl -w net.core.bpf_jit_enable=1");
	} else if (harden[0] == '2') {
		doctor_say(d, VERDICT_WARN, "JIT",
			   "on, hardened for root too: constants are hidden, "
			   "which costs time per packet");
		doctor_todo(d, "sysctl -w net.core.bpf_jit_harden=1, if only root loads programs");
	} else {
		doctor_say(d, VERDICT_OK, "JIT", "on, hardening %s",
			   harden[0] == '?' ? "can't be read here" : harden);
	}
}

static void check_switches(struct doctor *d)
{
	char v[16];

	if (read_line("/proc/sys/kernel/unprivileged_bpf_disabled", v, sizeof(v))) {
		doctor_say(d, v[0] == '0' ? VERDICT_WARN : VERDICT_OK, "unprivileged BPF", "%s",
			   v[0] == '0' ? "every user may load programs" : "off");
		if (v[0] == '0')
			doctor_todo(d, "sysctl -w kernel.unprivileged_bpf_disabled=2");
	}
	if (read_line("/proc/sys/kernel/bpf_stats_enabled", v, sizeof(v)))
		doctor_say(d, VERDICT_OK, "BPF run time", "%s",
			   v[0] == '0' ? "not measured (kernel.bpf_stats_enabled=0)"
				       : "measured; that itself costs time per packet");
}

/* ---- the weir that runs, if one does ---- */

static int connect_to(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	memcpy(a.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof(a))) {
		close(fd);
		return -ECONNREFUSED;
	}
	return fd;
}

static void check_running(struct doctor *d)
{
	int fd = settings_is_word(d->settings, SET_CONTROL_SOCKET)
			 ? -1
			 : connect_to(settings_text(d->settings, SET_CONTROL_SOCKET));
	struct privileges p[_PRIVILEGES_MAX];
	char core[PRIVILEGES_TEXT], worker[PRIVILEGES_TEXT];
	const char *excess;
	int r;

	if (fd < 0)
		return;
	r = privileges_read(fd, p);
	close(fd);
	if (r)
		return;
	d->running = true;
	excess = privileges_excess(p);
	doctor_say(d, excess ? VERDICT_WARN : VERDICT_OK, "running weir",
		   "%s%score %d: %.60s; worker %d: %.60s", excess ?: "", excess ? ": " : "",
		   (int)p[PRIVILEGES_CORE].pid, privileges_text(&p[PRIVILEGES_CORE], core),
		   (int)p[PRIVILEGES_WORKER].pid, privileges_text(&p[PRIVILEGES_WORKER], worker));
	if (excess)
		doctor_todo(d, "restart it; if that says the same, report it");
}

void doctor_host(struct doctor *d)
{
	check_running(d);
	check_capabilities(d);
	check_kernel(d);
	check_programs(d);
	check_jit(d);
	check_switches(d);
}
