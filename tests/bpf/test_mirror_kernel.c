// SPDX-License-Identifier: Apache-2.0
/*
 * test_mirror_kernel.c - the mirror's programs load on this kernel, are held where they are wanted, see what goes by
 * there, and leave nothing.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include "loader/mirror/kernel.h"
#include "tests/bpf/verdict_rig.h"
#include "weir/counters.h"

#define LOOPBACK 1u

static struct verdict_rig r;

static void open_rig(void)
{
	vr_own_network();
	vr_open(&r, true);
}

static void close_rig(void)
{
	vr_close(&r);
}

TestSuite(mirror_kernel, .timeout = 600, .init = open_rig, .fini = close_rig);

static unsigned int devices(void)
{
	struct if_nameindex *list = if_nameindex();
	unsigned int n = 0;

	while (list && list[n].if_index)
		n++;
	if_freenameindex(list);
	return n;
}

/* A datagram over the loopback device, by the system's own socket. */
static void send_one(void)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
				       .sin_port = htons(9),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	cr_assert(eq(int, (int)sendto(fd, "x", 1, 0, (const struct sockaddr *)&to, sizeof(to)), 1));
	close(fd);
}

Test(mirror_kernel, comes_sees_and_goes)
{
	const unsigned int before = devices(), none = 0;
	const struct mirror_session s = {
		.to = MIRROR_TO_IFACE, .rules = 1, .length = 64, .until = UINT32_MAX, .sample = 1};
	const struct policy_rule all = {.action = POLICY_DO_MIRROR, .direction = DIR_BOTH};
	const unsigned int lo = LOOPBACK;
	struct mirror_kernel k;
	struct mirror_count got;

	mirror_kernel_init(&k, &r.dp);
	cr_assert(zero(int, mirror_kernel_open(&k)), "%s", k.error);
	cr_expect(gt(u32, devices(), before), "its pair");
	mirror_kernel_put(&k, 0, &s, &all);
	mirror_kernel_order(&k, &none, 1);
	cr_assert(zero(int, mirror_kernel_seats(&k, &lo, 1)), "%s", k.error);
	send_one();
	mirror_kernel_count(&k, 0, &got);
	cr_expect(eq(u64, got.matched, 4), "and that nobody listens, each out and in again");
	cr_expect(eq(u64, got.no_way, 4), "the session has no target");
	mirror_kernel_end(&k, 0);
	mirror_kernel_close(&k);
	cr_expect(eq(u32, devices(), before));
	cr_expect(zero(int, mirror_sweep()), "nothing was left");
}
