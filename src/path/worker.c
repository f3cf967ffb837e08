/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One worker's loop: polls hot while packets come, then sleeps on the ports' descriptors until one is readable, control
 * wakes it, or a queue or timer is due.
 */
#include "path.h"
#include "senders.h"

#include <weir/base/clock.h>

#include <rte_pause.h>

#include <errno.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define EMPTY_POLLS_MAX 64        /* before sleeping */
#define NO_FD_SLEEP_US  100       /* a port without a descriptor is polled this often when idle */
#define WAKE_TAG        PORTS_MAX /* of control's descriptor; ports have their number */
#define TIMER_TAG       (PORTS_MAX + 1) /* of the sleeper's own */

struct sleeper {
	int epoll_fd;
	int timer_fd;
	uint64_t timer_us; /* when it ends a sleep; UINT64_MAX: not set, or it has gone off */
	bool has_port_without_fd;
	bool watched[PORTS_MAX];
	uint32_t generation[PORTS_MAX]; /* of the descriptor that is watched */
};

static int watch(const struct sleeper *s, int fd, uint32_t tag)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = tag};

	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static void sleeper_clean(struct sleeper *s)
{
	if (s->timer_fd >= 0)
		close(s->timer_fd);
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
}

static int sleeper_init(struct sleeper *s, const struct path *p)
{
	memset(s, 0, sizeof(*s));
	s->timer_us = UINT64_MAX;
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (s->epoll_fd < 0 || s->timer_fd < 0 || watch(s, p->wake_fd, WAKE_TAG) < 0
		|| watch(s, s->timer_fd, TIMER_TAG) < 0) {
		int error = -errno;

		sleeper_clean(s);
		return error;
	}
	return 0;
}

/* Watches the descriptors of ports that are up; a closed one has left the set by itself. */
static void watch_ports(struct sleeper *s, const struct path *p)
{
	s->has_port_without_fd = false;
	for (uint32_t i = 0; i < p->ctx.config->n_ports; i++) {
		const struct port *port = p->ctx.ports[i];
		uint32_t generation = atomic_load_explicit(&port->generation, memory_order_acquire);
		bool is_up = port_is_up(port);

		if (!is_up && s->watched[i]) {
			/* gone already: fine */
			epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, port->fd, NULL);
			s->watched[i] = false;
		}
		if (!is_up)
			continue;
		if (port->fd < 0) {
			s->has_port_without_fd = true;
		} else if (!s->watched[i] || s->generation[i] != generation) {
			s->watched[i] = watch(s, port->fd, i) == 0 || errno == EEXIST;
			s->generation[i] = generation;
		}
	}
}

/* Has the timer end a sleep at `due_us` or before. One that is set stays as it is unless it is too late: most sleeps are ended by
 * a packet, and setting a timer and taking it back for each costs two programmings of the core's clock. */
static void set_timer(struct sleeper *s, uint64_t now_us, uint64_t due_us)
{
	uint64_t wait_us = due_us > now_us ? due_us - now_us : 0;
	struct itimerspec in = {.it_value.tv_sec = (time_t)(wait_us / US_PER_S),
		.it_value.tv_nsec = (long)(wait_us % US_PER_S * 1000 + 1)}; /* zero would stop it */

	if (s->timer_us <= due_us)
		return;
	s->timer_us = due_us;
	(void)timerfd_settime(s->timer_fd, 0, &in, NULL);
}

/* What ended a sleep: only what did is asked, since it is a system call, and most end by a packet. */
static void take_events(
	struct sleeper *s, const struct path *p, const struct epoll_event *events, int n_events)
{
	uint64_t count;

	for (int i = 0; i < n_events; i++) {
		if (events[i].data.u32 == TIMER_TAG)
			s->timer_us = UINT64_MAX; /* setting it anew makes it unreadable again */
		else if (events[i].data.u32 == WAKE_TAG
			 && read(p->wake_fd, &count, sizeof(count)) < 0)
			continue; /* taken already */
	}
}

static void sleep_until_due(struct sleeper *s, struct path *p, uint64_t now_us)
{
	struct epoll_event events[PORTS_MAX + 2];
	uint64_t due_us = path_next_us(p);

	watch_ports(s, p);
	if (s->has_port_without_fd)
		due_us = RTE_MIN(due_us, now_us + NO_FD_SLEEP_US);
	set_timer(s, now_us, due_us);
	p->sleeps++;
	take_events(s, p, events, epoll_wait(s->epoll_fd, events, PORTS_MAX + 2, -1));
}

/* Shortly, and not asleep: the ports are readable. Where they have no core of their own, they are given this one. */
static void wait_for_senders(uint32_t *n_empty)
{
	if (++*n_empty % EMPTY_POLLS_MAX == 0)
		sched_yield();
	else
		rte_pause();
}

void path_run(struct path *p)
{
	struct sleeper sleeper;
	uint32_t n_empty = 0;

	if (sleeper_init(&sleeper, p) < 0)
		return;
	path_own(p, OWNER_WORKER);
	while (!atomic_load_explicit(&p->stopping, memory_order_relaxed)) {
		uint64_t now_us = clock_now_us();

		if (path_step(p, now_us) > 0)
			n_empty = 0;
		else if (p->ctx.senders != NULL && senders_are_behind(p->ctx.senders))
			wait_for_senders(&n_empty);
		else if (++n_empty > EMPTY_POLLS_MAX)
			sleep_until_due(&sleeper, p, now_us);
	}
	atomic_store(&p->owner, OWNER_NONE);
	sleeper_clean(&sleeper);
}
