/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Starts DPDK's environment the same way for run, replay and bench: quiet, no PCI device but those asked for, nothing
 * shared with other processes, and the calling thread on the CPUs it had.
 *
 * Units:    MiB.
 * Errors:   a negative errno; EAL has said why on stderr.
 * Threads:  once, before any other thread.
 */
#ifndef WEIR_MAIN_EAL_H
#define WEIR_MAIN_EAL_H

#include <stdbool.h>

/* Free huge pages of this machine, in MiB; 0 once it has shown that they are not to be had. */
unsigned eal_huge_mib_free(void);

#define EAL_PCI_MAX 16

/* PCI addresses ("0000:01:00.0") of the NICs that EAL may touch. Starts as { 0 }: none, and the bus is not looked at. */
struct eal_pci {
	const char *addresses[EAL_PCI_MAX];
	unsigned n;
};

/*
 * Starts EAL with `memory_mib` for mempools: on huge pages, or on ordinary ones. `pci` may be NULL. Where huge pages are
 * not to be had after all, it says so and does not return: the program is executed again, and eal_huge_mib_free() is 0
 * there.
 */
int eal_start(bool huge_pages, unsigned memory_mib, const struct eal_pci *pci);

/* Gives everything back. */
void eal_stop(void);

#endif
