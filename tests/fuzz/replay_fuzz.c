/* SPDX-License-Identifier: BSD-3-Clause */
/* A hostile capture: read, told apart by side, and rewritten for the port it enters. */
#include <weir/port/capture.h>
#include <weir/port/sides.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool find_external(void *context, const struct sides_conversation *c,
	struct ip_addr *ret_external, uint16_t *ret_external_port)
{
	(void)context;
	if (c->proto == PROTO_ICMP || c->internal.bytes[15] % 2 == 0)
		return false;
	*ret_external = ip_addr_quad(198, 51, 100, 1);
	*ret_external_port = c->internal_port ^ 1;
	return true;
}

static const struct sides_params params =
	{
		.seed = 1,
		.ports =
			{
				{.role = SIDES_LAN,
					.framing = FRAMING_ETHERNET,
					.vlan = 5,
					.address = {.addr = {.bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
								     0xff, 0xff, 192, 168, 50, 1}},
						.len_bits = 28}},
				{.role = SIDES_UPLINK,
					.framing = FRAMING_RAW_IP,
					.address =
						{.addr = {.bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 51, 100, 1}},
							.len_bits = 32}},
			},
		.external_find = find_external,
};

/* Exact heap memory, so that a byte read or written too far is seen. */
static void enter_exactly(struct sides *s, const struct capture_packet *p)
{
	struct capture_packet copy = *p;
	struct sides_conversation conversation;
	struct sides_route route;
	uint32_t room = p->wire_bytes < 2048 ? p->wire_bytes + 18 : 2048;
	uint8_t *data = malloc(p->len_bytes > 0 ? p->len_bytes : 1);
	uint8_t *frame = malloc(room);
	uint32_t len;

	if (data != NULL && frame != NULL) {
		__builtin_memcpy(data, p->data, p->len_bytes);
		copy.data = data;
		if (sides_route(s, &copy, &route) == SIDES_ENTERS) {
			sides_conversation_of(&copy, &route, &conversation);
			if (sides_copy(s, &copy, &route, frame, room, &len) == SIDES_ENTERS)
				sides_address(s, &route, frame, len);
		}
	}
	free(frame);
	free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct capture_set *set;
	struct capture_packet p;
	struct sides *s;
	FILE *stream;

	if (size == 0 || capture_set_create(&set) != 0)
		return 0;
	stream = fmemopen((void *)(uintptr_t)data, size, "r");
	if (stream != NULL && sides_create(&params, &s) == 0) {
		capture_set_add_stream(set, "input", stream);
		while (capture_set_next(set, &p))
			enter_exactly(s, &p);
		sides_destroy(s);
	}
	capture_set_destroy(set);
	return 0;
}
