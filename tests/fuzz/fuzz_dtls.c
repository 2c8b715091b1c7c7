/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_dtls.c - datagrams of a few flows to DTLS names. Op: bit 0 direction, bit 1 captured short,
 * bits 6-7 flow.
 *
 * Covers: loader/name/dtls.c loader/name/hello.c
 * Options: -max_len=8192
 */
#include "name_fuzz.h"

static struct names *names;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	names = fuzz_names();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_record rec;
	struct ev_payload ev;

	while (fuzz_next(&data, &size, &rec)) {
		fuzz_event(&ev, EV_DATAGRAM, rec.op);
		ev.orig_len = rec.op >> 1 & 1;
		fuzz_payload(names, &ev, rec.data, rec.len);
	}
	fuzz_finish(names);
	return 0;
}
