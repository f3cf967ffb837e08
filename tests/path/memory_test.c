/* SPDX-License-Identifier: BSD-3-Clause */
/* What a flow takes of the machine's memory, all tables together. */
#include <weir/base/memory.h>
#include <weir/base/rng.h>
#include <weir/flow/table.h>
#include <weir/nat/mapping.h>

#include <criterion/criterion.h>

enum {
	MILLION = 1000000,
	DEVICES = 1024,
	OCTETS_A_FLOW_MAX = 256
};

static const struct flow_hash_key key = {{1, 3, 5}};

static size_t mapped(void)
{
	size_t all, huge;

	memory_usage(&all, &huge);
	return all;
}

Test(path_memory, a_million_flows_take_no_more_than_256_octets_each)
{
	struct nat_params params = {
		.capacity = MILLION,
		.port_min = 1024,
		.port_max = 65535,
		.hash_key = key,
		.n_devices = DEVICES,
	};
	size_t before = mapped();
	struct flow_table *t;
	struct nat *nat;
	struct rng rng;
	size_t pools;

	memory_set_huge(false);
	rng_init(&rng, 1);
	cr_assert_eq(flow_table_create(MILLION, &key, &t), 0);
	cr_assert_eq(nat_create(&params, &rng, &nat), 0);
	/* The ids of flows, of a fortieth as many overflow buckets, and of one mapping a port and protocol. */
	pools = ((size_t)MILLION + MILLION / 40 + 66 + (size_t)3 * 65535) * sizeof(uint32_t);
	cr_expect_leq(mapped() - before + pools, (size_t)OCTETS_A_FLOW_MAX * MILLION,
		"%zu octets for a million flows", mapped() - before + pools);
	nat_destroy(nat);
	flow_table_destroy(t);
	cr_expect_eq(mapped(), before);
}
