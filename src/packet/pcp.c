/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/packet/bytes.h>
#include <weir/packet/meta.h>
#include <weir/packet/pcp.h>

#define HEADER_BYTES      24
#define MAP_BYTES         60 /* with the header */
#define PEER_BYTES        80
#define OPTION_BYTES      4 /* header of an option */
#define FILTER_BYTES      20
#define RESPONSE          0x80
#define RESERVED_OFF      12 /* of a response: zero, or an echo of the client's address */
#define RESERVED_BYTES    12
#define V4_PREFIX_BITS    96
#define OPTION_IS_LEISURE 0x80 /* whoever does not know it may leave it out */

#define NAT_PMP_MIN_BYTES 2
#define NAT_PMP_MAP_BYTES 12
#define NAT_PMP_REPLY     128

enum option_code {
	OPTION_PREFER_FAILURE = 2,
	OPTION_FILTER = 3,
};

/* Where the fields of MAP and PEER lie. */
enum {
	AT_LIFETIME = 4,
	AT_EPOCH = 8,
	AT_CLIENT = 8,
	AT_NONCE = 24,
	AT_PROTO = 36,
	AT_INTERNAL_PORT = 40,
	AT_EXTERNAL_PORT = 42,
	AT_EXTERNAL = 44,
	AT_REMOTE_PORT = 60,
	AT_REMOTE = 64,
};

static struct ip_addr load_addr(const uint8_t *at)
{
	struct ip_addr addr;

	memcpy(&addr, at, sizeof(addr));
	return addr;
}

/* Any address of the family: 0.0.0.0 in its mapped form, or :: of a client that knows no better (section 5). */
static bool is_any(const struct ip_addr *addr)
{
	return ip_addr_is_unset(addr) || (ip_addr_is_v4(addr) && addr->words[3] == 0);
}

/* RFC 6886 section 3. */
static bool read_nat_pmp(const uint8_t *message, uint32_t len_bytes, struct pcp_request *r,
	enum pcp_result *ret_result)
{
	uint8_t opcode = message[1];

	r->version = PCP_VERSION_NAT_PMP;
	r->opcode = PCP_UNKNOWN;
	*ret_result = PCP_UNSUPP_OPCODE;
	if (opcode > PCP_PEER)
		return true;
	*ret_result = PCP_SUCCESS;
	r->is_parsed = true;
	r->opcode = opcode == 0 ? PCP_ADDRESS : PCP_MAP;
	if (opcode == 0)
		return len_bytes == NAT_PMP_MIN_BYTES;
	if (len_bytes != NAT_PMP_MAP_BYTES)
		return false;
	r->proto = opcode == 1 ? PROTO_UDP : PROTO_TCP;
	r->internal_port = load_be16(message + 4);
	r->external_port = load_be16(message + 6);
	r->lifetime_s = load_be32(message + 8);
	return true;
}

static uint32_t body_end(uint16_t opcode)
{
	switch (opcode) {
	case PCP_MAP:
		return MAP_BYTES;
	case PCP_PEER:
		return PEER_BYTES;
	default:
		return HEADER_BYTES;
	}
}

static void read_body(const uint8_t *message, struct pcp_request *r)
{
	memcpy(r->nonce, message + AT_NONCE, sizeof(r->nonce));
	r->proto = message[AT_PROTO];
	r->internal_port = load_be16(message + AT_INTERNAL_PORT);
	r->external_port = load_be16(message + AT_EXTERNAL_PORT);
	r->external = load_addr(message + AT_EXTERNAL);
	if (is_any(&r->external))
		r->external = (struct ip_addr){0};
	if (r->opcode != PCP_PEER)
		return;
	r->remote_port = load_be16(message + AT_REMOTE_PORT);
	r->remote = load_addr(message + AT_REMOTE);
}

/* Section 13.3. */
static enum pcp_result read_filter(const uint8_t *data, uint16_t len_bytes, struct pcp_request *r)
{
	struct pcp_filter f;

	if (len_bytes != FILTER_BYTES || data[1] > 128)
		return PCP_MALFORMED_OPTION;
	if (data[1] == 0) { /* all of before */
		r->clears_filters = true;
		r->n_filters = 0;
		return PCP_SUCCESS;
	}
	f.port = load_be16(data + 2);
	f.remote.addr = load_addr(data + 4);
	if (data[1] < V4_PREFIX_BITS || !ip_addr_is_v4(&f.remote.addr))
		return PCP_MALFORMED_OPTION; /* IPv6: nothing of it is mapped */
	f.remote.len_bits = (uint8_t)(data[1] - V4_PREFIX_BITS);
	if (r->n_filters == PCP_FILTERS_MAX)
		return PCP_EXCESSIVE_REMOTE_PEERS;
	r->filters[r->n_filters++] = f;
	return PCP_SUCCESS;
}

/* An option that is honoured; else PCP_UNSUPP_OPTION. */
static enum pcp_result read_option(const uint8_t *option, uint16_t len_bytes, struct pcp_request *r)
{
	if (r->opcode == PCP_MAP && option[0] == OPTION_FILTER)
		return read_filter(option + OPTION_BYTES, len_bytes, r);
	if (r->opcode != PCP_MAP || option[0] != OPTION_PREFER_FAILURE)
		return PCP_UNSUPP_OPTION;
	if (len_bytes != 0 || r->prefers_failure)
		return PCP_MALFORMED_OPTION;
	r->prefers_failure = true;
	return PCP_SUCCESS;
}

/* Octets of an option with its padding; 0 when it ends beyond the message. */
static uint32_t option_bytes(const uint8_t *message, uint32_t at, uint32_t len_bytes)
{
	uint32_t bytes;

	if (len_bytes - at < OPTION_BYTES)
		return 0;
	bytes = OPTION_BYTES + ((load_be16(message + at + 2) + 3u) & ~3u);
	return bytes > len_bytes - at ? 0 : bytes;
}

static enum pcp_result read_options(
	const uint8_t *message, uint32_t len_bytes, struct pcp_request *r)
{
	uint32_t bytes;

	for (uint32_t at = body_end(r->opcode); at < len_bytes; at += bytes) {
		enum pcp_result result;

		bytes = option_bytes(message, at, len_bytes);
		if (bytes == 0)
			return PCP_MALFORMED_OPTION;
		result = read_option(message + at, load_be16(message + at + 2), r);
		if (result == PCP_UNSUPP_OPTION && (message[at] & OPTION_IS_LEISURE) != 0)
			continue;
		if (result != PCP_SUCCESS)
			return result;
	}
	return PCP_SUCCESS;
}

/* Section 8.2, in its order. */
static enum pcp_result read_pcp(const uint8_t *message, uint32_t len_bytes,
	const struct ip_addr *source, struct pcp_request *r)
{
	struct ip_addr client;
	enum pcp_result result;

	if (len_bytes > PCP_MESSAGE_MAX || len_bytes % 4 != 0 || len_bytes < HEADER_BYTES)
		return PCP_MALFORMED_REQUEST;
	if (r->opcode > PCP_PEER) {
		r->opcode = PCP_UNKNOWN;
		return PCP_UNSUPP_OPCODE;
	}
	if (len_bytes < body_end(r->opcode))
		return PCP_MALFORMED_REQUEST;
	client = load_addr(message + AT_CLIENT);
	if (!ip_addr_equal(&client, source))
		return PCP_ADDRESS_MISMATCH;
	r->lifetime_s = load_be32(message + AT_LIFETIME);
	if (r->opcode != PCP_ANNOUNCE)
		read_body(message, r);
	result = read_options(message, len_bytes, r);
	r->is_parsed = result == PCP_SUCCESS;
	return result;
}

bool pcp_read(const uint8_t *message, uint32_t len_bytes, const struct ip_addr *source,
	struct pcp_request *ret_request, enum pcp_result *ret_result)
{
	struct pcp_request *r = ret_request;

	*r = (struct pcp_request){.version = PCP_VERSION};
	if (len_bytes < NAT_PMP_MIN_BYTES || (message[1] & RESPONSE) != 0)
		return false;
	if (message[0] == PCP_VERSION_NAT_PMP)
		return read_nat_pmp(message, len_bytes, r, ret_result);
	r->opcode = message[1];
	if (message[0] == PCP_VERSION) {
		*ret_result = read_pcp(message, len_bytes, source, r);
		return true;
	}
	/* Section 9: told which version is spoken here, in its terms. */
	r->opcode = PCP_UNKNOWN;
	*ret_result = PCP_UNSUPP_VERSION;
	return true;
}

/* RFC 6886 section 3.5. */
static uint16_t nat_pmp_result(enum pcp_result result)
{
	switch ((int)result) {
	case PCP_SUCCESS:
		return 0;
	case PCP_UNSUPP_VERSION:
		return 1;
	case PCP_NETWORK_FAILURE:
		return 3;
	case PCP_NO_RESOURCES:
	case PCP_USER_EX_QUOTA:
		return 4;
	case PCP_UNSUPP_OPCODE:
		return 5;
	default:
		return 2; /* refused */
	}
}

uint16_t pcp_build_address(
	uint8_t out[NAT_PMP_ADDRESS_BYTES], uint32_t epoch_s, const struct ip_addr *external)
{
	memset(out, 0, NAT_PMP_ADDRESS_BYTES);
	out[1] = NAT_PMP_REPLY;
	if (ip_addr_is_unset(external))
		store_be16(out + 2, nat_pmp_result(PCP_NETWORK_FAILURE));
	store_be32(out + 4, epoch_s);
	store32(out + 8, external->words[3]);
	return NAT_PMP_ADDRESS_BYTES;
}

static uint16_t build_nat_pmp(uint8_t *out, const uint8_t *message, const struct pcp_request *r,
	const struct pcp_reply *reply)
{
	if (r->opcode == PCP_ADDRESS && reply->result == PCP_SUCCESS)
		return pcp_build_address(out, reply->epoch_s, &reply->external);
	memset(out, 0, 16);
	out[1] = (uint8_t)(NAT_PMP_REPLY | message[1]);
	store_be16(out + 2, nat_pmp_result(reply->result));
	store_be32(out + 4, reply->epoch_s);
	if (r->opcode == PCP_ADDRESS)
		return NAT_PMP_ADDRESS_BYTES;
	if (r->opcode != PCP_MAP)
		return 8;
	store_be16(out + 8, r->internal_port);
	if (reply->result == PCP_SUCCESS && r->lifetime_s != 0) {
		store_be16(out + 10, reply->external_port);
		store_be32(out + 12, reply->lifetime_s);
	}
	return 16;
}

static void build_header(uint8_t *out, uint8_t opcode, const struct pcp_reply *reply)
{
	memset(out, 0, HEADER_BYTES);
	out[0] = PCP_VERSION;
	out[1] = RESPONSE | opcode;
	out[3] = (uint8_t)reply->result;
	store_be32(out + AT_LIFETIME, reply->lifetime_s);
	store_be32(out + AT_EPOCH, reply->epoch_s);
}

/* An error gives the request back: what follows the header as it was, in whole words. */
static uint16_t build_error(uint8_t *out, const uint8_t *message, uint32_t len_bytes,
	const struct pcp_request *r, const struct pcp_reply *reply)
{
	uint32_t len = len_bytes > PCP_MESSAGE_MAX ? PCP_MESSAGE_MAX : len_bytes;
	uint32_t padded = len < HEADER_BYTES ? HEADER_BYTES : (len + 3) & ~3u;

	build_header(out, message[1], reply);
	if (reply->result == PCP_UNSUPP_VERSION)
		return HEADER_BYTES; /* what follows is not known to be of this form */
	if (!r->is_parsed && len >= HEADER_BYTES)
		memcpy(out + RESERVED_OFF, message + RESERVED_OFF, RESERVED_BYTES);
	if (len > HEADER_BYTES)
		memcpy(out + HEADER_BYTES, message + HEADER_BYTES, len - HEADER_BYTES);
	if (len > HEADER_BYTES)
		memset(out + len, 0, padded - len);
	return (uint16_t)padded;
}

/* Of the options those come back that were honoured. */
static uint32_t copy_options(uint8_t *out, const uint8_t *message, uint32_t at, uint32_t len_bytes)
{
	uint32_t end = at;

	while (at < len_bytes) {
		uint32_t bytes = option_bytes(message, at, len_bytes);

		if ((message[at] & OPTION_IS_LEISURE) == 0) {
			memcpy(out + end, message + at, bytes);
			end += bytes;
		}
		at += bytes;
	}
	return end;
}

uint16_t pcp_build(uint8_t *out, const uint8_t *message, uint32_t len_bytes,
	const struct pcp_request *request, const struct pcp_reply *reply)
{
	uint32_t body = body_end(request->opcode);

	if (request->version == PCP_VERSION_NAT_PMP)
		return build_nat_pmp(out, message, request, reply);
	if (reply->result != PCP_SUCCESS)
		return build_error(out, message, len_bytes, request, reply);
	build_header(out, message[1], reply);
	if (body > HEADER_BYTES) {
		memcpy(out + HEADER_BYTES, message + HEADER_BYTES, body - HEADER_BYTES);
		memset(out + AT_PROTO + 1, 0, AT_INTERNAL_PORT - AT_PROTO - 1);
		store_be16(out + AT_EXTERNAL_PORT, reply->external_port);
		memcpy(out + AT_EXTERNAL, &reply->external, sizeof(reply->external));
	}
	if (request->opcode == PCP_PEER)
		memset(out + AT_REMOTE_PORT + 2, 0, AT_REMOTE - AT_REMOTE_PORT - 2);
	return (uint16_t)copy_options(out, message, body, len_bytes);
}

uint16_t pcp_build_announcement(uint8_t out[PCP_ANNOUNCEMENT_BYTES], uint32_t epoch_s)
{
	build_header(out, PCP_ANNOUNCE, &(struct pcp_reply){.epoch_s = epoch_s});
	return PCP_ANNOUNCEMENT_BYTES;
}

uint32_t pcp_error_lifetime_s(enum pcp_result result)
{
	switch ((int)result) {
	case PCP_NETWORK_FAILURE:
	case PCP_NO_RESOURCES:
	case PCP_USER_EX_QUOTA:
	case PCP_CANNOT_PROVIDE_EXTERNAL:
		return PCP_SHORT_S;
	default:
		return PCP_LONG_S;
	}
}
