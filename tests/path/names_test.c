/* SPDX-License-Identifier: BSD-3-Clause */
/* Names for people: what devices call themselves by DHCP, and their remotes by the DNS. */
#include "dns_builder.h"
#include "path_world.h"

#include <weir/classify/name_set.h>
#include <weir/packet/bytes.h>

#define RESOLVER_BE V4(9, 9, 9, 9)
#define NAMES_MAX   64

static struct dns_builder msg;
static struct path_name names[NAMES_MAX];

static void switch_on(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->remote_names = true;
}

static struct path_world *create(void)
{
	struct path_world_params params = {.tune = switch_on};

	return path_world_create(&params);
}

static uint32_t take(struct path_world *w)
{
	return doors_names_take(w->path, names, NAMES_MAX);
}

static void put_dns(struct path_world *w, enum world_port port, struct packet_spec spec)
{
	spec.payload = msg.octets;
	spec.payload_bytes = msg.len;
	path_world_put(w, port, &spec);
	path_world_step(w);
}

/* The host asks the resolver beyond the uplink; the external port that it asks by. */
static uint16_t ask(struct path_world *w, uint16_t id, const char *name)
{
	struct packet_spec query = {.dst_be = RESOLVER_BE, .src_port = 5353, .dst_port = 53};
	struct packet p;
	uint16_t port;

	dns_begin(&msg, id, DNS_FLAGS_QUERY, name, DNS_TYPE_A);
	put_dns(w, WORLD_LAN, query);
	cr_assert(path_world_take(w, WORLD_UPLINK, &p));
	port = packet_src_port(&p);
	packet_clean(&p);
	return port;
}

static void answer_from(
	struct path_world *w, uint32_t server_be, uint16_t port, uint16_t id, const char *name)
{
	struct packet_spec answer = {
		.src_be = server_be, .dst_be = WORLD_UPLINK_BE, .src_port = 53, .dst_port = port};

	dns_begin(&msg, id, DNS_FLAGS_RESPONSE, name, DNS_TYPE_A);
	dns_put_record(&msg, "@", DNS_TYPE_CNAME, 300, "edge.cdn.example");
	dns_put_record(&msg, "edge.cdn.example", DNS_TYPE_A, 60, "192.0.2.1");
	dns_put_record(&msg, "edge.cdn.example", DNS_TYPE_A, 60, "192.0.2.2");
	put_dns(w, WORLD_UPLINK, answer);
	(void)path_world_discard(w, WORLD_LAN);
}

static void resolve(struct path_world *w, const char *name)
{
	answer_from(w, RESOLVER_BE, ask(w, 7, name), 7, name);
}

Test(path_names, a_remote_has_the_name_that_was_asked_for_not_that_of_its_alias)
{
	struct path_world *w = create();
	struct ip_addr first = ip_addr_quad(192, 0, 2, 1);

	resolve(w, "Shop.Example");
	cr_assert_eq(take(w), 2);
	cr_expect_eq(names[0].kind, PATH_NAME_REMOTE);
	cr_expect_str_eq(names[0].name, "shop.example");
	cr_expect(ip_addr_equal(&names[0].remote, &first));
	cr_expect_eq(names[0].addr.words[3], PACKET_SRC_BE);
	cr_expect_eq(names[0].port, WORLD_LAN);
	cr_expect_eq(names[0].ttl_s, 60);
	cr_expect_eq(names[0].at_us, w->now_us);
	cr_expect_str_eq(names[1].name, "shop.example");
	path_world_destroy(w);
}

Test(path_names, only_the_answer_that_a_device_waits_for_names_anything)
{
	struct path_world *w = create();
	uint16_t port;

	port = ask(w, 7, "shop.example");
	answer_from(w, RESOLVER_BE, port, 8, "shop.example");     /* another id */
	answer_from(w, RESOLVER_BE, port, 7, "evil.example");     /* another question */
	answer_from(w, V4(9, 9, 9, 10), port, 7, "shop.example"); /* another server */
	cr_expect_eq(take(w), 0);
	answer_from(w, RESOLVER_BE, port, 7, "shop.example");
	cr_expect_eq(take(w), 2);
	answer_from(w, RESOLVER_BE, port, 7, "shop.example"); /* twice */
	cr_expect_eq(take(w), 0);
	path_world_destroy(w);
}

Test(path_names, every_query_of_a_flow_is_seen_while_it_lives)
{
	struct path_world *w = create();

	for (int i = 0; i < 5; i++) {
		resolve(w, "shop.example");
		cr_expect_eq(take(w), 2, "query %d", i);
		path_world_pass(w, 60 * WORLD_S, WORLD_S);
	}
	path_world_destroy(w);
}

/* The gateway's own DNS, behind the tap. */
Test(path_names, what_a_device_asks_the_gateway_is_heard_too)
{
	struct path_world *w = create();
	struct packet_spec query = {.dst_be = WORLD_LAN_BE, .src_port = 4000, .dst_port = 53};
	struct packet_spec answer = {
		.src_be = WORLD_LAN_BE, .dst_be = PACKET_SRC_BE, .src_port = 53, .dst_port = 4000};
	struct path_event events[8];
	uint32_t n_seen = 0;
	uint32_t n;

	dns_begin(&msg, 7, DNS_FLAGS_QUERY, "shop.example", DNS_TYPE_A);
	put_dns(w, WORLD_LAN, query);
	dns_begin(&msg, 7, DNS_FLAGS_RESPONSE, "shop.example", DNS_TYPE_A);
	dns_put_record(&msg, "@", DNS_TYPE_A, 60, "192.0.2.1");
	put_dns(w, WORLD_TAP, answer);
	cr_assert_eq(take(w), 1);
	cr_expect_str_eq(names[0].name, "shop.example");
	n = doors_events_take(w->path, events, 8);
	for (uint32_t i = 0; i < n; i++)
		n_seen += events[i].kind == EVENT_DEVICE_SEEN;
	cr_expect_eq(n_seen, 1, "a device that begins with a question is seen");
	(void)path_world_discard(w, WORLD_LAN);
	(void)path_world_discard(w, WORLD_TAP);
	path_world_destroy(w);
}

Test(path_names, what_is_no_host_name_is_left_out)
{
	static const uint8_t odd[] = {
		7, 'a', 0x1b, '[', '2', 'J', '<', 'b', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0};
	struct path_world *w = create();
	struct packet_spec spec = {.dst_be = RESOLVER_BE, .src_port = 5353, .dst_port = 53};
	struct packet p;

	dns_begin(&msg, 7, DNS_FLAGS_QUERY, "abcdefg.example", DNS_TYPE_A);
	memcpy(msg.octets + 12, odd, sizeof(odd));
	put_dns(w, WORLD_LAN, spec);
	cr_assert(path_world_take(w, WORLD_UPLINK, &p));
	spec = (struct packet_spec){.src_be = RESOLVER_BE,
		.dst_be = WORLD_UPLINK_BE,
		.src_port = 53,
		.dst_port = packet_src_port(&p)};
	packet_clean(&p);
	dns_begin(&msg, 7, DNS_FLAGS_RESPONSE, "abcdefg.example", DNS_TYPE_A);
	dns_put_record(&msg, "@", DNS_TYPE_A, 60, "192.0.2.1");
	memcpy(msg.octets + 12, odd, sizeof(odd));
	put_dns(w, WORLD_UPLINK, spec);
	(void)path_world_discard(w, WORLD_LAN);
	cr_expect_eq(take(w), 0);
	path_world_destroy(w);
}

Test(path_names, nothing_is_heard_of_remotes_where_that_is_switched_off)
{
	struct path_world *w = create();
	struct path_config *config = path_world_config(w);

	config->remote_names = false;
	doors_publish(w->path, config);
	resolve(w, "shop.example");
	cr_expect_eq(take(w), 0);
	config = path_world_config(w);
	config->remote_names = true;
	doors_publish(w->path, config);
	resolve(w, "shop.example");
	cr_expect_eq(take(w), 0, "its flow was there before, and is not looked at");
	path_world_destroy(w);
}

#define DHCP_BYTES 280

/* DHCPDISCOVER of a station. */
static void put_dhcp(struct path_world *w, const struct mac_addr *source,
	const struct mac_addr *client, const char *name)
{
	uint8_t m[DHCP_BYTES] = {1, 1, 6};
	struct packet_spec spec = {.is_unset_src = true,
		.dst_be = UINT32_MAX,
		.src_port = 68,
		.dst_port = 67,
		.payload = m,
		.payload_bytes = sizeof(m)};
	size_t n = strlen(name);

	memcpy(m + 28, client, sizeof(*client));
	store_be32(m + 236, 0x63825363);
	memcpy(m + 240, "\x35\1\1\x0c", 4);
	m[244] = (uint8_t)n;
	memcpy(m + 245, name, n);
	m[245 + n] = 255;
	spec.src_mac = *source;
	path_world_put(w, WORLD_LAN, &spec);
	path_world_step(w);
	(void)path_world_discard(w, WORLD_TAP);
}

static struct mac_addr station(uint32_t n)
{
	return (struct mac_addr){{2, 0, 0, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}};
}

Test(path_names, a_station_names_itself_and_nobody_else)
{
	struct path_world *w = path_world_create(NULL);
	struct mac_addr tv = station(1);
	struct mac_addr other = station(2);

	put_dhcp(w, &tv, &other, "stolen");
	cr_expect_eq(take(w), 0);
	put_dhcp(w, &tv, &tv, "kitchen-tv");
	cr_assert_eq(take(w), 1);
	cr_expect_eq(names[0].kind, PATH_NAME_HOST);
	cr_expect_eq(names[0].port, WORLD_LAN);
	cr_expect(mac_addr_equal(&names[0].mac, &tv));
	cr_expect_str_eq(names[0].name, "kitchen-tv");
	path_world_destroy(w);
}

Test(path_names, a_name_is_told_when_it_is_new_and_now_and_then)
{
	struct path_world *w = path_world_create(NULL);
	struct mac_addr tv = station(1);

	put_dhcp(w, &tv, &tv, "tv");
	cr_expect_eq(take(w), 1);
	put_dhcp(w, &tv, &tv, "tv");
	cr_expect_eq(take(w), 0, "told already");
	put_dhcp(w, &tv, &tv, "radio");
	cr_expect_eq(take(w), 0, "too soon after another");
	path_world_pass(w, 6 * WORLD_S, WORLD_S);
	put_dhcp(w, &tv, &tv, "radio");
	cr_expect_eq(take(w), 1);
	path_world_pass(w, 60 * WORLD_S, WORLD_S);
	put_dhcp(w, &tv, &tv, "radio");
	cr_expect_eq(take(w), 0);
	path_world_pass(w, 541 * WORLD_S, WORLD_S);
	put_dhcp(w, &tv, &tv, "radio");
	cr_expect_eq(take(w), 1, "told again, should it have been lost");
	path_world_destroy(w);
}

Test(path_names, whoever_makes_macs_up_is_heard_some_times_a_second)
{
	struct path_world *w = path_world_create(NULL);
	uint32_t n = 0;

	for (uint32_t i = 0; i < 2000; i++) {
		struct mac_addr mac = station(i);

		put_dhcp(w, &mac, &mac, "flood");
		path_world_pass(w, WORLD_MS, WORLD_MS);
		n += take(w);
	}
	cr_expect_leq(n, 2 * 20 + 2 + 1);
	cr_expect_geq(n, 2 * 20 - 1);
	path_world_destroy(w);
}
