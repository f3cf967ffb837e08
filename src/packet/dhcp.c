/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/packet/bytes.h>
#include <weir/packet/dhcp.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* RFC 2131 section 2: where the fields lie. */
#define OP_AT        0
#define HTYPE_AT     1
#define HLEN_AT      2
#define GIADDR_AT    24
#define CHADDR_AT    28
#define SNAME_AT     44
#define SNAME_BYTES  64
#define FILE_AT      108
#define FILE_BYTES   128
#define COOKIE_AT    236
#define OPTIONS_AT   240
#define MAGIC_COOKIE 0x63825363u

#define BOOTREQUEST    1
#define HTYPE_ETHERNET 1

enum {
	OPTION_PAD = 0,
	OPTION_HOST_NAME = 12,
	OPTION_OVERLOAD = 52,
	OPTION_MESSAGE_TYPE = 53,
	OPTION_FQDN = 81,
	OPTION_END = 255
};

enum {
	DHCPDISCOVER = 1,
	DHCPREQUEST = 3,
	DHCPINFORM = 8
};

enum {
	OVERLOAD_FILE = 1,
	OVERLOAD_SNAME = 2
};

#define FQDN_HEAD_BYTES 3    /* flags and two result codes, RFC 4702 section 2 */
#define FQDN_WIRE       0x04 /* E: the name is in DNS's wire format */

#define VALUE_MAX 255 /* no option that is read here has a use for more */

/* An option's value, all of its pieces together. */
struct value {
	uint32_t len;
	bool is_there;
	uint8_t octets[VALUE_MAX];
};

struct options {
	struct value host_name;
	struct value fqdn;
	struct value message_type;
	struct value overload;
};

static struct value *value_of(struct options *o, uint8_t code)
{
	switch (code) {
	case OPTION_HOST_NAME:
		return &o->host_name;
	case OPTION_OVERLOAD:
		return &o->overload;
	case OPTION_MESSAGE_TYPE:
		return &o->message_type;
	case OPTION_FQDN:
		return &o->fqdn;
	default:
		return NULL;
	}
}

/* RFC 3396 section 7: pieces of one code are one value, in the order in which they stand. */
static int value_add(struct value *v, const uint8_t *octets, uint32_t len)
{
	if (v->len + len > VALUE_MAX)
		return -EBADMSG;
	memcpy(v->octets + v->len, octets, len);
	v->len += len;
	v->is_there = true;
	return 0;
}

/* Reads a field of options up to its end, which must be there. */
static int field_read(const uint8_t *field, uint32_t len, struct options *o)
{
	uint32_t at = 0;

	while (at < len && field[at] != OPTION_END) {
		struct value *v;
		uint32_t n;

		if (field[at] == OPTION_PAD) {
			at++;
			continue;
		}
		if (len - at < 2 || len - at - 2 < field[at + 1])
			return -EBADMSG;
		n = field[at + 1];
		v = value_of(o, field[at]);
		if (v != NULL && value_add(v, field + at + 2, n) < 0)
			return -EBADMSG;
		at += 2 + n;
	}
	return at < len ? 0 : -EBADMSG;
}

/* RFC 3396 section 5: the options field comes first, then file, then sname. */
static int options_read(const uint8_t *message, uint32_t len, struct options *o)
{
	uint8_t overload;
	int rc = field_read(message + OPTIONS_AT, len - OPTIONS_AT, o);

	if (rc < 0 || !o->overload.is_there)
		return rc;
	overload = o->overload.octets[0];
	if (o->overload.len != 1 || overload < 1 || overload > (OVERLOAD_FILE | OVERLOAD_SNAME))
		return -EBADMSG;
	if ((overload & OVERLOAD_FILE) != 0)
		rc = field_read(message + FILE_AT, FILE_BYTES, o);
	if (rc == 0 && (overload & OVERLOAD_SNAME) != 0)
		rc = field_read(message + SNAME_AT, SNAME_BYTES, o);
	return rc;
}

static bool is_name_octet(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
	       || c == '-' || c == '_';
}

/* Takes one label for a name. False when it is none. */
static bool label_take(const uint8_t *label, uint32_t len, char ret_name[DHCP_HOST_NAME_MAX])
{
	if (len == 0 || len >= DHCP_HOST_NAME_MAX || label[0] == '-' || label[len - 1] == '-')
		return false;
	for (uint32_t i = 0; i < len; i++)
		if (!is_name_octet(label[i]))
			return false;
	memcpy(ret_name, label, len);
	ret_name[len] = '\0';
	return true;
}

/* All of a text must be a name's, its first label is taken. RFC 2132 section 2: senders ought not to end it with NULs, receivers
 * must bear them. */
static bool text_take(const uint8_t *text, uint32_t len, char ret_name[DHCP_HOST_NAME_MAX])
{
	const uint8_t *dot;

	while (len > 0 && text[len - 1] == '\0')
		len--;
	for (uint32_t i = 0; i < len; i++)
		if (!is_name_octet(text[i]) && text[i] != '.')
			return false;
	dot = len == 0 ? NULL : memchr(text, '.', len);
	return label_take(text, dot == NULL ? len : (uint32_t)(dot - text), ret_name);
}

/* RFC 4702 section 2.3: wire format, or what came before it. */
static bool fqdn_take(const struct value *v, char ret_name[DHCP_HOST_NAME_MAX])
{
	const uint8_t *name = v->octets + FQDN_HEAD_BYTES;
	uint32_t len;

	if (v->len <= FQDN_HEAD_BYTES)
		return false;
	len = v->len - FQDN_HEAD_BYTES;
	if ((v->octets[0] & FQDN_WIRE) == 0)
		return text_take(name, len, ret_name);
	/* A length of 64 and more would be compression, which is not to be used here. */
	return name[0] < len && label_take(name + 1, name[0], ret_name);
}

static bool is_of_client(const uint8_t *message)
{
	return message[OP_AT] == BOOTREQUEST && message[HTYPE_AT] == HTYPE_ETHERNET
	       && message[HLEN_AT] == sizeof(struct mac_addr) && load32(message + GIADDR_AT) == 0;
}

static bool tells_names(uint8_t type)
{
	return type == DHCPDISCOVER || type == DHCPREQUEST || type == DHCPINFORM;
}

int dhcp_read_host(const uint8_t *message, uint32_t len, struct dhcp_host *ret_host)
{
	struct options o = {0};
	char name[DHCP_HOST_NAME_MAX];
	int rc;

	if (len <= OPTIONS_AT || load_be32(message + COOKIE_AT) != MAGIC_COOKIE)
		return -EBADMSG;
	if (!is_of_client(message))
		return -ENOMSG;
	rc = options_read(message, len, &o);
	if (rc < 0)
		return rc;
	if (o.message_type.len != 1)
		return -EBADMSG;
	if (!tells_names(o.message_type.octets[0]))
		return -ENOMSG;
	if (!text_take(o.host_name.octets, o.host_name.len, name) && !fqdn_take(&o.fqdn, name))
		return -ENOMSG;
	memcpy(ret_host->mac.bytes, message + CHADDR_AT, sizeof(ret_host->mac.bytes));
	memcpy(ret_host->name, name, strlen(name) + 1);
	return 0;
}
