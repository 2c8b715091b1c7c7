// SPDX-License-Identifier: Apache-2.0
#include "loader/prog_runs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "weir.skel.h"

static void add(const struct bpf_program *prog, struct prog_runs *sum)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len))
		return;
	sum->ns += info.run_time_ns;
	sum->runs += info.run_cnt;
}

bool prog_runs_measured(const struct dataplane *dp)
{
	struct prog_runs clock = {}; /* this program has run when the maps were made */

	for (unsigned int i = 0; i < dp->objects; i++)
		add(dp->object[i].skel->progs.read_clock, &clock);
	return clock.runs > 0;
}

void prog_runs_read(const struct dataplane *dp, struct iface_table *t)
{
	struct prog_runs sum[_HOOK_MAX] = {};

	for (unsigned int i = 0; i < dp->objects; i++) {
		const struct weir_bpf *skel = dp->object[i].skel;

		add(skel->progs.xdp_flows, &sum[HOOK_XDP]);
		add(skel->progs.tc_ingress, &sum[HOOK_TC_INGRESS]);
		add(skel->progs.tc_egress, &sum[HOOK_TC_EGRESS]);
	}
	for (int i = 0; i < _HOOK_MAX; i++) {
		__atomic_store_n(&t->programs[i].ns, sum[i].ns, __ATOMIC_RELAXED);
		__atomic_store_n(&t->programs[i].runs, sum[i].runs, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&t->programs_measured, 1, __ATOMIC_RELAXED);
}
