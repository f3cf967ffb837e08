/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A kernel interface, asked and changed by ioctl and rtnetlink: state, addresses, and the offloads that merge frames.
 *
 * Source:   netdevice(7); rtnetlink(7); linux/ethtool.h; linux/route.h.
 * Shapes:   offloads as bits by their place in the table of netdev.c; names are the kernel's, as `ethtool -K` takes them.
 * Errors:   negative errno; -ENODEV when there is no such interface (in this network namespace).
 * Threads:  control alone.
 * Memory:   none kept; each call has a socket of its own, since namespaces differ by thread.
 */
#ifndef WEIR_PORT_NETDEV_H
#define WEIR_PORT_NETDEV_H

#include <weir/base/addr.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETDEV_NAME_MAX      16
#define NETDEV_OFFLOADS_TEXT 96
#define NETDEV_DRIVER_MAX    32

struct netdev {
	int index;
	uint32_t mtu;
	uint16_t type; /* ARPHRD_… */
	bool is_up;
	bool is_running; /* up, and with a carrier */
	struct mac_addr mac;
};

/* True for what may name an interface, and may stand in a path and between quotes. */
bool netdev_name_is_valid(const char *device);

int netdev_read(const char *device, struct netdev *ret_netdev);

/* "gone", "down", "no carrier", or NULL when the interface is usable. */
const char *netdev_why_down(const char *device);

/* The kernel driver's name: "veth", "qmi_wwan". */
int netdev_read_driver(const char *device, char driver[NETDEV_DRIVER_MAX]);

/* What stands between a packet socket and the wire. */
struct netdev_sending {
	bool has_queue;        /* a queueing discipline */
	uint32_t gso_bytes;    /* of the greatest super-frame, with its headers; 0: not told */
	uint32_t gso_segments; /* of one; 0: not told */
};

/* By rtnetlink: ioctl does not tell these. */
int netdev_read_sending(int index, struct netdev_sending *ret_sending);

/* True unless TCP super-frames are surely cut before the device sees them: it has no TSO, or has it switched off. */
bool netdev_takes_super_frames(const char *device);

/* Receive queues in use. */
int netdev_read_rx_queues(const char *device, uint32_t *ret_n);

/* Those of the merging offloads that are on. */
int netdev_read_offloads(const char *device, uint32_t *ret_active);

/* Switches the given ones; what the device cannot change stays, so read again to know. */
int netdev_set_offloads(const char *device, uint32_t which, bool on);

/* "rx-gro,rx-lro"; and back, where unknown names are left out. */
const char *netdev_format_offloads(uint32_t which, char text[NETDEV_OFFLOADS_TEXT]);
uint32_t netdev_parse_offloads(const char *text);

int netdev_set_mac(const char *device, const struct mac_addr *mac);
int netdev_set_mtu(const char *device, uint32_t mtu);
int netdev_set_up(const char *device);

/* One IPv4 address with its prefix. */
int netdev_set_address(const char *device, const struct ip_prefix *address);

/* A default route on the link, for what no better route takes. */
int netdev_add_default_route(const char *device, uint16_t metric);

#endif
