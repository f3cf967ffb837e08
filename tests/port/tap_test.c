/* SPDX-License-Identifier: BSD-3-Clause */
#include "netns.h"

#include <weir/packet/checksum.h>
#include <weir/port/tap.h>

#include <rte_mbuf.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <time.h>

static const struct mac_addr gateway = {{2, 0, 0, 0, 0, 1}};
static const struct mac_addr client = {{2, 0, 0, 0, 0, 2}};

static struct tap_params params_of(struct rte_mempool *pool)
{
	return (struct tap_params){.name = "local",
		.device = "weir0",
		.mac = gateway,
		.address = {ip_addr_quad(10, 7, 0, 1), 24},
		.mtu = 1400,
		.default_route = true,
		.pool = pool};
}

static struct port *open_tap(struct rte_mempool *pool)
{
	struct tap_params params = params_of(pool);
	char error[PORT_ERROR_MAX] = "";
	struct port *p = NULL;

	cr_assert_eq(tap_open(&params, &p, error), 0, "%s", error);
	return p;
}

static void send_frame(struct port *p, struct rte_mempool *pool, const uint8_t *frame, uint16_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	cr_assert_not_null(m);
	memcpy(rte_pktmbuf_append(m, len), frame, len);
	cr_assert_eq(p->ops->tx(p, &m, 1), 1);
}

/* The next frame of this EtherType, or NULL after two seconds. */
static struct rte_mbuf *receive(struct port *p, uint16_t type)
{
	struct rte_mbuf *m;

	for (time_t end = time(NULL) + 3; time(NULL) < end;) {
		const uint8_t *frame;

		if (p->ops->rx(p, &m, 1) == 0)
			continue;
		frame = rte_pktmbuf_mtod(m, const uint8_t *);
		if (frame[12] == type >> 8 && frame[13] == (type & 0xff))
			return m;
		rte_pktmbuf_free(m);
	}
	return NULL;
}

/* Asks who has 10.7.0.1, and for an echo; what the kernel says to both goes by the port. */
static void arp_and_ping(struct port *p, struct rte_mempool *pool)
{
	static const uint8_t request[42] = {255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 2, 8, 6, 0,
		1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2, 10, 7, 0, 2, 0, 0, 0, 0, 0, 0, 10, 7, 0, 1};
	uint8_t echo[14 + 20 + 8 + 32] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 60,
		0, 1, 0, 0, 64, 1, 0, 0, 10, 7, 0, 2, 10, 7, 0, 1, 8, 0, 0, 0, 0, 1, 0, 1};
	uint16_t sum = checksum_of(echo + 14, 20);
	struct rte_mbuf *m;
	const uint8_t *frame;

	send_frame(p, pool, request, sizeof(request));
	m = receive(p, 0x0806);
	cr_assert_not_null(m, "no ARP reply");
	frame = rte_pktmbuf_mtod(m, const uint8_t *);
	cr_assert_eq(frame[21], 2, "not a reply");
	cr_assert_eq(memcmp(frame + 22, gateway.bytes, 6), 0, "not the LAN port's MAC");
	cr_assert_eq(memcmp(frame, client.bytes, 6), 0);
	rte_pktmbuf_free(m);

	memcpy(echo + 24, &sum, sizeof(sum));
	sum = checksum_of(echo + 34, sizeof(echo) - 34);
	memcpy(echo + 36, &sum, sizeof(sum));
	send_frame(p, pool, echo, sizeof(echo));
	m = receive(p, 0x0800);
	cr_assert_not_null(m, "no echo reply");
	frame = rte_pktmbuf_mtod(m, const uint8_t *);
	cr_assert_eq(m->pkt_len, sizeof(echo));
	cr_assert_eq(frame[34], 0, "not an echo reply");
	rte_pktmbuf_free(m);
}

Test(port_tap, carries_arp_and_ping_to_the_kernel)
{
	struct rte_mempool *pool;
	struct port *p;

	netns_enter();
	pool = netns_create_pool(1023);
	p = open_tap(pool);
	cr_assert_eq(p->framing, FRAMING_ETHERNET);
	arp_and_ping(p, pool);
	cr_assert_eq(p->counters.tx_packets, 2);
	cr_assert_geq(p->counters.rx_packets, 2);
	cr_assert_eq(rte_mempool_in_use_count(pool), 0);
	port_close(p);
	cr_assert_neq(netns_try("ip link show weir0"), 0, "the interface outlived its port");
}

Test(port_tap, sets_the_interface_up_as_asked)
{
	struct port *p;

	netns_enter();
	netns_run("sysctl -qw net.ipv6.conf.default.disable_ipv6=0");
	p = open_tap(netns_create_pool(1023));
	netns_run("ip -o link show weir0 | grep -q 'mtu 1400.*02:00:00:00:00:01'");
	netns_run("ip -o addr show weir0 | grep -q '10.7.0.1/24 brd 10.7.0.255'");
	netns_run("ip route show | grep -q 'default dev weir0 scope link metric 4096'");
	cr_assert_neq(netns_try("ip -6 addr show dev weir0 | grep -q inet6"), 0,
		"IPv6 would reach the LAN");
	port_close(p);
}

Test(port_tap, is_made_anew_when_somebody_deletes_it)
{
	struct rte_mempool *pool;
	struct port *p;
	struct rte_mbuf *m;

	netns_enter();
	pool = netns_create_pool(1023);
	p = open_tap(pool);
	netns_run("ip link del weir0");
	cr_assert_eq(p->ops->rx(p, &m, 1), 0);
	cr_assert_not(port_is_up(p));
	p->ops->maintain(p, 0);
	cr_assert(port_is_up(p));
	cr_assert_eq(p->generation, 2);
	arp_and_ping(p, pool);
	port_close(p);
}

Test(port_tap, takes_the_new_mac_of_its_lan_and_keeps_its_interface)
{
	static const struct mac_addr replaced = {{2, 0, 0, 0, 0, 9}};
	struct port *p;
	struct rte_mbuf *m;

	netns_enter();
	p = open_tap(netns_create_pool(1023));
	tap_set_mac(p, &gateway);
	cr_assert_eq(p->ops->rx(p, &m, 1), 0);
	cr_assert(port_is_up(p), "it has this MAC already");
	netns_run(
		"ip route add 10.8.0.0/24 via 10.7.0.9 dev weir0"); /* goes when the interface does */
	tap_set_mac(p, &replaced);
	cr_assert_eq(p->ops->rx(p, &m, 1), 0);
	cr_assert_not(port_is_up(p), "the worker lets go of it first");
	p->ops->maintain(p, 0);
	cr_assert(port_is_up(p));
	cr_assert(mac_addr_equal(&p->mac, &replaced));
	netns_run("ip -o link show weir0 | grep -q '02:00:00:00:00:09'");
	netns_run("ip route show | grep -q 10.8.0.0/24");
	port_close(p);
}

Test(port_tap, refuses_a_name_that_is_taken_and_one_that_is_too_long)
{
	struct tap_params params;
	char error[PORT_ERROR_MAX] = "";
	struct port *p = NULL;

	netns_enter();
	params = params_of(netns_create_pool(1023));
	netns_run("ip link add weir0 type veth peer name x");
	cr_assert_lt(tap_open(&params, &p, error), 0);
	cr_assert_not_null(strstr(error, "weir0"));
	params.device = "sixteencharacter";
	cr_assert_eq(tap_open(&params, &p, error), -EINVAL);
	cr_assert_null(p);
}
