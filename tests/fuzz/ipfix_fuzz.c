/* SPDX-License-Identifier: BSD-3-Clause */
/* IPFIX messages made of any sequence of pieces have sets that fill them exactly; and a file's end is
 * read within its bounds, whatever it is. */
#include <weir/control/ipfix_message.h>
#include <weir/packet/bytes.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

/* One piece by the byte's low bits; the others are what is in it. */
static void add_piece(struct ipfix_message *m, uint8_t choice)
{
	struct flow_record r = {
		.octet_delta_count = {choice, UINT64_MAX},
		.internal = ip_addr_quad(192, 168, 50, choice),
		.external = ip_addr_quad(10, 64, 3, 7),
		.remote = ip_addr_quad(203, 0, 113, choice),
		.proto = (choice & 8) != 0 ? 6 : 1,
	};
	struct ipfix_statistics s = {.n_lost = choice};
	struct ipfix_flow flow;
	char name[256];

	memset(name, 'x', choice);
	name[choice] = '\0';
	switch (choice & 7) {
	case 0:
		ipfix_add_templates(m);
		break;
	case 1:
		ipfix_add_interface(m, choice, name);
		break;
	case 2:
		ipfix_add_class(m, choice, name);
		break;
	case 3:
		ipfix_add_statistics(m, &s);
		break;
	default:
		demand(ipfix_flow_encode(&flow, &r, INT64_MAX));
		ipfix_add_flow(m, &flow);
		break;
	}
}

static void check_message(const struct ipfix_message *m)
{
	uint32_t at = IPFIX_HEADER_BYTES;

	demand(m->n <= IPFIX_MESSAGE_MAX && load_be16(m->octets + 2) == m->n);
	while (at < m->n) {
		uint32_t len = load_be16(m->octets + at + 2);

		demand(len > 4);
		at += len;
	}
	demand(at == m->n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ipfix_message m;
	uint32_t n = size > 4000 ? 4000 : (uint32_t)size;
	uint32_t domain = size >= 16 ? load_be32(data + 12) : 0;
	uint32_t n_whole = ipfix_whole_octets(data, n, domain);

	demand(n_whole <= n);
	ipfix_begin(&m);
	for (uint32_t i = 0; i < n; i++)
		add_piece(&m, data[i]);
	ipfix_finish(&m, 1, 2, domain);
	check_message(&m);
	demand(ipfix_whole_octets(m.octets, m.n, domain) == m.n);
	return 0;
}
