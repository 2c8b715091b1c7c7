// SPDX-License-Identifier: Apache-2.0
/*
 * test_guard_node.c - what the guard reads of the node, off a real kernel: a network namespace with
 * addresses, gateways, a session, and a resolv.conf of its own. Root, as all of this folder.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/route.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader/policy/guard.h"
#include "tests/bpf/verdict_rig.h"
#include "weir/policy_map.h"

static struct guard g;
static struct guard_cfg cfg;

/* ---- the node ---- */

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	cr_assert(ge(int, fd, 0), "%s", path);
	cr_assert(eq(sz, (size_t)write(fd, text, strlen(text)), strlen(text)));
	close(fd);
}

/* What resolvers this test has, and nobody else. */
static void own_resolvers(const char *text)
{
	static char path[] = "/tmp/weir-resolv-XXXXXX";
	int fd = mkstemp(path);

	cr_assert(ge(int, fd, 0));
	close(fd);
	write_file(path, text);
	cr_assert(zero(int, unshare(CLONE_NEWNS)));
	cr_assert(zero(int, mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)));
	cr_assert(zero(int, mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL)));
	cr_expect(zero(int, unlink(path)));
}

static struct sockaddr_in end_of(const char *ip, uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};

	cr_assert(eq(int, inet_pton(AF_INET, ip, &a.sin_addr), 1));
	return a;
}

static int control_socket(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	cr_assert(ge(int, fd, 0));
	return fd;
}

/* @label: of an address beside the others ("lo:1"). */
static void add_address(const char *label, const char *ip)
{
	struct ifreq q = {};
	struct sockaddr_in a = end_of(ip, 0), mask = end_of("255.255.255.0", 0);
	int fd = control_socket();

	memcpy(q.ifr_name, label, strlen(label) + 1);
	memcpy(&q.ifr_addr, &a, sizeof(a));
	cr_assert(zero(int, ioctl(fd, SIOCSIFADDR, &q)));
	memcpy(&q.ifr_netmask, &mask, sizeof(mask));
	cr_assert(zero(int, ioctl(fd, SIOCSIFNETMASK, &q)));
	close(fd);
}

static void add_route(const char *net, const char *via)
{
	struct rtentry r = {.rt_flags = RTF_UP | RTF_GATEWAY};
	struct sockaddr_in to = end_of(net, 0), gw = end_of(via, 0),
			   mask = end_of("255.255.255.0", 0);
	char dev[] = "lo";
	int fd = control_socket();

	memcpy(&r.rt_dst, &to, sizeof(to));
	memcpy(&r.rt_gateway, &gw, sizeof(gw));
	memcpy(&r.rt_genmask, &mask, sizeof(mask));
	r.rt_dev = dev;
	cr_assert(zero(int, ioctl(fd, SIOCADDRT, &r)));
	close(fd);
}

/* Somebody at @from has a connection to a port of this node; all three stay open. */
static void open_session(const char *from, const char *to, uint16_t port)
{
	struct sockaddr_in here = end_of(to, port), there = end_of(from, 0);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert(zero(int, bind(listener, (struct sockaddr *)&here, sizeof(here))));
	cr_assert(zero(int, listen(listener, 1)));
	cr_assert(zero(int, bind(client, (struct sockaddr *)&there, sizeof(there))));
	cr_assert(zero(int, connect(client, (struct sockaddr *)&here, sizeof(here))));
	cr_assert(ge(int, accept4(listener, NULL, NULL, SOCK_CLOEXEC), 0));
}

static void node(void)
{
	own_resolvers("# of the test\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n");
	vr_own_network();
	add_address("lo:1", "10.9.0.1");
	add_route("198.51.100.0", "10.9.0.254");
	cfg = (struct guard_cfg){.admin_sessions = true};
	g = (struct guard){.cfg = &cfg};
}

static void done(void)
{
	guard_done(&g);
}

TestSuite(guard_node, .timeout = 600, .init = node, .fini = done);

/* ---- what is read of it ---- */

static void as_address(const char *ip, uint8_t addr[16])
{
	vr_address(ip, addr);
}

static bool is_own(const char *ip)
{
	uint8_t addr[16];

	as_address(ip, addr);
	for (uint32_t i = 0; i < g.n_own; i++)
		if (!memcmp(g.own[i].addr, addr, sizeof(addr)))
			return true;
	return false;
}

/* "gateway", with a star where it is for the failsafe ports alone; "" where nothing exempts. */
static const char *exempts(const char *ip)
{
	static char text[32];
	bool failsafe = false;
	const char *why;
	uint8_t addr[16];

	as_address(ip, addr);
	why = guard_exempts(&g, addr, 128, &failsafe);
	snprintf(text, sizeof(text), "%s%s", why ?: "", why && failsafe ? "*" : "");
	return text;
}

static void expect_exempt(const char *ip, const char *want)
{
	cr_expect(eq(str, (char *)exempts(ip), (char *)want), "%s", ip);
}

Test(guard_node, reads_addresses_gateways_and_resolvers)
{
	cr_expect(guard_read_node(&g, true));
	cr_expect(is_own("10.9.0.1"));
	cr_expect(not(is_own("127.0.0.1")), "nobody else is stopped by a rule about it");
	expect_exempt("10.9.0.254", "gateway");
	expect_exempt("192.0.2.53", "resolver");
	expect_exempt("2001:db8::53", "resolver");
	expect_exempt("169.254.169.254", "metadata");
	expect_exempt("fd00:ec2::254", "metadata");
	expect_exempt("10.9.0.7", "");
}

Test(guard_node, follows_what_changes)
{
	cr_expect(guard_read_node(&g, true));
	cr_expect(not(guard_read_node(&g, true)), "nothing has changed");
	cr_expect(not(guard_read_node(&g, false)));
	add_route("203.0.113.0", "10.9.0.253");
	cr_expect(guard_read_node(&g, false), "another gateway");
	expect_exempt("10.9.0.253", "gateway");
	expect_exempt("10.9.0.254", "gateway");
	add_address("lo:2", "10.8.0.1");
	guard_read_node(&g, false);
	cr_expect(is_own("10.8.0.1"));
	cr_expect(is_own("10.9.0.1"));
}

Test(guard_node, sessions_count_when_a_policy_comes)
{
	add_address("lo:2", "10.8.0.1");
	guard_read_node(&g, true);
	expect_exempt("10.8.0.1", "");
	open_session("10.8.0.1", "10.9.0.1", 22);
	open_session("10.8.0.1", "10.9.0.1", 8080);
	cr_expect(not(guard_read_node(&g, false)), "not asked for");
	expect_exempt("10.8.0.1", "");
	cr_expect(guard_read_node(&g, true));
	expect_exempt("10.8.0.1", "session*");
	cr_expect(not(guard_read_node(&g, false)), "those of before stay");
	expect_exempt("10.8.0.1", "session*");
	cfg.admin_sessions = false;
	cr_expect(guard_read_node(&g, true), "asked for, and switched off");
	expect_exempt("10.8.0.1", "");
}

Test(guard_node, other_ports_make_no_administrator)
{
	add_address("lo:2", "10.8.0.1");
	open_session("10.8.0.1", "10.9.0.1", 8080);
	guard_read_node(&g, true);
	expect_exempt("10.8.0.1", "");
}

Test(guard_node, configured_prefixes_and_targets)
{
	static struct export_cfg exports[3];

	snprintf(exports[0].host, sizeof(exports[0].host), "192.0.2.77");
	snprintf(exports[1].host, sizeof(exports[1].host), "2001:db8::77");
	snprintf(exports[2].host, sizeof(exports[2].host), "collector.example");
	g.exports = exports;
	g.n_exports = 3;
	cfg.never = (struct guard_prefixes){.n = 1, .v = {{.bits = 96 + 24}}};
	as_address("203.0.113.0", cfg.never.v[0].addr);
	cfg.admin = (struct guard_prefixes){.n = 1, .v = {{.bits = 64}}};
	as_address("2001:db8:5::", cfg.admin.v[0].addr);
	guard_read_node(&g, true);
	expect_exempt("192.0.2.77", "target");
	expect_exempt("2001:db8::77", "target");
	expect_exempt("203.0.113.200", "never-block");
	expect_exempt("203.0.114.1", "");
	expect_exempt("2001:db8:5::9", "admin*");
	expect_exempt("2001:db8:6::9", "");
}
