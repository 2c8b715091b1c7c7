// SPDX-License-Identifier: Apache-2.0
#include "loader/replay_policy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cli.h"
#include "common/policy.h"
#include "loader/policy/compile.h"
#include "loader/policy/table.h"
#include "loader/policy/titles.h"

#define ENTRIES_MIN 1024u
#define LEASE_S	    (1u << 30) /* nobody is there to renew it */
#define TIDY_NS	    UINT64_C(1000000000)

struct replay_policy {
	uint8_t *image;
	struct policy p;
	struct policy_table *table;
	struct policy_titles titles;
	uint64_t tidy_ns; /* expired rules are looked for then */
	bool begun;
};

int replay_policy_load(const char *path, struct replay_policy **ret, uint32_t *ret_entries)
{
	const struct policy_bounds bounds = {.now = (uint64_t)time(NULL),
					     .expires_max = UINT64_MAX};
	struct replay_policy *p = calloc(1, sizeof(*p));
	struct policy_error err;
	size_t len;
	int rc;

	if (!p)
		return EXIT_FAILED;
	rc = policy_load(path, &p->image, &len);
	if (!rc && policy_check(p->image, len, &bounds, &p->p, &err)) {
		fprintf(stderr, "weir: %s: %s\n", path, err.text);
		rc = EXIT_FAILED;
	}
	if (rc) {
		replay_policy_free(p);
		return rc;
	}
	*ret_entries = 2 * (p->p.n_addrs + p->p.n_addr_ports + p->p.n_flows + p->p.n_names);
	if (*ret_entries < ENTRIES_MIN)
		*ret_entries = ENTRIES_MIN;
	*ret = p;
	return 0;
}

struct replay_policy *replay_policy_free(struct replay_policy *p)
{
	if (!p)
		return NULL;
	policy_table_free(p->table);
	free(p->image);
	free(p);
	return NULL;
}

int replay_policy_open(struct replay_policy *p, const struct dataplane *dp)
{
	struct policy_fds fds = {};
	int r;

	dataplane_policy(dp, &fds);
	r = policy_table_open(&fds, &p->table);
	if (!r)
		policy_table_titles(p->table, &p->titles);
	return r;
}

const struct policy_titles *replay_policy_titles(const struct replay_policy *p)
{
	return &p->titles;
}

static int begin(struct replay_policy *p)
{
	const struct policy_set set = {
		.rules = p->p.rules,
		.addrs = p->p.addrs,
		.addr_ports = p->p.addr_ports,
		.flows = p->p.flows,
		.names = p->p.names,
		.rules_n = p->p.n_rules,
		.addrs_n = p->p.n_addrs,
		.addr_ports_n = p->p.n_addr_ports,
		.flows_n = p->p.n_flows,
		.names_n = p->p.n_names,
	};

	p->begun = true;
	policy_table_lease(p->table, LEASE_S);
	return policy_table_apply(p->table, 0, &set, NULL);
}

int replay_policy_time(struct replay_policy *p, uint64_t ns, uint64_t wall_ns)
{
	const struct policy_time t = {.unit_ns = UINT64_C(1) << POLICY_REPLAY_SHIFT,
				      .now = (uint32_t)(ns >> POLICY_REPLAY_SHIFT),
				      .wall_ns = wall_ns};

	if (p->begun && ns < p->tidy_ns)
		return 0;
	p->tidy_ns = ns + TIDY_NS;
	policy_table_time(p->table, &t);
	if (!p->begun)
		return begin(p);
	policy_table_reclaim(p->table);
	return 0;
}

static void counters_of(const struct replay_policy *p, uint32_t i, struct policy_counters *ret)
{
	uint32_t rule = policy_table_rule(p->table, 0, p->p.rules[i].id);

	*ret = (struct policy_counters){};
	if (rule)
		policy_table_counters(p->table, rule, ret);
}

void replay_policy_text(const struct replay_policy *p, FILE *out)
{
	struct policy_counters c;

	for (uint32_t i = 0; i < p->p.n_rules; i++) {
		const struct policy_rule *r = &p->p.rules[i];

		counters_of(p, i, &c);
		fprintf(out, "weir: rule %u %.64s: ", r->number, (const char *)r->name);
		if (r->flags & RULE_SHADOW)
			fprintf(out, "would have dropped %" PRIu64 " packets, %" PRIu64 " bytes\n",
				c.would_packets, c.would_bytes);
		else
			fprintf(out, "dropped %" PRIu64 " packets, %" PRIu64 " bytes\n", c.packets,
				c.bytes);
	}
}

void replay_policy_json(const struct replay_policy *p, FILE *out)
{
	struct policy_counters c;

	fputs("{\"rules\":[", out);
	for (uint32_t i = 0; i < p->p.n_rules; i++) {
		const struct policy_rule *r = &p->p.rules[i];

		counters_of(p, i, &c);
		fprintf(out,
			"%s{\"number\":%u,\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64
			",\"flows\":%" PRIu64 ",\"would_packets\":%" PRIu64
			",\"would_bytes\":%" PRIu64 ",\"would_flows\":%" PRIu64
			",\"passed\":%" PRIu64 "}",
			i ? "," : "", r->number, c.packets, c.bytes, c.flows, c.would_packets,
			c.would_bytes, c.would_flows, c.passed);
	}
	fputs("]}\n", out);
}
