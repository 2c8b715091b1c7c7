// SPDX-License-Identifier: Apache-2.0
/*
 * flow_words.c - see flow_words.h. Numbers and keywords are those of IANA's registries.
 */
#include "common/flow_words.h"

#include <stddef.h>
#include <stdio.h>

#include "common/flow.h"
#include "weir/abi.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* IANA "Assigned Internet Protocol Numbers". */
static const char *const protocols[] = {
	[0] = "hopopt",
	[1] = "icmp",
	[2] = "igmp",
	[3] = "ggp",
	[4] = "ipv4",
	[5] = "st",
	[6] = "tcp",
	[7] = "cbt",
	[8] = "egp",
	[9] = "igp",
	[10] = "bbn-rcc-mon",
	[11] = "nvp-ii",
	[12] = "pup",
	[13] = "argus",
	[14] = "emcon",
	[15] = "xnet",
	[16] = "chaos",
	[17] = "udp",
	[18] = "mux",
	[19] = "dcn-meas",
	[20] = "hmp",
	[21] = "prm",
	[22] = "xns-idp",
	[23] = "trunk-1",
	[24] = "trunk-2",
	[25] = "leaf-1",
	[26] = "leaf-2",
	[27] = "rdp",
	[28] = "irtp",
	[29] = "iso-tp4",
	[30] = "netblt",
	[31] = "mfe-nsp",
	[32] = "merit-inp",
	[33] = "dccp",
	[34] = "3pc",
	[35] = "idpr",
	[36] = "xtp",
	[37] = "ddp",
	[38] = "idpr-cmtp",
	[39] = "tp++",
	[40] = "il",
	[41] = "ipv6",
	[42] = "sdrp",
	[43] = "ipv6-route",
	[44] = "ipv6-frag",
	[45] = "idrp",
	[46] = "rsvp",
	[47] = "gre",
	[48] = "dsr",
	[49] = "bna",
	[50] = "esp",
	[51] = "ah",
	[52] = "i-nlsp",
	[53] = "swipe",
	[54] = "narp",
	[55] = "min-ipv4",
	[56] = "tlsp",
	[57] = "skip",
	[58] = "ipv6-icmp",
	[59] = "ipv6-nonxt",
	[60] = "ipv6-opts",
	[62] = "cftp",
	[64] = "sat-expak",
	[65] = "kryptolan",
	[66] = "rvd",
	[67] = "ippc",
	[69] = "sat-mon",
	[70] = "visa",
	[71] = "ipcv",
	[72] = "cpnx",
	[73] = "cphb",
	[74] = "wsn",
	[75] = "pvp",
	[76] = "br-sat-mon",
	[77] = "sun-nd",
	[78] = "wb-mon",
	[79] = "wb-expak",
	[80] = "iso-ip",
	[81] = "vmtp",
	[82] = "secure-vmtp",
	[83] = "vines",
	[84] = "iptm",
	[85] = "nsfnet-igp",
	[86] = "dgp",
	[87] = "tcf",
	[88] = "eigrp",
	[89] = "ospfigp",
	[90] = "sprite-rpc",
	[91] = "larp",
	[92] = "mtp",
	[93] = "ax.25",
	[94] = "ipip",
	[95] = "micp",
	[96] = "scc-sp",
	[97] = "etherip",
	[98] = "encap",
	[100] = "gmtp",
	[101] = "ifmp",
	[102] = "pnni",
	[103] = "pim",
	[104] = "aris",
	[105] = "scps",
	[106] = "qnx",
	[107] = "a/n",
	[108] = "ipcomp",
	[109] = "snp",
	[110] = "compaq-peer",
	[111] = "ipx-in-ip",
	[112] = "vrrp",
	[113] = "pgm",
	[115] = "l2tp",
	[116] = "ddx",
	[117] = "iatp",
	[118] = "stp",
	[119] = "srp",
	[120] = "uti",
	[121] = "smp",
	[122] = "sm",
	[123] = "ptp",
	[124] = "isis over ipv4",
	[125] = "fire",
	[126] = "crtp",
	[127] = "crudp",
	[128] = "sscopmce",
	[129] = "iplt",
	[130] = "sps",
	[131] = "pipe",
	[132] = "sctp",
	[133] = "fc",
	[134] = "rsvp-e2e-ignore",
	[135] = "mobility header",
	[136] = "udplite",
	[137] = "mpls-in-ip",
	[138] = "manet",
	[139] = "shim6",
	[140] = "wesp",
	[141] = "rohc",
	[142] = "ethernet",
	[143] = "aggfrag",
	[144] = "nsh",
};

static const char *const names_from[_FLOW_NAMED_MAX] = {
	[FLOW_NAMED_SITE] = "site",
	[FLOW_NAMED_SNI] = "sni",
	[FLOW_NAMED_HOST] = "host",
	[FLOW_NAMED_DNS] = "dns",
};

static const char *const states[_FLOW_STATE_MAX] = {
	[FLOW_NEW] = "new",	[FLOW_ESTABLISHED] = "established", [FLOW_CLOSED] = "closed",
	[FLOW_RESET] = "reset", [FLOW_NO_REPLY] = "no_reply",	    [FLOW_ONE_WAY] = "one_way",
};

static const char *const reasons[_FLOW_REASON_MAX] = {
	[FLOW_IDLE] = "idle",	    [FLOW_ACTIVE] = "active",	  [FLOW_END] = "end",
	[FLOW_EVICTED] = "evicted", [FLOW_SHUTDOWN] = "shutdown", [FLOW_DROPPED] = "dropped",
	[FLOW_IDS] = "ids",
};

static const char *const verdicts[_FLOW_VERDICT_MAX] = {
	[FLOW_DROP] = "drop",
	[FLOW_LIMIT] = "limit",
	[FLOW_REFUSE] = "reset",
	[FLOW_WOULD_DROP] = "would_drop",
	[FLOW_WOULD_LIMIT] = "would_limit",
	[FLOW_WOULD_RESET] = "would_reset",
};

static const char *const tunnels[_TUN_MAX] = {
	[TUN_VXLAN] = "vxlan",	 [TUN_GENEVE] = "geneve", [TUN_GRE] = "gre",
	[TUN_ERSPAN] = "erspan", [TUN_IPIP] = "ipip",	  [TUN_6IN4] = "6in4",
	[TUN_TEREDO] = "teredo", [TUN_GTPU] = "gtpu",
};

static const char *const no_names[_NN_MAX] = {
	[NN_NO_SNI] = "no_sni",		[NN_ENCRYPTED] = "encrypted",
	[NN_INCOMPLETE] = "incomplete", [NN_TOO_LONG] = "too_long",
	[NN_MALFORMED] = "malformed",	[NN_NO_SLOT] = "no_slot",
	[NN_RING_FULL] = "ring_full",	[NN_CONFLICT] = "conflict",
	[NN_NO_HOST] = "no_host",	[NN_QUIC_VERSION] = "quic_version",
	[NN_DECRYPT] = "decrypt",	[NN_TRUNCATED] = "truncated",
};

static const char *const directions[] = {[FLOW_INGRESS] = "ingress", [FLOW_EGRESS] = "egress"};

static const char *const echs[] = {[1] = "ech", [2] = "esni"};

static const char *word(const char *const *table, size_t n, unsigned int v, char *buf)
{
	if (v < n && table[v])
		return table[v];
	snprintf(buf, WORD_TEXT, "%u", v);
	return buf;
}

const char *proto_word(uint8_t proto, char *buf)
{
	return word(protocols, LEN(protocols), proto, buf);
}

const char *state_word(uint8_t state, char *buf)
{
	return word(states, LEN(states), state, buf);
}

const char *reason_word(uint8_t reason, char *buf)
{
	return word(reasons, LEN(reasons), reason, buf);
}

const char *verdict_word(uint8_t verdict, char *buf)
{
	return word(verdicts, LEN(verdicts), verdict, buf);
}

const char *named_word(uint8_t named, char *buf)
{
	return word(names_from, LEN(names_from), named, buf);
}

const char *direction_word(uint8_t direction, char *buf)
{
	return word(directions, LEN(directions), direction, buf);
}

const char *tunnel_word(uint8_t tunnel, char *buf)
{
	return word(tunnels, LEN(tunnels), tunnel, buf);
}

const char *no_name_word(uint8_t no_name, char *buf)
{
	return word(no_names, LEN(no_names), no_name, buf);
}

const char *ech_word(uint8_t ech, char *buf)
{
	return word(echs, LEN(echs), ech, buf);
}

const char *tcp_flags_word(uint8_t flags, char *buf)
{
	static const char letters[8] = "FSRPAUEC";
	char *p = buf;

	for (unsigned int bit = 0; bit < 8; bit++) {
		if (flags & 1u << bit)
			*p++ = letters[bit];
	}
	*p = 0;
	return buf;
}

const char *tls_version_word(uint16_t version, char *buf)
{
	switch (version) {
	case 0x0300:
		return "SSLv3";
	case 0x0301:
		return "TLSv1";
	case 0x0302:
		return "TLSv1.1";
	case 0x0303:
		return "TLSv1.2";
	case 0x0304:
		return "TLSv1.3";
	case 0xfeff:
		return "DTLSv1";
	case 0xfefd:
		return "DTLSv1.2";
	case 0xfefc:
		return "DTLSv1.3";
	default:
		snprintf(buf, WORD_TEXT, "0x%04x", version);
		return buf;
	}
}

/* Is it what gQUIC used: 'Q' or 'T' and three digits? */
static int is_gquic(uint32_t v)
{
	int c = (int)(v >> 24);

	for (int shift = 0; shift < 24; shift += 8) {
		int d = (int)(v >> shift & 0xff);

		if (d < '0' || d > '9')
			return 0;
	}
	return c == 'Q' || c == 'T';
}

const char *country_word(uint16_t country, char *buf)
{
	snprintf(buf, WORD_TEXT, "%c%c", country >> 8, country & 0xff);
	return buf;
}

const char *quic_version_word(uint32_t version, char *buf)
{
	if (version == 1)
		return "1";
	if (version == 0x6b3343cf) /* RFC 9369 section 3.1 */
		return "2";
	if (version >> 8 == 0xff0000)
		snprintf(buf, WORD_TEXT, "draft-%u", version & 0xff);
	else if (is_gquic(version))
		snprintf(buf, WORD_TEXT, "%c%c%c%c", (int)(version >> 24),
			 (int)(version >> 16 & 0xff), (int)(version >> 8 & 0xff),
			 (int)(version & 0xff));
	else
		snprintf(buf, WORD_TEXT, "0x%08x", version);
	return buf;
}
