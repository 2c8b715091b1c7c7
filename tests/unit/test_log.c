/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_log.c - messages in their three forms, one line each whatever is in them; the limit counts
 * what it leaves out; the journal is known by its stream.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "json_check.h"

static char path[64];
static char text[1 << 20];

static void init(void)
{
	int fd;

	snprintf(path, sizeof(path), "/tmp/weir-log.XXXXXX");
	fd = mkstemp(path);
	dup2(fd, STDERR_FILENO);
	close(fd);
	unsetenv("JOURNAL_STREAM");
}

static void done(void)
{
	unlink(path);
}

TestSuite(log, .init = init, .fini = done, .timeout = 120);

/* What has been written so far. */
static const char *said(void)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[n > 0 ? n : 0] = 0;
	return text;
}

static unsigned int lines(void)
{
	unsigned int n = 0;

	for (const char *p = said(); *p; p++)
		n += *p == '\n';
	return n;
}

static void map_full(void)
{
	log_at(LEVEL_WARN, "eth0",
	       LOG_FIELDS(LOG_STR("map", "the flows"), LOG_NUM("entries", 65536)), "map %s",
	       "full");
}

Test(log, for_people_it_is_short)
{
	log_init(LOG_AUTO, LEVEL_INFO);
	map_full();
	log_info(NULL, "done");
	cr_assert_str_eq(said(),
			 "weir: eth0: map full (map the flows, entries 65536)\nweir: done\n");
}

Test(log, other_lines_are_marked_for_the_journal_alone)
{
	char id[64];
	struct stat st;

	cr_assert_str_eq(log_mark(LEVEL_ERROR), "");
	fstat(STDERR_FILENO, &st);
	snprintf(id, sizeof(id), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", id, 1);
	cr_assert_str_eq(log_mark(LEVEL_ERROR), "<3>");
	cr_assert_str_eq(log_mark(LEVEL_WARN), "<4>");
}

Test(log, logfmt_quotes_what_needs_it)
{
	const char *want =
		" level=warn subject=eth0 msg=\"map full\" map=\"the flows\" entries=65536\n";

	log_init(LOG_LOGFMT, LEVEL_INFO);
	map_full();
	cr_assert(!strncmp(said(), "ts=20", 5), "%s", said());
	cr_assert_str_eq(strchr(said(), ' '), want);
}

Test(log, json_parses_whatever_is_in_it)
{
	log_init(LOG_JSON, LEVEL_INFO);
	log_at(LEVEL_ERROR, "a\"b\n", LOG_FIELDS(LOG_STR("k", "\x01\xff\\")), "x\ny\t\"%s\"", "z");
	map_full();
	cr_assert_eq(lines(), 2);
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1)
		cr_assert_eq(json_check(line, (size_t)(end - line)), 0, "%s", line);
}

Test(log, a_message_is_one_line_in_every_form)
{
	for (int f = LOG_TEXT; f <= LOG_JSON; f++) {
		log_init(f, LEVEL_INFO);
		log_info("a\nb", "c\nx\033[2J");
	}
	cr_assert_eq(lines(), 3);
	cr_assert_null(strchr(text, '\033'));
}

Test(log, a_long_message_is_cut_and_ends_its_line)
{
	static char huge[10000];

	memset(huge, '"', sizeof(huge) - 1);
	for (int f = LOG_TEXT; f <= LOG_JSON; f++) {
		log_init(f, LEVEL_INFO);
		log_info(huge, "%s", huge);
	}
	for (int i = 0; i < 40; i++)
		log_at(LEVEL_INFO, NULL, LOG_FIELDS(LOG_STR("k", huge), LOG_STR("l", "m")), "%.*s",
		       i * 40, huge);
	cr_assert_eq(lines(), 43);
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		cr_assert_leq(end - line, 2048);
		if (*line == '{')
			cr_assert_eq(json_check(line, (size_t)(end - line)), 0, "%s", line);
	}
}

Test(log, the_journal_gets_its_priority_and_no_time)
{
	char stream[64];
	struct stat st;

	fstat(STDERR_FILENO, &st);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_init(LOG_AUTO, LEVEL_INFO);
	map_full();
	cr_assert(!strncmp(said(), "<4>level=warn ", 14), "%s", said());
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_init(LOG_AUTO, LEVEL_INFO);
	map_full();
	cr_assert_not_null(strstr(said(), "weir: eth0: map full"));
}

Test(log, the_level_decides_and_can_be_changed)
{
	log_init(LOG_TEXT, LEVEL_WARN);
	log_info(NULL, "not this");
	cr_assert_eq(lines(), 0);
	log_set_level(LEVEL_DEBUG);
	log_debug(NULL, "this");
	cr_assert_eq(lines(), 1);
}

static void often(void)
{
	log_warn(NULL, "again");
}

Test(log, a_site_has_a_limit_and_others_have_their_own)
{
	log_init(LOG_TEXT, LEVEL_INFO);
	for (unsigned int i = 0; i < 3 * LOG_BURST; i++)
		often();
	/* one window, or two when one ends just now */
	cr_assert_geq(lines(), LOG_BURST);
	cr_assert_leq(lines(), 2 * LOG_BURST);
	log_warn(NULL, "another");
	cr_assert_not_null(strstr(said(), "another"));
}
