/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/control/text.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_FIRST_BYTES 4096u
#define U64_DIGITS_MAX   20

void text_init(struct text *t, size_t max_bytes)
{
	*t = (struct text){.max_bytes = max_bytes};
}

void text_clean(struct text *t)
{
	free(t->data);
	*t = (struct text){.max_bytes = t->max_bytes};
}

void text_clear(struct text *t)
{
	t->n = 0;
	t->failed = 0;
}

static bool text_grow(struct text *t, size_t n)
{
	size_t capacity = t->capacity < TEXT_FIRST_BYTES ? TEXT_FIRST_BYTES : t->capacity;
	char *data;

	if (n > t->max_bytes || t->n > t->max_bytes - n) {
		t->failed = EMSGSIZE;
		return false;
	}
	while (capacity < t->n + n)
		capacity *= 2;
	if (capacity > t->max_bytes)
		capacity = t->max_bytes;
	data = realloc(t->data, capacity);
	if (data == NULL) {
		t->failed = ENOMEM;
		return false;
	}
	t->data = data;
	t->capacity = capacity;
	return true;
}

bool text_reserve(struct text *t, size_t n)
{
	return t->capacity - t->n >= n || text_grow(t, n);
}

void text_append(struct text *t, const char *bytes, size_t n)
{
	if (n == 0 || !text_reserve(t, n))
		return;
	memcpy(t->data + t->n, bytes, n);
	t->n += n;
}

void text_append_string(struct text *t, const char *string)
{
	text_append(t, string, strlen(string));
}

static void text_comma(struct text *t)
{
	if (t->n > 0 && t->data[t->n - 1] != '{' && t->data[t->n - 1] != '[')
		text_append(t, ",", 1);
}

static void text_key(struct text *t, const char *key)
{
	size_t n;

	text_comma(t);
	if (key == NULL)
		return;
	n = strlen(key);
	if (!text_reserve(t, n + 3))
		return;
	t->data[t->n] = '"';
	memcpy(t->data + t->n + 1, key, n);
	memcpy(t->data + t->n + 1 + n, "\":", 2);
	t->n += n + 3;
}

void text_open(struct text *t, const char *key, char bracket)
{
	text_key(t, key);
	text_append(t, &bracket, 1);
}

void text_close(struct text *t, char bracket)
{
	text_append(t, &bracket, 1);
}

void text_open_row(struct text *t, bool first)
{
	text_append_string(t, first ? "\n{" : ",\n{");
}

static void text_escaped(struct text *t, const char *value)
{
	for (const char *c = value; *c != '\0'; c++) {
		char escape[8];

		if (*c == '"' || *c == '\\') {
			escape[0] = '\\';
			escape[1] = *c;
			text_append(t, escape, 2);
		} else if ((unsigned char)*c < 0x20) {
			(void)snprintf(escape, sizeof(escape), "\\u%04x", (unsigned char)*c);
			text_append_string(t, escape);
		} else {
			text_append(t, c, 1);
		}
	}
}

void text_field_string(struct text *t, const char *key, const char *value)
{
	text_key(t, key);
	text_append(t, "\"", 1);
	text_escaped(t, value);
	text_append(t, "\"", 1);
}

/* By hand: printf is most of the cost of a line where a million of them are written. */
void text_u64(struct text *t, uint64_t value)
{
	char digits[U64_DIGITS_MAX];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	text_append(t, digits + at, sizeof(digits) - at);
}

void text_field_u64(struct text *t, const char *key, uint64_t value)
{
	text_key(t, key);
	text_u64(t, value);
}

void text_field_i64(struct text *t, const char *key, int64_t value)
{
	text_key(t, key);
	if (value < 0)
		text_append(t, "-", 1);
	text_u64(t, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void text_field_bool(struct text *t, const char *key, bool value)
{
	text_key(t, key);
	text_append_string(t, value ? "true" : "false");
}

static void text_v4(struct text *t, uint32_t v4)
{
	for (int shift = 24; shift >= 0; shift -= 8) {
		text_u64(t, v4 >> shift & 0xff);
		if (shift > 0)
			text_append(t, ".", 1);
	}
}

void text_field_addr(struct text *t, const char *key, const struct ip_addr *value)
{
	char buf[IP_ADDR_TEXT_MAX];

	text_key(t, key);
	text_append(t, "\"", 1);
	if (ip_addr_is_v4(value))
		text_v4(t, ip_addr_v4_host(value));
	else
		text_append_string(t, ip_addr_format(value, buf));
	text_append(t, "\"", 1);
}

void text_field_mac(struct text *t, const char *key, const struct mac_addr *value)
{
	static const char hex[] = "0123456789abcdef";
	char buf[MAC_ADDR_TEXT_MAX];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(value->bytes); i++) {
		buf[n++] = hex[value->bytes[i] >> 4];
		buf[n++] = hex[value->bytes[i] & 0xf];
		buf[n++] = ':';
	}
	text_key(t, key);
	text_append(t, "\"", 1);
	text_append(t, buf, n - 1);
	text_append(t, "\"", 1);
}

void text_field_share(struct text *t, const char *key, uint64_t ppm)
{
	char fraction[8];

	text_key(t, key);
	text_u64(t, ppm / 1000000);
	(void)snprintf(fraction, sizeof(fraction), ".%06u", (unsigned int)(ppm % 1000000));
	text_append_string(t, fraction);
}
