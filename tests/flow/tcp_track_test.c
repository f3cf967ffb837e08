/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/flow/tcp_track.h>

#include <criterion/criterion.h>
#include <stdbool.h>

/* One segment: direction (> uplink, < downlink), then its flags as letters. */
struct row {
	const char *claim;
	const char *segments; /* separated by spaces */
	uint8_t state;        /* after the last of them, from NONE */
};

static uint8_t flags_of(const char **text)
{
	uint8_t flags = 0;

	for (; **text != '\0' && **text != ' '; (*text)++)
		switch (**text) {
		case 'S':
			flags |= TCP_SYN;
			break;
		case 'A':
			flags |= TCP_ACK;
			break;
		case 'F':
			flags |= TCP_FIN;
			break;
		case 'R':
			flags |= TCP_RST;
			break;
		default:
			flags |= TCP_PSH;
		}
	return flags;
}

static uint8_t follow(const char *segments)
{
	uint8_t state = TCP_STATE_NONE;

	while (*segments != '\0') {
		enum direction direction = *segments++ == '>' ? UPLINK : DOWNLINK;

		state = tcp_track_next(state, direction, flags_of(&segments));
		while (*segments == ' ')
			segments++;
	}
	return state;
}

#define HANDSHAKE ">S <SA >A "

static const struct row rows[] = {
	{"a SYN opens", ">S", TCP_STATE_SYN_SENT},
	{"a SYN from outside opens", "<S", TCP_STATE_SYN_RECEIVED},
	{"a SYN may be sent again", ">S >S", TCP_STATE_SYN_SENT},
	{"RFC 9293 3.5: SYN-ACK answers", ">S <SA", TCP_STATE_ACK_REMOTE},
	{"RFC 9293 3.5: the third segment establishes", HANDSHAKE, TCP_STATE_ESTABLISHED},
	{"inbound handshake", "<S >SA <A", TCP_STATE_ESTABLISHED},
	{"RFC 5382 REQ-2: simultaneous open", ">S <S >SA <SA >A", TCP_STATE_ESTABLISHED},
	{"RFC 5382 REQ-2: simultaneous open, outside first", "<S >S <SA >SA <A",
		TCP_STATE_ESTABLISHED},
	{"RFC 5382 section 5: two SYNs are no ACKs", ">S <S", TCP_STATE_SYN_BOTH},
	{"RFC 5382 section 5: one ACK is not enough", ">S <S >SA >A >PA", TCP_STATE_ACK_INTERNAL},
	{"nor is one from outside", ">S <SA <A <PA", TCP_STATE_ACK_REMOTE},
	{"RFC 5382 section 5: two SYN-ACKs are ACKs of both", ">S <S >SA <SA",
		TCP_STATE_ESTABLISHED},
	{"a bare ACK does not answer a SYN", ">S <A", TCP_STATE_SYN_SENT},
	{"a sender cannot establish alone", ">S >SA >A >A", TCP_STATE_SYN_SENT},
	{"nor can one outside", "<S <SA <A <A", TCP_STATE_SYN_RECEIVED},
	{"a refused SYN", ">S <RA", TCP_STATE_RESET},
	{"RFC 7413: the server's data may come first", ">S <SA <PA >A", TCP_STATE_ESTABLISHED},
	{"RFC 7413: and its FIN", ">S <SA <PA <FA", TCP_STATE_EARLY_FIN_REMOTE},
	{"RFC 7413: which is not forgotten", ">S <SA <PA <FA >A", TCP_STATE_FIN_REMOTE},
	{"RFC 7413: and may be answered at once", ">S <SA <FA >FA", TCP_STATE_LAST_ACK_REMOTE},
	{"data keeps it established", HANDSHAKE ">PA <PA", TCP_STATE_ESTABLISHED},
	{"RFC 9293 3.10.7.4: a SYN in mid-life changes nothing", HANDSHAKE "<S >S <SA",
		TCP_STATE_ESTABLISHED},
	{"no flags change nothing", HANDSHAKE "> <P", TCP_STATE_ESTABLISHED},
	{"SYN with FIN changes nothing", HANDSHAKE ">SF", TCP_STATE_ESTABLISHED},
	{"the internal side closes its half", HANDSHAKE ">FA", TCP_STATE_FIN_INTERNAL},
	{"the remote side closes its half", HANDSHAKE "<FA", TCP_STATE_FIN_REMOTE},
	{"RFC 9293 3.6: the other half goes on", HANDSHAKE ">FA <PA >A <PA",
		TCP_STATE_FIN_INTERNAL},
	{"a FIN may be sent again", HANDSHAKE ">FA >FA", TCP_STATE_FIN_INTERNAL},
	{"FIN from both sides", HANDSHAKE ">FA <FA", TCP_STATE_LAST_ACK_INTERNAL},
	{"FIN from both sides, remote first", HANDSHAKE "<FA >FA", TCP_STATE_LAST_ACK_REMOTE},
	{"the second FIN may come again", HANDSHAKE ">FA <FA <FA <A", TCP_STATE_LAST_ACK_INTERNAL},
	{"the last ACK is the other side's", HANDSHAKE ">FA <FA >A", TCP_STATE_TIME_WAIT},
	{"the last ACK, remote first", HANDSHAKE "<FA >FA <A", TCP_STATE_TIME_WAIT},
	{"a repeated FIN acknowledges too", HANDSHAKE ">FA <FA >FA", TCP_STATE_TIME_WAIT},
	{"RFC 1337: an RST does not end TIME-WAIT", HANDSHAKE ">FA <FA >A <R >R",
		TCP_STATE_TIME_WAIT},
	{"a RST ends it in either direction", HANDSHAKE ">R", TCP_STATE_RESET},
	{"a RST ends it from outside", HANDSHAKE "<RA", TCP_STATE_RESET},
	{"RST goes before all other flags", HANDSHAKE "<SFRA", TCP_STATE_RESET},
	{"what the remote side still sends proves no reset wrong", HANDSHAKE "<R <A <PA <FA",
		TCP_STATE_RESET},
	{"nor does the internal side alone", HANDSHAKE "<R >A >PA >FA", TCP_STATE_RESET_DOUBTED},
	{"RFC 7857 section 2: both speak on", HANDSHAKE "<R >PA <A", TCP_STATE_ESTABLISHED},
	{"an RST again is believed again", HANDSHAKE "<R >PA <R <A", TCP_STATE_RESET},
	{"RFC 6191: ports are used again after a close", HANDSHAKE ">FA <FA >A >S",
		TCP_STATE_SYN_SENT},
	{"ports are used again after a reset", HANDSHAKE "<R >S", TCP_STATE_SYN_SENT},
	{"ports are used again from outside", HANDSHAKE ">FA <FA <S", TCP_STATE_SYN_RECEIVED},
	{"a half-closed one does not reopen", HANDSHAKE ">FA >S", TCP_STATE_FIN_INTERNAL},
	{"taken up in mid-life, unproven", ">A >PA", TCP_STATE_NONE},
	{"taken up in mid-life and answered", ">A <A", TCP_STATE_ESTABLISHED},
	{"a FIN out of nothing opens nothing", ">FA >FA >A", TCP_STATE_EARLY_FIN_INTERNAL},
	{"taken up while it closes", ">FA <FA >A", TCP_STATE_TIME_WAIT},
};

Test(flow_tcp_track, follows_a_connection_from_the_middle)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t state = follow(rows[i].segments);

		cr_expect_eq(state, rows[i].state, "%s: %s", rows[i].claim, tcp_state_name(state));
	}
}

Test(flow_tcp_track, is_the_same_seen_from_either_side)
{
	static const uint8_t mirror[N_TCP_STATES] = {
		[TCP_STATE_NONE] = TCP_STATE_NONE,
		[TCP_STATE_SYN_SENT] = TCP_STATE_SYN_RECEIVED,
		[TCP_STATE_SYN_RECEIVED] = TCP_STATE_SYN_SENT,
		[TCP_STATE_SYN_BOTH] = TCP_STATE_SYN_BOTH,
		[TCP_STATE_ACK_INTERNAL] = TCP_STATE_ACK_REMOTE,
		[TCP_STATE_ACK_REMOTE] = TCP_STATE_ACK_INTERNAL,
		[TCP_STATE_EARLY_FIN_INTERNAL] = TCP_STATE_EARLY_FIN_REMOTE,
		[TCP_STATE_EARLY_FIN_REMOTE] = TCP_STATE_EARLY_FIN_INTERNAL,
		[TCP_STATE_ESTABLISHED] = TCP_STATE_ESTABLISHED,
		[TCP_STATE_FIN_INTERNAL] = TCP_STATE_FIN_REMOTE,
		[TCP_STATE_FIN_REMOTE] = TCP_STATE_FIN_INTERNAL,
		[TCP_STATE_LAST_ACK_INTERNAL] = TCP_STATE_LAST_ACK_REMOTE,
		[TCP_STATE_LAST_ACK_REMOTE] = TCP_STATE_LAST_ACK_INTERNAL,
		[TCP_STATE_TIME_WAIT] = TCP_STATE_TIME_WAIT,
		[TCP_STATE_RESET] = TCP_STATE_RESET,
	};

	/* NONE and what follows a reset are left out: only the internal side takes up a connection. */
	for (uint8_t state = TCP_STATE_SYN_SENT; state < TCP_STATE_RESET; state++)
		for (unsigned flags = 0; flags < 256; flags++) {
			uint8_t up = tcp_track_next(state, UPLINK, (uint8_t)flags);
			uint8_t down = tcp_track_next(mirror[state], DOWNLINK, (uint8_t)flags);

			cr_assert_lt(up, N_TCP_STATES);
			cr_assert_eq(
				mirror[up], down, "%s, flags %#x", tcp_state_name(state), flags);
		}
}

Test(flow_tcp_track, opens_by_a_plain_syn_alone)
{
	for (unsigned flags = 0; flags < 256; flags++) {
		bool opens = (flags & TCP_SYN) != 0 && (flags & (TCP_ACK | TCP_RST | TCP_FIN)) == 0;

		cr_assert_eq(tcp_track_opens((uint8_t)flags) != 0, opens, "%#x", flags);
	}
}

Test(flow_tcp_track, keeps_for_hours_only_what_both_sides_acknowledged)
{
	static const char *const others[] = {">S", ">S <S", ">S <SA", ">S <S >SA", "<S >SA",
		">A >PA", ">FA >A", HANDSHAKE ">FA <FA", HANDSHAKE ">FA <FA >A", HANDSHAKE "<R",
		HANDSHAKE "<R >PA", ">S <SA <FA"};
	static const char *const established[] = {HANDSHAKE, HANDSHAKE ">FA", HANDSHAKE "<FA >PA"};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		cr_expect(!tcp_state_is_established(follow(others[i])), "%s", others[i]);
	for (size_t i = 0; i < sizeof(established) / sizeof(established[0]); i++) {
		cr_expect(tcp_state_is_established(follow(established[i])), "%s", established[i]);
		cr_expect(!tcp_state_is_over(follow(established[i])), "%s", established[i]);
	}
}

Test(flow_tcp_track, is_over_when_both_have_closed_or_one_has_reset)
{
	static const char *const over[] = {HANDSHAKE ">FA <FA", HANDSHAKE "<FA >FA",
		HANDSHAKE ">FA <FA >A", HANDSHAKE "<R", ">S <RA", HANDSHAKE "<R >PA"};

	for (size_t i = 0; i < sizeof(over) / sizeof(over[0]); i++)
		cr_expect(tcp_state_is_over(follow(over[i])), "%s", over[i]);
}

Test(flow_tcp_track, believes_a_reset_in_a_window_of_8_mib_alone)
{
	const uint32_t window = 8u << 20 >> 8;

	cr_expect(tcp_track_rst_fits(5, 5));
	cr_expect(tcp_track_rst_fits(5 + window, 5));
	cr_expect(!tcp_track_rst_fits(6 + window, 5));
	cr_expect(!tcp_track_rst_fits(4, 5));
	cr_expect(tcp_track_rst_fits(1, 0xffffff), "numbers wrap");
	cr_expect(!tcp_track_rst_fits(0xffffff, 1));
}

Test(flow_tcp_track, names_every_state_and_survives_others)
{
	for (uint8_t state = 0; state < N_TCP_STATES; state++)
		cr_assert_str_neq(tcp_state_name(state), "unknown");
	cr_assert_str_eq(tcp_state_name(TCP_STATE_ESTABLISHED), "established");
	cr_assert_str_eq(tcp_state_name(255), "unknown");
	cr_assert_eq(tcp_track_next(255, UPLINK, TCP_SYN), TCP_STATE_SYN_SENT);
}
