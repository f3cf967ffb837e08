/* SPDX-License-Identifier: BSD-3-Clause */
#include "netns.h"

#include <weir/port/ethdev.h>

#include <rte_mbuf.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define N_BUFFERS 8191

static struct rte_mempool *enter(void)
{
	netns_enter();
	return netns_create_pool(N_BUFFERS);
}

/* Linux tells of a carrier with some delay. */
static void maintain_until_up(struct port *p)
{
	for (int i = 0; i < 300 && !port_is_up(p); i++) {
		p->ops->maintain(p, 0);
		(void)usleep(10000);
	}
	cr_assert(port_is_up(p), "still not up: %s", p->why_down);
}

static struct port *open_port(const char *devargs, const char *device, struct rte_mempool *pool)
{
	struct ethdev_params params = {.name = "lan0",
		.devargs = devargs,
		.device = device,
		.pool = pool,
		.state_dir = NETNS_STATE_DIR};
	char error[PORT_ERROR_MAX] = "";
	struct port *p = NULL;

	cr_assert_eq(ethdev_open(&params, &p, error), 0, "%s", error);
	return p;
}

/* One poll, as the worker does all the time: some drivers move things on there. */
static void poll_once(struct port *p)
{
	struct rte_mbuf *m;

	if (p->ops->rx(p, &m, 1) == 1)
		rte_pktmbuf_free(m);
}

static struct rte_mbuf *make_frame(struct rte_mempool *pool, uint16_t len)
{
	static const uint8_t head[14] = {
		255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 2, 0x88, 0xb5};
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	char *data;

	cr_assert_not_null(m);
	data = rte_pktmbuf_append(m, len);
	memset(data, 0x5a, len);
	memcpy(data, head, sizeof(head));
	return m;
}

/* Up to n frames of the experimental type within two seconds. */
static uint16_t receive(struct port *p, uint16_t n)
{
	uint16_t seen = 0;

	for (time_t end = time(NULL) + 3; seen < n && time(NULL) < end;) {
		struct rte_mbuf *pkts[PORT_BURST_MAX];
		uint16_t got = p->ops->rx(p, pkts, PORT_BURST_MAX);

		for (uint16_t i = 0; i < got; i++)
			if (rte_pktmbuf_mtod(pkts[i], const uint8_t *)[12] == 0x88)
				seen++;
		rte_pktmbuf_free_bulk(pkts, got);
	}
	return seen;
}

static void send_frames(struct port *p, struct rte_mempool *pool, uint16_t n)
{
	struct rte_mbuf *pkts[PORT_BURST_MAX];
	uint16_t sent = 0;

	for (uint16_t i = 0; i < n; i++)
		pkts[i] = make_frame(pool, 200);
	for (time_t end = time(NULL) + 3; sent < n && time(NULL) < end;)
		sent = (uint16_t)(sent + p->ops->tx(p, pkts + sent, (uint16_t)(n - sent)));
	cr_assert_eq(sent, n);
}

Test(port_ethdev, opens_null_and_counts)
{
	struct rte_mempool *pool = enter();
	struct port *p = open_port("net_null0,size=100", NULL, pool);
	struct rte_mbuf *pkts[PORT_BURST_MAX];
	uint16_t got;

	cr_assert(port_is_up(p));
	cr_assert_eq(p->mtu, 1500);
	got = p->ops->rx(p, pkts, 32);
	cr_assert_eq(got, 32);
	cr_assert_eq(p->counters.rx_bytes, 3200);
	cr_assert_eq(p->ops->tx(p, pkts, got), 32);
	cr_assert_eq(p->counters.tx_packets, 32);
	cr_assert_eq(p->counters.tx_bytes, 3200);
	p->ops->maintain(p, 0);
	poll_once(p);
	cr_assert(port_is_up(p), "it failed without a reason");
	port_close(p);
	port_close(open_port("net_null0", NULL, pool)); /* what was closed can be opened again */
}

Test(port_ethdev, carries_frames_through_a_ring)
{
	struct rte_mempool *pool = enter();
	struct port *p = open_port("net_ring0", NULL, pool);

	send_frames(p, pool, 10);
	cr_assert_eq(receive(p, 10), 10);
	port_close(p);
	cr_assert_eq(rte_mempool_in_use_count(pool), 0);
}

Test(port_ethdev, writes_and_reads_captures_and_drops_what_fits_no_buffer)
{
	struct rte_mempool *pool = enter();
	struct port *p = open_port("net_pcap0,tx_pcap=/run/out.pcap", NULL, pool);
	struct rte_mbuf *large = make_frame(pool, 1900), *tail = rte_pktmbuf_alloc(pool);

	send_frames(p, pool, 3);
	cr_assert_not_null(rte_pktmbuf_append(tail, 1000));
	cr_assert_eq(rte_pktmbuf_chain(large, tail), 0);
	cr_assert_eq(p->ops->tx(p, &large, 1), 1);
	port_close(p);
	p = open_port("net_pcap1,rx_pcap=/run/out.pcap", NULL, pool);
	cr_assert_eq(receive(p, 4), 3);
	cr_assert_eq(p->counters.rx_truncated, 1);
	port_close(p);
}

Test(port_ethdev, connects_two_memifs_when_both_are_there)
{
	struct rte_mempool *pool = enter();
	struct port *server = open_port(
		"net_memif0,role=server,socket=/run/memif.sock,socket-abstract=no", NULL, pool);
	struct port *client;

	cr_assert_eq(server->state, PORT_FAILED);
	cr_assert_str_eq(server->why_down, "no carrier");
	client = open_port(
		"net_memif1,role=client,socket=/run/memif.sock,socket-abstract=no", NULL, pool);
	for (int i = 0; i < 50 && (!port_is_up(server) || !port_is_up(client)); i++) {
		(void)usleep(100000);
		server->ops->maintain(server, 0);
		client->ops->maintain(client, 0);
	}
	cr_assert(port_is_up(server) && port_is_up(client));
	poll_once(client); /* the client lays out the buffers that the server fills */
	send_frames(client, pool, 20);
	cr_assert_eq(receive(server, 20), 20);
	send_frames(server, pool, 20);
	cr_assert_eq(receive(client, 20), 20);
	port_close(client);
	for (int i = 0; i < 50 && port_is_up(server); i++) {
		(void)usleep(100000);
		server->ops->maintain(server, 0);
		poll_once(server);
	}
	cr_assert_eq(server->state, PORT_FAILED, "the client has gone");
	cr_assert_eq(server->counters.n_failures, 1);
	port_close(server);
}

Test(port_ethdev, carries_frames_by_af_xdp_and_recovers, .timeout = 60)
{
	struct rte_mempool *pool = enter();
	struct port *a, *b;
	struct pollfd fd;
	struct rte_mbuf *m;

	netns_run("ip link add v0 address 02:00:00:00:00:01 type veth peer name v1"
		  " && ip link set v0 up && ip link set v1 up");
	a = open_port("net_af_xdp0,iface=v0", "v0", pool);
	b = open_port("net_af_xdp1,iface=v1", "v1", pool);
	maintain_until_up(a);
	maintain_until_up(b);
	cr_assert_eq(a->mac.bytes[5], 1);
	cr_assert_geq(a->fd, 0, "nothing to sleep on");
	cr_assert_neq(a->fd, b->fd);
	send_frames(a, pool, 20);
	fd = (struct pollfd){.fd = b->fd, .events = POLLIN};
	cr_assert_eq(poll(&fd, 1, 2000), 1, "the descriptor does not tell of frames");
	cr_assert_eq(receive(b, 20), 20);
	netns_run("ip link del v0");
	a->ops->maintain(a, 0);
	cr_assert_eq(a->ops->rx(a, &m, 1), 0);
	cr_assert_not(port_is_up(a));
	a->ops->maintain(a, 0);
	cr_assert_str_eq(a->why_down, "gone");
	netns_run("ip link add v0 address 02:00:00:00:00:07 type veth peer name v2"
		  " && ip link set v0 up && ip link set v2 up");
	maintain_until_up(a);
	cr_assert_eq(a->mac.bytes[5], 7);
	cr_assert_eq(a->generation, 2);
	port_close(a);
	port_close(b);
	cr_assert_neq(netns_try("nft list table netdev weir_v0"), 0);
}

Test(port_ethdev, refuses_with_a_remedy)
{
	struct rte_mempool *pool = enter();
	struct ethdev_params params = {.name = "x", .pool = pool, .state_dir = NETNS_STATE_DIR};
	char error[PORT_ERROR_MAX];
	struct port *p = NULL, *first;

	params.devargs = "net_nosuchdriver0";
	cr_assert_eq(ethdev_open(&params, &p, error), -ENODEV);
	cr_assert_not_null(strstr(error, "librte-net-"), "%s", error);
	first = open_port("net_null0", NULL, pool);
	params.devargs = "net_null0";
	cr_assert_eq(ethdev_open(&params, &p, error), -ENODEV);
	netns_run("ip link add v0 numrxqueues 2 type veth peer name v1 && ethtool -L v0 rx 2"
		  " && ip link set v0 up && ip link set v1 up");
	/* Without a carrier it would wait for one, and look at nothing else. */
	netns_run("for i in $(seq 300); do ip -o link show v0 | grep -q 'state UP' && exit 0;"
		  " sleep 0.01; done; exit 1");
	params.devargs = "net_af_xdp0,iface=v0";
	params.device = "v0";
	cr_assert_eq(ethdev_open(&params, &p, error), -EINVAL);
	cr_assert_not_null(strstr(error, "ethtool -L"), "%s", error);
	cr_assert_null(p);
	port_close(first);
}
