// SPDX-License-Identifier: Apache-2.0
#include "export_rig.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Each %s of @url is the folder. */
static void put_dir(char *to, size_t cap, const char *url, const char *dir)
{
	const char *at;
	size_t n = 0;

	for (; (at = strstr(url, "%s")); url = at + 2)
		n += (size_t)snprintf(to + n, cap - n, "%.*s%s", (int)(at - url), url, dir);
	snprintf(to + n, cap - n, "%s", url);
}

void rig_open(struct export_rig *rig, const char *url)
{
	static const struct export_env env = {.node = "node1", .patience_ns = 1};
	char text[1024], why[EXPORT_ERR_MAX];

	if (!*rig->dir) {
		snprintf(rig->dir, sizeof(rig->dir), "/tmp/weir-rig.XXXXXX");
		cr_assert(ne(ptr, mkdtemp(rig->dir), NULL));
	}
	put_dir(text, sizeof(text), url, rig->dir);
	cr_assert(zero(int, export_cfg_init(&rig->cfg, "x", why)));
	cr_assert(zero(int, export_cfg_url(&rig->cfg, text, why)), "%s", why);
	cr_assert(zero(int, export_cfg_check(&rig->cfg, why)), "%s", why);
	cr_assert(zero(int, exports_new(&rig->cfg, 1, &env, &rig->x, why)), "%s", why);
	cr_assert(zero(int, exports_start(rig->x)));
}

static void set_address(uint8_t ip[16], uint32_t v)
{
	memset(ip, 0, 16);
	ip[10] = ip[11] = 0xff;
	ip[12] = 10;
	ip[13] = (uint8_t)(v >> 16);
	ip[14] = (uint8_t)(v >> 8);
	ip[15] = (uint8_t)v;
}

void rig_record(uint32_t i, struct flow_record *r)
{
	static const enum flow_field has[] = {
		FF_START,    FF_END,	   FF_SRC_IP, FF_SRC_PORT,     FF_DST_IP,    FF_DST_PORT,
		FF_PROTO,    FF_PACKETS,   FF_BYTES,  FF_OUT_PACKETS,  FF_OUT_BYTES, FF_IN_PACKETS,
		FF_IN_BYTES, FF_TCP_FLAGS, FF_STATE,  FF_COMMUNITY_ID, FF_REASON,
	};

	memset(r, 0, sizeof(*r));
	for (size_t f = 0; f < sizeof(has) / sizeof(has[0]); f++)
		flow_set(r, has[f]);
	r->family = 4;
	r->proto = 6;
	set_address(r->src_ip, i);
	set_address(r->dst_ip, 0xff0000 + i % 7);
	r->src_port = (uint16_t)(1024 + i % 60000);
	r->dst_port = 443;
	r->start_ns = UINT64_C(1788266468120113000) + i * UINT64_C(1000000);
	r->end_ns = r->start_ns + 210000000;
	r->out.packets = 1 + i % 5;
	r->out.bytes = 100 + i % 1001;
	r->in.packets = i % 3;
	r->in.bytes = r->in.packets * 60;
	r->packets = r->out.packets + r->in.packets;
	r->bytes = r->out.bytes + r->in.bytes;
	r->tcp_flags = 0x1b;
	r->out.tcp_flags = 0x1a;
	r->in.tcp_flags = 0x13;
	r->state = FLOW_CLOSED;
	r->reason = FLOW_END;
}

void rig_flows(struct export_rig *rig, uint32_t n)
{
	struct flow_record r;

	while (n--) {
		rig_record(rig->flows++, &r);
		rig->packets += r.packets;
		rig->bytes += r.bytes;
		exports_flow(rig->x, &r);
	}
}

bool rig_settle(struct export_rig *rig, unsigned int seconds)
{
	const struct timespec pause = {.tv_nsec = 2000000};

	for (unsigned int i = 0; i < seconds * 500; i++) {
		exports_tick(rig->x);
		exports_stats(rig->x, 0, &rig->st);
		if (!rig->st.waiting)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

uint64_t rig_lost(const struct export_rig *rig)
{
	uint64_t sum = 0;

	for (unsigned int l = 0; l < _LOSS_MAX; l++)
		sum += rig->st.lost[l];
	return sum;
}

void rig_stop(struct export_rig *rig)
{
	exports_stop(rig->x);
	exports_stats(rig->x, 0, &rig->st);
	cr_assert(eq(u64, rig->st.taken, rig->st.sent + rig_lost(rig) + rig->st.waiting));
}

void export_rig_close(struct export_rig *rig)
{
	DIR *d = opendir(rig->dir);
	struct dirent *e;

	rig->x = exports_free(rig->x);
	while (d && (e = readdir(d)))
		unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(rig->dir);
}

long rig_read(const struct export_rig *rig, const char *name, char *buf, size_t cap)
{
	char path[400];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", rig->dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, buf, cap - 1);
	close(fd);
	buf[n < 0 ? 0 : n] = 0;
	return n;
}
