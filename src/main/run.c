/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * weir run: the gateway in the foreground. The main thread is the control plane: signals, the socket, the ports' health,
 * events and records; the path runs on a thread of its own. What was started is stopped in reverse.
 */
#include "commands.h"
#include "eal.h"
#include "gateway.h"

#include <weir/base/clock.h>
#include <weir/base/log.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define EXIT_FAILED 1
#define EXIT_USAGE  2
#define TICK_NS     20000000 /* 20 ms: records of half a million flows a second find room */

static int usage(FILE *out)
{
	fputs("usage: weir run CONF\n\n"
	      "Runs the gateway that CONF describes until SIGTERM or SIGINT; SIGHUP re-reads "
	      "CONF.\n",
		out);
	return out == stdout ? 0 : EXIT_USAGE;
}

/* Blocks the signals that the loop reads; threads made later inherit the mask. */
static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static int open_timer(void)
{
	struct itimerspec every = {
		.it_interval = {.tv_nsec = TICK_NS}, .it_value = {.tv_nsec = TICK_NS}};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	if (fd >= 0)
		timerfd_settime(fd, 0, &every, NULL);
	return fd;
}

static int watch(int epoll_fd, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* True when the gateway is to stop. */
static bool take_signals(struct gateway *g, int signal_fd)
{
	struct signalfd_siginfo info;
	bool stop = false;

	while (read(signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			gateway_reload(g);
		else
			stop = true;
	}
	return stop;
}

static void loop(struct gateway *g, int epoll_fd, int signal_fd, int timer_fd)
{
	struct epoll_event events[4];
	uint64_t n_ticks;

	for (;;) {
		int n = epoll_wait(epoll_fd, events, 4, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == signal_fd && take_signals(g, signal_fd))
				return;
			if (events[i].data.fd == timer_fd
				&& read(timer_fd, &n_ticks, sizeof(n_ticks)) > 0)
				gateway_tick(g, clock_now_us());
			if (events[i].data.fd == gateway_fd(g)
				|| events[i].data.fd == gateway_view_fd(g))
				gateway_serve(g, clock_now_us());
		}
	}
}

static int run(const char *file)
{
	struct gateway *g = NULL;
	int signal_fd = open_signals();
	int timer_fd = open_timer();
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int err = signal_fd < 0 || timer_fd < 0 || epoll_fd < 0 ? -errno : 0;

	if (err == 0)
		err = gateway_start(file, &g);
	if (err == 0
		&& (watch(epoll_fd, signal_fd) < 0 || watch(epoll_fd, timer_fd) < 0
			|| watch(epoll_fd, gateway_fd(g)) < 0
			|| (gateway_view_fd(g) >= 0 && watch(epoll_fd, gateway_view_fd(g)) < 0)))
		err = -errno;
	if (err == 0)
		loop(g, epoll_fd, signal_fd, timer_fd);
	gateway_stop(g);
	close(epoll_fd);
	close(timer_fd);
	close(signal_fd);
	return err == 0 ? 0 : EXIT_FAILED;
}

int run_main(int argc, char **argv)
{
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
		return usage(stdout);
	if (argc != 2 || argv[1][0] == '-')
		return usage(stderr);
	clock_init();
	return run(argv[1]);
}
