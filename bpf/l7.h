/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * l7.h - what the first payload bytes of a flow say: TLS hellos, HTTP/1 requests, DNS messages.
 * Pure parsers, the same for BPF (with L7_LOOP defined as bpf_loop), unit tests, fuzzers and loader.
 */
#ifndef WEIR_BPF_L7_H
#define WEIR_BPF_L7_H

#include "l7_dns.h"
#include "l7_http.h"
#include "l7_tls.h"

#endif
