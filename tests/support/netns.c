/* SPDX-License-Identifier: BSD-3-Clause */
#include "netns.h"

#include <rte_eal.h>
#include <rte_mbuf.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define COMMAND_MAX 1024

void netns_enter(void)
{
	if (geteuid() != 0)
		cr_skip_test("needs root: network namespaces, interfaces and packet sockets");
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		cr_skip_test("needs a network namespace of its own: %s", strerror(errno));
	/* In a chroot / is no mount, and its mounts cannot be made private: the new namespace alone must do. */
	netns_run("if mountpoint -q /; then mount --make-rprivate /; fi; mount -t tmpfs none /run");
	netns_run("sysctl -qw net.ipv6.conf.default.disable_ipv6=1; ip link set lo up");
}

pid_t netns_create_far(void)
{
	int ready[2];
	char byte;
	pid_t child;

	cr_assert_eq(pipe(ready), 0);
	child = fork();
	cr_assert_geq(child, 0);
	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) == 0 && write(ready[1], "1", 1) == 1)
			for (;;)
				(void)pause();
		_exit(1);
	}
	(void)close(ready[1]);
	cr_assert_eq(read(ready[0], &byte, 1), 1, "the far namespace could not be made");
	(void)close(ready[0]);
	/* A test waits for the frames it asked for: the kernel is not to speak of itself. */
	netns_run_far(child, "sysctl -qw net.ipv6.conf.default.disable_ipv6=1; ip link set lo up");
	return child;
}

static void format_command(char *command, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

static void format_command(char *command, const char *format, va_list args)
{
	int len = vsnprintf(command, COMMAND_MAX, format, args);

	cr_assert(len >= 0 && len < COMMAND_MAX);
}

void netns_run(const char *format, ...)
{
	char command[COMMAND_MAX];
	va_list args;

	va_start(args, format);
	format_command(command, format, args);
	va_end(args);
	cr_assert_eq(system(command), 0, "failed: %s", command);
}

void netns_run_far(pid_t far, const char *format, ...)
{
	char command[COMMAND_MAX];
	va_list args;

	va_start(args, format);
	format_command(command, format, args);
	va_end(args);
	netns_run("nsenter --net=/proc/%d/ns/net sh -c '%s'", (int)far, command);
}

int netns_try(const char *format, ...)
{
	char command[COMMAND_MAX], quiet[COMMAND_MAX + 32];
	va_list args;
	int status;

	va_start(args, format);
	format_command(command, format, args);
	va_end(args);
	(void)snprintf(quiet, sizeof(quiet), "( %s ) >/dev/null 2>&1", command);
	status = system(quiet);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

pid_t netns_fork_far(pid_t far, int (*body)(void *), void *argument)
{
	char path[64];
	pid_t child = fork();

	cr_assert_geq(child, 0);
	if (child != 0)
		return child;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)far);
	if (setns(open(path, O_RDONLY | O_CLOEXEC), CLONE_NEWNET) < 0)
		_exit(127);
	_exit(body(argument));
}

int netns_wait(pid_t child)
{
	int status;

	cr_assert_eq(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

struct rte_mempool *netns_create_pool(uint32_t n_buffers)
{
	/* EAL may reorder and keep these. */
	static char flags[][16] = {"weir", "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry",
		"-m", "64", "--lcores", "0", "--log-level", "error"};
	char *argv[sizeof(flags) / sizeof(flags[0]) + 1] = {NULL};
	int argc = (int)(sizeof(flags) / sizeof(flags[0]));
	struct rte_mempool *pool;

	for (int i = 0; i < argc; i++)
		argv[i] = flags[i];
	cr_assert_geq(rte_eal_init(argc, argv), 0, "EAL does not start");
	pool = rte_pktmbuf_pool_create("test", n_buffers, 64, 64, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	cr_assert_not_null(pool);
	return pool;
}
