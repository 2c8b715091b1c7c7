/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * access.h - how the parsers get at a frame's bytes and at their configuration: one interface, two
 * makings. Host: a buffer and a struct parse_cfg. BPF: direct packet access where the bytes are in
 * the linear part, else a copy by helper; configuration from .rodata.
 */
#ifndef WEIR_BPF_ACCESS_H
#define WEIR_BPF_ACCESS_H

#include "pkt.h"
#include "weir/abi.h"

#define PARSE_VXLAN_PORTS 8

/* Offsets up to here are read. Keeps packet pointers within what every kernel's verifier takes. */
#define FRAME_OFF_MAX 0x7fffu

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define host16(x) __builtin_bswap16(x)
#define host32(x) __builtin_bswap32(x)
#else
#define host16(x) (x)
#define host32(x) (x)
#endif

#ifdef __bpf__
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "config.h"

enum access { ACCESS_XDP, ACCESS_TC };

/* access is a compile-time constant wherever a frame is made: the two contexts differ. */
struct frame {
	void *ctx;
	__u8 *copy; /* room for FRAME_COPY_MAX bytes that are not in the linear part */
	enum access access;
};

struct parse_cfg; /* .rodata has it all */

/*
 * data and data_end in one go, by fixed offsets from the unmodified context pointer: the verifier
 * refuses "dereference of modified ctx ptr", which the compiler likes to make of C here.
 */
#define FRAME_LOAD(field, type, ctx, member)  \
	asm volatile("%0 = *(u32 *)(%1 + %2)" \
		     : "=r"(field)            \
		     : "r"(ctx), "i"(__builtin_offsetof(type, member)))

static __always_inline const __u8 *frame_at(const struct frame *f, __u32 offset, const __u32 n)
{
	__u64 off = offset;
	const __u8 *data, *end;
	long r;

	asm volatile("" : "+r"(off)); /* the checked register is the one that is added */
	if (off > FRAME_OFF_MAX)
		return 0;
	if (f->access == ACCESS_XDP) {
		FRAME_LOAD(data, struct xdp_md, f->ctx, data);
		FRAME_LOAD(end, struct xdp_md, f->ctx, data_end);
	} else {
		FRAME_LOAD(data, struct __sk_buff, f->ctx, data);
		FRAME_LOAD(end, struct __sk_buff, f->ctx, data_end);
	}
	data += off;
	if (data + n <= end)
		return data;
	if (f->access == ACCESS_XDP)
		r = bpf_xdp_load_bytes(f->ctx, off, f->copy, n);
	else
		r = bpf_skb_load_bytes(f->ctx, off, f->copy, n);
	return r ? 0 : f->copy;
}

/* The verifier allows unaligned loads from packets; memcpy would become single bytes. */
static __always_inline __u16 be16_at(const __u8 *p)
{
	return host16(*(const __u16 *)p);
}

static __always_inline __u32 be32_at(const __u8 *p)
{
	return host32(*(const __u32 *)p);
}

static __always_inline void copy4(__u8 *to, const __u8 *from)
{
	*(__u32 *)to = *(const __u32 *)from;
}

static __always_inline void copy16(__u8 *to, const __u8 *from)
{
	((__u64 *)to)[0] = ((const __u64 *)from)[0];
	((__u64 *)to)[1] = ((const __u64 *)from)[1];
}

static __always_inline void pkt_clear(struct pkt *k)
{
	__u64 *w = (__u64 *)k;

#pragma unroll
	for (unsigned int i = 0; i < sizeof(*k) / 8; i++)
		w[i] = 0;
	*(__u32 *)((__u8 *)k + sizeof(*k) - 4) = 0;
}

static __always_inline __u32 cfg_depth(const struct parse_cfg *c)
{
	(void)c;
	return cfg_decap_depth;
}

static __always_inline int cfg_is_vxlan(const struct parse_cfg *c, __u16 port)
{
	(void)c;
#pragma unroll
	for (int i = 0; i < PARSE_VXLAN_PORTS; i++)
		if (cfg_vxlan_ports[i] && cfg_vxlan_ports[i] == port)
			return 1;
	return 0;
}

static __always_inline int cfg_is_geneve(const struct parse_cfg *c, __u16 port)
{
	(void)c;
	return cfg_geneve_port && cfg_geneve_port == port;
}

#else
#include <string.h>

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

struct frame {
	const __u8 *data;
	__u32 len;
};

struct parse_cfg {
	__u32 depth;			      /* tunnels followed; 0 = count the outer flow */
	__u16 vxlan_ports[PARSE_VXLAN_PORTS]; /* host order, 0 = unused */
	__u16 geneve_port;
};

static __always_inline const __u8 *frame_at(const struct frame *f, __u32 off, __u32 n)
{
	if (off > FRAME_OFF_MAX || off > f->len || n > f->len - off)
		return NULL;
	return f->data + off;
}

static __always_inline __u16 be16_at(const __u8 *p)
{
	return p[0] << 8 | p[1];
}

static __always_inline __u32 be32_at(const __u8 *p)
{
	return (__u32)be16_at(p) << 16 | be16_at(p + 2);
}

static __always_inline void copy4(__u8 *to, const __u8 *from)
{
	memcpy(to, from, 4);
}

static __always_inline void copy16(__u8 *to, const __u8 *from)
{
	memcpy(to, from, 16);
}

static __always_inline void pkt_clear(struct pkt *k)
{
	memset(k, 0, sizeof(*k));
}

static __always_inline __u32 cfg_depth(const struct parse_cfg *c)
{
	return c->depth;
}

static __always_inline int cfg_is_vxlan(const struct parse_cfg *c, __u16 port)
{
	for (int i = 0; i < PARSE_VXLAN_PORTS; i++)
		if (c->vxlan_ports[i] && c->vxlan_ports[i] == port)
			return 1;
	return 0;
}

static __always_inline int cfg_is_geneve(const struct parse_cfg *c, __u16 port)
{
	return c->geneve_port && c->geneve_port == port;
}

#endif
#endif
