// SPDX-License-Identifier: Apache-2.0
#include "loader/control/privileges.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/scan.h"

const char *const privileges_process[_PRIVILEGES_MAX] = {"core", "worker"};

/* linux/capability.h, in its order. */
static const char *const names[] = {
	"chown",
	"dac_override",
	"dac_read_search",
	"fowner",
	"fsetid",
	"kill",
	"setgid",
	"setuid",
	"setpcap",
	"linux_immutable",
	"net_bind_service",
	"net_broadcast",
	"net_admin",
	"net_raw",
	"ipc_lock",
	"ipc_owner",
	"sys_module",
	"sys_rawio",
	"sys_chroot",
	"sys_ptrace",
	"sys_pacct",
	"sys_admin",
	"sys_boot",
	"sys_nice",
	"sys_resource",
	"sys_time",
	"sys_tty_config",
	"mknod",
	"lease",
	"audit_write",
	"audit_control",
	"setfcap",
	"mac_override",
	"mac_admin",
	"syslog",
	"wake_alarm",
	"block_suspend",
	"audit_read",
	"perfmon",
	"bpf",
	"checkpoint_restore",
};

#define NAMES (sizeof(names) / sizeof(names[0]))

/* Who looks after the recorder, if there is one, was begun before the worker. */
static pid_t last_child(pid_t pid)
{
	char path[64], text[64] = "", *last;
	uint64_t child;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	text[strcspn(text, "\n")] = '\0';
	while ((last = strrchr(text, ' ')) && !last[1])
		*last = '\0';
	return scan_u64(last ? last + 1 : text, 1, INT32_MAX, &child) ? -ESRCH : (pid_t)child;
}

int privileges_read(int fd, struct privileges ret[_PRIVILEGES_MAX])
{
	struct ucred peer = {};
	socklen_t len = sizeof(peer);
	int r = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return -errno;
	if (peer.pid <= 0) /* in another namespace of processes */
		return -ESRCH;
	ret[PRIVILEGES_CORE].pid = peer.pid;
	ret[PRIVILEGES_WORKER].pid = last_child(peer.pid);
	if (ret[PRIVILEGES_WORKER].pid < 0)
		return (int)ret[PRIVILEGES_WORKER].pid;
	for (int i = 0; !r && i < _PRIVILEGES_MAX; i++)
		r = sandbox_read(ret[i].pid, &ret[i].is);
	return r;
}

const char *privileges_capability(uint64_t set, unsigned int i)
{
	for (unsigned int cap = 0; cap < 64; cap++) {
		if (!(set >> cap & 1) || i--)
			continue;
		return cap < NAMES ? names[cap] : "unknown";
	}
	return NULL;
}

const char *privileges_text(const struct privileges *p, char *buf)
{
	const char *name;
	size_t n = 0;

	for (unsigned int i = 0; (name = privileges_capability(p->is.effective, i)); i++)
		if (n < PRIVILEGES_TEXT)
			n += (size_t)snprintf(buf + n, PRIVILEGES_TEXT - n, "%s%s", i ? " " : "",
					      name);
	if (!n)
		n = (size_t)snprintf(buf, PRIVILEGES_TEXT, "no capability");
	if (n < PRIVILEGES_TEXT)
		snprintf(buf + n, PRIVILEGES_TEXT - n, ", %s",
			 p->is.filtered ? "seccomp" : "no seccomp");
	return buf;
}

const char *privileges_excess(const struct privileges p[_PRIVILEGES_MAX])
{
	const struct sandbox_state *core = &p[PRIVILEGES_CORE].is,
				   *worker = &p[PRIVILEGES_WORKER].is;

	if (worker->effective)
		return "the worker has capabilities";
	/* sys_admin is for other network namespaces, and named where it is there */
	if (core->effective & ~(SANDBOX_CORE_CAPS | SANDBOX_NETNS_CAPS))
		return "the core has capabilities that it does not need";
	if (!core->filtered || !worker->filtered)
		return "no seccomp filter is in force";
	if (!core->no_new_privileges || !worker->no_new_privileges)
		return "new privileges can be had by starting programs";
	return NULL;
}
