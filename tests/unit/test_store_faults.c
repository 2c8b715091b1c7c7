// SPDX-License-Identifier: Apache-2.0
/*
 * test_store_faults.c - a store that is killed, locked, damaged, too large, or on a full disk: what was
 * acknowledged is there, nothing is there twice, and the rest is served.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "collector/query/query.h"
#include "store_rig.h"

#define WAIT_MS 300000u /* for what comes in seconds on a machine with nothing else to do */

TestSuite(store_faults, .timeout = 1800);

#define T0 STORE_RIG_T0

static int report_fd = -1;

static void report(void *arg, uint32_t stream, uint64_t epoch, uint64_t to)
{
	(void)arg;
	(void)stream;
	(void)epoch;
	if (write(report_fd, &to, sizeof(to)) != sizeof(to))
		_exit(1);
}

/* A process that stores flows until it is killed, from @from on. */
static void write_for_ever(struct store_rig *g, uint64_t from)
{
	struct rows rows;

	g->cfg.committed = report;
	g->cfg.flush_rows = 20000;
	if (store_rig_open_again(g))
		_exit(1);
	rows_init(&rows, 1, T0 + (int64_t)from * 20000, 20000);
	rows.n = from;
	for (;;)
		store_rig_send(g, &rows, 5000);
}

/* Wait until so much was acknowledged, then kill it. Return: the last acknowledgement. */
static uint64_t kill_writer(struct store_rig *g, uint64_t from, uint64_t more)
{
	uint64_t to = 0, last = from;
	int fds[2], status;
	pid_t pid;

	cr_assert(eq(int, pipe(fds), 0));
	pid = fork();
	if (!pid) {
		close(fds[0]);
		report_fd = fds[1];
		write_for_ever(g, from);
	}
	close(fds[1]);
	while (last < from + more && read(fds[0], &to, sizeof(to)) == sizeof(to))
		last = to;
	usleep((useconds_t)(last % 7) * 30000);
	kill(pid, SIGKILL);
	while (read(fds[0], &to, sizeof(to)) == sizeof(to))
		last = to;
	close(fds[0]);
	waitpid(pid, &status, 0);
	cr_assert(eq(int, WTERMSIG(status), SIGKILL));
	return last;
}

Test(store_faults, killed_at_any_moment_it_has_what_it_acknowledged_and_nothing_twice)
{
	uint64_t acked = 0, stored = 0;
	struct store_rig g;

	if (!store_rig_open(&g, NULL))
		return;
	store_rig_close(&g);
	for (uint32_t round = 0; round < 5; round++) {
		acked = kill_writer(&g, stored, 30000 + round * 7000);
		cr_assert(eq(int, store_rig_open_again(&g), 0), "%s", g.error);
		cr_assert(eq(int, store_committed(g.s, 1, 7, &stored), 0));
		cr_expect(ge(u64, stored, acked));
		cr_expect(eq(u64, store_rig_number(&g, "SELECT count(*) FROM %s"), stored));
		cr_expect(eq(u64, store_rig_number(&g, "SELECT count(DISTINCT end_us) FROM %s"),
			     stored));
		g.from = 0;
		g.to = INT64_C(4000000000000000);
		cr_expect(eq(u64, store_rig_rollup(&g, RB_TOTAL, ROLLUP_1M, "sum(flows)"), stored));
		cr_expect(eq(u64, store_rig_rollup(&g, RB_PAIR, ROLLUP_5M, "sum(flows)"), stored));
		store_rig_close(&g);
	}
	cr_assert(eq(int, store_rig_open_again(&g), 0), "%s", g.error);
	store_rig_done(&g);
}

Test(store_faults, one_process_holds_it)
{
	struct store_rig g, other;
	int up[2], down[2];
	char c = 0;
	pid_t pid;

	if (!store_rig_open(&g, NULL))
		return;
	store_rig_close(&g);
	cr_assert(eq(int, pipe(up), 0));
	cr_assert(eq(int, pipe(down), 0));
	pid = fork();
	if (!pid) {
		c = store_rig_open_again(&g) ? 'n' : 'y';
		if (write(up[1], &c, 1) != 1 || read(down[0], &c, 1) != 1)
			_exit(1);
		store_rig_close(&g);
		_exit(0);
	}
	cr_assert(eq(i64, read(up[0], &c, 1), 1));
	cr_assert(eq(chr, c, 'y'));
	other = g;
	cr_expect(eq(int, store_rig_open_again(&other), -EBUSY));
	cr_expect(strstr(other.error, "another process") != NULL, "%s", other.error);
	block_pool_free(other.pool);
	cr_assert(eq(i64, write(down[1], &c, 1), 1));
	waitpid(pid, NULL, 0);
	cr_expect(eq(int, store_rig_open_again(&g), 0), "%s", g.error);
	store_rig_done(&g);
}

Test(store_faults, a_partition_whose_head_is_damaged_is_left_out_and_named)
{
	struct store_rig g;

	if (!store_rig_open(&g, NULL))
		return;
	store_rig_fill_two(&g);
	store_rig_close(&g);
	store_rig_spoil(&g, "flows-2026*T14*.db", 0, 12288);
	cr_assert(eq(int, store_rig_open_again(&g), 0), "%s", g.error);
	cr_expect(eq(u64, store_rig_number(&g, "SELECT count(*) FROM %s"), 10000));
	cr_assert(eq(u32, g.said_n, 1));
	cr_expect(strstr(g.said[0], "renamed to *.damaged") && strstr(g.said[0], "30000 flows"),
		  "%s", g.said[0]);
	store_rig_done(&g);
}

/* Sum of all flows' octets by SQL. Return: as store_next(); the engine's words in @error. */
static int read_all(struct store_rig *g, struct flow_range range, uint64_t *ret, char *error)
{
	struct flow_source_cfg source = {.range = range};
	char sql[16384], *from = NULL;
	struct store_result *result = NULL;
	struct store_query q = {.sql = sql};
	struct store_value v;
	uint32_t n = 0;
	int r;

	for (unsigned int c = 0; c < _BC_MAX; c++)
		flow_source_add(&source, c);
	cr_assert(eq(int, store_source(g->s, &source, &from), 0));
	snprintf(sql, sizeof(sql),
		 "SELECT count(*)::UBIGINT, sum(out_bytes), max(tls_sni), sum(src_lo) FROM %s",
		 from);
	free(from);
	r = store_select(g->s, &q, error, &result);
	if (!r)
		r = store_next(result, &n);
	if (!r && n && store_get(result, 0, 0, &v))
		*ret = v.u;
	if (r && result)
		snprintf(error, STORE_ERROR, "%s", store_error(result));
	store_result_free(result);
	return r;
}

/* Its head says that all is well, but what the flows are in is no longer what was written. */
Test(store_faults, a_partition_damaged_inside_is_an_error_and_the_others_are_served)
{
	const struct flow_range all = {0, INT64_MAX / 4},
				later = {STORE_RIG_T0 + 3600000000, INT64_MAX / 4};
	char error[STORE_ERROR] = "";
	struct store_rig g;
	struct stat st;
	glob_t found;
	char path[128];
	uint64_t n = 0;

	if (!store_rig_open(&g, NULL))
		return;
	store_rig_fill_two(&g);
	store_rig_close(&g);
	snprintf(path, sizeof(path), "%s/flows-2026*T14*.db", g.dir);
	cr_assert(eq(int, glob(path, 0, NULL, &found), 0));
	cr_assert(eq(int, stat(found.gl_pathv[0], &st), 0));
	globfree(&found);
	store_rig_spoil(&g, "flows-2026*T14*.db", 12288 + 4096, (size_t)st.st_size / 2);
	cr_assert(eq(int, store_rig_open_again(&g), 0), "%s", g.error);
	/* it may be noticed when it is opened, or when it is read: never silently */
	if (!read_all(&g, all, &n, error)) {
		cr_expect(eq(u64, n, 10000));
		cr_expect(eq(u32, g.said_n, 1));
	} else {
		cr_expect(gt(sz, strlen(error), 10));
		fprintf(stderr, "said: %s\n", error);
	}
	cr_assert(eq(int, read_all(&g, later, &n, error), 0), "%s", error);
	cr_expect(eq(u64, n, 10000));
	store_rig_done(&g);
}

static void look_later(const struct store_rig *g, struct store_stats *ret)
{
	usleep(100000);
	store_stats(g->s, ret);
}

Test(store_faults, retention_by_bytes_and_age_removes_whole_files_from_the_oldest_on)
{
	struct store_cfg cfg = {.keep_bytes = 24000000, .upkeep_ms = 100, .partition_s = 300};
	struct store_stats st = {};
	struct store_rig g;
	struct rows rows;
	uint64_t first = 0, n = 0;

	if (!store_rig_open(&g, &cfg))
		return;
	rows_init(&rows, 6, T0, 30000); /* 10,000 flows in a partition */
	for (uint32_t i = 0; i < 40; i++) {
		store_rig_send(&g, &rows, 10000);
		cr_assert(eq(int, store_flush(g.s), 0));
	}
	for (uint32_t i = 0; i < WAIT_MS / 100 && !(st.expired && st.bytes <= cfg.keep_bytes); i++)
		look_later(&g, &st);
	cr_expect(gt(u64, st.expired, 0));
	cr_expect(le(u64, st.bytes, cfg.keep_bytes));
	cr_expect(gt(u64, st.rows, 0));
	for (uint32_t i = 0; i < WAIT_MS / 100; i++) { /* another may go between the looks */
		first = store_rig_number(&g, "SELECT min(end_us)::UBIGINT FROM %s");
		n = store_rig_number(&g, "SELECT count(*) FROM %s");
		store_stats(g.s, &st);
		if (n == st.rows && first == (uint64_t)st.first_us)
			break;
		usleep(100000);
	}
	cr_expect(eq(u64, n, st.rows));
	cr_expect(eq(u64, first, st.first_us));
	store_rig_close(&g);
	g.cfg.keep_s = (uint64_t)(time(NULL) - (T0 / 1000000 + 11700));
	g.cfg.keep_bytes = 0;
	cr_assert(eq(int, store_rig_open_again(&g), 0), "%s", g.error);
	for (uint32_t i = 0; i < WAIT_MS / 100 && (!i || st.partitions > 2); i++)
		look_later(&g, &st);
	cr_expect(le(u64, st.partitions, 2));
	cr_expect(ge(u64, st.partitions, 1));
	store_rig_done(&g);
}

Test(store_faults, on_a_full_disk_it_waits_and_loses_nothing)
{
	struct store_cfg cfg = {.flush_ms = 200};
	struct store_rig g = {0};
	char mount_point[64], ballast[96];
	struct rows rows;

	if (geteuid() != 0 || unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		cr_skip_test("needs root, for a small file system of its own");
		return;
	}
	if (!store_rig_open(&g, &cfg))
		return;
	snprintf(mount_point, sizeof(mount_point), "%s", g.dir);
	store_rig_close(&g);
	cr_assert(eq(int, mount("small", mount_point, "tmpfs", 0, "size=48m"), 0));
	cr_assert(eq(int, store_rig_open_again(&g), 0), "%s", g.error);
	snprintf(ballast, sizeof(ballast), "%s/ballast", g.dir);
	rows_init(&rows, 9, T0, 1000);
	store_rig_send(&g, &rows, 20000);
	cr_assert(eq(int, store_flush(g.s), 0));
	cr_assert(eq(u64, g.committed[1], 20000));
	{
		int fd = open(ballast, O_CREAT | O_WRONLY, 0600);
		static char mb[1 << 16];

		cr_assert(ge(int, fd, 0));
		while (write(fd, mb, sizeof(mb)) > 0)
			;
		close(fd);
	}
	store_rig_send(&g, &rows, 150000);
	for (uint32_t i = 0; i < WAIT_MS / 100 && !g.said_n; i++)
		usleep(100000);
	cr_assert(gt(u32, g.said_n, 0));
	cr_expect(strstr(g.said[0], "failed") != NULL, "%s", g.said[0]);
	cr_assert(eq(int, unlink(ballast), 0));
	cr_assert(eq(int, store_flush(g.s), 0));
	cr_expect(eq(u64, g.committed[1], rows.n));
	cr_expect(eq(u64, store_rig_number(&g, "SELECT count(*) FROM %s"), rows.n));
	cr_expect(eq(u64, store_rig_number(&g, "SELECT count(DISTINCT end_us) FROM %s"), rows.n));
	store_rig_close(&g);
	umount2(mount_point, MNT_DETACH);
	rmdir(mount_point);
}

/* All cold files as a version wrote them that had no answers of DNS. */
static void forget_answers(struct store_rig *g)
{
	char pattern[300];
	uint64_t rows = 0;
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/flows-*.parquet", g->dir);
	cr_assert(eq(int, glob(pattern, 0, NULL, &found), 0));
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *path = found.gl_pathv[i];
		char sql[800], old[300];

		snprintf(old, sizeof(old), "%.290s.old", path);
		snprintf(sql, sizeof(sql),
			 "COPY (SELECT * EXCLUDE (dns_answers) FROM read_parquet('%.290s')) TO "
			 "'%.290s' (FORMAT parquet) --%%s",
			 path, old);
		rows += store_rig_number(g, sql);
		cr_assert(eq(int, rename(old, path), 0));
	}
	cr_expect(eq(u64, rows, 40000));
	globfree(&found);
}

Test(store_faults, cold_partitions_are_parquet_and_late_flows_lie_beside)
{
	struct store_cfg cfg = {.cold_s = 60, .upkeep_ms = 100};
	uint64_t bytes, names;
	struct store_stats st = {};
	struct store_rig g;
	struct rows rows;

	if (!store_rig_open(&g, NULL))
		return;
	store_rig_fill_two(&g);
	bytes = store_rig_number(&g, "SELECT sum(bytes) FROM %s");
	names = store_rig_number(
		&g, "SELECT count(DISTINCT dns_qname) + count(tls_sni) + count(vni) FROM %s");
	store_rig_close(&g);
	g.cfg.cold_s = cfg.cold_s;
	g.cfg.upkeep_ms = cfg.upkeep_ms;
	cr_assert(eq(int, store_rig_open_again(&g), 0), "%s", g.error);
	for (uint32_t i = 0; i < WAIT_MS / 100 && st.cold != 2; i++)
		look_later(&g, &st);
	cr_assert(eq(u64, st.cold, 2));
	cr_expect(eq(u64, store_rig_number(&g, "SELECT count(*) FROM %s"), 40000));
	cr_expect(eq(u64, store_rig_number(&g, "SELECT sum(bytes) FROM %s"), bytes));
	cr_expect(eq(u64,
		     store_rig_number(&g, "SELECT count(DISTINCT dns_qname) + count(tls_sni) + "
					  "count(vni) FROM %s"),
		     names));
	forget_answers(&g);
	cr_expect(eq(u64,
		     store_rig_number(
			     &g, "SELECT count(*) FROM %s WHERE dns_answers IS NULL AND bytes > 0"),
		     40000));
	rows_init(&rows, 8, T0 + 100000, 1000); /* late */
	store_rig_send(&g, &rows, 500);
	cr_assert(eq(int, store_flush(g.s), 0));
	cr_expect(eq(u64, store_rig_number(&g, "SELECT count(*) FROM %s"), 40500));
	store_rig_reopen(&g);
	cr_expect(eq(u64, store_rig_number(&g, "SELECT count(*) FROM %s"), 40500));
	store_rig_done(&g);
}

struct asking {
	struct store *s;
	atomic_uint_least64_t flows; /* at most */
	atomic_uint_least64_t asked;
	atomic_int error;
	char why[STORE_ERROR];
	atomic_bool stop;
};

static int no_head(void *arg, const struct answer_column *columns, uint32_t n)
{
	(void)arg;
	(void)columns;
	(void)n;
	return 0;
}

static int count_row(void *arg, const struct answer_cell *cells, bool other)
{
	struct asking *a = arg;

	(void)other;
	a->error = cells[0].u > a->flows ? -ERANGE : 0;
	return a->error;
}

static int count_flow(void *arg, const struct flow_record *r)
{
	(void)arg;
	(void)r;
	return 0;
}

static int no_end(void *arg, const struct answer_end *end)
{
	(void)arg;
	(void)end;
	return 0;
}

/* Sums, groups and pages of flows, one after the other, until it is told to stop or one fails. */
static void *ask_for_ever(void *arg)
{
	struct asking *a = arg;
	const struct query_env env = {.store = a->s};
	const struct answer_sink k = {
		.head = no_head, .row = count_row, .flow = count_flow, .end = no_end, .arg = a};

	while (!a->stop && !a->error) {
		const bool pages = a->asked % 3 == 2;
		struct spec q;

		spec_init(&q, pages ? SPEC_FLOWS : SPEC_TOP, INT64_C(4000000000000000));
		q.from_us = 0;
		q.raw = true;
		q.top = 50;
		cr_assert(eq(int, spec_set(&q, "measure", "flows", a->why), 0));
		cr_assert(eq(int, spec_finish(&q, a->why), 0), "%s", a->why);
		a->error = query_run(&env, &q, &k, a->why);
		a->asked++;
	}
	return NULL;
}

/* Two ask until @over(); then what they said. */
static void ask_until(struct store_rig *g, bool (*over)(const struct store_stats *st),
		      uint64_t flows)
{
	struct asking a[2] = {};
	struct store_stats st = {};
	pthread_t thread[2];

	for (uint32_t i = 0; i < 2; i++) {
		a[i].s = g->s;
		a[i].flows = flows;
		cr_assert(eq(int, pthread_create(&thread[i], NULL, ask_for_ever, &a[i]), 0));
	}
	for (uint32_t i = 0; i < WAIT_MS / 100 && !(over(&st) && a[0].asked && a[1].asked); i++)
		look_later(g, &st);
	for (uint32_t i = 0; i < 2; i++) {
		a[i].stop = true;
		pthread_join(thread[i], NULL);
		cr_expect(eq(int, a[i].error, 0), "%s", a[i].why);
		cr_expect(gt(u64, a[i].asked, 0));
	}
	cr_assert(over(&st), "%llu cold, %llu partitions, %llu removed",
		  (unsigned long long)st.cold, (unsigned long long)st.partitions,
		  (unsigned long long)st.expired);
	fprintf(stderr, "%llu and %llu queries, %llu partitions removed, %llu Parquet\n",
		(unsigned long long)a[0].asked, (unsigned long long)a[1].asked,
		(unsigned long long)st.expired, (unsigned long long)st.cold);
}

#define FILES 40u

static bool all_cold(const struct store_stats *st)
{
	return st->partitions && st->cold == st->partitions;
}

static bool most_removed(const struct store_stats *st)
{
	return st->expired >= FILES / 2;
}

/* As fast as it goes, while others ask. */
Test(store_faults, a_partition_that_becomes_parquet_or_is_removed_fails_no_query)
{
	struct store_cfg cfg = {.partition_s = 300};
	struct store_stats st;
	struct store_rig g;
	struct rows rows;

	if (!store_rig_open(&g, &cfg))
		return;
	rows_init(&rows, 6, T0, 60000); /* 5,000 flows in a partition */
	store_rig_send(&g, &rows, FILES * 5000);
	cr_assert(eq(int, store_flush(g.s), 0));
	store_rig_close(&g);
	g.cfg.cold_s = 60;
	g.cfg.upkeep_ms = 20;
	cr_assert(eq(int, store_rig_open_again(&g), 0), "%s", g.error);
	ask_until(&g, all_cold, rows.n);
	store_stats(g.s, &st);
	store_rig_close(&g);
	g.cfg.keep_bytes = st.bytes / 3;
	cr_assert(eq(int, store_rig_open_again(&g), 0), "%s", g.error);
	ask_until(&g, most_removed, rows.n);
	store_rig_done(&g);
}

/* The same with partitions that are no files of their own yet, and more flows coming. */
Test(store_faults, a_partition_that_is_removed_while_flows_come_fails_no_query)
{
	struct store_cfg cfg = {.keep_bytes = 9000000, .upkeep_ms = 20, .partition_s = 300};
	struct asking a = {};
	struct store_stats st = {};
	struct store_rig g;
	struct rows rows;
	pthread_t thread;
	uint32_t n;

	if (!store_rig_open(&g, &cfg))
		return;
	rows_init(&rows, 6, T0, 30000); /* 10,000 flows in a partition */
	a.s = g.s;
	cr_assert(eq(int, pthread_create(&thread, NULL, ask_for_ever, &a), 0));
	/* at least; then until some have been removed under queries */
	for (n = 0; n < FILES || ((a.asked <= 5 || st.expired <= 10) && !a.error); n++) {
		a.flows += 10000;
		store_rig_send(&g, &rows, 10000);
		cr_assert(eq(int, store_flush(g.s), 0));
		store_stats(g.s, &st);
	}
	a.stop = true;
	pthread_join(thread, NULL);
	cr_expect(eq(int, a.error, 0), "%s", a.why);
	cr_expect(gt(u64, a.asked, 5));
	cr_expect(gt(u64, st.expired, 10));
	store_rig_done(&g);
}

/* Has any partition been removed by @ms from now? */
static bool is_expired_in(const struct store_rig *g, uint32_t ms)
{
	struct store_stats st;

	for (uint32_t i = 0; i < ms / 100; i++) {
		store_stats(g->s, &st);
		if (st.expired)
			return true;
		usleep(100000);
	}
	return false;
}

/* Ten partitions more than there may be, while a query holds them. */
static bool is_expired_while_held(struct store_rig *g, struct rows *rows, uint32_t ms)
{
	bool is;

	store_hold(g->s);
	store_rig_send(g, rows, 100000);
	cr_assert(eq(int, store_flush(g->s), 0));
	is = is_expired_in(g, ms);
	store_release(g->s);
	return is;
}

Test(store_faults, what_a_query_holds_stays_for_a_time_and_not_on_a_full_disk)
{
	struct store_cfg cfg = {.keep_bytes = 4000000, .upkeep_ms = 20, .partition_s = 300};
	struct store_rig g;
	struct rows rows;

	cfg.hold_ms = UINT32_MAX;
	if (!store_rig_open(&g, &cfg))
		return;
	rows_init(&rows, 6, T0, 30000); /* 10,000 flows in a partition */
	cr_expect(not(is_expired_while_held(&g, &rows, 500)));
	cr_expect(is_expired_in(&g, WAIT_MS));
	store_rig_done(&g);

	cfg.hold_ms = 200;
	cr_assert(store_rig_open(&g, &cfg));
	cr_expect(is_expired_while_held(&g, &rows, WAIT_MS));
	store_rig_done(&g);

	cfg.hold_ms = UINT32_MAX;
	cfg.free_bytes = UINT64_MAX; /* more than any disk has */
	cr_assert(store_rig_open(&g, &cfg));
	cr_expect(is_expired_while_held(&g, &rows, WAIT_MS));
	store_rig_done(&g);
}
