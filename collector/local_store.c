// SPDX-License-Identifier: Apache-2.0
#include "collector/local_store.h"

#include <errno.h>

#include "common/commands.h"

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

void local_store_cfg(const struct settings *s, struct store_cfg *ret)
{
	*ret = (struct store_cfg){
		.dir = settings_text(s, CSET_STORE_DIR),
		.memory_bytes = settings_num(s, CSET_STORE_MEMORY),
		.threads = (uint32_t)collector_bound(s, CSET_STORE_THREADS),
		.partition_s = (uint32_t)(settings_num(s, CSET_STORE_PARTITION) / NS_PER_S),
		.flush_rows = (uint32_t)settings_num(s, CSET_STORE_FLUSH_ROWS),
		.flush_ms = (uint32_t)(settings_num(s, CSET_STORE_FLUSH) / NS_PER_MS),
		.top_n = (uint32_t)settings_num(s, CSET_STORE_TOP),
		.keep_s = collector_bound(s, CSET_STORE_KEEP) / NS_PER_S,
		.keep_bytes = collector_bound(s, CSET_STORE_KEEP_BYTES),
		.free_bytes = settings_num(s, CSET_STORE_FREE_BYTES),
		.cold_s = collector_bound(s, CSET_STORE_COLD) / NS_PER_S,
		.keep_1m_s = settings_num(s, CSET_STORE_KEEP_1M) / NS_PER_S,
		.keep_5m_s = settings_num(s, CSET_STORE_KEEP_5M) / NS_PER_S,
		.keep_1h_s = settings_num(s, CSET_STORE_KEEP_1H) / NS_PER_S,
	};
}

int local_store_status(int r)
{
	switch (r) {
	case -EACCES:
	case -EPERM:
		return EXIT_PERM;
	case -ENOSYS:
		return EXIT_NOSUPPORT;
	default:
		return EXIT_FAILED;
	}
}

int local_store_open(const struct settings *s, struct store **ret)
{
	char error[STORE_ERROR] = "";
	struct store_cfg cfg;
	int r;

	local_store_cfg(s, &cfg);
	cfg.read_only = true;
	r = store_open(&cfg, error, ret);
	if (!r)
		return 0;
	fprintf(stderr, "weir-collector: %s: %s%s\n", cfg.dir, error,
		r == -EBUSY ? " — --socket names the socket of the collector that has it" : "");
	return local_store_status(r);
}
