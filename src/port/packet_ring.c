/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TPACKET_V2, because a frame is seen the moment it is there; V3 hands over blocks and makes a lone frame wait for a
 * timeout of a millisecond or more.
 *
 * Slots are sized for the MTU. A super-frame of up to 64 KiB does not fit one: with PACKET_COPY_THRESH the kernel then also
 * queues the frame itself on the socket (TP_STATUS_COPY), without copying it, and recvmsg() takes it from there. One
 * system call for some forty segments is cheap, and the alternative, slots of 64 KiB, would spread a burst of small
 * frames over megabytes. The queue is in the order of the slots, since both are filled under one lock.
 */
#include "packet_ring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define RING_BYTES     (4u << 20) /* 2048 full frames: 24 ms at 1 Gbit/s */
#define RING_BYTES_MIN (256u << 10)
#define BLOCK_BYTES    (32u << 10)
#define SLOT_BYTES_MIN 2048u
#define SLOT_BYTES_MAX 16384u
#define SLOT_HEAD      128u /* tpacket2_hdr, sockaddr_ll, virtio_net_hdr and alignment, rounded up */
#define TAG_BYTES      4ul
#define MACS_BYTES     (2ul * ETH_ALEN)
#define QUEUE_BYTES    (8 << 20) /* super-frames that wait beside the ring */

static int set_option(int fd, int option, int value)
{
	return setsockopt(fd, SOL_PACKET, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* All that must be set before there is a ring. */
static int set_options(int fd)
{
	static const int on[] = {PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING, PACKET_COPY_THRESH};
	int queue_bytes = QUEUE_BYTES;
	int r = set_option(fd, PACKET_VERSION, TPACKET_V2);

	for (size_t i = 0; r == 0 && i < sizeof(on) / sizeof(on[0]); i++)
		r = set_option(fd, on[i], 1);
	if (r == 0
		&& setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &queue_bytes, sizeof(queue_bytes))
			   < 0)
		r = -errno;
	return r;
}

static int map_ring(struct packet_ring *r, uint32_t slot_bytes, uint32_t ring_bytes)
{
	struct tpacket_req request = {.tp_block_size = BLOCK_BYTES, .tp_frame_size = slot_bytes};
	void *slots;

	for (;; ring_bytes /= 2) {
		request.tp_block_nr = ring_bytes / BLOCK_BYTES;
		request.tp_frame_nr = request.tp_block_nr * (BLOCK_BYTES / slot_bytes);
		if (setsockopt(r->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) == 0)
			break;
		if (errno != ENOMEM || ring_bytes / 2 < RING_BYTES_MIN)
			return -errno;
	}
	r->len_bytes = (size_t)request.tp_block_nr * BLOCK_BYTES;
	slots = mmap(
		NULL, r->len_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, 0);
	if (slots == MAP_FAILED)
		return -errno;
	r->slots = slots;
	r->slot_bytes = slot_bytes;
	r->n_slots = request.tp_frame_nr;
	return 0;
}

static int bind_to(int fd, int interface_index)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = interface_index};

	return bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

int packet_ring_open(struct packet_ring *r, int interface_index, uint32_t mtu, bool is_ethernet,
	uint32_t ring_bytes)
{
	struct packet_ring made = PACKET_RING_CLOSED;
	uint32_t slot_bytes = SLOT_BYTES_MIN;
	int result;

	while (slot_bytes < SLOT_BYTES_MAX
		&& slot_bytes < SLOT_HEAD + mtu + (is_ethernet ? ETH_HLEN + TAG_BYTES : 0))
		slot_bytes *= 2;
	if (ring_bytes == 0)
		ring_bytes = RING_BYTES;
	if (ring_bytes < RING_BYTES_MIN)
		ring_bytes = RING_BYTES_MIN;
	made.large = malloc(PACKET_FRAME_MAX);
	if (made.large == NULL)
		return -ENOMEM;
	/* Without a protocol nothing is received before bind() names one: no frame passes by the ring. */
	made.fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (made.fd < 0) {
		result = -errno;
		free(made.large);
		return result;
	}
	result = set_options(made.fd);
	if (result == 0)
		result = map_ring(&made, slot_bytes, ring_bytes);
	if (result == 0)
		result = bind_to(made.fd, interface_index);
	if (result == 0)
		result = -packet_ring_error(&made);
	if (result < 0) {
		packet_ring_close(&made);
		return result;
	}
	*r = made;
	return 0;
}

void packet_ring_close(struct packet_ring *r)
{
	if (r->slots != NULL)
		(void)munmap(r->slots, r->len_bytes);
	if (r->fd >= 0)
		(void)close(r->fd);
	free(r->large);
	*r = PACKET_RING_CLOSED;
}

static struct tpacket2_hdr *slot_at_head(const struct packet_ring *r)
{
	/* Blocks are mapped back to back, and a block is a whole number of slots. */
	return (void *)(r->slots + (size_t)r->head * r->slot_bytes);
}

/* Takes the whole frame from the socket's queue. False when it is too large for any IP packet, or lost. */
static bool take_queued(struct packet_ring *r, struct packet_view *v)
{
	struct iovec parts[] = {
		{.iov_base = &v->offload, .iov_len = sizeof(v->offload)},
		{.iov_base = r->large + TAG_BYTES, .iov_len = PACKET_FRAME_MAX - TAG_BYTES},
	};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
	ssize_t len = recvmsg(r->fd, &message, MSG_DONTWAIT);

	if (len < (ssize_t)sizeof(v->offload) || (message.msg_flags & MSG_TRUNC) != 0)
		return false;
	v->frame = r->large + TAG_BYTES;
	v->len_bytes = (uint32_t)((size_t)len - sizeof(v->offload));
	return true;
}

/* The tag comes beside the frame. In front of the frame there is room: the header already read, or the head of `large`. */
static void put_tag_back(struct packet_view *v, const struct tpacket2_hdr *slot, uint32_t status)
{
	uint16_t type = ETH_P_8021Q;
	uint16_t tag[2];

	if (v->len_bytes < ETH_HLEN)
		return;
	if (status & TP_STATUS_VLAN_TPID_VALID)
		type = slot->tp_vlan_tpid;
	tag[0] = htons(type);
	tag[1] = htons(slot->tp_vlan_tci);
	v->frame -= TAG_BYTES;
	v->len_bytes += (uint32_t)TAG_BYTES;
	memmove(v->frame, v->frame + TAG_BYTES, MACS_BYTES);
	memcpy(v->frame + MACS_BYTES, tag, sizeof(tag));
	v->offload.csum_start = (uint16_t)(v->offload.csum_start + TAG_BYTES);
}

bool packet_ring_next(struct packet_ring *r, struct packet_view *ret_view)
{
	struct tpacket2_hdr *slot = slot_at_head(r);
	uint32_t status = __atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE);

	if ((status & TP_STATUS_USER) == 0)
		return false;
	r->is_losing |= (status & TP_STATUS_LOSING) != 0;
	ret_view->frame = (uint8_t *)slot + slot->tp_mac;
	ret_view->len_bytes = slot->tp_snaplen;
	ret_view->is_whole = slot->tp_snaplen == slot->tp_len;
	memcpy(&ret_view->offload, ret_view->frame - sizeof(ret_view->offload),
		sizeof(ret_view->offload));
	ret_view->is_kept = (status & TP_STATUS_COPY) != 0;
	if (ret_view->is_kept)
		ret_view->is_whole = take_queued(r, ret_view);
	if (status & TP_STATUS_VLAN_VALID)
		put_tag_back(ret_view, slot, status);
	return true;
}

void packet_ring_give(struct packet_ring *r)
{
	struct tpacket2_hdr *slot = slot_at_head(r);

	__atomic_store_n(&slot->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	r->head = r->head + 1 == r->n_slots ? 0 : r->head + 1;
}

uint64_t packet_ring_take_drops(struct packet_ring *r)
{
	struct tpacket_stats stats = {0};
	socklen_t len = sizeof(stats);

	if (!r->is_losing)
		return 0;
	r->is_losing = false;
	/* Reading resets them, and ends TP_STATUS_LOSING for the frames to come. */
	if (getsockopt(r->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len) < 0)
		return 0;
	return stats.tp_drops;
}

int packet_ring_error(const struct packet_ring *r)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return errno;
	return error;
}
