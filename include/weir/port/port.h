/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The port contract: everything that packets come from and go to.
 *
 * Shapes:   mbufs of one segment from the pool given at open. A received frame starts at its link-layer header
 *           (FRAMING_ETHERNET) or its IP header (FRAMING_RAW_IP), is whole, has finished checksums and is no larger than
 *           the pool's buffers: super-frames that a kernel hands over are cut, unfinished checksums are finished.
 * Errors:   open functions return a negative errno and write a sentence with the remedy into `error`.
 * Threads:  `state` says who owns the backend: the worker while PORT_UP (rx and tx), control in every other state
 *           (maintain) once no sender holds frames of it any more. The worker, seeing a dead interface, stores PORT_FAILED and
 *           touches it no more; control reopens it and stores PORT_UP. Lanes 1 to n_lanes - 1 are of sender threads, each of
 *           which sends what the worker lent to it (tx_lane) beside the worker and the other lanes. Counters have one
 *           writer: the worker, or their lane's sender.
 * Memory:   at open; rx and tx allocate mbufs alone.
 */
#ifndef WEIR_PORT_PORT_H
#define WEIR_PORT_PORT_H

#include <weir/base/addr.h>
#include <weir/packet/parse.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rte_mbuf;
struct rte_mempool;
struct port;

enum port_state {
	PORT_CLOSED, /* not opened yet */
	PORT_UP,     /* the worker may use it */
	PORT_FAILED, /* the worker has given up on it; control reopens */
};

#define PORT_ERROR_MAX 256
#define PORT_NAME_MAX  16
#define PORT_BURST_MAX 64

struct port_counters {
	uint64_t rx_packets;
	uint64_t rx_bytes; /* frames as received */
	uint64_t tx_packets;
	uint64_t tx_bytes;
	uint64_t rx_truncated;    /* frames dropped because they did not fit */
	uint64_t rx_kernel_drops; /* lost before weir: the ring was full */
	uint64_t rx_no_buffer;
	uint64_t rx_super_frames; /* cut into frames here */
	uint64_t rx_checksums_finished;
	uint64_t tx_super_frames; /* of several frames each, which tx_packets counts one by one */
	uint64_t tx_errors;
	uint64_t n_failures; /* times the port went down */
};

struct port_ops {
	const char *kind; /* "rawsock" */
	/* Up to n frames; returns how many. Never blocks. */
	uint16_t (*rx)(struct port *p, struct rte_mbuf **pkts, uint16_t n);
	/* Takes (and frees when sent) the first ret frames of `pkts`, which it may sort anew as long as each flow keeps its
	 * order; the rest stay the caller's. Never blocks. */
	uint16_t (*tx)(struct port *p, struct rte_mbuf **pkts, uint16_t n);
	/* The same by a sender's own lane, 1 to n_lanes - 1. Does not give the port up: it lets the worker find that it is
	 * dead. NULL where there is lane 0 alone. */
	uint16_t (*tx_lane)(struct port *p, uint32_t lane, struct rte_mbuf **pkts, uint16_t n);
	/* Control, about every 200 ms while not PORT_UP, and every second while PORT_UP with `now_us` for slow checks
	 * that don't touch what the worker owns (MTU, carrier). May change state. NULL: nothing to do. */
	void (*maintain)(struct port *p, uint64_t now_us);
	/* Control, when the worker has stopped: gives back all and leaves the machine as it was found. */
	void (*close)(struct port *p);
};

/* What a sender counts: tx_packets, tx_bytes, tx_errors and the like. */
struct port_lane {
	_Alignas(64) struct port_counters counters;
};

struct port {
	const struct port_ops *ops;
	char name[PORT_NAME_MAX]; /* from the configuration */
	enum link_framing framing;
	struct mac_addr mac;         /* Ethernet only */
	uint32_t mtu;                /* IP octets a frame may carry */
	int fd;                      /* readable when frames wait; -1 when it has none: poll */
	_Atomic uint32_t state;      /* enum port_state */
	_Atomic uint32_t generation; /* grows with each reopen: the fd is another */
	char why_down[64];           /* control, while not up: "gone", "no carrier" */
	struct port_counters counters;
	uint32_t n_lanes;        /* ways out: the worker's and those of senders; 0 counts as 1 */
	struct port_lane *lanes; /* by lane, the first unused; NULL without senders */
	_Atomic uint32_t n_lent; /* frames that senders hold: the worker adds, they take off */
};

static inline bool port_is_up(const struct port *p)
{
	return atomic_load_explicit(&p->state, memory_order_acquire) == PORT_UP;
}

/* Worker: gives the port up after an error of its interface. */
void port_fail(struct port *p);

/* Control: makes a reopened port the worker's. */
void port_up(struct port *p);

/* Control: true while senders hold frames of a port that was given up: its backend is theirs until then. */
static inline bool port_is_lent(const struct port *p)
{
	return atomic_load_explicit(&p->n_lent, memory_order_acquire) != 0;
}

/* Gives a port being opened the lanes of so many senders; 0 or -ENOMEM. port_lanes_free() takes them back. */
int port_lanes_make(struct port *p, uint32_t n_senders);
void port_lanes_free(struct port *p);

/* A port's counters, those of its lanes included. */
void port_counters_read(const struct port *p, struct port_counters *ret_counters);

/* Closes and frees; NULL is fine. */
void port_close(struct port *p);

#endif
