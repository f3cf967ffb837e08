/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/addr.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Length of the prefix in bits of the 16-byte form. */
static unsigned mapped_len_bits(const struct ip_prefix *p)
{
	return ip_addr_is_v4(&p->addr) ? 96u + p->len_bits : p->len_bits;
}

static bool bits_equal(const struct ip_addr *a, const struct ip_addr *b, unsigned n_bits)
{
	unsigned n_bytes = n_bits / 8;
	unsigned rest = n_bits % 8;

	if (memcmp(a->bytes, b->bytes, n_bytes) != 0)
		return false;
	return rest == 0 || (a->bytes[n_bytes] ^ b->bytes[n_bytes]) >> (8 - rest) == 0;
}

bool ip_prefix_contains_any(const struct ip_prefix *p, const struct ip_addr *a)
{
	return ip_addr_is_v4(&p->addr) == ip_addr_is_v4(a)
	       && bits_equal(&p->addr, a, mapped_len_bits(p));
}

bool ip_prefix_overlaps(const struct ip_prefix *a, const struct ip_prefix *b)
{
	unsigned len_a = mapped_len_bits(a);
	unsigned len_b = mapped_len_bits(b);

	return ip_addr_is_v4(&a->addr) == ip_addr_is_v4(&b->addr)
	       && bits_equal(&a->addr, &b->addr, len_a < len_b ? len_a : len_b);
}

int ip_addr_parse(const char *text, struct ip_addr *ret_addr)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		*ret_addr = ip_addr_v4(v4.s_addr);
		return 0;
	}
	if (inet_pton(AF_INET6, text, &v6) == 1) {
		memcpy(ret_addr->bytes, &v6, sizeof(ret_addr->bytes));
		return 0;
	}
	return -EINVAL;
}

static int parse_prefix_len(const char *text, unsigned max_bits, uint8_t *ret_len_bits)
{
	unsigned value = 0;

	if (*text == '\0' || strlen(text) > 3)
		return -EINVAL;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		value = value * 10 + (unsigned)(*text - '0');
	}
	if (value > max_bits)
		return -EINVAL;
	*ret_len_bits = (uint8_t)value;
	return 0;
}

int ip_prefix_parse(const char *text, struct ip_prefix *ret_prefix)
{
	char addr_text[IP_ADDR_TEXT_MAX];
	const char *slash = strchr(text, '/');
	size_t addr_len = slash == NULL ? strlen(text) : (size_t)(slash - text);
	struct ip_prefix p;
	unsigned max_bits;

	if (addr_len >= sizeof(addr_text))
		return -EINVAL;
	memcpy(addr_text, text, addr_len);
	addr_text[addr_len] = '\0';
	if (ip_addr_parse(addr_text, &p.addr) < 0)
		return -EINVAL;
	max_bits = ip_addr_is_v4(&p.addr) ? 32 : 128;
	p.len_bits = (uint8_t)max_bits;
	if (slash != NULL && parse_prefix_len(slash + 1, max_bits, &p.len_bits) < 0)
		return -EINVAL;
	*ret_prefix = p;
	return 0;
}

int mac_addr_parse(const char *text, struct mac_addr *ret_mac)
{
	struct mac_addr m;

	if (strlen(text) != MAC_ADDR_TEXT_MAX - 1)
		return -EINVAL;
	for (int i = 0; i < 6; i++) {
		const char *at = text + 3 * i;
		char octet[3] = {at[0], at[1], '\0'};
		char *end;

		m.bytes[i] = (uint8_t)strtoul(octet, &end, 16);
		if (strspn(octet, "0123456789abcdefABCDEF") != 2 || *end != '\0'
			|| (i < 5 && at[2] != ':'))
			return -EINVAL;
	}
	*ret_mac = m;
	return 0;
}

const char *ip_addr_format(const struct ip_addr *a, char *buf)
{
	if (ip_addr_is_v4(a))
		inet_ntop(AF_INET, &a->words[3], buf, IP_ADDR_TEXT_MAX);
	else
		inet_ntop(AF_INET6, a->bytes, buf, IP_ADDR_TEXT_MAX);
	return buf;
}

const char *ip_prefix_format(const struct ip_prefix *p, char *buf)
{
	size_t len;

	ip_addr_format(&p->addr, buf);
	len = strlen(buf);
	snprintf(buf + len, IP_PREFIX_TEXT_MAX - len, "/%u", p->len_bits);
	return buf;
}

const char *mac_addr_format(const struct mac_addr *m, char *buf)
{
	snprintf(buf, MAC_ADDR_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", m->bytes[0], m->bytes[1],
		m->bytes[2], m->bytes[3], m->bytes[4], m->bytes[5]);
	return buf;
}
