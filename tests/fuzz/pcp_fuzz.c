/* SPDX-License-Identifier: BSD-3-Clause */
/* The PCP server under any sequence of messages, flows and time: answers are of good form and within bounds, no two
 * leases share an external port, quotas hold, and nothing is left when all leases have ended. */
#include <weir/base/clock.h>
#include <weir/nat/lease.h>
#include <weir/packet/meta.h>
#include <weir/packet/pcp.h>

#include <stdlib.h>
#include <string.h>

#define PER_DEVICE 5
#define N_CLIENTS  3
#define CAPACITY   64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	struct rng rng;
	struct nat *nat;
	struct lease_table *table;
	uint64_t now_us;
	uint32_t n_open; /* as told */
};

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void told(void *context, const struct lease *l, enum lease_change change)
{
	struct run *run = context;

	demand(l->external_port != 0);
	if (change == LEASE_OPENED)
		run->n_open++;
	else
		demand(run->n_open-- > 0);
}

static struct ip_addr client_addr(uint8_t choice)
{
	return ip_addr_quad(192, 168, 50, (uint8_t)(10 + choice % N_CLIENTS));
}

/* A message that lies in memory of just its size. */
static void hear(struct run *run, uint8_t who, const uint8_t *data, uint32_t size)
{
	struct lease_client client = {.addr = client_addr(who), .lan_port = 1};
	uint8_t *message = malloc(size == 0 ? 1 : size);
	uint8_t answer[PCP_MESSAGE_MAX];
	struct pcp_request request;
	struct pcp_reply reply = {.lifetime_s = 7};
	enum pcp_result result;
	uint16_t len;

	demand(message != NULL);
	memcpy(message, data, size);
	if (pcp_read(message, size, &client.addr, &request, &result)) {
		demand(size >= 2 && (message[1] & 0x80) == 0);
		reply.result = result;
		if (result == PCP_SUCCESS)
			lease_table_answer(run->table, &request, &client, (who & 0x80) == 0,
				run->now_us, &reply);
		len = pcp_build(answer, message, size, &request, &reply);
		demand(len >= 8 && len <= PCP_MESSAGE_MAX && len % 4 == 0);
		demand((answer[1] & 0x80) != 0);
		demand(message[0] == 0 || (answer[0] == 2 && answer[3] == reply.result));
	}
	free(message);
}

/* A message that is good but for what the fuzzer chooses: opcode, protocol, ports, lifetime, nonce, an option. */
static void hear_good(struct run *run, const uint8_t *op)
{
	struct ip_addr client = client_addr(op[1]);
	uint8_t m[84] = {2, op[2] % 3};
	uint32_t len = m[1] == 0 ? 24 : m[1] == 1 ? 60 : 80;

	m[6] = op[3];
	memcpy(m + 8, &client, sizeof(client));
	m[24] = op[4] & 1;
	m[36] = (op[4] & 2) != 0 ? PROTO_UDP : PROTO_TCP;
	m[40] = 8;
	m[41] = op[5] & 7;
	m[42] = op[6] & 15;
	m[43] = op[7] & 7;
	memset(m + 54, 0xff, 2);
	if (m[1] == 2) {
		m[61] = 1 + (op[6] >> 6);
		memset(m + 74, 0xff, 2);
		m[79] = op[7];
	} else if (m[1] == 1 && (op[4] & 4) != 0) {
		m[60] = 2;
		len += 4;
	}
	hear(run, op[1], m, len);
}

/* A flow's life within one step: what it maps does not outlive it but by a lease. */
static void flow(struct run *run, const uint8_t *op)
{
	struct ip_addr remote = ip_addr_quad(198, 51, 100, op[6]);
	struct nat_internal who = {.addr = client_addr(op[1]),
		.port = (uint16_t)(0x800 + (op[5] & 7)),
		.proto = (op[4] & 2) != 0 ? PROTO_UDP : PROTO_TCP,
		.lan_port = 1,
		.device_id = 1};
	uint32_t id;

	if (nat_map(run->nat, &who, &id) != DROP_NONE)
		return;
	if (nat_hold(run->nat, id, &remote, true) != DROP_NONE)
		nat_forget_unused(run->nat, id);
	else
		nat_release(run->nat, id, &remote, true);
}

static void check(const struct run *run)
{
	uint32_t n_of[N_CLIENTS] = {0};
	uint32_t n = 0;

	for (uint16_t i = 0; i < NAT_PINS_MAX; i++) {
		const struct lease *l = lease_at(run->table, i);

		if (!l->in_use)
			continue;
		n++;
		n_of[ip_addr_v4_host(&l->internal) % 256 - 10]++;
		demand(l->is_peer || l->external_port >= 1024);
		demand(nat_find_external(run->nat, l->proto, l->external_port) == l->mapping_id);
		demand(ip_addr_equal(
			&nat_mapping(run->nat, l->mapping_id)->internal, &l->internal));
	}
	demand(n == lease_table_n(run->table) && n == run->n_open);
	demand(nat_n_mappings(run->nat) <= n);
	for (uint32_t i = 0; i < N_CLIENTS; i++)
		demand(n_of[i] <= PER_DEVICE);
}

static void step(struct run *run, const uint8_t *op)
{
	switch (op[0] % 4) {
	case 0:
		flow(run, op);
		break;
	case 1:
		run->now_us += (uint64_t)op[1] * US_PER_S;
		nat_age(run->nat, run->now_us);
		lease_table_expire(run->table, run->now_us, NAT_PINS_MAX);
		break;
	default:
		hear_good(run, op);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nat_params params = {.capacity = CAPACITY,
		.port_min = 1024,
		.port_max = 1024 + 40,
		.hash_key = {{3, 5, 7}}};
	struct lease_limits limits = {.per_device = PER_DEVICE, .lifetime_max_s = 600};
	struct ip_addr external = ip_addr_quad(203, 0, 113, 5);
	struct run run = {.now_us = US_PER_S};

	rng_init(&run.rng, 1);
	demand(nat_create(&params, &run.rng, &run.nat) == 0);
	demand(lease_table_create(told, &run, &run.table) == 0);
	lease_table_set_limits(run.table, &limits);
	lease_table_begin(run.table, run.nat, &external, run.now_us);
	while (size >= 8) {
		if (data[0] == 255 && size > 8 + (size_t)data[2]) {
			hear(&run, data[1], data + 8, data[2]);
			size -= data[2];
			data += data[2];
		} else {
			step(&run, data);
		}
		check(&run);
		data += 8;
		size -= 8;
	}
	hear(&run, 0, data, (uint32_t)size);
	lease_table_begin(run.table, NULL, &external, run.now_us);
	demand(run.n_open == 0 && nat_n_mappings(run.nat) == 0);
	lease_table_destroy(run.table);
	nat_destroy(run.nat);
	return 0;
}
