/* SPDX-License-Identifier: BSD-3-Clause */
#include "dialogue.h"

#include "config_text.h"

#include <weir/control/apply.h>

#include <string.h>

void set_filter(struct path_world *w, enum nat_filtering filtering)
{
	struct path_config *config = path_world_config(w);

	config->filtering = filtering;
	doors_publish(w->path, config);
}

struct path_world *world_with_filter(enum nat_filtering filtering)
{
	struct path_world *w = path_world_create(NULL);

	set_filter(w, filtering);
	return w;
}

bool frame_passes(struct path_world *w, enum world_port in, struct packet frame,
	enum world_port out, struct packet *ret)
{
	struct packet p;

	path_world_put_frame(w, in, frame);
	path_world_step(w);
	if (!path_world_take(w, out, &p))
		return false;
	path_world_discard(w, out);
	if (ret != NULL)
		*ret = p;
	else
		packet_clean(&p);
	return true;
}

bool passes(struct path_world *w, enum world_port in, const struct packet_spec *spec,
	enum world_port out, struct packet *ret)
{
	struct packet_spec s = *spec;
	struct packet p;

	s.framing = w->ports[in]->framing;
	if (!frame_passes(w, in, packet_build(&s), out, &p))
		return false;
	cr_expect(packet_is_checksum_good(&p), "a wrong checksum was sent");
	if (ret != NULL)
		*ret = p;
	else
		packet_clean(&p);
	return true;
}

uint16_t say(struct path_world *w, const struct packet_spec *spec)
{
	struct packet p;
	uint16_t port;

	cr_assert(passes(w, WORLD_LAN, spec, WORLD_UPLINK, &p), "nothing was sent");
	port = packet_src_port(&p);
	cr_expect_eq(packet_src_be(&p), WORLD_UPLINK_BE);
	packet_clean(&p);
	return port;
}

static uint8_t reply_type(uint8_t icmp_type)
{
	return icmp_type == ICMP_TIMESTAMP_REQUEST ? ICMP_TIMESTAMP_REPLY : ICMP_ECHO_REPLY;
}

struct packet_spec reply_to(const struct packet_spec *said, uint16_t external_port)
{
	struct packet_spec r = *said;

	r.src_be = said->dst_be == 0 ? PACKET_DST_BE : said->dst_be;
	r.src_port = said->dst_port == 0 ? PACKET_DST_PORT : said->dst_port;
	r.dst_be = WORLD_UPLINK_BE;
	r.dst_port = external_port;
	r.icmp_id = external_port;
	r.icmp_type = reply_type(said->icmp_type);
	if (said->tcp_flags == TCP_SYN)
		r.tcp_flags = TCP_SYN | TCP_ACK;
	return r;
}

bool is_answered(struct path_world *w, const struct packet_spec *said, uint16_t external_port)
{
	struct packet_spec reply = reply_to(said, external_port);
	bool is_icmp = said->proto == PROTO_ICMP;
	uint32_t host_be = said->src_be == 0 ? PACKET_SRC_BE : said->src_be;
	uint16_t host_port = said->src_port == 0 ? PACKET_SRC_PORT : said->src_port;
	struct packet p;
	bool is_right;

	if (is_icmp)
		host_port = said->icmp_id;
	if (!passes(w, WORLD_UPLINK, &reply, WORLD_LAN, &p))
		return false;
	is_right = packet_dst_be(&p) == host_be && packet_dst_port(&p) == host_port
		   && packet_src_be(&p) == reply.src_be
		   && (is_icmp || packet_src_port(&p) == reply.src_port);
	packet_clean(&p);
	return is_right;
}

void expect_ends(const struct packet *p, uint32_t src_be, uint16_t src_port, uint32_t dst_be,
	uint16_t dst_port)
{
	cr_expect_eq(packet_src_be(p), src_be, "source %x", ntohl(packet_src_be(p)));
	cr_expect_eq(packet_dst_be(p), dst_be, "destination %x", ntohl(packet_dst_be(p)));
	cr_expect_eq(packet_src_port(p), src_port, "source port %u", packet_src_port(p));
	cr_expect_eq(packet_dst_port(p), dst_port, "destination port %u", packet_dst_port(p));
}

struct packet quote_of(const struct packet *error)
{
	uint32_t off = error->l4_off + ICMP_HEADER_BYTES;

	return packet_of_bytes(error->bytes + off, error->len_bytes - off, FRAMING_RAW_IP);
}

void expect_silence(struct path_world *w)
{
	for (enum world_port i = 0; i < WORLD_PORTS; i++)
		cr_expect_eq(path_world_discard(w, i), 0, "%s sent something", w->ports[i]->name);
}

uint32_t n_flows(const struct path_world *w)
{
	struct path_stats s;

	doors_stats_read(w->path, &s);
	return s.n_flows;
}

static uint8_t flag_of(char letter)
{
	switch (letter) {
	case 'S':
		return TCP_SYN;
	case 'F':
		return TCP_FIN;
	case 'R':
		return TCP_RST;
	case 'P':
		return TCP_PSH;
	case 'E':
		return 0x40; /* ECE */
	case 'C':
		return 0x80; /* CWR */
	default:
		return TCP_ACK;
	}
}

void play(struct path_world *w, const struct packet_spec *said, const char *script)
{
	uint32_t n_token = 0;
	uint16_t external_port = said->src_port == 0 ? PACKET_SRC_PORT : said->src_port;

	for (const char *at = script; *at != '\0';) {
		bool is_up = *at++ == '>';
		struct packet_spec s = *said;
		struct packet p;

		s.proto = PROTO_TCP;
		if (!is_up)
			s = reply_to(&s, external_port);
		s.tcp_flags = 0;
		for (; *at != '\0' && *at != ' '; at++)
			s.tcp_flags |= flag_of(*at);
		while (*at == ' ')
			at++;
		n_token++;
		cr_assert(passes(w, is_up ? WORLD_LAN : WORLD_UPLINK, &s,
				  is_up ? WORLD_UPLINK : WORLD_LAN, &p),
			"segment %u of \"%s\" did not pass", n_token, script);
		if (is_up)
			external_port = packet_src_port(&p);
		packet_clean(&p);
	}
}

void wait_for(struct path_world *w, uint64_t span_us)
{
	path_world_pass(w, span_us, 5 * WORLD_S);
}

struct path_config *default_path_config(void)
{
	const char *text = "ports:\n"
			   "  lan0: {role: lan, device: eth1, address: 192.168.50.1/24}\n"
			   "  wan0: {role: uplink, device: wwan0, address: 10.64.3.7/32}\n";
	struct config *c = config_of(text);
	struct path_setup setup;
	struct path_config *pc;

	cr_assert_eq(config_to_path(c, &setup, &pc), 0);
	config_destroy(c);
	return pc;
}
