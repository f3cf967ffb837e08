/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/packet/bytes.h>
#include <weir/packet/dhcp.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))
#define FILE_AT     108
#define SNAME_AT    44

static const struct mac_addr mac = {{0x02, 0, 0x5e, 0x10, 0, 7}};

struct message {
	uint8_t octets[1200];
	uint32_t len;
};

static void put(struct message *m, uint8_t code, const void *value, uint8_t len)
{
	m->octets[m->len] = code;
	m->octets[m->len + 1] = len;
	memcpy(m->octets + m->len + 2, value, len);
	m->len += 2u + len;
}

static void put_text(struct message *m, uint8_t code, const char *text)
{
	put(m, code, text, (uint8_t)strlen(text));
}

static void put_end(struct message *m)
{
	m->octets[m->len++] = 255;
}

static struct message message_of(uint8_t type)
{
	struct message m = {.octets = {1, 1, 6}, .len = 240};

	memcpy(m.octets + 28, mac.bytes, sizeof(mac.bytes));
	store_be32(m.octets + 236, 0x63825363);
	put(&m, 53, &type, 1);
	return m;
}

/* The name that is read; an error's number as text. */
static const char *name_of(const struct message *m)
{
	static struct dhcp_host host;
	int rc = dhcp_read_host(m->octets, m->len, &host);

	if (rc == -EBADMSG)
		return "(bad)";
	if (rc == -ENOMSG)
		return "(none)";
	cr_assert_eq(rc, 0);
	cr_assert(mac_addr_equal(&host.mac, &mac));
	return host.name;
}

static const char *name_of_text(uint8_t code, const void *value, uint8_t len)
{
	struct message m = message_of(1);

	put(&m, code, value, len);
	put_end(&m);
	return name_of(&m);
}

Test(packet_dhcp, clients_that_ask_tell_their_names)
{
	static const struct {
		uint8_t type;
		const char *name;
	} rows[] = {
		{1, "tv"},     /* DHCPDISCOVER */
		{2, "(none)"}, /* DHCPOFFER: a server's */
		{3, "tv"},     /* DHCPREQUEST */
		{4, "(none)"}, /* DHCPDECLINE: the address is another's */
		{5, "(none)"},
		{6, "(none)"},
		{7, "(none)"},
		{8, "tv"}, /* DHCPINFORM */
		{9, "(none)"},
		{0, "(none)"},
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		struct message m = message_of(rows[i].type);

		put_text(&m, 12, "tv");
		put_end(&m);
		cr_expect_str_eq(name_of(&m), rows[i].name, "type %u", rows[i].type);
	}
}

Test(packet_dhcp, a_name_is_one_label_of_letters_digits_and_hyphens)
{
	char label[64];
	static const struct {
		const char *text;
		const char *name;
	} rows[] = {
		{"Kitchen-TV_2", "Kitchen-TV_2"},
		{"printer.example.net", "printer"}, /* the domain is the server's to choose */
		{"printer.", "printer"},
		{"7", "7"},
		{"-tv", "(none)"},
		{"tv-", "(none)"},
		{".tv", "(none)"},
		{"Anna's iPhone", "(none)"},
		{"caf\xc3\xa9", "(none)"},
		{"a\x1b[2J", "(none)"},
		{"a\"b", "(none)"},
		{"a<b>", "(none)"},
		{"tv.\x07", "(none)"},
		{"a\nb", "(none)"},
	};

	for (size_t i = 0; i < N_OF(rows); i++)
		cr_expect_str_eq(name_of_text(12, rows[i].text, (uint8_t)strlen(rows[i].text)),
			rows[i].name, "\"%s\"", rows[i].text);
	memset(label, 'a', sizeof(label));
	cr_expect_eq(strlen(name_of_text(12, label, 63)), 63);
	cr_expect_str_eq(name_of_text(12, label, 64), "(none)");
	cr_expect_str_eq(name_of_text(12, "", 0), "(none)");
	cr_expect_str_eq(name_of_text(12, "tv\0\0", 4), "tv", "RFC 2132 2: NULs are trimmed");
	cr_expect_str_eq(name_of_text(12, "t\0v", 3), "(none)");
	cr_expect_str_eq(name_of_text(12, "\0", 1), "(none)");
}

Test(packet_dhcp, the_fqdn_counts_where_there_is_no_host_name)
{
	struct message m = message_of(3);

	cr_expect_str_eq(name_of_text(81, "\0\0\0pc.example", 13), "pc", "in text");
	cr_expect_str_eq(name_of_text(81, "\4\0\0\2pc\7example\0", 15), "pc", "in wire format");
	cr_expect_str_eq(name_of_text(81, "\4\0\0\2pc", 6), "pc", "RFC 4702 2.3.1: a partial name");
	cr_expect_str_eq(name_of_text(81, "\4\0\0\3pc", 6), "(none)", "a label that is cut off");
	cr_expect_str_eq(name_of_text(81, "\4\0\0\xc0\x0c", 5), "(none)", "compression");
	cr_expect_str_eq(name_of_text(81, "\4\0\0\0", 4), "(none)", "the root");
	cr_expect_str_eq(name_of_text(81, "\4\0\0\3p.c", 7), "(none)", "a dot within a label");
	cr_expect_str_eq(name_of_text(81, "\0\0\0", 3), "(none)");
	cr_expect_str_eq(name_of_text(81, "\0", 1), "(none)");
	put(&m, 81, "\0\0\0second", 9);
	put_text(&m, 12, "first");
	put_end(&m);
	cr_expect_str_eq(name_of(&m), "first");
}

/* RFC 3396. */
Test(packet_dhcp, pieces_of_an_option_are_one_value)
{
	struct message m = message_of(1);
	char piece[200];

	put_text(&m, 12, "kit");
	put_text(&m, 60, "vendor");
	put_text(&m, 12, "chen");
	put_end(&m);
	cr_expect_str_eq(name_of(&m), "kitchen");
	m = message_of(1);
	memset(piece, 'a', sizeof(piece));
	put(&m, 12, piece, sizeof(piece));
	put(&m, 12, piece, sizeof(piece));
	put_end(&m);
	cr_expect_str_eq(name_of(&m), "(bad)", "longer than any name");
	m = message_of(1);
	put(&m, 53, "\1", 1);
	put_text(&m, 12, "tv");
	put_end(&m);
	cr_expect_str_eq(name_of(&m), "(bad)", "a message of two types");
}

/* RFC 2131 section 4.1, RFC 3396 section 5. */
Test(packet_dhcp, options_go_on_in_the_file_and_sname_fields_where_it_is_said)
{
	static const struct {
		uint8_t overload;
		const char *name;
	} rows[] = {{1, "a-file"}, {2, "a-sname"}, {3, "a-filesname"}, {0, "(bad)"}, {4, "(bad)"}};

	for (size_t i = 0; i < N_OF(rows); i++) {
		struct message m = message_of(1);

		put_text(&m, 12, "a-");
		put(&m, 52, &rows[i].overload, 1);
		put_end(&m);
		memcpy(m.octets + FILE_AT, "\x0c\4file\xff", 7);
		memcpy(m.octets + SNAME_AT, "\x0c\5sname\xff", 8);
		cr_expect_str_eq(name_of(&m), rows[i].name, "overload %u", rows[i].overload);
		m.octets[FILE_AT + 6] = m.octets[SNAME_AT + 7] = 0;
		cr_expect_str_eq(name_of(&m), "(bad)", "no end, overload %u", rows[i].overload);
	}
}

Test(packet_dhcp, fields_are_not_options_unless_it_is_said)
{
	struct message m = message_of(1);

	memcpy(m.octets + FILE_AT, "\x0c\4file\xff", 7);
	put_end(&m);
	cr_expect_str_eq(name_of(&m), "(none)");
}

Test(packet_dhcp, no_message_that_is_cut_anywhere_is_read)
{
	struct message m = message_of(1);
	struct dhcp_host host;

	put_text(&m, 12, "tv");
	put_end(&m);
	cr_assert_str_eq(name_of(&m), "tv");
	for (uint32_t len = 0; len < m.len; len++) {
		uint8_t *cut = malloc(len == 0 ? 1 : len);

		cr_assert_not_null(cut);
		memcpy(cut, m.octets, len);
		cr_expect_eq(dhcp_read_host(cut, len, &host), -EBADMSG, "cut to %u", len);
		free(cut);
	}
}

Test(packet_dhcp, only_ethernet_clients_that_speak_for_themselves_count)
{
	static const struct {
		uint32_t at;
		uint8_t value;
		const char *name;
	} rows[] = {
		{0, 2, "(none)"},                    /* BOOTREPLY */
		{1, 6, "(none)"},                    /* another link */
		{2, 16, "(none)"},                   /* another length of address */
		{24, 10, "(none)"},                  /* by a relay */
		{27, 1, "(none)"},                   /* by a relay */
		{236, 0, "(bad)"},                   /* no DHCP at all: BOOTP's own vendor area */
		{239, 0, "(bad)"}, {10, 0x80, "tv"}, /* the broadcast flag */
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		struct message m = message_of(1);

		put_text(&m, 12, "tv");
		put_end(&m);
		m.octets[rows[i].at] = rows[i].value;
		cr_expect_str_eq(name_of(&m), rows[i].name, "octet %u", rows[i].at);
	}
}

Test(packet_dhcp, what_follows_the_end_says_nothing)
{
	struct message m = message_of(1);

	put_end(&m);
	put_text(&m, 12, "tv");
	put_end(&m);
	cr_expect_str_eq(name_of(&m), "(none)");
}
