/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/port/memory.h>

#include <string.h>
#include <test_eal.h>

static const uint8_t frame_a[] = "aaaaaaaaaaaaaaaaaaaa";
static const uint8_t frame_b[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
static const uint8_t frame_c[] = "c";
static const uint8_t *const frames[] = {frame_a, frame_b, frame_c};
static const uint16_t lens[] = {20, 30, 1};

static struct port *port_of(struct rte_mempool *pool, uint32_t n_kept)
{
	struct memory_port_params params = {.name = "memory0",
		.framing = FRAMING_RAW_IP,
		.mtu = 1500,
		.pool = pool,
		.n_kept = n_kept};
	struct port *p;

	cr_assert_eq(memory_port_open(&params, &p), 0);
	cr_assert(port_is_up(p));
	return p;
}

/* What is received, as one letter a frame; frees it. */
static uint16_t receive(struct port *p, uint16_t n, char *letters)
{
	struct rte_mbuf *pkts[PORT_BURST_MAX];

	n = p->ops->rx(p, pkts, n);
	for (uint16_t i = 0; i < n; i++) {
		letters[i] = *rte_pktmbuf_mtod(pkts[i], char *);
		cr_expect_eq(pkts[i]->data_len, lens[letters[i] - 'a']);
		cr_expect_eq(pkts[i]->pkt_len, pkts[i]->data_len);
		rte_pktmbuf_free(pkts[i]);
	}
	letters[n] = '\0';
	return n;
}

Test(port_memory, hands_out_frames_in_the_order_given_for_as_many_rounds)
{
	static const uint32_t order[] = {2, 0, 0, 1};
	struct port *p = port_of(test_eal_pool(), 0);
	char letters[PORT_BURST_MAX + 1];

	memory_port_feed(p, frames, lens, order, 4, 2);
	cr_expect_eq(receive(p, 3, letters), 3);
	cr_expect_str_eq(letters, "caa");
	cr_expect_eq(receive(p, 3, letters), 3);
	cr_expect_str_eq(letters, "bca");
	cr_expect_eq(receive(p, 64, letters), 2);
	cr_expect_str_eq(letters, "ab");
	cr_expect_eq(receive(p, 64, letters), 0, "both rounds are over");
	cr_expect_eq(p->counters.rx_packets, 8);
	cr_expect_eq(p->counters.rx_bytes, 2 * (1 + 20 + 20 + 30));
	port_close(p);
}

Test(port_memory, goes_round_for_ever_when_asked_to)
{
	static const uint32_t order[] = {0, 1, 2};
	struct port *p = port_of(test_eal_pool(), 0);
	char letters[PORT_BURST_MAX + 1];

	memory_port_feed(p, frames, lens, order, 3, 0);
	for (int i = 0; i < 100; i++)
		cr_expect_eq(receive(p, 64, letters), 64);
	port_close(p);
}

static uint16_t fill_letters(void *arg, struct rte_mbuf **pkts, uint16_t n)
{
	uint32_t *left = arg;
	uint16_t filled = 0;

	for (; filled<n && * left> 0; filled++, --*left) {
		*rte_pktmbuf_mtod(pkts[filled], char *) = 'a';
		pkts[filled]->data_len = lens[0];
		pkts[filled]->pkt_len = lens[0];
	}
	return filled;
}

Test(port_memory, hands_out_what_a_function_makes)
{
	struct rte_mempool *pool = test_eal_pool();
	unsigned n_free = rte_mempool_avail_count(pool);
	struct port *p = port_of(pool, 0);
	char letters[PORT_BURST_MAX + 1];
	uint32_t left = 5;

	memory_port_fill(p, fill_letters, &left);
	cr_expect_eq(receive(p, 3, letters), 3);
	cr_expect_str_eq(letters, "aaa");
	cr_expect_eq(receive(p, 64, letters), 2);
	cr_expect_str_eq(letters, "aa");
	cr_expect_eq(receive(p, 64, letters), 0);
	cr_expect_eq(p->counters.rx_packets, 5);
	cr_expect_eq(p->counters.rx_bytes, 5u * lens[0]);
	cr_expect_eq(
		rte_mempool_avail_count(pool), n_free, "buffers that were not needed are back");
	port_close(p);
}

Test(port_memory, without_a_feed_nothing_comes)
{
	struct port *p = port_of(test_eal_pool(), 0);
	char letters[PORT_BURST_MAX + 1];

	cr_expect_eq(receive(p, 64, letters), 0);
	port_close(p);
}

Test(port_memory, counts_what_the_pool_had_no_buffer_for)
{
	static const uint32_t order[] = {0};
	struct rte_mempool *pool = test_eal_pool();
	struct rte_mbuf *taken[TEST_EAL_MBUFS];
	struct port *p = port_of(pool, 0);
	char letters[PORT_BURST_MAX + 1];
	uint32_t n = 0;

	memory_port_feed(p, frames, lens, order, 1, 0);
	while (n < TEST_EAL_MBUFS && (taken[n] = rte_pktmbuf_alloc(pool)) != NULL)
		n++;
	cr_expect_eq(receive(p, 64, letters), 0);
	cr_expect_eq(p->counters.rx_no_buffer, 64);
	rte_pktmbuf_free_bulk(taken, n);
	cr_expect_eq(receive(p, 64, letters), 64);
	port_close(p);
}

Test(port_memory, keeps_sent_frames_oldest_first_and_refuses_when_full)
{
	struct rte_mempool *pool = test_eal_pool();
	struct port *p = port_of(pool, 3);
	struct rte_mbuf *pkts[4];
	struct rte_mbuf *sent;

	for (int round = 0; round < 3; round++) {
		for (uint8_t i = 0; i < 4; i++)
			pkts[i] = test_eal_frame(pool, 10, (uint8_t)('0' + i));
		cr_expect_eq(p->ops->tx(p, pkts, 4), 3);
		rte_pktmbuf_free(pkts[3]);
		for (char i = '0'; i < '3'; i++) {
			sent = memory_port_take_sent(p);
			cr_assert_not_null(sent);
			cr_expect_eq(*rte_pktmbuf_mtod(sent, char *), i);
			rte_pktmbuf_free(sent);
		}
		cr_expect_null(memory_port_take_sent(p));
	}
	cr_expect_eq(p->counters.tx_packets, 9);
	cr_expect_eq(p->counters.tx_bytes, 90);
	pkts[0] = test_eal_frame(pool, 10, 'x');
	cr_expect_eq(p->ops->tx(p, pkts, 1), 1);
	port_close(p);
	cr_expect_eq(
		rte_mempool_avail_count(pool), TEST_EAL_MBUFS - 1, "close frees what was kept");
}

Test(port_memory, swallows_what_is_sent_when_nothing_is_kept)
{
	struct rte_mempool *pool = test_eal_pool();
	struct port *p = port_of(pool, 0);
	struct rte_mbuf *pkts[2] = {test_eal_frame(pool, 10, 'x'), test_eal_frame(pool, 20, 'y')};

	cr_expect_eq(p->ops->tx(p, pkts, 2), 2);
	cr_expect_null(memory_port_take_sent(p));
	cr_expect_eq(rte_mempool_avail_count(pool), TEST_EAL_MBUFS - 1);
	cr_expect_eq(p->counters.tx_bytes, 30);
	port_close(p);
}
