/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any order of fragments over few sources and identifications: every packet held comes out once, the
 * bounds hold, and nothing is left when all has expired.
 */
#include <weir/flow/fragment.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	N_PACKETS = 4096,
	CAPACITY = 8,
	HELD_CAPACITY = 24,
	TIMEOUT_US = 1000
};

struct world {
	struct fragment_table *table;
	uint64_t now_us;
	uint32_t n_held;
	uint8_t is_held[N_PACKETS];
};

static void require(int holds)
{
	if (!holds)
		abort();
}

static void leave(struct world *w, void *const *gone, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint8_t *packet = gone[i];

		require(packet >= w->is_held && packet < w->is_held + N_PACKETS && *packet == 1);
		*packet = 0;
	}
	w->n_held -= n;
}

/* One operation in three octets: what and how late, whose, which datagram. */
static void operate(struct world *w, const uint8_t *op, uint8_t *packet)
{
	struct fragment_key key = {.src = ip_addr_quad(10, 0, 0, op[1] & 7),
		.dst = ip_addr_quad(203, 0, 113, 9),
		.identification = op[2] & 15,
		.proto = (op[2] & 16) != 0 ? 6 : 17,
		.in_port = op[2] >> 7};
	struct fragment_packets held = {.n = 0};
	struct fragment_packets evicted = {.n = 0};
	struct fragment_origin origin = {op[1], op[2], (op[2] & 32) != 0, 0};
	void *expired[3];

	w->now_us += (uint64_t)(op[0] >> 2) * 8;
	switch (op[0] & 3) {
	case 0:
		fragment_first(w->table, &key, &origin, w->now_us, &held, &evicted);
		break;
	case 1:
		if ((op[1] & 8) != 0)
			fragment_refuse(w->table, &key, &held);
		else
			leave(w, expired, fragment_expire(w->table, w->now_us, expired, 3));
		break;
	default:
		if (fragment_later(w->table, &key, packet, w->now_us, &origin, &evicted)
			== FRAGMENT_HELD) {
			*packet = 1;
			w->n_held++;
		}
	}
	require(held.n <= FRAGMENT_HELD_MAX && evicted.n <= FRAGMENT_HELD_MAX);
	leave(w, held.packets, held.n);
	leave(w, evicted.packets, evicted.n);
	require(w->n_held <= HELD_CAPACITY && fragment_n_held(w->table) == w->n_held);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct flow_hash_key hash_key = {{3, 5, 7}};
	struct world w = {.now_us = 1};
	void *expired[3];
	uint32_t n;

	if (fragment_table_create(CAPACITY, HELD_CAPACITY, TIMEOUT_US, &hash_key, &w.table) < 0)
		return 0;
	for (size_t i = 0; i < N_PACKETS && 3 * i + 2 < size; i++)
		operate(&w, &data[3 * i], &w.is_held[i]);
	do {
		n = fragment_expire(w.table, UINT64_MAX, expired, 3);
		leave(&w, expired, n);
	} while (n == 3);
	require(w.n_held == 0 && fragment_n_held(w.table) == 0);
	fragment_table_destroy(w.table);
	return 0;
}
