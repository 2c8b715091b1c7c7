/* SPDX-License-Identifier: Apache-2.0 */
/*
 * curl_handle.h - a handle of libcurl as all that this program asks others by HTTP or mail has it: no proxy of the
 * environment, no signals, TLS 1.2 and later, certificates checked, an end in time. Any thread.
 */
#ifndef WEIR_COLLECTOR_CURL_HANDLE_H
#define WEIR_COLLECTOR_CURL_HANDLE_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

struct curl_handle_cfg {
	uint64_t timeout_ms; /* of all of it */
	const char *
		ca; /* certificates that the other side's must come from; NULL or "": the system's */
	const char *cert, *key; /* of this side; NULL or "": none */
	const bool *stop;	/* atomic: it ends soon when this is set */
};

/* NULL: no memory. @cfg's stop stays as long as the handle. */
CURL *curl_handle(const struct curl_handle_cfg *cfg);

#endif
