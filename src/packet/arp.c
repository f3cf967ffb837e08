/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/packet/arp.h>
#include <weir/packet/bytes.h>

#define ARP_MESSAGE_BYTES  28
#define ARP_OFF            14 /* in the frame */
#define ARP_HARDWARE_ETHER 1
#define ETHERTYPE_IPV4     0x0800
#define ETHERTYPE_ARP      0x0806

/* A station's own MAC: not a group's and not unset. */
static bool is_station(const struct mac_addr *mac)
{
	static const struct mac_addr unset;

	return (mac->bytes[0] & 1) == 0 && !mac_addr_equal(mac, &unset);
}

/* True for an address that a host can have on a link: not 0/8, 127/8, multicast, reserved or
 * broadcast. */
static bool is_host(uint32_t addr_be)
{
	uint32_t top = ntohl(addr_be) >> 24;

	return top != 0 && top != 127 && top < 224;
}

enum drop_reason arp_read(const uint8_t *arp, uint32_t len_bytes, struct arp_message *ret_message)
{
	struct arp_message message;
	uint16_t operation;

	if (len_bytes < ARP_MESSAGE_BYTES)
		return DROP_PARSE_BAD_ARP;
	if (load_be16(arp) != ARP_HARDWARE_ETHER || load_be16(arp + 2) != ETHERTYPE_IPV4)
		return DROP_PARSE_BAD_ARP;
	if (arp[4] != sizeof(struct mac_addr) || arp[5] != sizeof(uint32_t))
		return DROP_PARSE_BAD_ARP;
	operation = load_be16(arp + 6);
	if (operation != ARP_REQUEST && operation != ARP_REPLY)
		return DROP_PARSE_BAD_ARP;
	message.operation = operation == ARP_REQUEST ? ARP_REQUEST : ARP_REPLY;
	memcpy(&message.sender_mac, arp + 8, sizeof(message.sender_mac));
	message.sender_be = load32(arp + 14);
	memcpy(&message.target_mac, arp + 18, sizeof(message.target_mac));
	message.target_be = load32(arp + 24);
	if (!is_station(&message.sender_mac))
		return DROP_PARSE_BAD_ARP;
	/* RFC 5227 section 1.1: only a probe, which is a request, has no sender address. */
	if (!is_host(message.sender_be) && (message.sender_be != 0 || operation != ARP_REQUEST))
		return DROP_PARSE_BAD_ARP;
	*ret_message = message;
	return DROP_NONE;
}

void arp_build(uint8_t *frame, const struct mac_addr *dst, const struct arp_message *message)
{
	uint8_t *arp = frame + ARP_OFF;

	memcpy(frame, dst, sizeof(*dst));
	memcpy(frame + 6, &message->sender_mac, sizeof(message->sender_mac));
	store_be16(frame + 12, ETHERTYPE_ARP);
	store_be16(arp, ARP_HARDWARE_ETHER);
	store_be16(arp + 2, ETHERTYPE_IPV4);
	arp[4] = sizeof(struct mac_addr);
	arp[5] = sizeof(uint32_t);
	store_be16(arp + 6, (uint16_t)message->operation);
	memcpy(arp + 8, &message->sender_mac, sizeof(message->sender_mac));
	store32(arp + 14, message->sender_be);
	memcpy(arp + 18, &message->target_mac, sizeof(message->target_mac));
	store32(arp + 24, message->target_be);
}
