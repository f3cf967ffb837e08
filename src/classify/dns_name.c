/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/classify/dns_name.h>

#include <errno.h>
#include <stdio.h>

static bool is_host_octet(char c)
{
	uint8_t lower = dns_lower((uint8_t)c);

	return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Enters the label at the start of `text`; its length, or -EINVAL. */
static int enter_label(const char *text, size_t len, struct dns_name *name)
{
	uint32_t n = 0;

	while (n < len && text[n] != '.') {
		if (!is_host_octet(text[n]) || n == DNS_LABEL_MAX)
			return -EINVAL;
		n++;
	}
	/* Room for this label, its length and the root's. */
	if (n == 0 || name->len + n + 2 > DNS_NAME_MAX)
		return -EINVAL;
	name->octets[name->len++] = (uint8_t)n;
	for (uint32_t i = 0; i < n; i++)
		name->octets[name->len++] = dns_lower((uint8_t)text[i]);
	return (int)n;
}

static bool is_number(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < '0' || text[i] > '9')
			return false;
	return true;
}

int dns_name_parse(const char *text, size_t len, struct dns_name *ret_name)
{
	struct dns_name name = {0};
	size_t at = 0;

	if (len > 0 && text[len - 1] == '.')
		len--;
	for (;;) {
		int n = enter_label(text + at, len - at, &name);

		if (n < 0)
			return n;
		if (at + (size_t)n == len)
			break;
		at += (size_t)n + 1;
	}
	if (is_number(text + at, len - at))
		return -EINVAL;
	name.octets[name.len++] = 0;
	*ret_name = name;
	return 0;
}

const char *dns_name_format(const struct dns_name *name, char *buf)
{
	char *to = buf;

	for (uint32_t at = 0; at < name->len && name->octets[at] != 0;
		at += name->octets[at] + 1u) {
		if (at > 0)
			*to++ = '.';
		for (uint32_t i = at + 1; i <= at + name->octets[at]; i++) {
			uint8_t c = name->octets[i];

			if (c == '.' || c == '\\')
				to += sprintf(to, "\\%c", c);
			else if (c > ' ' && c <= '~')
				*to++ = (char)c;
			else
				to += sprintf(to, "\\%03u", c);
		}
	}
	if (to == buf)
		*to++ = '.';
	*to = '\0';
	return buf;
}
