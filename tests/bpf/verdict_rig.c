// SPDX-License-Identifier: Apache-2.0
/* verdict_rig.c - see verdict_rig.h. */
#include "tests/bpf/verdict_rig.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "weir.skel.h"

static void die(const char *what, int err)
{
	fprintf(stderr, "verdict_rig: %s: %s\n", what, strerror(err));
	exit(1);
}

static int only_warnings(enum libbpf_print_level level, const char *fmt, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, fmt, args) : 0;
}

/* Both clocks, as the loader would set them. */
static void set_time(struct verdict_rig *r)
{
	struct policy_time t = {.unit_ns = 1ull << POLICY_REPLAY_SHIFT,
				.now = (uint32_t)(r->ns >> POLICY_REPLAY_SHIFT),
				.wall_ns = r->ns};

	if (!r->dp.cfg.replay) {
		uint64_t tick, wall;

		dataplane_now(&r->dp, &tick, &wall);
		t.unit_ns = r->dp.tick_ns << POLICY_JIFFIES_SHIFT;
		t.now = (uint32_t)(tick >> POLICY_JIFFIES_SHIFT);
		t.wall_ns = wall;
		r->ns = wall;
	} else {
		r->dp.control->replay_ns = r->ns;
		r->dp.control->replay_tick = (uint32_t)(r->ns / 1000);
	}
	policy_table_time(r->table, &t);
}

void vr_open(struct verdict_rig *r, bool live)
{
	struct dataplane_variant programs = dataplane_variant_default;
	struct dataplane_cfg cfg = dataplane_cfg_default;
	struct policy_fds fds;
	int e;

	libbpf_set_print(only_warnings);
	memset(&r->dp, 0, sizeof(r->dp));
	r->packets = 0;
	cfg.policy_entries = VR_ENTRIES;
	cfg.flows = 4096;
	cfg.recent_bytes = r->recent_bytes;
	cfg.recent_len = r->recent_len;
	cfg.recent_full = r->recent_full;
	cfg.recent_early = r->recent_early;
	cfg.replay = !live;
	cfg.tick_ns = live ? 0 : 1000;
	cfg.cpus = live ? 0 : 1;
	programs.decap_depth = live ? 0 : 4;
	e = dataplane_load(&r->dp, &cfg, &programs);
	if (e)
		die("load", -e);
	dataplane_policy(&r->dp, &fds);
	e = policy_table_open(&fds, &r->table);
	if (e)
		die("tables", -e);
	r->ns = VR_SECOND * 1000000000;
	set_time(r);
	policy_table_lease(r->table, 1u << 20);
	if (!r->set.rules)
		vr_policy(r);
}

void vr_close(struct verdict_rig *r)
{
	policy_table_free(r->table);
	dataplane_done(&r->dp);
}

void vr_policy(struct verdict_rig *r)
{
	if (!r->ns)
		r->ns = VR_SECOND * 1000000000;
	r->set = (struct policy_set){.rules = r->rules,
				     .addrs = r->addrs,
				     .addr_ports = r->ports,
				     .flows = r->flows,
				     .names = r->names};
}

struct policy_rule *vr_rule(struct verdict_rig *r, enum policy_action action, enum policy_key key)
{
	struct policy_rule *rule = &r->rules[r->set.rules_n++];

	*rule = (struct policy_rule){.number = r->set.rules_n,
				     .action = action,
				     .key = key,
				     .direction = DIR_BOTH,
				     .expires = r->ns / 1000000000 + 100000};
	memcpy(rule->id, &rule->number, sizeof(rule->number));
	return rule;
}

void vr_address(const char *text, uint8_t *ret)
{
	memset(ret, 0, 16);
	if (inet_pton(AF_INET6, text, ret) == 1)
		return;
	ret[10] = ret[11] = 0xff;
	if (inet_pton(AF_INET, text, ret + 12) != 1)
		die(text, EINVAL);
}

void vr_addr(struct verdict_rig *r, const char *addr, uint32_t bits, enum policy_role role)
{
	struct policy_addr *a = &r->addrs[r->set.addrs_n++];

	*a = (struct policy_addr){
		.bits = (uint8_t)(bits + (strchr(addr, ':') ? 0 : 96)),
		.role = role,
		.rule = r->set.rules_n,
	};
	vr_address(addr, a->addr);
}

void vr_name(struct verdict_rig *r, const char *name, enum policy_name_how how)
{
	struct policy_name *n = &r->names[r->set.names_n++];

	*n = (struct policy_name){.length = (uint16_t)strlen(name),
				  .kinds = NAME_SNI | NAME_HOST | NAME_DNS,
				  .how = how,
				  .rule = r->set.rules_n};
	memcpy(n->name, name, n->length);
}

void vr_flags(struct verdict_rig *r, uint8_t flags)
{
	for (uint32_t i = 0; i < r->set.rules_n; i++)
		r->rules[i].flags = flags;
}

int vr_apply(struct verdict_rig *r)
{
	set_time(r);
	return policy_table_apply(r->table, 0, &r->set, NULL);
}

void vr_wait(struct verdict_rig *r, double seconds)
{
	r->ns += (uint64_t)(seconds * 1e9);
	set_time(r);
}

void vr_own_network(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd;

	if (unshare(CLONE_NEWNET))
		die("unshare", errno);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo))
		die("lo", errno);
	close(fd);
}

static int prog_of(const struct verdict_rig *r, enum vr_way way)
{
	const struct weir_bpf *s = r->dp.object[0].skel;

	return bpf_program__fd(way == VR_XDP	 ? s->progs.xdp_flows
			       : way == VR_TC_IN ? s->progs.tc_ingress
						 : s->progs.tc_egress);
}

int vr_send(struct verdict_rig *r, enum vr_way way, const struct packet *p)
{
	return vr_send_bytes(r, way, p->b, p->len);
}

int vr_send_bytes(struct verdict_rig *r, enum vr_way way, const uint8_t *frame, uint32_t len)
{
	struct __sk_buff skb = {.gso_size = r->gso};
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame, .data_size_in = len, .repeat = 1,
		    .data_out = len <= sizeof(r->out) ? r->out : NULL,
		    .data_size_out = len <= sizeof(r->out) ? len : 0);

	if (r->dp.cfg.replay) {
		r->ns += 1000;
		r->dp.control->replay_ns = r->ns;
		r->dp.control->replay_tick = (uint32_t)(r->ns / 1000);
	}
	if (r->gso && way != VR_XDP) {
		o.ctx_in = &skb;
		o.ctx_size_in = sizeof(skb);
	}
	if (bpf_prog_test_run_opts(prog_of(r, way), &o))
		die("test run", errno);
	r->packets++;
	r->out_len = o.data_size_out;
	if (way == VR_XDP)
		return o.retval == XDP_DROP ? 1 : o.retval == XDP_TX ? 2 : 0;
	if (o.retval == TC_ACT_SHOT)
		return 1;
	return len > sizeof(r->out) || (r->out_len == len && !memcmp(r->out, frame, len)) ? 0 : 2;
}

int vr_send_on(struct verdict_rig *r, enum vr_way way, const struct packet *p, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity", errno);
	return vr_send(r, way, p);
}

struct policy_counters vr_counters(struct verdict_rig *r, uint32_t number)
{
	struct policy_counters c;
	uint32_t rule = policy_table_rule(r->table, 0, r->rules[number - 1].id);

	if (!rule)
		die("no such rule", ENOENT);
	policy_table_counters(r->table, rule, &c);
	return c;
}

uint64_t vr_count(const struct verdict_rig *r, unsigned int counter)
{
	return dataplane_counter(&r->dp, counter);
}
