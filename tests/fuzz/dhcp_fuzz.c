/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages of DHCP clients: what is read lies within the message, and a name is one that any terminal, page or label takes. */
#include <weir/packet/dhcp.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_AT 240

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void check_name(const char *name)
{
	size_t len = strnlen(name, DHCP_HOST_NAME_MAX);

	demand(len > 0 && len < DHCP_HOST_NAME_MAX);
	demand(strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
		== len);
	demand(name[0] != '-' && name[len - 1] != '-');
}

/* A message that lies in memory of just its size. */
static void hear(const uint8_t *data, size_t size)
{
	uint8_t *message = malloc(size == 0 ? 1 : size);
	struct dhcp_host host;

	demand(message != NULL);
	memcpy(message, data, size);
	if (dhcp_read_host(message, (uint32_t)size, &host) == 0) {
		demand(memcmp(host.mac.bytes, message + 28, sizeof(host.mac.bytes)) == 0);
		check_name(host.name);
	}
	free(message);
}

/* One whose head is good: the fuzzer has its options, and what lies in the fields that these may fill too. */
static void hear_good(const uint8_t *data, size_t size)
{
	uint8_t message[OPTIONS_AT + 512] = {1, 1, 6};
	size_t n_fields = size < 192 ? size : 192;
	size_t n_options = size - n_fields < 512 ? size - n_fields : 512;

	memcpy(message + 44, data, n_fields);
	memcpy(message + OPTIONS_AT - 4, "\x63\x82\x53\x63", 4);
	memcpy(message + OPTIONS_AT, data + n_fields, n_options);
	hear(message, OPTIONS_AT + n_options);
	memset(message + 44, 0, 192);
	n_options = size < 512 ? size : 512;
	memcpy(message + OPTIONS_AT, data, n_options);
	hear(message, OPTIONS_AT + n_options);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	hear(data, size);
	hear_good(data, size);
	return 0;
}
