/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/classify/dns.h>
#include <weir/packet/bytes.h>

#include <errno.h>

#define FLAG_QR      0x8000
#define FLAG_TC      0x0200
#define OPCODE_MASK  0x7800
#define RCODE_MASK   0x000f
#define CLASS_IN     1
#define RECORD_BYTES 10 /* type, class, TTL and length of the data, after the owner's name */
#define A_BYTES      4
#define N_SECTIONS   3 /* answer, authority, additional */
#define OCTETS_MAX   65535
#define KEPT_MAX     (DNS_RECORDS_MAX / 2) /* aliases, and addresses */
#define LABEL_KIND   0xc0 /* RFC 1035 4.1.4: both bits of a pointer, none of a label */

struct message {
	const uint8_t *octets;
	uint32_t len_bytes;
	uint32_t n_steps; /* left */
};

/* A place within a name. Pointers lead below `floor`, which sinks with each of them: none is followed twice. */
struct cursor {
	uint32_t at;
	uint32_t floor;
	uint32_t n_octets; /* of the name, so far */
};

/* What of a record may matter: offsets of the owner's name and of the data. */
struct record {
	uint16_t owner;
	uint16_t data;
	uint32_t ttl_s;
};

struct records {
	uint32_t n_aliases;
	uint32_t n_addresses;
	struct record aliases[KEPT_MAX];
	struct record addresses[KEPT_MAX];
};

static struct cursor cursor_at(uint32_t at)
{
	return (struct cursor){.at = at, .floor = at};
}

/* Goes over the next label of a name: its length (0: the name has ended), with its place in `ret_label`. */
static int next_label(struct message *m, struct cursor *c, const uint8_t **ret_label)
{
	for (;;) {
		uint32_t octet;
		uint32_t target;

		if (m->n_steps == 0)
			return -E2BIG;
		m->n_steps--;
		if (c->at >= m->len_bytes)
			return -EBADMSG;
		octet = m->octets[c->at];
		if ((octet & LABEL_KIND) == 0) {
			c->n_octets += octet + 1;
			if (c->at + octet >= m->len_bytes || c->n_octets > DNS_NAME_MAX)
				return -EBADMSG;
			*ret_label = m->octets + c->at + 1;
			c->at += octet + 1;
			return (int)octet;
		}
		if ((octet & LABEL_KIND) != LABEL_KIND || c->at + 1 >= m->len_bytes)
			return -EBADMSG;
		target = (octet & ~(uint32_t)LABEL_KIND) << 8 | m->octets[c->at + 1];
		if (target < DNS_HEADER_BYTES || target >= c->floor)
			return -EBADMSG;
		c->at = target;
		c->floor = target;
	}
}

/* The name at `at`, in lower case. */
static int read_name(struct message *m, uint32_t at, struct dns_name *ret_name)
{
	struct cursor c = cursor_at(at);
	struct dns_name name = {0};

	for (;;) {
		const uint8_t *label = NULL;
		int n = next_label(m, &c, &label);

		if (n < 0)
			return n;
		name.octets[name.len++] = (uint8_t)n;
		for (int i = 0; i < n; i++)
			name.octets[name.len++] = dns_lower(label[i]);
		if (n == 0)
			break;
	}
	*ret_name = name;
	return 0;
}

/* 1 when two names of the message are the same, 0 when not, or an error. */
static int same_name(struct message *m, uint32_t a, uint32_t b)
{
	struct cursor ca = cursor_at(a);
	struct cursor cb = cursor_at(b);

	for (;;) {
		const uint8_t *la = NULL;
		const uint8_t *lb = NULL;
		int na = next_label(m, &ca, &la);
		int nb = na < 0 ? na : next_label(m, &cb, &lb);

		if (nb < 0)
			return nb;
		if (na != nb)
			return 0;
		for (int i = 0; i < na; i++)
			if (dns_lower(la[i]) != dns_lower(lb[i]))
				return 0;
		if (na == 0)
			return 1;
	}
}

/* Goes over a name where it stands: the offset behind it, or an error. */
static int skip_name(struct message *m, uint32_t at)
{
	uint32_t begin = at;

	for (;;) {
		uint32_t octet;

		if (m->n_steps == 0)
			return -E2BIG;
		m->n_steps--;
		if (at >= m->len_bytes || at - begin >= DNS_NAME_MAX)
			return -EBADMSG;
		octet = m->octets[at];
		if (octet == 0)
			return (int)at + 1;
		if ((octet & LABEL_KIND) == LABEL_KIND)
			return at + 1 < m->len_bytes ? (int)at + 2 : -EBADMSG;
		if ((octet & LABEL_KIND) != 0)
			return -EBADMSG;
		at += octet + 1;
	}
}

static uint32_t count_of(const struct message *m, uint32_t section)
{
	return load_be16(m->octets + 6 + 2 * section);
}

static uint16_t flags_of(const struct message *m)
{
	return load_be16(m->octets + 2);
}

/* Reads the header of a standard query or its response, with one question of class IN, and its name: the offset of what
 * follows it. */
static int read_head(struct message *m, const uint8_t *msg, size_t len_bytes, enum dns_kind kind,
	struct dns_name *ret_name)
{
	uint16_t flags;
	int at;
	int rc;

	if (len_bytes < DNS_HEADER_BYTES || len_bytes > OCTETS_MAX)
		return -EBADMSG;
	*m = (struct message){msg, (uint32_t)len_bytes, DNS_STEPS_MAX};
	flags = flags_of(m);
	if ((flags & OPCODE_MASK) != 0 || ((flags & FLAG_QR) != 0) != (kind == DNS_RESPONSE)
		|| load_be16(msg + 4) != 1)
		return -ENOMSG;
	rc = read_name(m, DNS_HEADER_BYTES, ret_name);
	if (rc < 0)
		return rc;
	at = skip_name(m, DNS_HEADER_BYTES);
	if (at < 0)
		return at;
	if ((uint32_t)at + 4 > m->len_bytes)
		return -EBADMSG;
	return load_be16(msg + at + 2) == CLASS_IN ? at + 4 : -ENOMSG;
}

int dns_read_question(
	const uint8_t *msg, size_t len_bytes, enum dns_kind kind, struct dns_question *ret_question)
{
	struct message m;
	struct dns_question q;
	int at = read_head(&m, msg, len_bytes, kind, &q.name);

	if (at < 0)
		return at;
	q.id = load_be16(msg);
	q.type = load_be16(msg + at - 4);
	*ret_question = q;
	return 0;
}

/* Keeps a record of the answer that may be a link of the chain or its end. */
static int keep_record(struct message *m, struct records *r, const struct record *record,
	uint16_t type, uint32_t data_bytes)
{
	int end;

	if (type == DNS_TYPE_CNAME) {
		end = skip_name(m, record->data);
		if (end < 0)
			return end;
		if ((uint32_t)end != record->data + data_bytes)
			return -EBADMSG;
		if (r->n_aliases == KEPT_MAX)
			return -E2BIG;
		r->aliases[r->n_aliases++] = *record;
	} else if (type == DNS_TYPE_A) {
		if (data_bytes != A_BYTES)
			return -EBADMSG;
		if (r->n_addresses < KEPT_MAX) /* far more than are taken */
			r->addresses[r->n_addresses++] = *record;
	}
	return 0;
}

/* Takes in the record at `at`: the offset behind it, or an error. */
static int read_record(struct message *m, uint32_t at, uint32_t section, struct records *r)
{
	int head = skip_name(m, at);
	const uint8_t *fields;
	uint32_t data_bytes;
	uint16_t type;
	struct record record;
	int rc = 0;

	if (head < 0)
		return head;
	if ((uint32_t)head + RECORD_BYTES > m->len_bytes)
		return -EBADMSG;
	fields = m->octets + head;
	type = load_be16(fields);
	data_bytes = load_be16(fields + 8);
	record = (struct record){.owner = (uint16_t)at,
		.data = (uint16_t)(head + RECORD_BYTES),
		.ttl_s = (uint32_t)load_be16(fields + 4) << 16 | load_be16(fields + 6)};
	if (record.data + data_bytes > m->len_bytes)
		return -EBADMSG;
	if (record.ttl_s > INT32_MAX)
		record.ttl_s = 0;
	if (section == 0 && load_be16(fields + 2) == CLASS_IN)
		rc = keep_record(m, r, &record, type, data_bytes);
	else if (section == N_SECTIONS - 1 && type == DNS_TYPE_OPT && fields[4] != 0)
		rc = -ENOMSG; /* RFC 6891 6.1.3: the upper octet of the RCODE is where others have the TTL's */
	return rc < 0 ? rc : (int)(record.data + data_bytes);
}

/* Walks all sections; keeps what of the answer may matter. */
static int read_records(struct message *m, uint32_t at, struct records *r)
{
	uint32_t n_records = 0;

	for (uint32_t section = 0; section < N_SECTIONS; section++) {
		for (uint32_t n = count_of(m, section); n > 0; n--) {
			int next = n_records++ < DNS_RECORDS_MAX ? read_record(m, at, section, r)
								 : -E2BIG;

			if (next == -EBADMSG && (flags_of(m) & FLAG_TC) != 0)
				return 0; /* cut here */
			if (next < 0)
				return next;
			at = (uint32_t)next;
		}
	}
	return 0;
}

/*
 * Follows the aliases from the question: the offset of the name that has the addresses. Each alias leads on once, so that
 * a circle ends; the search begins behind the last one found, where the next one usually stands.
 */
static int follow_aliases(struct message *m, struct records *r, uint32_t *ret_ttl_s)
{
	uint32_t name = DNS_HEADER_BYTES;
	uint32_t at = 0;
	uint32_t n_missed = 0;

	while (n_missed < r->n_aliases) {
		struct record *alias = &r->aliases[at];
		int same = alias->owner == 0 ? 0 : same_name(m, alias->owner, name);

		if (same < 0)
			return same;
		if (same == 1) {
			name = alias->data;
			alias->owner = 0; /* no record stands in the header */
			if (alias->ttl_s < *ret_ttl_s)
				*ret_ttl_s = alias->ttl_s;
			n_missed = 0;
		} else {
			n_missed++;
		}
		at = at + 1 == r->n_aliases ? 0 : at + 1;
	}
	return (int)name;
}

int dns_read_answer(const uint8_t *msg, size_t len_bytes, struct dns_answer *ret_answer)
{
	struct message m;
	struct records r;
	struct dns_answer answer;
	uint32_t ttl_s = UINT32_MAX;
	struct dns_name asked;
	int at = read_head(&m, msg, len_bytes, DNS_RESPONSE, &asked);
	int name;

	if (at < 0)
		return at;
	if ((flags_of(&m) & RCODE_MASK) != 0 || load_be16(msg + at - 4) != DNS_TYPE_A)
		return -ENOMSG;
	r.n_aliases = 0;
	r.n_addresses = 0;
	name = read_records(&m, (uint32_t)at, &r);
	if (name == 0)
		name = follow_aliases(&m, &r, &ttl_s);
	if (name < 0)
		return name;
	answer.n_addresses = 0;
	for (uint32_t i = 0; i < r.n_addresses && answer.n_addresses < DNS_ADDRESSES_MAX; i++) {
		const struct record *record = &r.addresses[i];
		int same = same_name(&m, record->owner, (uint32_t)name);

		if (same < 0)
			return same;
		if (same == 0)
			continue;
		answer.addresses[answer.n_addresses++] = (struct dns_address){
			.addr = ip_addr_v4(load32(msg + record->data)),
			.ttl_s = record->ttl_s < ttl_s ? record->ttl_s : ttl_s,
		};
	}
	ret_answer->n_addresses = answer.n_addresses;
	memcpy(ret_answer->addresses, answer.addresses,
		answer.n_addresses * sizeof(answer.addresses[0]));
	return 0;
}
