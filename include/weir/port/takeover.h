/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keeps the kernel from answering, forwarding or merging what arrives on an interface that weir took over, and from
 * sending on it by itself: on a cellular link a router solicitation is billed.
 *
 * Shapes:   an nftables table `netdev weir_<interface>` with an ingress chain of policy drop (AF_PACKET still sees everything)
 *           and an egress chain of policy drop, which lets marked frames pass and those of 802.1X; a kernel without that
 *           hook (before 5.16) is warned of. AF_XDP sends past it. The table is owned by this process's netlink socket, so
 *           that it goes when the process goes, however it goes; offloads (GRO, LRO and their kin) off, with their
 *           former values in `state_dir`/<interface>.offloads until they are put back: by takeover_end, or by the next
 *           start after a crash.
 * Errors:   negative errno and a sentence with the remedy.
 * Threads:  control alone.
 */
#ifndef WEIR_PORT_TAKEOVER_H
#define WEIR_PORT_TAKEOVER_H

#include <weir/port/port.h>

struct takeover;

/* SO_MARK of sockets whose frames may leave by an interface that was taken over: "weir". */
#define TAKEOVER_MARK 0x77656972u

/* Takes the interface over. */
int takeover_begin(const char *device, const char *state_dir, struct takeover **ret_takeover,
	char error[PORT_ERROR_MAX]);

/* Makes true again what begin made true, for an interface that has come back, be it the same or a new one of that name.
 * Nothing is put back in between: on some NICs each such change costs the link. -ENODEV when it is not there. */
int takeover_renew(struct takeover *t, char error[PORT_ERROR_MAX]);

/* Puts everything back; fine when the interface has gone. NULL is fine. */
void takeover_end(struct takeover *t);

/* Puts back what a crashed run left in `state_dir`. Returns how many interfaces. */
int takeover_recover(const char *state_dir);

#endif
