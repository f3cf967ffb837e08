/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Octets and packets per flow, device and direction.
 *
 * Threads:  inlined in the worker that owns flow and device.
 */
#ifndef WEIR_ACCOUNT_USAGE_H
#define WEIR_ACCOUNT_USAGE_H

#include <weir/flow/device.h>
#include <weir/flow/table.h>

#include <stdint.h>

/* Counts one packet on its flow; the device's sum follows when the flow is reported or ends. */
static inline void usage_count(
	struct flow *f, enum direction direction, uint32_t octets, uint32_t now_ms)
{
	f->octets[direction] += octets;
	f->packets[direction]++;
	f->last_ms[direction] = now_ms;
}

/* Corrects what was counted, modulo 2^64 and 2^32: a packet that is not sent after all is minus one. */
static inline void usage_correct(
	struct flow *f, enum direction direction, uint64_t octets, uint64_t n_packets)
{
	f->octets[direction] += octets;
	f->packets[direction] += (uint32_t)n_packets;
}

#endif
