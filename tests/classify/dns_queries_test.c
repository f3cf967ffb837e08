/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/classify/dns_queries.h>

#include <criterion/criterion.h>
#include <errno.h>

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define START    (1000 * US_PER_S)
#define FLOW     77

static const struct names_device one = {.id = 1, .generation = 5};

static struct dns_queries *create(void)
{
	static const struct flow_hash_key key = {
		.words = {0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb}};
	struct dns_queries *q = NULL;

	cr_assert_eq(dns_queries_create(0, &key, &q), -EINVAL);
	cr_assert_eq(dns_queries_create(4, &key, &q), 0);
	return q;
}

static struct dns_question question(uint16_t id, const char *name)
{
	struct dns_question q = {.id = id, .type = DNS_TYPE_A};

	cr_assert_eq(dns_name_parse(name, strlen(name), &q.name), 0);
	return q;
}

Test(classify_dns_queries, an_answer_must_be_to_what_was_asked)
{
	static const struct {
		const char *claim;
		struct names_device device;
		uint64_t flow;
		uint16_t id;
		uint16_t type;
		const char *name;
		uint64_t later_us;
		bool is_answer;
	} rows[] = {
		{"the same in all", {1, 5}, FLOW, 9, 1, "www.example.com", 0, true},
		{"another device", {2, 5}, FLOW, 9, 1, "www.example.com", 0, false},
		{"the next device with this id", {1, 6}, FLOW, 9, 1, "www.example.com", 0, false},
		{"another flow", {1, 5}, FLOW + 1, 9, 1, "www.example.com", 0, false},
		{"another id", {1, 5}, FLOW, 10, 1, "www.example.com", 0, false},
		{"another type", {1, 5}, FLOW, 9, 28, "www.example.com", 0, false},
		{"another name", {1, 5}, FLOW, 9, 1, "wwv.example.com", 0, false},
		{"a longer name", {1, 5}, FLOW, 9, 1, "www.example.com.net", 0, false},
		{"in time", {1, 5}, FLOW, 9, 1, "www.example.com", DNS_QUERY_US - 1, true},
		{"too late", {1, 5}, FLOW, 9, 1, "www.example.com", DNS_QUERY_US, false},
	};

	for (size_t i = 0; i < N(rows); i++) {
		struct dns_queries *q = create();
		struct dns_question asked = question(9, "www.example.com");
		struct dns_question answered = question(rows[i].id, rows[i].name);

		answered.type = rows[i].type;
		dns_queries_add(q, &one, FLOW, &asked, START);
		cr_assert_eq(dns_queries_take(q, &rows[i].device, rows[i].flow, &answered,
				     START + rows[i].later_us),
			rows[i].is_answer, "%s", rows[i].claim);
		cr_assert_not(dns_queries_take(q, &rows[i].device, rows[i].flow, &answered,
				      START + rows[i].later_us),
			"%s: a second answer", rows[i].claim);
		dns_queries_destroy(q);
	}
	dns_queries_destroy(NULL);
}

Test(classify_dns_queries, keeps_the_last_ones_of_each_device)
{
	struct dns_queries *q = create();
	struct names_device loud = {.id = 2, .generation = 1};
	struct dns_question asked = question(9, "www.example.com");

	dns_queries_add(q, &one, FLOW, &asked, START);
	for (uint16_t id = 0; id < 1000; id++) {
		struct dns_question other = question(id, "other.example.com");

		dns_queries_add(q, &loud, FLOW, &other, START + id);
	}
	cr_assert(dns_queries_take(q, &one, FLOW, &asked, START + 1000));
	for (uint16_t id = 0; id < 1000; id++) {
		struct dns_question other = question(id, "other.example.com");

		cr_assert_eq(dns_queries_take(q, &loud, FLOW, &other, START + 1000),
			id >= 1000 - DNS_QUERIES_PER_DEVICE);
	}
	dns_queries_destroy(q);
}

Test(classify_dns_queries, a_repeated_query_takes_one_place_and_waits_anew)
{
	struct dns_queries *q = create();
	struct dns_question first = question(1, "www.example.com");
	struct dns_question second = question(2, "www.example.com");

	dns_queries_add(q, &one, FLOW, &first, START);
	for (uint32_t i = 0; i < DNS_QUERIES_PER_DEVICE; i++)
		dns_queries_add(q, &one, FLOW, &second, START + 1);
	cr_assert(dns_queries_take(q, &one, FLOW, &first, START + 2));
	cr_assert(dns_queries_take(q, &one, FLOW, &second, START + DNS_QUERY_US));
	dns_queries_destroy(q);
}
