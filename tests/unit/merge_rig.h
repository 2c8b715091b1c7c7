/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge_rig.h - a packet path and a drain in miniature for tests of merge: entries of a few CPUs,
 * packets put into them, deltas taken from them, records kept. A tick is a millisecond.
 */
#ifndef WEIR_TESTS_UNIT_MERGE_RIG_H
#define WEIR_TESTS_UNIT_MERGE_RIG_H

#include "loader/merge.h"
#include "loader/name/name.h"

#define RIG_TICK_NS UINT64_C(1000000)
#define RIG_START   UINT64_C(0xfffff000) /* 32 bits of tick come round during most tests */
#define RIG_WALL_NS UINT64_C(1788266468000000000)
#define RIG_RECORDS 4096u

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define PSH 0x08
#define ACK 0x10

/* One slot of the cache, and what was last read of it. */
struct entry {
	struct flow_hot hot, read_hot;
	struct flow_cold cold, read_cold;
	uint32_t ref;
};

/* A record and copies of the texts in it. */
struct kept {
	struct flow_record r;
	char text[2048];
	struct flow_query q[FLOW_QUERIES_MAX];
	struct flow_str hosts[FLOW_HOSTS_MAX];
	struct flow_str answers[FLOW_ANSWERS_MAX];
	size_t used;
};

struct rig {
	struct clock clock;
	struct merge *m;
	struct kept *kept;
	unsigned int n;
};

/* From 10.0.0.1:40000 to 10.0.0.2:443, TCP; and its way back has direction 1. */
extern const struct flow_key rig_key;

void rig_init(struct rig *g, const struct merge_cfg *cfg);
void rig_done(struct rig *g);

/* Let @ms pass; the caller ticks. */
void rig_wait(struct rig *g, uint64_t ms);

/* A new entry of that key; init_dir is the first packet's. */
void entry_init(struct entry *e, const struct flow_key *key);

/* A packet of @len bytes now. Handshake times are set from the clock, plus @ns. */
void entry_packet(struct rig *g, struct entry *e, int dir, uint8_t flags, uint64_t ns);
void entry_payload(struct rig *g, struct entry *e, int dir, uint64_t ns);

/* A connection whose client side is seen on one CPU and whose server side on another: 5 packets,
 * 400 bytes; and its FINs.
 */
void rig_connection(struct rig *g, struct entry *client, struct entry *server);
void rig_close(struct rig *g, struct entry *client, struct entry *server);

/* The clock as the packet path's fine clock. */
uint64_t rig_ns(const struct rig *g);

/* Hand over what changed, as a scan or as an evicted entry. */
void entry_read(struct rig *g, struct entry *e);
void entry_evict(struct rig *g, struct entry *e);

/* A name event of that flow, now. */
struct name_result rig_name(const struct rig *g, const struct flow_key *key, uint8_t kind, int dir);
void rig_sni(struct rig *g, const struct flow_key *key, const char *sni);
void rig_dns(struct rig *g, const struct flow_key *key, uint16_t id, const char *qname, int rcode);

/* The last record. */
const struct flow_record *rig_last(const struct rig *g);
/* Is that member's text @want? NULL: absent. */
int record_is(const struct flow_record *r, enum flow_field f, const char *want);

#endif
