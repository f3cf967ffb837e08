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
#include <unistd.h>

#define EMPTY_POLLS_MAX 64        /* before sleeping */
#define NO_FD_SLEEP_US  100       /* a port without a descriptor is polled this often when idle */
#define WAKE_TAG        PORTS_MAX /* of control's descriptor; ports have their number */

struct sleeper {
	int epoll_fd;
	bool has_port_without_fd;
	bool watched[PORTS_MAX];
	uint32_t generation[PORTS_MAX]; /* of the descriptor that is watched */
};

static int sleeper_init(struct sleeper *s, const struct path *p)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = WAKE_TAG};

	memset(s, 0, sizeof(*s));
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll_fd < 0)
		return -errno;
	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, p->wake_fd, &event) < 0) {
		close(s->epoll_fd);
		return -errno;
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
		struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
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
			s->watched[i] = epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, port->fd, &event) == 0
					|| errno == EEXIST;
			s->generation[i] = generation;
		}
	}
}

/* Only when control did wake: it is a system call, and most sleeps end by a packet. */
static void take_wake(const struct path *p, const struct epoll_event *events, int n_events)
{
	uint64_t count;

	for (int i = 0; i < n_events; i++)
		if (events[i].data.u32 == WAKE_TAG && read(p->wake_fd, &count, sizeof(count)) < 0)
			return; /* taken already */
}

static void sleep_until_due(struct sleeper *s, struct path *p, uint64_t now_us)
{
	struct epoll_event events[PORTS_MAX + 1];
	uint64_t next_us = path_next_us(p);
	uint64_t wait_us = next_us > now_us ? next_us - now_us : 0;
	struct timespec wait;

	watch_ports(s, p);
	if (s->has_port_without_fd && wait_us > NO_FD_SLEEP_US)
		wait_us = NO_FD_SLEEP_US;
	wait.tv_sec = (time_t)(wait_us / US_PER_S);
	wait.tv_nsec = (long)(wait_us % US_PER_S * 1000);
	p->sleeps++;
	take_wake(p, events, epoll_pwait2(s->epoll_fd, events, PORTS_MAX + 1, &wait, NULL));
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
	close(sleeper.epoll_fd);
}
