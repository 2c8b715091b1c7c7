/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linktype.h - a captured frame of any link layer as the Ethernet frame the packet path takes.
 *
 * Ethernet is passed through as it is. Of other link layers the header is replaced by one of
 * Ethernet: addresses where the link layer has such, the Ethertype by what it says it carries; VLAN
 * tags behind it stay. Pure: no state, no I/O, any thread.
 */
#ifndef WEIR_LOADER_LINKTYPE_H
#define WEIR_LOADER_LINKTYPE_H

#include <stdint.h>

#include "loader/capture_file.h"

#define LINK_ETH_HEADER	  14u
#define LINK_SYNTHETIC	  18u /* bytes put before a payload at most: Ethernet and one VLAN tag */
#define LINK_BUFFER_BYTES (CAPTURE_FRAME_MAX + LINK_SYNTHETIC)

/* Why a frame can't be taken; linktype_reason() has the words. */
enum link_result {
	LINK_OK = 0,
	LINK_UNSUPPORTED, /* link type that isn't known here */
	LINK_TOO_SHORT,	  /* link header, or Ethernet header, cut short */
	LINK_MALFORMED,	  /* link header that contradicts itself */
	LINK_NO_ETHERTYPE, /* carries something that has no Ethertype: PPP control, LLC, netlink ... */
	LINK_NO_DATA,	   /* 802.11 management or control, a link layer's own messages */
	LINK_ENCRYPTED,	   /* encrypted by the link layer */
	LINK_FRAGMENT,	   /* link layer's fragment, or several packets in one frame */
	_LINK_MAX
};

/**
 * struct ether_frame - what comes out
 * @data:     in the captured frame, or in the caller's buffer
 * @len:      bytes at @data, at least LINK_ETH_HEADER
 * @wire_len: bytes this frame would have had on an Ethernet
 */
struct ether_frame {
	const uint8_t *data;
	uint32_t len;
	uint32_t wire_len;
};

/**
 * linktype_to_ether - the frame as Ethernet
 * @f:         captured frame, at most CAPTURE_FRAME_MAX bytes
 * @buf:       LINK_BUFFER_BYTES bytes, for frames that must be rebuilt
 * @ret_frame: set on LINK_OK only; valid as long as both the others
 *
 * Source: the LINKTYPE_ registry of tcpdump.org, and the standards named in linktype.c.
 */
enum link_result linktype_to_ether(const struct capture_frame *f, uint8_t *buf,
				   struct ether_frame *ret_frame);

/* The key of a reason in statistics ("link_too_short"); never NULL. */
const char *linktype_reason(enum link_result r);

#endif
