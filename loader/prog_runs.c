// SPDX-License-Identifier: Apache-2.0
#include "loader/prog_runs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "weir.skel.h"

static void add(int prog, struct prog_runs *sum)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(prog, &info, &len))
		return;
	sum->ns += info.run_time_ns;
	sum->runs += info.run_cnt;
}

bool prog_runs_measured(const struct dataplane *dp)
{
	struct prog_runs clock = {}; /* this program has run when the maps were made */

	add(bpf_program__fd(dp->object[0].skel->progs.read_clock), &clock);
	return clock.runs > 0;
}

void prog_runs_read(const struct dataplane *dp, struct iface_table *t)
{
	/* what programs had run that are gone; sums only grow */
	static struct prog_runs gone[_HOOK_MAX], last[_HOOK_MAX];

	for (int i = 0; i < _HOOK_MAX; i++) {
		struct prog_runs sum = {};

		for (unsigned int o = 0; o < dp->objects; o++)
			add(dp->object[o].prog[i], &sum);
		if (sum.runs < last[i].runs && sum.ns < last[i].ns) {
			gone[i].runs += last[i].runs - sum.runs;
			gone[i].ns += last[i].ns - sum.ns;
		}
		last[i] = sum;
		__atomic_store_n(&t->programs[i].ns, gone[i].ns + sum.ns, __ATOMIC_RELAXED);
		__atomic_store_n(&t->programs[i].runs, gone[i].runs + sum.runs, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&t->programs_measured, 1, __ATOMIC_RELAXED);
}
