/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/control/ipfix_message.h>
#include <weir/packet/bytes.h>

#include <assert.h>
#include <string.h>

#define VERSION            10
#define SET_TEMPLATES      2
#define SET_OPTIONS        3
#define SET_HEADER_BYTES   4
#define ENTERPRISE         0x8000 /* of an element's id: its number space is another's */
#define REVERSE_ENTERPRISE 29305  /* RFC 5103 section 6.1 */
#define VARIABLE           0xffff /* RFC 7011 section 7: the length stands before the value */
#define ENGINE_USER        6      /* RFC 6759 section 4.1: classes that users define */
#define EXPORTING_PROCESS  1      /* there is one */
#define BIFLOW_ARBITRARY   0      /* RFC 5103 section 6.3: not by who began */

/* IANA's names and numbers: IE_OCTET_DELTA_COUNT is octetDeltaCount. */
enum element {
	IE_OCTET_DELTA_COUNT = 1,
	IE_PACKET_DELTA_COUNT = 2,
	IE_PROTOCOL_IDENTIFIER = 4,
	IE_TCP_CONTROL_BITS = 6,
	IE_SOURCE_TRANSPORT_PORT = 7,
	IE_SOURCE_IPV4_ADDRESS = 8,
	IE_INGRESS_INTERFACE = 10,
	IE_DESTINATION_TRANSPORT_PORT = 11,
	IE_DESTINATION_IPV4_ADDRESS = 12,
	IE_EGRESS_INTERFACE = 14,
	IE_EXPORTED_OCTET_TOTAL_COUNT = 40,
	IE_EXPORTED_MESSAGE_TOTAL_COUNT = 41,
	IE_EXPORTED_FLOW_RECORD_TOTAL_COUNT = 42,
	IE_SOURCE_MAC_ADDRESS = 56,
	IE_INTERFACE_NAME = 82,
	IE_APPLICATION_ID = 95,
	IE_APPLICATION_NAME = 96,
	IE_FLOW_END_REASON = 136,
	IE_EXPORTING_PROCESS_ID = 144,
	IE_FLOW_START_MILLISECONDS = 152,
	IE_FLOW_END_MILLISECONDS = 153,
	IE_NOT_SENT_FLOW_TOTAL_COUNT = 166,
	IE_NOT_SENT_PACKET_TOTAL_COUNT = 167,
	IE_NOT_SENT_OCTET_TOTAL_COUNT = 168,
	IE_POST_NAT_SOURCE_IPV4_ADDRESS = 225,
	IE_POST_NAPT_SOURCE_TRANSPORT_PORT = 227,
	IE_BIFLOW_DIRECTION = 239,
};

struct field {
	uint16_t id; /* enum element; 0 ends the list */
	uint16_t octets;
	bool reverse;
};

/* Packets and tcpControlBits are shorter than their types: reduced-size encoding, RFC 7011 section 6.2. */
static const struct field flow_fields[] = {
	{IE_FLOW_START_MILLISECONDS, 8, false},
	{IE_FLOW_END_MILLISECONDS, 8, false},
	{IE_SOURCE_IPV4_ADDRESS, 4, false},
	{IE_DESTINATION_IPV4_ADDRESS, 4, false},
	{IE_POST_NAT_SOURCE_IPV4_ADDRESS, 4, false},
	{IE_OCTET_DELTA_COUNT, 8, false},
	{IE_OCTET_DELTA_COUNT, 8, true},
	{IE_PACKET_DELTA_COUNT, 4, false},
	{IE_PACKET_DELTA_COUNT, 4, true},
	{IE_INGRESS_INTERFACE, 2, false},
	{IE_EGRESS_INTERFACE, 2, false},
	{IE_SOURCE_MAC_ADDRESS, 6, false},
	{IE_APPLICATION_ID, 4, false},
	{IE_PROTOCOL_IDENTIFIER, 1, false},
	{IE_FLOW_END_REASON, 1, false},
	{IE_BIFLOW_DIRECTION, 1, false},
	/* of a protocol with ports, these too */
	{IE_SOURCE_TRANSPORT_PORT, 2, false},
	{IE_DESTINATION_TRANSPORT_PORT, 2, false},
	{IE_POST_NAPT_SOURCE_TRANSPORT_PORT, 2, false},
	{IE_TCP_CONTROL_BITS, 1, false},
	{IE_TCP_CONTROL_BITS, 1, true},
};

#define N_FLOW_FIELDS              (sizeof(flow_fields) / sizeof(flow_fields[0]))
#define N_FLOW_FIELDS_WITHOUT_PORT (N_FLOW_FIELDS - 5)

/* The first field of these is their scope. */
static const struct field interface_fields[] = {
	{IE_INGRESS_INTERFACE, 2, false},
	{IE_INTERFACE_NAME, VARIABLE, false},
};
static const struct field class_fields[] = {
	{IE_APPLICATION_ID, 4, false},
	{IE_APPLICATION_NAME, VARIABLE, false},
};
static const struct field statistics_fields[] = {
	{IE_EXPORTING_PROCESS_ID, 4, false},
	{IE_EXPORTED_MESSAGE_TOTAL_COUNT, 8, false},
	{IE_EXPORTED_OCTET_TOTAL_COUNT, 8, false},
	{IE_EXPORTED_FLOW_RECORD_TOTAL_COUNT, 8, false},
	{IE_NOT_SENT_FLOW_TOTAL_COUNT, 8, false},
	{IE_NOT_SENT_PACKET_TOTAL_COUNT, 8, false},
	{IE_NOT_SENT_OCTET_TOTAL_COUNT, 8, false},
};

#define TEMPLATE(list) (list), sizeof(list) / sizeof((list)[0])

static const struct template
{
	const struct field *fields;
	size_t n_fields;
	bool is_options;
}
templates[] = {
	{flow_fields, N_FLOW_FIELDS, false},
	{flow_fields, N_FLOW_FIELDS_WITHOUT_PORT, false},
	{TEMPLATE(interface_fields), true},
	{TEMPLATE(class_fields), true},
	{TEMPLATE(statistics_fields), true},
};

static_assert(sizeof(templates) / sizeof(templates[0]) == IPFIX_TEMPLATES_END - IPFIX_FLOW,
	"each has its row");

/* Where the next value goes. */
struct cursor {
	uint8_t *at;
};

static void put8(struct cursor *c, uint8_t value)
{
	*c->at++ = value;
}

static void put16(struct cursor *c, uint16_t value)
{
	store_be16(c->at, value);
	c->at += 2;
}

static void put32(struct cursor *c, uint32_t value)
{
	store_be32(c->at, value);
	c->at += 4;
}

static void put64(struct cursor *c, uint64_t value)
{
	put32(c, (uint32_t)(value >> 32));
	put32(c, (uint32_t)value);
}

static void put_v4(struct cursor *c, const struct ip_addr *addr)
{
	memcpy(c->at, &addr->words[3], 4);
	c->at += 4;
}

static void put_time(struct cursor *c, uint64_t path_us, int64_t wall_offset_us)
{
	put64(c, (path_us + (uint64_t)wall_offset_us) / US_PER_MS);
}

static void put_class(struct cursor *c, uint8_t class_id)
{
	put32(c, (uint32_t)ENGINE_USER << 24 | class_id);
}

/* In an interim record the flow goes on; the registry's word for it is active timeout. */
static uint8_t end_reason(const struct flow_record *r)
{
	return r->end_reason == FLOW_END_NONE ? FLOW_END_ACTIVE_TIMEOUT : r->end_reason;
}

static bool has_ports(uint8_t proto)
{
	return proto == 6 || proto == 17;
}

bool ipfix_flow_encode(
	struct ipfix_flow *ret_flow, const struct flow_record *r, int64_t wall_offset_us)
{
	struct cursor c = {ret_flow->octets};

	if (!ip_addr_is_v4(&r->internal) || !ip_addr_is_v4(&r->remote))
		return false;
	put_time(&c, r->start_us, wall_offset_us);
	put_time(&c, r->end_us, wall_offset_us);
	put_v4(&c, &r->internal);
	put_v4(&c, &r->remote);
	put_v4(&c, &r->external);
	put64(&c, r->octet_delta_count[UPLINK]);
	put64(&c, r->octet_delta_count[DOWNLINK]);
	put32(&c, r->packet_delta_count[UPLINK]);
	put32(&c, r->packet_delta_count[DOWNLINK]);
	put16(&c, (uint16_t)(r->lan_port + 1));
	put16(&c, (uint16_t)(r->wan_port + 1));
	memcpy(c.at, r->device_mac.bytes, sizeof(r->device_mac.bytes));
	c.at += sizeof(r->device_mac.bytes);
	put_class(&c, r->class_id);
	put8(&c, r->proto);
	put8(&c, end_reason(r));
	put8(&c, BIFLOW_ARBITRARY);
	ret_flow->template_id = IPFIX_FLOW_WITHOUT_PORTS;
	if (has_ports(r->proto)) {
		put16(&c, r->internal_port);
		put16(&c, r->remote_port);
		put16(&c, r->external_port);
		put8(&c, r->tcp_flags[UPLINK]);
		put8(&c, r->tcp_flags[DOWNLINK]);
		ret_flow->template_id = IPFIX_FLOW;
	}
	ret_flow->n = (uint8_t)(c.at - ret_flow->octets);
	return true;
}

void ipfix_begin(struct ipfix_message *m)
{
	m->n = IPFIX_HEADER_BYTES;
	m->set = 0;
	m->n_records = 0;
}

static void close_set(struct ipfix_message *m)
{
	if (m->set == 0)
		return;
	store_be16(m->octets + m->set, m->set_id);
	store_be16(m->octets + m->set + 2, (uint16_t)(m->n - m->set));
	m->set = 0;
}

/* Room for `n` octets in a set of this id; NULL when there is none. */
static uint8_t *take(struct ipfix_message *m, uint16_t set_id, uint32_t n)
{
	bool is_new = m->set == 0 || m->set_id != set_id;
	uint8_t *at;

	if (m->n + n + (is_new ? SET_HEADER_BYTES : 0) > IPFIX_MESSAGE_MAX)
		return NULL;
	if (is_new) {
		close_set(m);
		m->set = m->n;
		m->set_id = set_id;
		m->n += SET_HEADER_BYTES;
	}
	at = m->octets + m->n;
	m->n += n;
	return at;
}

static uint32_t template_bytes(const struct template *t)
{
	uint32_t n = t->is_options ? 6 : 4;

	for (size_t i = 0; i < t->n_fields; i++)
		n += t->fields[i].reverse ? 8 : 4;
	return n;
}

static bool add_template(struct ipfix_message *m, uint16_t id)
{
	const struct template *t = &templates[id - IPFIX_FLOW];
	struct cursor c = {take(m, t->is_options ? SET_OPTIONS : SET_TEMPLATES, template_bytes(t))};

	if (c.at == NULL)
		return false;
	put16(&c, id);
	put16(&c, (uint16_t)t->n_fields);
	if (t->is_options)
		put16(&c, 1); /* fields of the scope */
	for (size_t i = 0; i < t->n_fields; i++) {
		const struct field *f = &t->fields[i];

		put16(&c, (uint16_t)(f->reverse ? f->id | ENTERPRISE : f->id));
		put16(&c, f->octets);
		if (f->reverse)
			put32(&c, REVERSE_ENTERPRISE);
	}
	return true;
}

bool ipfix_add_templates(struct ipfix_message *m)
{
	for (uint32_t id = IPFIX_FLOW; id < IPFIX_TEMPLATES_END; id++)
		if (!add_template(m, (uint16_t)id))
			return false;
	return true;
}

static uint8_t *take_record(struct ipfix_message *m, enum ipfix_template id, uint32_t n)
{
	uint8_t *at = take(m, (uint16_t)id, n);

	m->n_records += at != NULL;
	return at;
}

bool ipfix_add_flow(struct ipfix_message *m, const struct ipfix_flow *flow)
{
	uint8_t *at = take_record(m, (enum ipfix_template)flow->template_id, flow->n);

	if (at != NULL)
		memcpy(at, flow->octets, flow->n);
	return at != NULL;
}

static void put_name(struct cursor *c, const char *name, size_t len)
{
	put8(c, (uint8_t)len);
	memcpy(c->at, name, len);
}

bool ipfix_add_interface(struct ipfix_message *m, uint8_t port_id, const char *name)
{
	size_t len = strnlen(name, IPFIX_NAME_MAX);
	struct cursor c = {take_record(m, IPFIX_INTERFACE, (uint32_t)(2 + 1 + len))};

	if (c.at == NULL)
		return false;
	put16(&c, (uint16_t)(port_id + 1));
	put_name(&c, name, len);
	return true;
}

bool ipfix_add_class(struct ipfix_message *m, uint8_t class_id, const char *name)
{
	size_t len = strnlen(name, IPFIX_NAME_MAX);
	struct cursor c = {take_record(m, IPFIX_CLASS, (uint32_t)(4 + 1 + len))};

	if (c.at == NULL)
		return false;
	put_class(&c, class_id);
	put_name(&c, name, len);
	return true;
}

bool ipfix_add_statistics(struct ipfix_message *m, const struct ipfix_statistics *s)
{
	struct cursor c = {take_record(m, IPFIX_STATISTICS, 4 + 6 * 8)};

	if (c.at == NULL)
		return false;
	put32(&c, EXPORTING_PROCESS);
	put64(&c, s->n_messages);
	put64(&c, s->n_octets);
	put64(&c, s->n_records);
	put64(&c, s->n_lost);
	put64(&c, s->lost_packets);
	put64(&c, s->lost_octets);
	return true;
}

void ipfix_finish(struct ipfix_message *m, uint32_t export_s, uint32_t sequence, uint32_t domain)
{
	struct cursor c = {m->octets};

	close_set(m);
	put16(&c, VERSION);
	put16(&c, (uint16_t)m->n);
	put32(&c, export_s);
	put32(&c, sequence);
	put32(&c, domain);
}

uint32_t ipfix_whole_octets(const uint8_t *octets, uint32_t n, uint32_t domain)
{
	for (uint32_t i = IPFIX_HEADER_BYTES; i <= n; i++) {
		const uint8_t *m = octets + n - i;
		uint32_t len = load_be16(m + 2);

		if (load_be16(m) != VERSION || load_be32(m + 12) != domain
			|| len < IPFIX_HEADER_BYTES || len > IPFIX_MESSAGE_MAX)
			continue;
		if (len > i)
			return n - i; /* cut */
		if (i - len < IPFIX_HEADER_BYTES)
			return n - i + len; /* whole; nothing behind it, or less than a header */
	}
	return n;
}
