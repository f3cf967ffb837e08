/* SPDX-License-Identifier: BSD-3-Clause */
/* EAL for unit tests that need mbufs: no huge pages, no devices, no files shared with others. Criterion runs each test
 * in a process of its own, so each starts it anew. */
#ifndef TEST_EAL_H
#define TEST_EAL_H

#include <rte_eal.h>
#include <rte_mbuf.h>

#include <criterion/criterion.h>

#define TEST_EAL_MBUFS 512u

/* Starts EAL and gives a pool of TEST_EAL_MBUFS buffers of 2 KiB. */
static inline struct rte_mempool *test_eal_pool(void)
{
	static char *args[] = {(char *)(uintptr_t) "test", (char *)(uintptr_t) "--no-huge",
		(char *)(uintptr_t) "--no-pci", (char *)(uintptr_t) "--no-shconf",
		(char *)(uintptr_t) "--no-telemetry", (char *)(uintptr_t) "--log-level=*:4",
		(char *)(uintptr_t) "-m", (char *)(uintptr_t) "64", (char *)(uintptr_t) "--lcores",
		(char *)(uintptr_t) "0"};
	struct rte_mempool *pool;

	cr_assert_geq(rte_eal_init(10, args), 0);
	pool = rte_pktmbuf_pool_create(
		"test", TEST_EAL_MBUFS - 1, 0, 64, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	cr_assert_not_null(pool);
	return pool;
}

/* A frame of `len` bytes, each `fill`, as an mbuf. */
static inline struct rte_mbuf *test_eal_frame(struct rte_mempool *pool, uint16_t len, uint8_t fill)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	cr_assert_not_null(m);
	memset(rte_pktmbuf_append(m, len), fill, len);
	return m;
}

#endif
