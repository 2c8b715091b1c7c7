// SPDX-License-Identifier: Apache-2.0
/*
 * test_linktype.c - every link layer, as bytes in hexadecimal: what Ethernet frame comes out, or why
 * none. Payload of what is taken is `4500` or `6000` and an end marker `eeff`.
 */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "loader/linktype.h"

TestSuite(linktype, .timeout = 120);

#define MAC_A "020000000001"
#define MAC_B "020000000002"
#define MAC_0 "000000000000"
#define V4    "4500eeff"
#define V6    "6000eeff"
#define Z4    "00000000"
#define Z8    Z4 Z4
#define Z16   Z8 Z8

struct link_case {
	const char *name;
	uint32_t linktype;
	const char *in;
	const char *out; /* NULL: refused for @why */
	enum link_result why;
};

#define OUT(macs, rest) macs rest, LINK_OK
#define NOMAC		MAC_0 MAC_0

// clang-format off
static const struct link_case cases[] = {
	{ "ethernet", 1, MAC_A MAC_B "0800" V4, OUT(MAC_A MAC_B, "0800" V4) },
	{ "ethernet header alone", 1, MAC_A MAC_B "0800", OUT(MAC_A MAC_B, "0800") },
	{ "ethernet cut", 1, MAC_A MAC_B "08", NULL, LINK_TOO_SHORT },
	{ "unknown type", 147, V4, NULL, LINK_UNSUPPORTED },

	{ "null, little endian v4", 0, "02000000" V4, OUT(NOMAC, "0800" V4) },
	{ "null, big endian v4", 0, "00000002" V4, OUT(NOMAC, "0800" V4) },
	{ "null, NetBSD v6", 0, "18000000" V6, OUT(NOMAC, "86dd" V6) },
	{ "null, FreeBSD v6", 0, "1c000000" V6, OUT(NOMAC, "86dd" V6) },
	{ "null, Darwin v6", 0, "1e000000" V6, OUT(NOMAC, "86dd" V6) },
	{ "null, Linux v6", 0, "0000000a" V6, OUT(NOMAC, "86dd" V6) },
	{ "loop, v6", 108, "00000018" V6, OUT(NOMAC, "86dd" V6) },
	{ "null, other family", 0, "07000000" V4, NULL, LINK_NO_ETHERTYPE },
	{ "null, cut", 0, "020000", NULL, LINK_TOO_SHORT },
	{ "enc, v4", 109, "00000002" Z8 V4, OUT(NOMAC, "0800" V4) },
	{ "enc, cut", 109, "00000002" Z4, NULL, LINK_TOO_SHORT },
	{ "pflog, v6", 117, "3d180000" Z16 Z16 Z16 "000000000000000000000000" V6,
	  OUT(NOMAC, "86dd" V6) },
	{ "pflog, cut", 117, "3d180000" V6, NULL, LINK_TOO_SHORT },
	{ "pflog, one byte", 117, "3d", NULL, LINK_TOO_SHORT },
	{ "pflog, no length", 117, "0002", NULL, LINK_MALFORMED },

	{ "raw v4", 101, V4, OUT(NOMAC, "0800" V4) },
	{ "raw v6", 101, V6, OUT(NOMAC, "86dd" V6) },
	{ "raw v6 as 12", 12, V6, OUT(NOMAC, "86dd" V6) },
	{ "raw v4 as 14", 14, V4, OUT(NOMAC, "0800" V4) },
	{ "raw, other version", 101, "5500", NULL, LINK_MALFORMED },
	{ "raw, empty", 101, "", NULL, LINK_TOO_SHORT },
	{ "v4", 228, V4, OUT(NOMAC, "0800" V4) },
	{ "v6", 229, V6, OUT(NOMAC, "86dd" V6) },
	{ "mpls", 219, "00001140" V4, OUT(NOMAC, "884700001140" V4) },

	{ "cooked", 113, "000000010006" MAC_B "0000" "0800" V4, OUT(MAC_0 MAC_B, "0800" V4) },
	{ "cooked, no address", 113, "000003040000" Z8 "86dd" V6, OUT(NOMAC, "86dd" V6) },
	{ "cooked, VLAN", 113, "000000010006" MAC_B "0000" "8100" "0064" "0800" V4,
	  OUT(MAC_0 MAC_B, "81000064" "0800" V4) },
	{ "cooked, LLC", 113, "000000010006" MAC_B "0000" "0004" "aaaa03000000" "0800" V4,
	  OUT(MAC_0 MAC_B, "0800" V4) },
	{ "cooked, spanning tree", 113, "000000010006" MAC_B "0000" "0004" "424203" Z4, NULL,
	  LINK_NO_ETHERTYPE },
	{ "cooked, netlink", 113, "000003380000" Z8 "0800" V4, NULL, LINK_NO_ETHERTYPE },
	{ "cooked, raw 802.3", 113, "000000010006" MAC_B "0000" "0001" V4, NULL, LINK_NO_ETHERTYPE },
	{ "cooked, radiotap", 113, "000003230000" Z8 "0004" "0000080000000000" "08000000" MAC_A MAC_B
	  MAC_0 "0000" "aaaa03000000" "0800" V4, OUT(MAC_A MAC_B, "0800" V4) },
	{ "cooked, 802.11", 113, "000003210000" Z8 "0004" "80000000", NULL, LINK_NO_DATA },
	{ "cooked, Prism", 113, "000003220000" Z8 "0004" "00", NULL, LINK_TOO_SHORT },
	{ "cooked, cut", 113, "000000010006" MAC_B "0000" "08", NULL, LINK_TOO_SHORT },
	{ "cooked 2", 276, "08000000" "00000007" "0001" "0006" MAC_B "0000" V4,
	  OUT(MAC_0 MAC_B, "0800" V4) },
	{ "cooked 2, LLC cut", 276, "00040000" "00000007" "0001" "0000" Z8 "aaaa", NULL,
	  LINK_TOO_SHORT },
	{ "cooked 2, cut", 276, "08000000" "00000007" "0001" "0006" MAC_B "00", NULL, LINK_TOO_SHORT },

	{ "nflog, little endian", 239, "0200000a" "0800" "0100" "0800" "0200" "0500" "0a00" "61000000"
	  "0800" "0900" V4, OUT(NOMAC, "0800" V4) },
	{ "nflog, big endian, v6", 239, "0a00000a" "0008" "0001" "0800" "0002" "0008" "0009" V6,
	  OUT(NOMAC, "86dd" V6) },
	{ "nflog, more behind", 239, "0200000a" "0700" "0900" "450000" "00" "0800" "0100" Z4,
	  OUT(NOMAC, "0800" "450000") },
	{ "nflog, payload cut", 239, "0200000a" "ff00" "0900" V4, OUT(NOMAC, "0800" V4) },
	{ "nflog, none", 239, "0200000a" "0800" "0100" Z4, NULL, LINK_NO_DATA },
	{ "nflog, attribute of no length", 239, "0200000a" "0000" "0000" Z4, NULL, LINK_NO_DATA },
	{ "nflog, attribute beyond the end", 239, "0200000a" "ff00" "00ff" Z4, NULL, LINK_NO_DATA },
	{ "nflog, other family", 239, "0700000a" "0800" "0900" V4, NULL, LINK_NO_ETHERTYPE },
	{ "nflog, cut", 239, "0200000a", NULL, LINK_TOO_SHORT },

	{ "pktap, Ethernet", 258, "34000000" "01000000" "01000000" Z16 Z16 Z8 MAC_A MAC_B "0800" V4,
	  OUT(MAC_A MAC_B, "0800" V4) },
	{ "pktap, big endian, raw", 258, "00000034" "00000001" "0000000c" Z16 Z16 Z8 V4,
	  OUT(NOMAC, "0800" V4) },
	{ "pktap as user 2", 149, "34000000" "01000000" "01000000" Z16 Z16 Z8 MAC_A MAC_B "0800" V4,
	  OUT(MAC_A MAC_B, "0800" V4) },
	{ "pktap, no packet", 258, "34000000" "00000000" "01000000" Z16 Z16 Z8, NULL, LINK_NO_DATA },
	{ "pktap, length too small", 258, "33000000" "01000000" "01000000" Z16 Z16 Z8, NULL,
	  LINK_MALFORMED },
	{ "pktap, length too great", 258, "30000034" "01000000" "01000000" Z16 Z16 Z8, NULL,
	  LINK_NO_DATA },
	{ "pktap, header beyond the end", 258, "ff000000" "00000001" "00000001" Z16 Z16 Z8, NULL,
	  LINK_TOO_SHORT },
	{ "pktap, cut", 258, "34000000", NULL, LINK_TOO_SHORT },
	{ "pktap in pktap without end", 258, "34000000" "01000000" "02010000" Z16 Z16 Z8
	  "34000000" "01000000" "02010000" Z16 Z16 Z8 "34000000" "01000000" "02010000" Z16 Z16 Z8
	  "34000000" "01000000" "02010000" Z16 Z16 Z8 "34000000" "01000000" "02010000" Z16 Z16 Z8, NULL,
	  LINK_MALFORMED },
	{ "ipnet, v4", 226, "0102" "000000000000" Z16 V4, OUT(NOMAC, "0800" V4) },
	{ "ipnet, v6", 226, "011a" "000000000000" Z16 V6, OUT(NOMAC, "86dd" V6) },
	{ "ipnet, other version", 226, "0202" "000000000000" Z16 V4, NULL, LINK_MALFORMED },
	{ "ipnet, cut", 226, "0102", NULL, LINK_TOO_SHORT },

	{ "dsa, untagged", 284, MAC_A MAC_B "c0080000" "0800" V4, OUT(MAC_A MAC_B, "0800" V4) },
	{ "dsa, tagged", 284, MAC_A MAC_B "e0097064" "86dd" V6,
	  OUT(MAC_A MAC_B, "81007064" "86dd" V6) },
	{ "dsa, cut", 284, MAC_A MAC_B "c0080000" "08", NULL, LINK_TOO_SHORT },
	{ "edsa", 285, MAC_A MAC_B "dada0000" "c0080000" "0800" V4, OUT(MAC_A MAC_B, "0800" V4) },
	{ "broadcom", 281, MAC_A MAC_B "00000004" "0800" V4, OUT(MAC_A MAC_B, "0800" V4) },
	{ "broadcom, cut", 281, MAC_A MAC_B "00000004" "08", NULL, LINK_TOO_SHORT },
	{ "broadcom, before", 282, "00000004" MAC_A MAC_B "0800" V4, OUT(MAC_A MAC_B, "0800" V4) },
	{ "broadcom, before, cut", 282, "000000", NULL, LINK_TOO_SHORT },

	{ "fddi", 10, "57" MAC_A MAC_B "aaaa03000000" "0800" V4, OUT(MAC_A MAC_B, "0800" V4) },
	{ "fddi, 802.1H", 10, "57" MAC_A MAC_B "aaaa030000f8" "86dd" V6, OUT(MAC_A MAC_B, "86dd" V6) },
	{ "fddi, other organisation", 10, "57" MAC_A MAC_B "aaaa0300000c" "2000" V4, NULL,
	  LINK_NO_ETHERTYPE },
	{ "fddi, IP service access point", 10, "57" MAC_A MAC_B "060603" V4,
	  OUT(MAC_A MAC_B, "0800" V4) },
	{ "fddi, SNAP cut", 10, "57" MAC_A MAC_B "aaaa03000000" "08", NULL, LINK_TOO_SHORT },
	{ "fddi, station management", 10, "41" MAC_A MAC_B V4, NULL, LINK_NO_DATA },
	{ "fddi, cut", 10, "57" MAC_A "02", NULL, LINK_TOO_SHORT },
	{ "token ring", 6, "1040" MAC_A MAC_B "aaaa03000000" "0800" V4, OUT(MAC_A MAC_B, "0800" V4) },
	{ "token ring, source route", 6, "1040" MAC_A "820000000002" "06300012" "0020" "aaaa03000000"
	  "0800" V4, OUT(MAC_A "820000000002", "0800" V4) },
	{ "token ring, route cut", 6, "1040" MAC_A "820000000002" "1f300012" "0020", NULL,
	  LINK_TOO_SHORT },
	{ "token ring, MAC frame", 6, "1000" MAC_A MAC_B "00000000", NULL, LINK_NO_DATA },
	{ "token ring, cut", 6, "1040" MAC_A MAC_B, NULL, LINK_TOO_SHORT },
	{ "arcnet linux, RFC 1051", 129, "01020000f0" V4, OUT(NOMAC, "0800" V4) },
	{ "arcnet linux, RFC 1051 ARP", 129, "01020000f1" "0001", OUT(NOMAC, "0806" "0001") },
	{ "arcnet linux, RFC 1201", 129, "01020000d4000001" V4, OUT(NOMAC, "0800" V4) },
	{ "arcnet linux, fragment", 129, "01020000d4020001" V4, NULL, LINK_FRAGMENT },
	{ "arcnet linux, cut", 129, "01020000", NULL, LINK_TOO_SHORT },
	{ "arcnet linux, sequence cut", 129, "01020000d400", NULL, LINK_TOO_SHORT },
	{ "arcnet, v6", 7, "0102c4000001" V6, OUT(NOMAC, "86dd" V6) },
	{ "arcnet, ARP", 7, "0102d5000001" "0001", OUT(NOMAC, "0806" "0001") },
	{ "arcnet, exception", 7, "0102d4ffffffff" "000001" V4, OUT(NOMAC, "0800" V4) },
	{ "arcnet, exception cut", 7, "0102d4ffffffff" "00", NULL, LINK_TOO_SHORT },
	{ "arcnet, other", 7, "010205000001" V4, NULL, LINK_NO_ETHERTYPE },
	{ "fibre channel", 122, "0000" MAC_A "0000" MAC_B "aaaa03000000" "0800" V4,
	  OUT(MAC_A MAC_B, "0800" V4) },
	{ "fibre channel, cut", 122, "0000" MAC_A, NULL, LINK_TOO_SHORT },
	{ "firewire", 138, Z16 "0800" V4, OUT(NOMAC, "0800" V4) },
	{ "firewire, cut", 138, Z16 "08", NULL, LINK_TOO_SHORT },
	{ "infiniband", 242, Z16 Z16 Z8 "86dd0000" V6, OUT(NOMAC, "86dd" V6) },
	{ "infiniband, cut", 242, Z16 Z16 Z8 "86dd", NULL, LINK_TOO_SHORT },
	{ "pppoe", 51, "11000001" "0006" "0021" V4, OUT(NOMAC, "8864" "11000001" "0006" "0021" V4) },
	{ "netanalyzer", 240, Z4 MAC_A MAC_B "0800" V4 "01020304", OUT(MAC_A MAC_B, "0800" V4) },

	{ "ppp", 9, "0021" V4, OUT(NOMAC, "0800" V4) },
	{ "ppp, one byte", 9, "57" V6, OUT(NOMAC, "86dd" V6) },
	{ "ppp, address and control", 9, "ff030281" V4, OUT(NOMAC, "8847" V4) },
	{ "ppp, multicast labels", 9, "0283" V4, OUT(NOMAC, "8848" V4) },
	{ "ppp, LCP", 9, "c0210100", NULL, LINK_NO_ETHERTYPE },
	{ "ppp, empty", 9, "", NULL, LINK_TOO_SHORT },
	{ "ppp, half a number", 9, "00", NULL, LINK_TOO_SHORT },
	{ "ppp in hdlc", 50, "ff030021" V4, OUT(NOMAC, "0800" V4) },
	{ "ppp in hdlc: Cisco's", 50, "0f000800" V4, OUT(NOMAC, "0800" V4) },
	{ "ppp in hdlc, cut", 50, "ff", NULL, LINK_TOO_SHORT },
	{ "ppp of pppd", 166, "01030021" V4, OUT(NOMAC, "0800" V4) },
	{ "ppp of pppd, compressed", 166, "000021" V4, OUT(NOMAC, "0800" V4) },
	{ "ppp of pppd, cut", 166, "00", NULL, LINK_TOO_SHORT },
	{ "ppp with direction", 204, "01ff030057" V6, OUT(NOMAC, "86dd" V6) },
	{ "ppp with direction, empty", 204, "", NULL, LINK_TOO_SHORT },
	{ "Cisco hdlc", 104, "0f000800" V4, OUT(NOMAC, "0800" V4) },
	{ "Cisco hdlc, keepalive", 104, "8f008035" Z8, NULL, LINK_NO_ETHERTYPE },
	{ "Cisco hdlc, OSI", 104, "0f00fefe" Z8, NULL, LINK_NO_ETHERTYPE },
	{ "Cisco hdlc, cut", 104, "0f0008", NULL, LINK_TOO_SHORT },
	{ "Cisco hdlc with direction", 205, "000f0086dd" V6, OUT(NOMAC, "86dd" V6) },
	{ "frame relay, v4", 107, "184103cc" V4, OUT(NOMAC, "0800" V4) },
	{ "frame relay, v6, four bytes", 107, "18404041038e" V6, OUT(NOMAC, "86dd" V6) },
	{ "frame relay, SNAP", 107, "18410300" "80" "000000" "0800" V4, OUT(NOMAC, "0800" V4) },
	{ "frame relay, bridged", 107, "18410300" "80" "0080c2" "0007" MAC_A MAC_B "0800" V4,
	  OUT(MAC_A MAC_B, "0800" V4) },
	{ "frame relay, other organisation", 107, "18410300" "80" "00000c" "2000" V4, NULL,
	  LINK_NO_ETHERTYPE },
	{ "frame relay, SNAP cut", 107, "18410300" "80" "000000", NULL, LINK_TOO_SHORT },
	{ "frame relay, Cisco", 107, "18410800" V4, OUT(NOMAC, "0800" V4) },
	{ "frame relay, Q.933", 107, "00010308" Z4, NULL, LINK_NO_ETHERTYPE },
	{ "frame relay, endless address", 107, "1840404040" Z4, NULL, LINK_MALFORMED },
	{ "frame relay, short address", 107, "19410800", NULL, LINK_MALFORMED },
	{ "frame relay, cut", 107, "1841", NULL, LINK_TOO_SHORT },
	{ "frame relay, empty", 107, "", NULL, LINK_TOO_SHORT },
	{ "frame relay, no protocol", 107, "184103" "00", NULL, LINK_TOO_SHORT },
	{ "frame relay with direction", 206, "00184103cc" V4, OUT(NOMAC, "0800" V4) },
	{ "atm, LLC", 100, "aaaa03000000" "0800" V4, OUT(NOMAC, "0800" V4) },
	{ "atm, bridged", 100, "aaaa030080c2" "0007" "0000" MAC_A MAC_B "0800" V4,
	  OUT(MAC_A MAC_B, "0800" V4) },
	{ "atm, NLPID", 100, "fefe03cc" V4, OUT(NOMAC, "0800" V4) },
	{ "atm, cut", 100, "aa", NULL, LINK_TOO_SHORT },
	{ "sunatm, LLC", 123, "02000005" "aaaa03000000" "0800" V4, OUT(NOMAC, "0800" V4) },
	{ "sunatm, LAN emulation", 123, "01000005" "0001" MAC_A MAC_B "0800" V4,
	  OUT(MAC_A MAC_B, "0800" V4) },
	{ "sunatm, signalling", 123, "06000005" Z8, NULL, LINK_NO_DATA },
	{ "sunatm, cut", 123, "020000", NULL, LINK_TOO_SHORT },
	{ "slip", 8, "00" "450000" Z8 Z4 V4, OUT(NOMAC, "0800" V4) },
	{ "slip, cut", 8, "00" "450000" Z8 Z4, NULL, LINK_TOO_SHORT },

	{ "802.11, within", 105, "08000000" MAC_A MAC_B MAC_0 "0000" "aaaa03000000" "0800" V4,
	  OUT(MAC_A MAC_B, "0800" V4) },
	{ "802.11, to the access point", 105, "08010000" MAC_0 MAC_B MAC_A "0000" "aaaa03000000" "0800"
	  V4, OUT(MAC_A MAC_B, "0800" V4) },
	{ "802.11, from the access point", 105, "08020000" MAC_A MAC_0 MAC_B "0000" "aaaa03000000"
	  "86dd" V6, OUT(MAC_A MAC_B, "86dd" V6) },
	{ "802.11, between access points", 105, "08030000" MAC_0 MAC_0 MAC_A "0000" MAC_B
	  "aaaa03000000" "0800" V4, OUT(MAC_A MAC_B, "0800" V4) },
	{ "802.11, QoS", 105, "88000000" MAC_A MAC_B MAC_0 "0000" "0000" "aaaa03000000" "0800" V4,
	  OUT(MAC_A MAC_B, "0800" V4) },
	{ "802.11, QoS and HT control", 105, "88800000" MAC_A MAC_B MAC_0 "0000" "0000" Z4
	  "aaaa03000000" "0800" V4, OUT(MAC_A MAC_B, "0800" V4) },
	{ "802.11, encrypted", 105, "08410000" MAC_A MAC_B MAC_0 "0000" Z8, NULL, LINK_ENCRYPTED },
	{ "802.11, aggregate", 105, "88000000" MAC_A MAC_B MAC_0 "0000" "8000" Z8, NULL, LINK_FRAGMENT },
	{ "802.11, second fragment", 105, "08000000" MAC_A MAC_B MAC_0 "0100" Z8, NULL, LINK_FRAGMENT },
	{ "802.11, beacon", 105, "80000000" MAC_A MAC_B MAC_0 "0000", NULL, LINK_NO_DATA },
	{ "802.11, null data", 105, "48000000" MAC_A MAC_B MAC_0 "0000", NULL, LINK_NO_DATA },
	{ "802.11, other version", 105, "09000000" MAC_A MAC_B MAC_0 "0000", NULL, LINK_MALFORMED },
	{ "802.11, cut", 105, "08000000" MAC_A, NULL, LINK_TOO_SHORT },
	{ "802.11, one byte", 105, "08", NULL, LINK_TOO_SHORT },
	{ "radiotap", 127, "0000080000000000" "08000000" MAC_A MAC_B MAC_0 "0000" "aaaa03000000" "0800"
	  V4, OUT(MAC_A MAC_B, "0800" V4) },
	{ "radiotap, check sequence", 127, "0000090002000000" "10" "08000000" MAC_A MAC_B MAC_0 "0000"
	  "aaaa03000000" "0800" V4 "01020304", OUT(MAC_A MAC_B, "0800" V4) },
	{ "radiotap, padded behind the time", 127, "0000190003000080" "00000000" Z4 Z8 "20" "88000000"
	  MAC_A MAC_B MAC_0 "0000" "0000" "0000" "aaaa03000000" "0800" V4,
	  OUT(MAC_A MAC_B, "0800" V4) },
	{ "radiotap, padding cut", 127, "0000090002000000" "20" "88000000" MAC_A MAC_B MAC_0 "0000"
	  "0000", NULL, LINK_TOO_SHORT },
	{ "radiotap, flags beyond its length", 127, "0000080002000000" "08000000", NULL,
	  LINK_MALFORMED },
	{ "radiotap, bitmap beyond its length", 127, "0000080000000080" "08000000", NULL,
	  LINK_MALFORMED },
	{ "radiotap, other version", 127, "0100080000000000", NULL, LINK_MALFORMED },
	{ "radiotap, length beyond the end", 127, "0000090000000000", NULL, LINK_TOO_SHORT },
	{ "radiotap, cut", 127, "000008", NULL, LINK_TOO_SHORT },
	{ "prism", 119, "44000000" "10000000" Z8 "08000000" MAC_A MAC_B MAC_0 "0000" "aaaa03000000"
	  "0800" V4, OUT(MAC_A MAC_B, "0800" V4) },
	{ "prism, no length", 119, "44000000" "00000000", NULL, LINK_MALFORMED },
	{ "prism, cut", 119, "44", NULL, LINK_TOO_SHORT },
	{ "AVS as prism", 119, "80211001" "00000010" Z8 "08000000" MAC_A MAC_B MAC_0 "0000"
	  "aaaa03000000" "0800" V4, OUT(MAC_A MAC_B, "0800" V4) },
	{ "AVS", 163, "80211001" "00000010" Z8 "80000000", NULL, LINK_NO_DATA },
	{ "AVS, no length", 163, "80211001" "00000000", NULL, LINK_MALFORMED },
	{ "AVS, cut", 163, "80", NULL, LINK_TOO_SHORT },
	{ "PPI, Ethernet", 192, "00000800" "01000000" MAC_A MAC_B "0800" V4,
	  OUT(MAC_A MAC_B, "0800" V4) },
	{ "PPI, no length", 192, "00000700" "01000000", NULL, LINK_MALFORMED },
	{ "PPI, cut", 192, "00", NULL, LINK_TOO_SHORT },
};
// clang-format on

static uint32_t unhex(const char *hex, uint8_t *out)
{
	uint32_t n = 0;

	for (; hex[0]; hex += 2) {
		const char *digits = "0123456789abcdef";

		out[n++] = (uint8_t)((strchr(digits, hex[0]) - digits) << 4 |
				     (strchr(digits, hex[1]) - digits));
	}
	return n;
}

/* In memory of just its size, so that a sanitizer sees every byte read beyond. */
static uint8_t *exact(const uint8_t *p, uint32_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	cr_assert(copy != NULL);
	if (len)
		memcpy(copy, p, len);
	return copy;
}

static void check(const struct link_case *lc, uint8_t *buf)
{
	uint8_t bytes[512], want[512];
	struct capture_frame f = {.linktype = lc->linktype};
	struct ether_frame e = {};
	enum link_result r;
	uint32_t len;

	f.caplen = unhex(lc->in, bytes);
	f.wire_len = f.caplen;
	f.data = exact(bytes, f.caplen);
	r = linktype_to_ether(&f, buf, &e);
	cr_assert(r == lc->why, "%s: %s", lc->name, linktype_reason(r));
	if (lc->out) {
		len = unhex(lc->out, want);
		cr_assert(e.len == len && memcmp(e.data, want, len) == 0, "%s: frame differs",
			  lc->name);
		cr_assert(e.wire_len == len, "%s: wire length %u of %u", lc->name, e.wire_len, len);
	}
	free((void *)f.data);
}

Test(linktype, rebuilds_every_link_layer_or_says_why_not)
{
	uint8_t *buf = malloc(LINK_BUFFER_BYTES);

	cr_assert(buf != NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(&cases[i], buf);
	free(buf);
}

/* Every prefix of every frame: nothing read beyond, nothing out that is shorter than a header. */
Test(linktype, survives_every_cut)
{
	uint8_t *buf = malloc(LINK_BUFFER_BYTES);
	uint8_t bytes[512];

	cr_assert(buf != NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t len = unhex(cases[i].in, bytes);

		for (uint32_t cut = 0; cut < len; cut++) {
			struct capture_frame f = {.linktype = cases[i].linktype};
			struct ether_frame e = {};

			f.caplen = cut;
			f.wire_len = len;
			f.data = exact(bytes, cut);
			if (linktype_to_ether(&f, buf, &e) == LINK_OK) {
				cr_assert(e.len >= LINK_ETH_HEADER, "%s", cases[i].name);
				cr_assert(e.wire_len >= e.len, "%s cut at %u", cases[i].name, cut);
			}
			free((void *)f.data);
		}
	}
	free(buf);
}

Test(linktype, keeps_the_wire_length_of_a_cut_frame)
{
	static const uint8_t sll[20] = {[15] = 0, [14] = 0x08, [16] = 0x45};
	struct capture_frame f = {.linktype = 113, .caplen = 20, .wire_len = 1516, .data = sll};
	uint8_t *buf = malloc(LINK_BUFFER_BYTES);
	struct ether_frame e;

	cr_assert(buf != NULL);
	cr_assert(linktype_to_ether(&f, buf, &e) == LINK_OK);
	cr_assert(eq(u32, e.len, 18));
	cr_assert(eq(u32, e.wire_len, 1514));
	free(buf);
}

/* Cisco HDLC: four bytes go, fourteen come, and no length may wrap on the way. */
Test(linktype, refuses_a_wire_length_that_no_link_has)
{
	static const uint8_t chdlc[8] = {0x0f, 0, 0x08, 0, 0x45};
	static const struct {
		uint32_t wire_len;
		enum link_result r;
	} lens[] = {
		{8, LINK_OK},
		{UINT32_MAX - LINK_SYNTHETIC, LINK_OK},
		{UINT32_MAX - LINK_SYNTHETIC + 1, LINK_MALFORMED},
		{UINT32_MAX, LINK_MALFORMED},
	};
	uint8_t *buf = malloc(LINK_BUFFER_BYTES);

	cr_assert(buf != NULL);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct capture_frame f = {.linktype = 104, .caplen = 8, .data = chdlc};
		struct ether_frame e = {};

		f.wire_len = lens[i].wire_len;
		cr_assert(linktype_to_ether(&f, buf, &e) == lens[i].r, "%u", f.wire_len);
		if (lens[i].r == LINK_OK)
			cr_assert(e.wire_len >= e.len, "%u", f.wire_len);
	}
	free(buf);
}

Test(linktype, has_a_word_for_every_reason)
{
	for (int r = 0; r < _LINK_MAX; r++)
		cr_assert(strcmp(linktype_reason(r), "link_unknown") != 0, "%d", r);
	cr_assert(eq(str, (char *)linktype_reason(_LINK_MAX), "link_unknown"));
}
