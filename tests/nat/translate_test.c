/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/rng.h>
#include <weir/nat/translate.h>
#include <weir/packet/checksum.h>
#include <weir/packet/meta.h>

#include <criterion/criterion.h>
#include <string.h>

/* What the checksums of one packet cover, in the order in which it lies there. */
struct wire {
	uint32_t src_be;
	uint32_t dst_be;
	uint16_t src_port_be;
	uint16_t dst_port_be;
	uint16_t proto_be;
	uint16_t payload;
};

static uint16_t sum(const void *block, size_t len_bytes)
{
	uint64_t total = 0;
	uint16_t word;

	for (size_t i = 0; i < len_bytes; i += sizeof(word)) {
		memcpy(&word, (const char *)block + i, sizeof(word));
		total += word;
	}
	return (uint16_t)~checksum_fold(total);
}

static uint16_t ip_checksum(const struct wire *w)
{
	return sum(w, 8);
}

/* TCP and UDP sum the addresses too, ICMP does not. */
static uint16_t l4_checksum(const struct wire *w, uint8_t proto)
{
	return proto == PROTO_ICMP ? sum((const char *)w + 8, 8) : sum(w, 16);
}

static struct flow random_flow(struct rng *rng, uint8_t proto)
{
	struct flow f = {
		.remote_be = (uint32_t)rng_next(rng) | 1,
		.internal_be = (uint32_t)rng_next(rng) | 1,
		.external_be = (uint32_t)rng_next(rng) | 1,
		.remote_port = (uint16_t)rng_next(rng),
		.internal_port = (uint16_t)rng_next(rng),
		.external_port = (uint16_t)rng_next(rng),
		.proto = proto,
	};

	translate_prepare(&f);
	return f;
}

/* 0 and 0xffff are the same number in ones' complement. */
static bool checksum_same(uint16_t a, uint16_t b)
{
	return a % 0xffff == b % 0xffff;
}

/* A packet between the remote and the internal (not yet, or already, translated) or external
 * endpoint. */
static struct wire wire_of(const struct flow *f, bool from_remote, bool external)
{
	uint32_t near = external ? f->external_be : f->internal_be;
	uint16_t near_port = htons(external ? f->external_port : f->internal_port);
	uint16_t far_port = htons(f->remote_port);

	return (struct wire){
		.src_be = from_remote ? f->remote_be : near,
		.dst_be = from_remote ? near : f->remote_be,
		.src_port_be = from_remote ? far_port : near_port,
		.dst_port_be = from_remote ? near_port : far_port,
		.proto_be = f->proto,
		.payload = 0x1234,
	};
}

static void check_rewrite(const struct flow *f, const struct rewrite *r, const struct wire *before,
	const struct wire *after)
{
	bool source = before->src_be != after->src_be;

	cr_assert_eq(r->proto, f->proto);
	cr_assert_eq(r->addr_be, source ? after->src_be : after->dst_be);
	cr_assert_eq(r->port_be, source ? after->src_port_be : after->dst_port_be);
	cr_assert(checksum_same(
		checksum_update(ip_checksum(before), r->ip_delta), ip_checksum(after)));
	cr_assert(checksum_same(checksum_update(l4_checksum(before, f->proto), r->l4_delta),
		l4_checksum(after, f->proto)));
}

Test(nat_translate, keeps_every_checksum_true_in_both_directions)
{
	static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMP};
	struct rng rng;

	rng_init(&rng, 3022);
	for (uint32_t i = 0; i < 30000; i++) {
		struct flow f = random_flow(&rng, protos[i % 3]);
		struct wire up[2] = {wire_of(&f, false, false), wire_of(&f, false, true)};
		struct wire down[2] = {wire_of(&f, true, true), wire_of(&f, true, false)};
		struct rewrite r = translate_rewrite(&f, UPLINK);

		if (f.internal_be == f.external_be)
			continue;
		check_rewrite(&f, &r, &up[0], &up[1]);
		r = translate_rewrite(&f, DOWNLINK);
		check_rewrite(&f, &r, &down[0], &down[1]);
	}
}

Test(nat_translate, rewrites_the_quote_of_an_icmp_error_at_its_other_end)
{
	struct rng rng;

	rng_init(&rng, 5508);
	for (uint32_t i = 0; i < 1000; i++) {
		struct flow f = random_flow(&rng, PROTO_UDP);
		/* RFC 5508 REQ-4: an error from outside quotes what left, as it left. */
		struct wire left = wire_of(&f, false, true);
		struct wire sent = wire_of(&f, false, false);
		/* REQ-5: an error from inside quotes what arrived, as it was delivered. */
		struct wire delivered = wire_of(&f, true, false);
		struct wire arrived = wire_of(&f, true, true);
		struct rewrite r = translate_quote(&f, DOWNLINK);

		check_rewrite(&f, &r, &left, &sent);
		r = translate_quote(&f, UPLINK);
		check_rewrite(&f, &r, &delivered, &arrived);
	}
}

Test(nat_translate, marks_a_flow_as_translated_only_where_something_changes)
{
	static const struct {
		const char *claim;
		uint32_t external;
		uint16_t external_port;
		bool translated;
	} rows[] = {
		{"nothing changes", 0x0a000001, 5000, false},
		{"the address alone: the port was preserved", 0xc6336401, 5000, true},
		{"the port alone", 0x0a000001, 5001, true},
		{"both", 0xc6336401, 5001, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct flow f = {
			.internal_be = htonl(0x0a000001),
			.external_be = htonl(rows[i].external),
			.internal_port = 5000,
			.external_port = rows[i].external_port,
			.proto = PROTO_TCP,
			.flags = FLOW_TRANSLATED | FLOW_RESERVED,
		};

		translate_prepare(&f);
		cr_assert_eq(
			(f.flags & FLOW_TRANSLATED) != 0, rows[i].translated, "%s", rows[i].claim);
		cr_assert(f.flags & FLOW_RESERVED, "other flags stay");
		if (!rows[i].translated)
			cr_assert(f.ip_delta == 0 && f.l4_delta == 0);
	}
}
