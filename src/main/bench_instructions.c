/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench_instructions.h"

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

void bench_instructions_begin(struct bench_instructions *c)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.disabled = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};

	c->fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (c->fd >= 0)
		ioctl(c->fd, PERF_EVENT_IOC_ENABLE, 0);
}

uint64_t bench_instructions_end(struct bench_instructions *c)
{
	uint64_t count = 0;

	if (c->fd < 0)
		return 0;
	ioctl(c->fd, PERF_EVENT_IOC_DISABLE, 0);
	if (read(c->fd, &count, sizeof(count)) != (ssize_t)sizeof(count))
		count = 0;
	close(c->fd);
	return count;
}
