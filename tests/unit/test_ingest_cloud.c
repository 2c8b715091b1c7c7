// SPDX-License-Identifier: Apache-2.0
/*
 * test_ingest_cloud.c - flow logs of AWS, Azure and Google, from text and from files, gzip too; a file
 * that has grown gives what is new.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "collector/ingest/cloud.h"
#include "collector/ingest/ingest.h"
#include "collector/ingest/reader.h"
#include "ingest_rig.h"

TestSuite(ingest_cloud, .timeout = 120);

static struct ingest_rig g;
static struct cloud c;
static char path[64];

static void begin(void)
{
	ingest_rig_new(&g, NULL);
	cloud_init(&c, g.d, RIG_NOW_US);
}

static int line(const char *s)
{
	return cloud_aws_line(&c, s, strlen(s));
}

static int json(const char *s)
{
	return cloud_json(&c, s, strlen(s));
}

/* A file of the test's own. */
static void write_file(const char *text, bool append)
{
	int fd;

	if (!*path) {
		memcpy(path, "/tmp/weir-cloud.XXXXXX", 23);
		fd = mkstemp(path);
	} else {
		fd = open(path, O_WRONLY | (append ? O_APPEND : O_TRUNC));
	}
	cr_assert(ge(int, fd, 0));
	cr_assert(eq(int, (int)write(fd, text, strlen(text)), (int)strlen(text)));
	close(fd);
}

#define V2_LINE \
	"2 123456789010 eni-1235b8ca 172.31.16.139 198.51.100.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK"
#define V2_ROW                                                                                        \
	"start_us=1418530010000000 end_us=1418530070000000 src_hi=0 src_lo=281473569460363 dst_hi=0 " \
	"dst_lo=281474007000085 src_port=20641 dst_port=22 proto=6 out_packets=20 out_bytes=4249 "

Test(ingest_cloud, aws_lines_without_a_header_are_those_of_version_2)
{
	begin();
	cr_assert(zero(int, line(V2_LINE)));
	cr_assert(zero(
		int,
		line("2 123456789010 eni-1 172.31.9.69 198.51.100.9 4444 3389 6 1 40 1418530010 "
		     "1418530070 REJECT OK\r")));
	cr_assert(zero(int,
		       line("2 123456789010 eni-1 - - - - - - - 1431280876 1431280934 - NODATA")));
	cr_assert(zero(
		int, line("2 123456789010 eni-1 - - - - - - - 1431280876 1431280934 - SKIPDATA")));
	cr_assert(zero(int, line("")));
	cr_assert(eq(u32, ingest_rig_take(&g), 2));
	cr_assert(ingest_row_has(g.row[0], V2_ROW "extra=interface-id=eni-1235b8ca ", true));
	cr_assert(ingest_row_has(g.row[1], "event=3 ", false));
	cr_assert(eq(u64, c.skipped, 1));
	cr_assert(eq(u64, c.malformed, 0));
	ingest_rig_free(&g);
}

Test(ingest_cloud, aws_header_lines_name_the_fields)
{
	begin();
	cr_assert(zero(
		int,
		line("version vpc-id srcaddr dstaddr pkt-srcaddr srcport dstport protocol tcp-flags type bytes "
		     "packets start end flow-direction traffic-path action log-status account-id")));
	cr_assert(zero(
		int,
		line("5 vpc-abc 2001:db8::1 2001:db8::2 2001:db8::9 40000 443 6 19 IPv6 5000 7 1600000000 "
		     "1600000060 egress 8 ACCEPT OK 42")));
	cr_assert(eq(u32, ingest_rig_take(&g), 1));
	cr_assert(eq(
		str, g.row[0],
		"start_us=1600000000000000 end_us=1600000060000000 src_hi=2306139568115548160 src_lo=1 "
		"dst_hi=2306139568115548160 dst_lo=2 src_port=40000 dst_port=443 proto=6 out_packets=7 "
		"out_bytes=5000 tcp_flags=19 direction=1 "
		"extra=vpc-id=vpc-abc\\1fpkt-srcaddr=2001:db8::9\\1ftraffic-path=8 "));
	ingest_rig_free(&g);
}

Test(ingest_cloud, aws_lines_that_are_none_are_counted)
{
	static const char *const bad[] = {
		"2 1 eni 172.31.16.139 198.51.100.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT",
		V2_LINE " more",
		"2 1 eni 172.31.16.300 198.51.100.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK",
		"2 1 eni 172.31.16.139 198.51.100.21 70000 22 6 20 4249 1418530010 1418530070 ACCEPT OK",
		"2 1 eni 172.31.16.139 198.51.100.21 1 22 6 99999999999999999999 4249 1 2 ACCEPT OK",
		"hello",
	};

	begin();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert(eq(int, line(bad[i]), -EBADMSG), "%s", bad[i]);
	cr_assert(eq(u64, decoder_counts(g.d)[IC_LINE], sizeof(bad) / sizeof(bad[0])));
	cr_assert(eq(u32, ingest_rig_take(&g), 0));
	ingest_rig_free(&g);
}

Test(ingest_cloud, azure_nsg_tuples)
{
	begin();
	cr_assert(zero(
		int,
		json("{\"time\":\"2018-11-13T12:00:35Z\",\"systemId\":\"s\",\"resourceId\":\"/SUB/NSG1\",\"properties\":{"
		     "\"Version\":2,\"flows\":[{\"rule\":\"DefaultRule\",\"flows\":[{\"mac\":\"000D3AF87856\",\"flowTuples\":["
		     "\"1542110402,94.102.49.190,10.5.16.4,28746,443,U,I,D,B,,,,\","
		     "\"1542110437,10.5.16.4,13.67.143.118,44931,443,T,O,A,E,25,4300,30,8001\"]}]}]}}")));
	cr_assert(eq(u32, ingest_rig_take(&g), 2));
	cr_assert(eq(
		str, g.row[0],
		"end_us=1542110402000000 src_hi=0 src_lo=281472265499070 dst_hi=0 dst_lo=281470849847300 "
		"src_port=28746 dst_port=443 proto=17 direction=0 event=3 "
		"extra=state=B\\1frule=DefaultRule\\1fmac=000D3AF87856 "));
	cr_assert(ingest_row_has(
		g.row[1], "out_packets=25 out_bytes=4300 in_packets=30 in_bytes=8001 reason=3 ",
		false));
	ingest_rig_free(&g);
}

Test(ingest_cloud, azure_vnet_tuples)
{
	begin();
	cr_assert(zero(
		int,
		json("{\"time\":\"2022-09-14T09:00:52Z\",\"flowLogVersion\":4,\"macAddress\":\"112233445566\","
		     "\"targetResourceID\":\"/SUB/VNET\",\"flowRecords\":{\"flows\":[{\"aclID\":\"x\",\"flowGroups\":[{"
		     "\"rule\":\"Internet\",\"flowTuples\":[\"1663146003599,10.0.0.6,192.0.2.180,23956,443,6,O,C,NX,767,"
		     "108489,1580,2298470\",\"1663146003606,10.0.0.6,192.0.2.180,23957,443,6,O,D,NX,0,0,0,0\"]}]}]}}")));
	cr_assert(eq(u32, ingest_rig_take(&g), 2));
	cr_assert(eq(
		str, g.row[0],
		"end_us=1663146003599000 src_hi=0 src_lo=281470849515526 dst_hi=0 dst_lo=281473902969524 "
		"src_port=23956 dst_port=443 proto=6 out_packets=767 out_bytes=108489 in_packets=1580 "
		"in_bytes=2298470 reason=2 direction=1 "
		"extra=state=C\\1fencryption=NX\\1frule=Internet\\1fmac=112233445566 "));
	cr_assert(ingest_row_has(g.row[1], "event=3 ", false));
	ingest_rig_free(&g);
}

#define GCP                                                                                          \
	"{\"jsonPayload\":{\"connection\":{\"src_ip\":\"10.128.0.2\",\"dest_ip\":\"203.0.113.7\","   \
	"\"src_port\":4242,\"dest_port\":443,\"protocol\":6},\"reporter\":\"SRC\",\"packets_sent\":" \
	"\"12\",\"bytes_sent\":\"3400\",\"start_time\":\"2023-01-02T03:04:05.5Z\",\"end_time\":"     \
	"\"2023-01-02T03:04:06.25+00:00\",\"src_instance\":{\"vm_name\":\"web-1\"}},\"resource\":{"  \
	"\"labels\":{\"project_id\":\"proj\"}}}"

Test(ingest_cloud, gcp_entries)
{
	begin();
	cr_assert(zero(int, json(GCP)));
	cr_assert(eq(u32, ingest_rig_take(&g), 1));
	cr_assert(eq(
		str, g.row[0],
		"start_us=1672628645500000 end_us=1672628646250000 src_hi=0 src_lo=281470857904130 dst_hi=0 "
		"dst_lo=281474087547143 src_port=4242 dst_port=443 proto=6 out_packets=12 out_bytes=3400 "
		"direction=1 extra=src_instance=web-1\\1freporter=SRC "));
	cr_assert(eq(int, json("{\"jsonPayload\":{}}"), -EBADMSG));
	cr_assert(eq(int, json("{}"), -EBADMSG));
	cr_assert(eq(int, json("{\"jsonPayload\":"), -EBADMSG));
	ingest_rig_free(&g);
}

Test(ingest_cloud, objects_of_a_list_are_found_whole)
{
	static const char text[] = " [ {\"a\":\"}{\\\"\\\\\"} ,\n{\"b\":{\"c\":[{}]}}]}";
	size_t at, len;

	cr_assert(zero(int, cloud_object(text, sizeof(text) - 1, &at, &len)));
	cr_assert(eq(u64, at, 3));
	cr_assert(eq(u64, len, 14));
	cr_assert(zero(int, cloud_object(text + 17, sizeof(text) - 18, &at, &len)));
	cr_assert(eq(u64, len, 16));
	cr_assert(eq(int, cloud_object(text + 36, sizeof(text) - 37, &at, &len), -ENODATA));
	for (size_t n = 4; n < 17; n++)
		cr_assert(eq(int, cloud_object(text, n, &at, &len), -EAGAIN));
	cr_assert(eq(int, cloud_object("x", 1, &at, &len), -EBADMSG));
}

Test(ingest_cloud, files_of_each_kind_are_told_apart)
{
	struct ingest_file n = {};

	ingest_rig_new(&g, NULL);
	write_file(V2_LINE "\n" V2_LINE, false);
	cr_assert(zero(int, reader_file(g.d, path, NULL, &n)));
	write_file("{\"records\": [\n]}", false);
	cr_assert(zero(int, reader_file(g.d, path, NULL, &n)));
	write_file(GCP "\n" GCP "\n", false);
	cr_assert(zero(int, reader_file(g.d, path, NULL, &n)));
	cr_assert(eq(u64, n.records, 4));
	write_file(GCP "\n{\"jsonP", false);
	cr_assert(eq(int, reader_file(g.d, path, NULL, &n), -EBADMSG));
	cr_assert(eq(u64, n.records, 5));
	write_file("\x7f"
		   "ELF",
		   false);
	cr_assert(eq(int, reader_file(g.d, path, NULL, &n), -EBADMSG));
	cr_assert(eq(int, reader_file(g.d, "/nowhere/at/all", NULL, &n), -ENOENT));
	unlink(path);
	ingest_rig_free(&g);
}

Test(ingest_cloud, gzip_is_read_as_what_is_in_it)
{
	struct ingest_file n = {};
	gzFile gz;

	ingest_rig_new(&g, NULL);
	write_file("", false);
	gz = gzopen(path, "wb");
	for (unsigned int i = 0; i < 20000; i++)
		gzputs(gz, V2_LINE "\n");
	gzclose(gz);
	cr_assert(zero(int, reader_file(g.d, path, NULL, &n)));
	cr_assert(eq(u64, n.records, 20000));
	unlink(path);
	ingest_rig_free(&g);
}

Test(ingest_cloud, a_log_that_has_grown_gives_what_is_new)
{
	struct ingest_file n = {};

	ingest_rig_new(&g, NULL);
	write_file(V2_LINE "\n" V2_LINE "\n", false);
	cr_assert(zero(int, reader_log(g.d, path, &n)));
	cr_assert(eq(u64, n.records, 2));
	cr_assert(zero(int, reader_log(g.d, path, &n)));
	cr_assert(eq(u64, n.records, 2));
	write_file(V2_LINE "\n", true);
	cr_assert(zero(int, reader_log(g.d, path, &n)));
	cr_assert(eq(u64, n.records, 3));
	unlink(path);
	ingest_rig_free(&g);
}
