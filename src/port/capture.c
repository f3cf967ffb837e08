/* SPDX-License-Identifier: BSD-3-Clause */
#include "capture_records.h"

#include <weir/base/clock.h>
#include <weir/port/capture.h>

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_BUFFER_BYTES                                                                        \
	(1u << 16) /* smaller than what capture_records.c reads at once, which goes past it */
#define VLAN_TAGS_MAX 2
#define TIME_MAX_US   ((uint64_t)UINT32_MAX * US_PER_S)

enum {
	ETHERNET_HEADER = 14,
	VLAN_TAG = 4,
	PPPOE_HEADER = 6,
	SLL_HEADER = 16,
	SLL2_HEADER = 20,
	CISCO_HDLC_HEADER = 4,
	LOOPBACK_HEADER = 4,
};

enum {
	PPP_IPV4 = 0x0021,
	PPP_IPV6 = 0x0057
};

/* The address families that the BSDs, Darwin and Linux put before a packet on a loopback interface. */
enum {
	FAMILY_INET = 2,
	FAMILY_INET6_LINUX = 10,
	FAMILY_INET6_NETBSD = 24,
	FAMILY_INET6_FREEBSD = 28,
	FAMILY_INET6_DARWIN = 30
};

enum unwrap_result {
	UNWRAP_OK,
	UNWRAP_SHORT,
	UNWRAP_PROTOCOL,
	UNWRAP_LINK_TYPE
};

struct capture_file {
	char *path;
	pcap_t *pcap;
	struct records *records; /* NULL: libpcap reads the records too */
	bool is_nano;            /* as the records' times are */
	char *stream_buffer;
	int link_type;
	char damage[PCAP_ERRBUF_SIZE];
	struct capture_file_stats stats;
	struct capture_packet head; /* the next packet of this file, when has_head */
	bool has_head;
};

struct capture_set {
	struct capture_file **files;
	uint32_t n_files;
	uint32_t consumed; /* file whose head was handed out last */
	bool has_consumed;
};

static uint16_t get_be16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get_be32(const uint8_t *at)
{
	return (uint32_t)get_be16(at) << 16 | get_be16(at + 2);
}

/* Takes n bytes off the front. False when there are fewer. */
static bool strip(struct capture_packet *p, uint32_t n)
{
	if (p->len_bytes < n)
		return false;
	p->data += n;
	p->len_bytes -= n;
	p->wire_bytes -= n;
	return true;
}

static enum unwrap_result unwrap_ppp(struct capture_packet *p)
{
	uint16_t protocol;

	if (p->len_bytes >= 2 && p->data[0] == 0xff && p->data[1] == 0x03)
		strip(p, 2); /* RFC 1662: all stations, unnumbered information */
	if (p->len_bytes < 1)
		return UNWRAP_SHORT;
	protocol = p->data[0];
	if ((protocol & 1) != 0) { /* RFC 1661 section 6.5: compressed to one octet */
		strip(p, 1);
	} else {
		if (p->len_bytes < 2)
			return UNWRAP_SHORT;
		protocol = get_be16(p->data);
		strip(p, 2);
	}
	if (protocol != PPP_IPV4 && protocol != PPP_IPV6)
		return UNWRAP_PROTOCOL;
	p->ether_type = protocol == PPP_IPV4 ? ETHER_TYPE_IPV4 : ETHER_TYPE_IPV6;
	return UNWRAP_OK;
}

/* What an Ethernet type leads to when it is a tag or a tunnel of the access link. */
static enum unwrap_result unwrap_tags(struct capture_packet *p)
{
	for (int i = 0; i < VLAN_TAGS_MAX; i++) {
		if (p->ether_type != ETHER_TYPE_VLAN && p->ether_type != ETHER_TYPE_QINQ)
			break;
		if (p->len_bytes < VLAN_TAG)
			return UNWRAP_SHORT;
		p->ether_type = get_be16(p->data + 2);
		strip(p, VLAN_TAG);
	}
	if (p->ether_type != ETHER_TYPE_PPPOE)
		return UNWRAP_OK;
	return strip(p, PPPOE_HEADER) ? unwrap_ppp(p) : UNWRAP_SHORT;
}

static enum unwrap_result unwrap_ethernet(struct capture_packet *p)
{
	if (p->len_bytes < ETHERNET_HEADER)
		return UNWRAP_SHORT;
	memcpy(&p->dst_mac, p->data, sizeof(p->dst_mac));
	memcpy(&p->src_mac, p->data + 6, sizeof(p->src_mac));
	p->has_dst_mac = true;
	p->has_src_mac = true;
	p->ether_type = get_be16(p->data + 12);
	strip(p, ETHERNET_HEADER);
	return unwrap_tags(p);
}

static enum unwrap_result unwrap_raw(struct capture_packet *p)
{
	if (p->len_bytes < 1)
		return UNWRAP_SHORT;
	p->ether_type = p->data[0] >> 4 == 6 ? ETHER_TYPE_IPV6 : ETHER_TYPE_IPV4;
	return UNWRAP_OK;
}

static enum unwrap_result unwrap_family(struct capture_packet *p, uint32_t family)
{
	strip(p, LOOPBACK_HEADER);
	switch (family) {
	case FAMILY_INET:
		p->ether_type = ETHER_TYPE_IPV4;
		return UNWRAP_OK;
	case FAMILY_INET6_LINUX:
	case FAMILY_INET6_NETBSD:
	case FAMILY_INET6_FREEBSD:
	case FAMILY_INET6_DARWIN:
		p->ether_type = ETHER_TYPE_IPV6;
		return UNWRAP_OK;
	default:
		return UNWRAP_PROTOCOL;
	}
}

static enum unwrap_result unwrap_loopback(struct capture_packet *p)
{
	uint32_t family;

	if (p->len_bytes < LOOPBACK_HEADER)
		return UNWRAP_SHORT;
	/* NULL: in the byte order of the machine that captured, which a family, being small, gives away. */
	family = get_be32(p->data);
	return unwrap_family(p, family > UINT16_MAX ? __builtin_bswap32(family) : family);
}

static enum unwrap_result unwrap_cisco_hdlc(struct capture_packet *p)
{
	if (p->len_bytes < CISCO_HDLC_HEADER)
		return UNWRAP_SHORT;
	p->ether_type = get_be16(p->data + 2);
	strip(p, CISCO_HDLC_HEADER);
	return p->ether_type >= 0x600 ? UNWRAP_OK : UNWRAP_PROTOCOL;
}

static enum unwrap_result unwrap_ppp_serial(struct capture_packet *p)
{
	bool is_cisco =
		p->len_bytes >= 2 && (p->data[0] == 0x0f || p->data[0] == 0x8f) && p->data[1] == 0;

	return is_cisco ? unwrap_cisco_hdlc(p) : unwrap_ppp(p);
}

/* The sender's address of a cooked header, where it is a MAC. */
static void cooked_mac(struct capture_packet *p, uint16_t len_bytes, const uint8_t *addr)
{
	if (len_bytes != sizeof(p->src_mac))
		return;
	memcpy(&p->src_mac, addr, sizeof(p->src_mac));
	p->has_src_mac = true;
}

static enum unwrap_result unwrap_cooked(struct capture_packet *p, uint32_t header_bytes)
{
	strip(p, header_bytes);
	return p->ether_type < 0x600 ? UNWRAP_PROTOCOL : unwrap_tags(p);
}

static enum unwrap_result unwrap_sll(struct capture_packet *p)
{
	if (p->len_bytes < SLL_HEADER)
		return UNWRAP_SHORT;
	cooked_mac(p, get_be16(p->data + 4), p->data + 6);
	p->ether_type = get_be16(p->data + 14);
	return unwrap_cooked(p, SLL_HEADER);
}

static enum unwrap_result unwrap_sll2(struct capture_packet *p)
{
	if (p->len_bytes < SLL2_HEADER)
		return UNWRAP_SHORT;
	cooked_mac(p, p->data[11], p->data + 12);
	p->ether_type = get_be16(p->data);
	return unwrap_cooked(p, SLL2_HEADER);
}

static enum unwrap_result unwrap(int link_type, struct capture_packet *p)
{
	switch (link_type) {
	case DLT_EN10MB:
		return unwrap_ethernet(p);
	case DLT_RAW:
	case DLT_IPV4:
	case DLT_IPV6:
		return unwrap_raw(p);
	case DLT_LINUX_SLL:
		return unwrap_sll(p);
	case DLT_LINUX_SLL2:
		return unwrap_sll2(p);
	case DLT_PPP:
		return unwrap_ppp(p);
	case DLT_PPP_SERIAL:
		return unwrap_ppp_serial(p);
	case DLT_C_HDLC:
		return unwrap_cisco_hdlc(p);
	case DLT_NULL:
	case DLT_LOOP:
		return unwrap_loopback(p);
	default:
		return UNWRAP_LINK_TYPE;
	}
}

static uint64_t time_us_of(int64_t sec, int64_t usec)
{
	uint64_t us = usec < 0 ? 0 : (uint64_t)usec;

	/* libpcap reads classic pcap's seconds as signed: what is past 2038 comes out negative. */
	if (sec < 0)
		sec = sec >= INT32_MIN ? (int64_t)(uint32_t)sec : 0;
	if (sec >= UINT32_MAX)
		return TIME_MAX_US;
	us += (uint64_t)sec * US_PER_S;
	return us < TIME_MAX_US ? us : TIME_MAX_US;
}

static void damage(struct capture_file *f, const char *what)
{
	snprintf(f->damage, sizeof(f->damage), "%s", what);
	f->stats.damage = f->damage;
}

/* Takes a record as the file's head; false when it was skipped and counted. */
static bool take_record(struct capture_file *f, uint64_t time_us, const uint8_t *data,
	uint32_t len_bytes, uint32_t wire_bytes)
{
	f->head.time_us = time_us;
	f->head.data = data;
	f->head.len_bytes = len_bytes;
	f->head.wire_bytes = wire_bytes > len_bytes ? wire_bytes : len_bytes;
	f->head.has_src_mac = false;
	f->head.has_dst_mac = false;
	switch (unwrap(f->link_type, &f->head)) {
	case UNWRAP_OK:
		f->stats.n_packets++;
		return true;
	case UNWRAP_SHORT:
		f->stats.n_short++;
		break;
	case UNWRAP_PROTOCOL:
		f->stats.n_protocol++;
		break;
	case UNWRAP_LINK_TYPE:
		f->stats.n_link_type++;
		break;
	}
	return false;
}

static bool read_by_records(struct capture_file *f)
{
	char error[RECORDS_ERROR_MAX];
	enum records_result result;
	struct record r;

	while ((result = records_next(f->records, &r, error)) == RECORDS_NEXT) {
		uint32_t us = f->is_nano ? r.fraction / 1000 : r.fraction;

		if (take_record(f, time_us_of(r.seconds, us), r.data, r.len_bytes, r.wire_bytes))
			return true;
	}
	if (result == RECORDS_DAMAGED)
		damage(f, error);
	return false;
}

static bool read_by_libpcap(struct capture_file *f)
{
	struct pcap_pkthdr *header;
	const u_char *bytes;
	int rc;

	while ((rc = pcap_next_ex(f->pcap, &header, &bytes)) == 1)
		if (take_record(f, time_us_of(header->ts.tv_sec, header->ts.tv_usec), bytes,
			    header->caplen, header->len))
			return true;
	if (rc == PCAP_ERROR)
		damage(f, pcap_geterr(f->pcap));
	return false;
}

/* Reads the file's next packet into its head; skips and counts what cannot be one. */
static void read_head(struct capture_file *f)
{
	f->has_head = false;
	if (f->pcap == NULL || f->stats.damage != NULL)
		return;
	f->has_head = f->records != NULL ? read_by_records(f) : read_by_libpcap(f);
}

static void file_destroy(struct capture_file *f)
{
	if (f == NULL)
		return;
	records_destroy(f->records);
	if (f->pcap != NULL)
		pcap_close(f->pcap);
	free(f->stream_buffer);
	free(f->path);
	free(f);
}

/* Records of other versions have their fields in other places, and those of other link types other bounds: libpcap knows. */
static bool reads_records(struct capture_file *f)
{
	struct capture_packet none = {0};

	return pcap_major_version(f->pcap) == 2 && pcap_minor_version(f->pcap) == 4
	       && unwrap(f->link_type, &none) != UNWRAP_LINK_TYPE;
}

/* Opens a stream as a capture; what is none becomes a damaged file without packets. */
static void file_open(struct capture_file *f, FILE *stream)
{
	struct records_format format = {0};
	bool is_classic;
	char error[PCAP_ERRBUF_SIZE] = "";
	const char *name;

	f->stream_buffer = malloc(STREAM_BUFFER_BYTES);
	if (f->stream_buffer != NULL)
		(void)setvbuf(stream, f->stream_buffer, _IOFBF, STREAM_BUFFER_BYTES);
	is_classic = records_recognize(stream, &format);
	f->pcap = pcap_fopen_offline(stream, error);
	f->stats.link_name = "";
	if (f->pcap == NULL) {
		damage(f, error);
		fclose(stream);
		return;
	}
	f->link_type = pcap_datalink(f->pcap);
	name = pcap_datalink_val_to_name(f->link_type);
	f->stats.link_name = name != NULL ? name : "unknown";
	f->is_nano = format.is_nano;
	/* Without memory for it libpcap reads them. */
	if (is_classic && reads_records(f))
		records_create(stream, &format, (uint32_t)pcap_snapshot(f->pcap), &f->records);
}

int capture_set_create(struct capture_set **ret_set)
{
	struct capture_set *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	*ret_set = s;
	return 0;
}

void capture_set_destroy(struct capture_set *s)
{
	if (s == NULL)
		return;
	for (uint32_t i = 0; i < s->n_files; i++)
		file_destroy(s->files[i]);
	free(s->files);
	free(s);
}

int capture_set_add(struct capture_set *s, const char *path)
{
	FILE *stream = fopen(path, "rbe");

	return stream != NULL ? capture_set_add_stream(s, path, stream) : -errno;
}

int capture_set_add_stream(struct capture_set *s, const char *path, FILE *stream)
{
	struct capture_file **files =
		reallocarray(s->files, s->n_files + 1, sizeof(struct capture_file *));
	struct capture_file *f = NULL;

	if (files == NULL)
		goto err_stream;
	s->files = files;
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		goto err_stream;
	f->path = strdup(path);
	if (f->path == NULL)
		goto err_file;
	f->stats.path = f->path;
	f->head.file = s->n_files;
	file_open(f, stream);
	read_head(f);
	s->files[s->n_files++] = f;
	return 0;

err_file:
	free(f);
err_stream:
	fclose(stream);
	return -ENOMEM;
}

bool capture_set_next(struct capture_set *s, struct capture_packet *ret_packet)
{
	const struct capture_file *first = NULL;

	/* libpcap reuses a file's buffer, so the packet handed out last is replaced only now. */
	if (s->has_consumed)
		read_head(s->files[s->consumed]);
	s->has_consumed = false;
	for (uint32_t i = 0; i < s->n_files; i++) {
		const struct capture_file *f = s->files[i];

		if (f->has_head && (first == NULL || f->head.time_us < first->head.time_us))
			first = f;
	}
	if (first == NULL)
		return false;
	s->consumed = first->head.file;
	s->has_consumed = true;
	*ret_packet = first->head;
	return true;
}

uint32_t capture_set_n_files(const struct capture_set *s)
{
	return s->n_files;
}

void capture_set_stats(
	const struct capture_set *s, uint32_t i, struct capture_file_stats *ret_stats)
{
	*ret_stats = s->files[i]->stats;
}
