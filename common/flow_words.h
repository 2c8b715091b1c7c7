/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow_words.h - the words that stand for numbers in a flow record: protocols, states, versions.
 * They are part of the record's format: added to, never changed. Any thread.
 *
 * Functions that take @buf (WORD_TEXT bytes) use it where there is no word; all return terminated
 * text, never NULL unless said.
 */
#ifndef WEIR_COMMON_FLOW_WORDS_H
#define WEIR_COMMON_FLOW_WORDS_H

#include <stdint.h>

#define WORD_TEXT 24u

/* IANA's keyword of the protocol number in lower case, or the number. */
const char *proto_word(uint8_t proto, char *buf);

/* Letters of the flags that are set, in the order FSRPAUEC. */
const char *tcp_flags_word(uint8_t flags, char *buf);

/* enum conn_state, enum flow_verdict, enum flow_reason, enum weir_tunnel, enum no_name; else the number. */
const char *state_word(uint8_t state, char *buf);
const char *verdict_word(uint8_t verdict, char *buf);
const char *named_word(uint8_t named, char *buf);
const char *reason_word(uint8_t reason, char *buf);
const char *direction_word(uint8_t direction, char *buf);
const char *tunnel_word(uint8_t tunnel, char *buf);
const char *no_name_word(uint8_t no_name, char *buf);

/* "ech" or "esni". */
const char *ech_word(uint8_t ech, char *buf);

/* "TLSv1.3", "DTLSv1.2" ... from the number on the wire; else "0x1234". */
const char *tls_version_word(uint16_t version, char *buf);

/* "1", "2", "draft-29", gQUIC's "Q046"; else "0x1a2a3a4a". */
const char *quic_version_word(uint32_t version, char *buf);

/* "CZ" from the two letters in one number. */
const char *country_word(uint16_t country, char *buf);

/* IANA's mnemonic ("A", "HTTPS", "NXDOMAIN"); else TYPE<n> (RFC 3597) or RCODE<n>. */
const char *dns_type_word(uint16_t qtype, char *buf);
const char *dns_rcode_word(uint16_t rcode, char *buf);

#endif
