/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.h - what will work on this machine and what to do about what won't: findings, and the
 * parts that make them. Features are probed by asking the kernel to do the thing, not by version.
 * Nothing is attached and nothing is changed. One thread.
 */
#ifndef WEIR_LOADER_DOCTOR_DOCTOR_H
#define WEIR_LOADER_DOCTOR_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>
#include "loader/settings.h"

#define FINDINGS_MAX 512u

enum verdict { VERDICT_OK, VERDICT_WARN, VERDICT_FAIL };

struct finding {
	char subject[40]; /* "kernel", "eth0 (ixgbe)" */
	char iface[16];	  /* of an interface; else empty */
	enum verdict verdict;
	int exit; /* of a FAIL: enum exit_code */
	char text[240];
	char todo[240]; /* what to do about it; empty when there's nothing to */
};

struct doctor {
	const struct settings *settings;
	struct finding list[FINDINGS_MAX];
	unsigned int n;
	bool may_bpf; /* CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are there */
	bool tcx;
	bool running; /* a weir answers on the control socket */
};

/**
 * doctor_say - add a finding
 *
 * Its text is printf's; what to do is added with doctor_todo(), its exit status with doctor_exit().
 */
void doctor_say(struct doctor *d, enum verdict verdict, const char *subject, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* About the last finding. */
void doctor_todo(struct doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void doctor_exit(struct doctor *d, int exit_code);

/* The kernel's abilities, privileges, the JIT: host.c. */
void doctor_host(struct doctor *d);

/* Memory at the settings, against what there is; bpffs and the pin directory; users: memory.c. */
void doctor_memory(struct doctor *d);
void doctor_places(struct doctor *d);

/* One interface: iface.c. */
void doctor_iface(struct doctor *d, const char *ifname);

/**
 * netdev_xdp_features - what the driver says it can do with XDP
 * @ret: bits NETDEV_XDP_x
 *
 * Return: 0, -EOPNOTSUPP (kernels before 6.3 don't tell), -errno.
 * Source: kernel Documentation/netlink/specs/netdev.yaml
 */
int netdev_xdp_features(unsigned int ifindex, uint64_t *ret);

#define NETDEV_XDP_BASIC (1u << 0) /* ABORTED, DROP, PASS, TX */
#define NETDEV_XDP_RX_SG (1u << 5) /* frames of several buffers */

/* First line of a file of /proc or /sys, without its end. false: it can't be read. */
bool read_line(const char *path, char *buf, size_t cap);

/* "71 MiB" */
const char *bytes_text(uint64_t bytes, char *buf, size_t cap);

#endif
