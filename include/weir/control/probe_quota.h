/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What probes of links may cost: tells the ledger what they have used (class `link-probe`), and the path how far they may go in this
 * cycle of their plan.
 *
 * Shapes:   uplinks of one plan share what they have used, and each has the quota that is written for it. An uplink without a
 *           plan has its quota for a day, counted from the start of the program.
 * Units:    octets of IP header and payload, both directions.
 * Threads:  one owner, control.
 * Memory:   fixed at create.
 */
#ifndef WEIR_CONTROL_PROBE_QUOTA_H
#define WEIR_CONTROL_PROBE_QUOTA_H

#include <weir/control/budget.h>
#include <weir/path/doors.h>

struct probe_quota;

/* Path and budget are borrowed. 0 or -ENOMEM. */
int probe_quota_create(struct path *path, struct budget *budget, struct probe_quota **ret_quota);

/* NULL is fine. */
void probe_quota_destroy(struct probe_quota *q);

/* Once a second or so, and once after the path's last packet. */
void probe_quota_tick(struct probe_quota *q, uint64_t now_us);

#endif
