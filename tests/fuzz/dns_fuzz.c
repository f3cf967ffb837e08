/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DNS messages as they come, and with a sound header: what is read lies within the message, names have their one form, and
 * what an answer gives was asked for in a question that can be read.
 */
#include <weir/classify/dns.h>
#include <weir/packet/bytes.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void check_name(const struct dns_name *name)
{
	char text[DNS_NAME_TEXT_MAX];
	uint32_t at = 0;

	while (name->octets[at] != 0) {
		demand(name->octets[at] <= DNS_LABEL_MAX);
		for (uint32_t i = at + 1; i <= at + name->octets[at]; i++)
			demand(name->octets[i] < 'A' || name->octets[i] > 'Z');
		at += name->octets[at] + 1u;
		demand(at < name->len);
	}
	demand(at + 1 == name->len);
	demand(strlen(dns_name_format(name, text)) < sizeof(text));
}

static bool has_address(const uint8_t *msg, size_t len, uint32_t addr_be)
{
	for (size_t at = DNS_HEADER_BYTES; at + 4 <= len; at++)
		if (load32(msg + at) == addr_be)
			return true;
	return false;
}

static void read_message(const uint8_t *msg, size_t len)
{
	struct dns_question question;
	struct dns_answer answer;
	int rc = dns_read_question(msg, len, DNS_QUERY, &question);

	if (rc == 0)
		check_name(&question.name);
	rc = dns_read_answer(msg, len, &answer);
	if (rc < 0)
		return;
	demand(dns_read_question(msg, len, DNS_RESPONSE, &question) == 0
		&& question.type == DNS_TYPE_A);
	check_name(&question.name);
	demand(answer.n_addresses <= DNS_ADDRESSES_MAX);
	for (uint32_t i = 0; i < answer.n_addresses; i++) {
		demand(answer.addresses[i].ttl_s <= INT32_MAX);
		demand(ip_addr_is_v4(&answer.addresses[i].addr));
		demand(has_address(msg, len, answer.addresses[i].addr.words[3]));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *msg;

	if (size > 70000)
		return 0;
	msg = malloc(size); /* of the exact size, so that ASan sees every overrun */
	demand(msg != NULL || size == 0);
	if (size > 0)
		memcpy(msg, data, size);
	read_message(msg, size);
	if (size >= DNS_HEADER_BYTES) {
		msg[2] = 0x81 | (msg[2] & 0x02);
		msg[3] = 0x80;
		store_be16(msg + 4, 1);
		read_message(msg, size);
	}
	free(msg);
	return 0;
}
