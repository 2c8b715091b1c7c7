/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_budget.c - every combination of the settings loads, stays within the verifier budget that
 * budget.csv grants, and really is another program than the one with a setting flipped.
 * Lines `budget,...` on stdout are what was measured: tests/bpf/update_budget makes the file of them.
 * WEIR_SLOW (emulated machines): some that hold every pair of settings, instead of all 96 (who
 * samples does not enforce).
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "weir.skel.h"

enum setting {
	SET_DECAP,
	SET_NAMES,
	SET_SAMPLE,
	SET_RT,
	SET_REPLAY,
	SET_CONSUME,
	SET_ENFORCE,
	_SET_MAX
};

static const char *const setting_names[] = {"cfg_decap_depth", "cfg_names",  "cfg_sample",
					    "cfg_rt",	       "cfg_replay", "cfg_consume",
					    "cfg_enforce"};

#define PROGRAMS     3
#define CLASSES	     8 /* enforce x decap x names decide what is verified; the rest is small change */
#define PERMUTATIONS (1u << SET_ENFORCE) /* and the same again with verdicts */
#define SLACK_PCT    10
#define BUDGET_FILE  "tests/bpf/budget.csv"
#define INSNS_MAX    200000u

static const char *const programs[PROGRAMS] = {"xdp_flows", "tc_ingress", "tc_egress"};

struct measured {
	__u32 insns[PROGRAMS];
	__u64 digest[PROGRAMS]; /* of the translated instructions, addresses left out */
};

static bool is_set(__u32 flags, enum setting s)
{
	return flags >> s & 1;
}

static __u32 class_of(__u32 flags)
{
	return (is_set(flags, SET_ENFORCE) ? 4 : 0) + (is_set(flags, SET_DECAP) ? 2 : 0) +
	       (is_set(flags, SET_NAMES) ? 1 : 0);
}

/* Row x of the orthogonal array L8: any two of its columns hold all four pairs. */
static __u32 pairwise_row(__u32 x)
{
	__u32 a = x & 1, b = x >> 1 & 1, c = x >> 2 & 1;

	return a << SET_DECAP | b << SET_NAMES | c << SET_SAMPLE | (a ^ b) << SET_RT |
	       (a ^ c) << SET_REPLAY | (b ^ c) << SET_CONSUME;
}

static bool is_slow(void)
{
	return getenv("WEIR_SLOW") != NULL;
}

static int libbpf_silent(enum libbpf_print_level level, const char *fmt, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, fmt, args) : 0;
}

/* FNV-1a over the instructions; the operands of ld_imm64 and calls are addresses and differ from load
 * to load.
 */
static __u64 digest_insns(const struct bpf_insn *insn, size_t n)
{
	__u64 h = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < n; i++) {
		bool wide = insn[i].code == (BPF_LD | BPF_IMM | BPF_DW);
		bool call = insn[i].code == (BPF_JMP | BPF_CALL);
		__u64 v = (__u64)insn[i].code << 56 | (__u64)(__u16)insn[i].off << 32;

		if (wide)
			i++;
		else if (!call)
			v |= (__u32)insn[i].imm;
		h = (h ^ v) * 0x100000001b3ull;
	}
	return h;
}

static void measure_program(const struct bpf_program *prog, __u32 *ret_insns, __u64 *ret_digest)
{
	static struct bpf_insn insns[INSNS_MAX];
	struct bpf_prog_info info = {
		.xlated_prog_insns = (__u64)(unsigned long)insns,
		.xlated_prog_len = sizeof(insns),
	};
	__u32 len = sizeof(info);

	cr_assert_eq(bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len), 0);
	cr_assert_gt(info.verified_insns, 0);
	cr_assert_gt(info.xlated_prog_len, 0);
	cr_assert_leq(info.xlated_prog_len, sizeof(insns));
	*ret_insns = info.verified_insns;
	*ret_digest = digest_insns(insns, info.xlated_prog_len / sizeof(insns[0]));
}

static void measure(__u32 flags, struct measured *ret_m)
{
	struct weir_bpf *skel = weir_bpf__open();

	cr_assert_not_null(skel);
	skel->rodata->cfg_decap_depth = is_set(flags, SET_DECAP) ? 4 : 0;
	skel->rodata->cfg_names = is_set(flags, SET_NAMES);
	skel->rodata->cfg_sample = is_set(flags, SET_SAMPLE) ? 10 : 1;
	skel->rodata->cfg_rt = is_set(flags, SET_RT);
	skel->rodata->cfg_replay = is_set(flags, SET_REPLAY);
	skel->rodata->cfg_consume = is_set(flags, SET_CONSUME);
	skel->rodata->cfg_enforce = is_set(flags, SET_ENFORCE);
	skel->rodata->cfg_rare = (flags & (1u << SET_SAMPLE | 1u << SET_RT | 1u << SET_REPLAY |
					   1u << SET_CONSUME)) != 0;
	cr_assert_eq(weir_bpf__load(skel), 0, "settings 0x%02x do not load", flags);
	for (int i = 0; i < PROGRAMS; i++) {
		const struct bpf_program *prog =
			bpf_object__find_program_by_name(skel->obj, programs[i]);

		cr_assert_not_null(prog);
		measure_program(prog, &ret_m->insns[i], &ret_m->digest[i]);
	}
	weir_bpf__destroy(skel);
}

/* "6.12.117+deb12" -> "6.12": what the verifier does changes from series to series. */
static void kernel_series(char *buf, size_t size)
{
	struct utsname u;
	char *dot;

	cr_assert_eq(uname(&u), 0);
	snprintf(buf, size, "%s", u.release);
	dot = strchr(buf, '.');
	cr_assert_not_null(dot);
	dot[1 + strspn(dot + 1, "0123456789")] = '\0';
}

/* Instructions granted, or 0 where the file has no row. */
static __u32 budget_of(const char *series, const char *program, __u32 class)
{
	char want[128], line[128];
	unsigned long insns = 0;
	FILE *f = fopen(BUDGET_FILE, "re");

	if (!f)
		return 0;
	snprintf(want, sizeof(want), "%s,%s,%u,%u,%u,", series, program, class >> 2, class >> 1 & 1,
		 class & 1);
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, want, strlen(want)))
			continue;
		for (const char *p = line + strlen(want); *p >= '0' && *p <= '9'; p++)
			insns = insns * 10 + (unsigned long)(*p - '0');
		break;
	}
	fclose(f);
	return insns;
}

static void collect(bool enforce, __u32 max[PROGRAMS][CLASSES])
{
	/* with verdicts, what decides what is verified: they are large */
	__u32 n = !is_slow() ? PERMUTATIONS : enforce ? CLASSES / 2 : 8;

	for (__u32 i = 0; i < n; i++) {
		__u32 flags = (is_slow() ? pairwise_row(i) : i) | (__u32)enforce << SET_ENFORCE;
		__u32 class = class_of(flags);
		struct measured m;

		if (enforce && is_set(flags, SET_SAMPLE))
			continue;
		measure(flags, &m);
		for (int p = 0; p < PROGRAMS; p++)
			if (m.insns[p] > max[p][class])
				max[p][class] = m.insns[p];
	}
}

static void expect_budget(const char *series, const char *program, __u32 class, __u32 insns,
			  int *ret_missing)
{
	__u32 enforce = class >> 2, decap = class >> 1 & 1, names = class & 1;
	__u32 budget = budget_of(series, program, class);

	printf("budget,%s,%s,%u,%u,%u,%u\n", series, program, enforce, decap, names, insns);
	*ret_missing += !budget;
	if (budget)
		cr_expect_leq(
			(__u64)insns * 100, (__u64)budget * (100 + SLACK_PCT),
			"%s (enforce %u, decap %u, names %u): %u instructions verified, %u granted",
			program, enforce, decap, names, insns, budget);
}

static void check_combinations(bool enforce)
{
	__u32 max[PROGRAMS][CLASSES] = {}, first = enforce ? CLASSES / 2 : 0;
	char series[sizeof(((struct utsname *)0)->release)];
	int missing = 0;

	libbpf_set_print(libbpf_silent);
	kernel_series(series, sizeof(series));
	collect(enforce, max);
	for (int p = 0; p < PROGRAMS; p++)
		for (__u32 c = first; c < first + CLASSES / 2; c++)
			expect_budget(series, programs[p], c, max[p][c], &missing);
	fflush(stdout);
	if (missing)
		cr_skip_test("all load, but " BUDGET_FILE " has no rows for this kernel series");
}

TestSuite(budget, .timeout = 1800);

Test(budget, every_combination_loads_within_its_budget)
{
	check_combinations(false);
}

Test(budget, every_combination_with_verdicts_loads_within_its_budget)
{
	check_combinations(true);
}

/* Guards the test above: a setting that is not carried into the object would be verified never. */
Test(budget, each_setting_makes_another_program)
{
	static const __u32 base = 1u << SET_DECAP | 1u << SET_NAMES;
	struct measured with, without;

	libbpf_set_print(libbpf_silent);
	measure(base, &with);
	measure(base, &without);
	for (int p = 0; p < PROGRAMS; p++)
		cr_expect_eq(with.digest[p], without.digest[p],
			     "%s: the digest of one and the same "
			     "program is not stable",
			     programs[p]);
	/* that a setting reaches the object does not depend on the kernel: one is enough there */
	for (int s = is_slow() ? SET_ENFORCE : 0; s < _SET_MAX; s++) {
		bool differs = false;

		measure(base ^ 1u << s, &without);
		for (int p = 0; p < PROGRAMS; p++)
			differs |= with.digest[p] != without.digest[p];
		cr_expect(differs, "%s changes no program", setting_names[s]);
	}
}
