/* SPDX-License-Identifier: BSD-3-Clause */
#include "eal.h"

#include <weir/base/log.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include <errno.h>
#include <linux/close_range.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARGS_MAX     (16 + 2 * EAL_PCI_MAX)
#define LCORES_MAX   8192
#define MEMINFO_LINE 128
#define KIB_PER_MIB  1024u
#define AGAIN_MAX    64 /* arguments of a command that asks for huge pages */

/* In the environment of a program that is executed anew: the free huge pages could not be had. */
#define NOT_TO_BE_HAD "WEIR_HUGE_PAGES_NOT_TO_BE_HAD"

unsigned eal_huge_mib_free(void)
{
	char line[MEMINFO_LINE];
	unsigned long n_free = 0;
	unsigned long size_kib = 0;
	FILE *f;

	if (getenv(NOT_TO_BE_HAD) != NULL)
		return 0;
	f = fopen("/proc/meminfo", "re");
	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "HugePages_Free:", 15) == 0)
			n_free = strtoul(line + 15, NULL, 10);
		else if (strncmp(line, "Hugepagesize:", 13) == 0)
			size_kib = strtoul(line + 13, NULL, 10);
	}
	fclose(f);
	return (unsigned)(n_free * size_kib / KIB_PER_MIB);
}

/* "0@(0,1,…)": one lcore that floats over all CPUs of this process; EAL would pin it to the first of them. */
static int lcores_of_process(char *text, size_t size)
{
	size_t len = (size_t)snprintf(text, size, "0@(");
	const char *comma = "";
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0)
		return -errno;
	for (unsigned i = 0; i < CPU_SETSIZE && len < size; i++) {
		if (!CPU_ISSET(i, &cpus))
			continue;
		len += (size_t)snprintf(text + len, size - len, "%s%u", comma, i);
		comma = ",";
	}
	if (len + 2 > size)
		return -E2BIG;
	text[len] = ')';
	text[len + 1] = '\0';
	return 0;
}

/* Which NICs: those alone, or no look at the bus at all. Returns how many arguments were added. */
static int add_pci(char **args, const struct eal_pci *pci)
{
	static char none[] = "--no-pci";
	static char allow_option[] = "-a";
	static char allowed[EAL_PCI_MAX][16];
	int n = 0;

	if (pci == NULL || pci->n == 0) {
		args[n++] = none;
		return n;
	}
	for (unsigned i = 0; i < pci->n; i++) {
		snprintf(allowed[i], sizeof(allowed[i]), "%s", pci->addresses[i]);
		args[n++] = allow_option;
		args[n++] = allowed[i];
	}
	return n;
}

/* The arguments this program was started with, for good. */
static int read_arguments(char *argv[AGAIN_MAX])
{
	FILE *f = fopen("/proc/self/cmdline", "re");
	int n = 0;

	if (f == NULL)
		return -errno;
	for (size_t size = 0; n < AGAIN_MAX - 1 && getdelim(&argv[n], &size, '\0', f) > 0; n++)
		size = 0;
	fclose(f);
	argv[n] = NULL;
	return n > 0 ? 0 : -ENODATA;
}

/*
 * What was free when it was counted is gone, and EAL does not try twice in the life of a process: so the same process
 * executes the same program again, which then asks for ordinary pages. Nothing is held yet that would need to be put back;
 * descriptors that EAL has left open go. Returns only when that cannot be done.
 */
static void start_over(void)
{
	char *argv[AGAIN_MAX] = {NULL};

	log_event(LOG_WARNING,
		"start.huge_pages_gone reason=\"others took what was free, or a cgroup forbids "
		"it\" "
		"next=\"ordinary pages\" remedy=\"raise vm.nr_hugepages, or hugetlb.2MB.max of the "
		"cgroup\"");
	if (setenv(NOT_TO_BE_HAD, "1", 1) < 0 || read_arguments(argv) < 0)
		return;
	(void)close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);
	(void)execv("/proc/self/exe", argv);
}

int eal_start(bool huge_pages, unsigned memory_mib, const struct eal_pci *pci)
{
	/* EAL wants arguments it might write to, and keeps pointers to them. */
	static char common[][24] = {"weir", "--no-telemetry", "--log-level=*:error"};
	static char virtual_addresses[] = "--iova-mode=va";
	static char huge[] = "--in-memory";
	static char ordinary[][16] = {"--no-huge", "--no-shconf"};
	static char memory_option[] = "-m";
	static char memory[16];
	static char lcores_option[] = "--lcores";
	static char lcores[LCORES_MAX];
	char *args[ARGS_MAX];
	int n = 0;
	int rc = lcores_of_process(lcores, sizeof(lcores));

	if (rc != 0)
		return rc;
	snprintf(memory, sizeof(memory), "%u", memory_mib);
	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++)
		args[n++] = common[i];
	if (huge_pages)
		args[n++] = huge;
	for (size_t i = 0; !huge_pages && i < sizeof(ordinary) / sizeof(ordinary[0]); i++)
		args[n++] = ordinary[i];
	/* Without a NIC nobody asks for physical addresses; buffers may then lie across ordinary pages. */
	if (pci == NULL || pci->n == 0)
		args[n++] = virtual_addresses;
	n += add_pci(args + n, pci);
	args[n++] = memory_option;
	args[n++] = memory;
	args[n++] = lcores_option;
	args[n++] = lcores;
	if (rte_eal_init(n, args) >= 0)
		return 0;
	rc = -rte_errno;
	if (huge_pages)
		start_over();
	return rc;
}

void eal_stop(void)
{
	rte_eal_cleanup();
}
