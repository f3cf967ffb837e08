/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A raw-IP TUN interface in a network namespace, which is gone when its descriptor is closed.
 *
 * Source:   Linux Documentation/networking/tuntap.rst; rtnetlink(7).
 * Shapes:   one packet a read or write, no header before the IP header (IFF_NO_PI).
 * Errors:   a negative errno with a sentence in `why` (WHY_MAX bytes).
 * Threads:  tun_create changes the calling thread's namespace for a moment; else one owner.
 * Memory:   one netlink socket, which stays in the interface's namespace.
 */
#ifndef CELLINK_TUN_H
#define CELLINK_TUN_H

#include <net/if.h>
#include <stdint.h>

struct mnl_socket;

struct tun_config {
	const char *name;
	const char *netns;   /* name, process id or path; NULL = the caller's own */
	const char *address; /* "10.64.0.1/16", or NULL */
	const char *route;   /* a prefix to be reached through the interface, or NULL */
	uint32_t mtu;
};

struct tun {
	int fd; /* non-blocking */
	uint32_t ifindex;
	struct mnl_socket *netlink;
};

/* Makes the interface, sets it up with MTU, address and route; the kernel says nothing on it itself. */
int tun_create(struct tun *t, const struct tun_config *config, char *why);

/* Packets that the kernel had for this interface and dropped, as its reader was too slow. */
int tun_dropped(const struct tun *t, uint64_t *ret_packets);

/* Closes and so removes the interface; fine for one that was never created (fd < 0). */
void tun_destroy(struct tun *t);

#endif
