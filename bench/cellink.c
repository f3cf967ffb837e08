/* SPDX-License-Identifier: BSD-3-Clause */
/* cellink: the emulated carrier. Joins a modem's network side to a namespace that plays the Internet. */
#include "cellink_aqm.h"
#include "cellink_capacity.h"
#include "cellink_link.h"
#include "cellink_profile.h"
#include "cellink_report.h"
#include "cellink_store.h"
#include "cellink_tun.h"

#include <weir/base/units.h>

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define READ_BATCH       64    /* packets from one side before the other has its turn */
#define PACKET_BYTES_MAX 65536 /* no IPv4 packet is larger */
#define EXIT_USAGE       2

/* Departures this close are waited for together: at 300 Mbit/s large packets are 40 us apart. */
#define WAKE_APART_NS (60 * NS_PER_US)

struct options {
	const char *modem, *modem_netns;
	const char *carrier, *carrier_netns, *carrier_address, *carrier_route;
	const char *profile, *profiles;
	const char *stats;
	const char *capacity; /* where to write what could be carried; NULL: run */
	enum aqm_kind aqm;
	uint64_t seed;
	uint64_t duration_ns; /* TIME_NEVER: until a signal */
};

/* A direction's way: read from `from`, decided by `link`, kept in `store`, written to `to`; before the link, `aqm` if any. */
struct lane {
	int from_fd, to_fd;
	struct link link;
	struct aqm *aqm; /* NULL: the plain buffer */
	struct store store;
	struct histogram late;
};

struct cellink {
	struct options options;
	struct profile profile;
	struct capacity *capacity[N_DIRECTIONS];
	struct radio radio;
	struct lane lane[N_DIRECTIONS];
	/* where a direction starts: UPLINK the modem, DOWNLINK the carrier */
	struct tun tun[N_DIRECTIONS];
	int signal_fd;
	bool realtime;
	bool stop;
	uint64_t start_ns;
	uint64_t end_ns;
	uint8_t packet[PACKET_BYTES_MAX];
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	(void)clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static uint64_t cellink_now_ns(const struct cellink *c)
{
	return clock_ns(CLOCK_MONOTONIC) - c->start_ns;
}

static void usage(FILE *out)
{
	(void)fputs(
		"usage: cellink --profile NAME|FILE [option value]...\n"
		"  --modem wwan0            interface that the gateway opens\n"
		"  --modem-netns NAME|PID   its namespace; default: this one\n"
		"  --carrier car0           interface on the Internet's side\n"
		"  --carrier-netns NAME|PID its namespace; default: this one\n"
		"  --carrier-address A/N    its address\n"
		"  --carrier-route A/N      a further prefix that is reached through the modem\n"
		"  --profiles FOLDER        where NAME.profile is looked for\n"
		"  --seed N                 of loss, jitter and fading; default 1\n"
		"  --duration 60s           then end; default: at SIGTERM or SIGINT\n"
		"  --stats FILE             the report as JSON, at the end and at SIGUSR1\n"
		"  --aqm codel|fq-codel     instead of the plain buffer: a queue that knows the "
		"capacity\n"
		"  --capacity FILE          write what could be carried within --duration, and "
		"end\n"
		"  --KEY VALUE              any key of a profile goes before the profile:\n"
		"                           --rate 5Mbps --uplink-delay 30ms --loss 0.1% ...\n"
		"                           bench/profiles/README.md lists them\n",
		out);
}

static int parse_count(const char *text, uint64_t *ret_count)
{
	char *end;

	errno = 0;
	*ret_count = strtoull(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' ? 0 : -EINVAL;
}

/* An option of the program itself; -ENOENT when `name` is none, and may be a key of the profile. */
static int option_set(struct options *o, const char *name, const char *value)
{
	const struct {
		const char *name;
		const char **field;
	} texts[] = {
		{"modem", &o->modem},
		{"modem-netns", &o->modem_netns},
		{"carrier", &o->carrier},
		{"carrier-netns", &o->carrier_netns},
		{"carrier-address", &o->carrier_address},
		{"carrier-route", &o->carrier_route},
		{"profile", &o->profile},
		{"profiles", &o->profiles},
		{"stats", &o->stats},
		{"capacity", &o->capacity},
	};
	uint64_t us;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (strcmp(texts[i].name, name) == 0) {
			*texts[i].field = value;
			return 0;
		}
	}
	if (strcmp(name, "seed") == 0)
		return parse_count(value, &o->seed);
	if (strcmp(name, "aqm") == 0)
		return aqm_kind_parse(value, &o->aqm);
	if (strcmp(name, "duration") != 0)
		return -ENOENT;
	if (units_parse_time(value, &us) < 0 || us == 0 || us > INT64_MAX / NS_PER_US)
		return -EINVAL;
	o->duration_ns = us * NS_PER_US;
	return 0;
}

static int option_check(char **arguments, char *why)
{
	if (strncmp(arguments[0], "--", 2) == 0 && arguments[1] != NULL)
		return 0;
	(void)snprintf(
		why, WHY_MAX, "%.100s: not an option, or one without its value", arguments[0]);
	return -EINVAL;
}

/* Options of the program first, as they name the profile; then the keys that go before it. */
static int cellink_parse(struct cellink *c, char **arguments, char *why)
{
	int ret = 0;

	for (char **a = arguments; *a != NULL && ret >= 0; a += 2) {
		ret = option_check(a, why);
		if (ret == 0 && option_set(&c->options, *a + 2, a[1]) == -EINVAL) {
			(void)snprintf(why, WHY_MAX, "%.60s: cannot be \"%.100s\"", a[0], a[1]);
			ret = -EINVAL;
		}
	}
	if (ret == 0 && c->options.profile != NULL)
		ret = profile_load(&c->profile, c->options.profile, c->options.profiles, why);
	for (char **a = arguments; ret == 0 && *a != NULL; a += 2) {
		struct options scratch = c->options;

		if (option_set(&scratch, *a + 2, a[1]) == -ENOENT)
			ret = profile_set(&c->profile, *a + 2, a[1], NULL, why);
	}
	return ret < 0 ? ret : profile_check(&c->profile, why);
}

/* Without `loop` a run ends with its longer trace, once what was carried has come out. */
static uint64_t end_of_run_ns(const struct cellink *c)
{
	uint64_t longest = 0, last = 0;

	for (int d = 0; d < N_DIRECTIONS; d++) {
		const struct profile_direction *p = &c->profile.direction[d];
		uint64_t period = capacity_period_ns(c->capacity[d]);

		if (period > longest)
			longest = period;
		if (p->delay_ns + p->jitter_ns > last)
			last = p->delay_ns + p->jitter_ns;
	}
	if (c->profile.loop || longest == TIME_NEVER)
		return c->options.duration_ns;
	return longest + last < c->options.duration_ns ? longest + last : c->options.duration_ns;
}

static int capacities_create(struct cellink *c, char *why)
{
	int ret = 0;

	for (int d = 0; d < N_DIRECTIONS && ret == 0; d++)
		ret = profile_capacity(
			&c->profile, (enum direction)d, c->options.seed, why, &c->capacity[d]);
	return ret;
}

static int lane_create(struct cellink *c, enum direction d)
{
	struct link_config config = profile_link(&c->profile, d);
	struct lane *lane = &c->lane[d];
	int ret = store_init(&lane->store);

	histogram_init(&lane->late);
	if (ret == 0)
		ret = link_init(&lane->link, &config, c->capacity[d], &c->profile.outages,
			&c->radio, c->options.seed + (uint64_t)d + 1);
	if (ret == 0 && c->options.aqm != AQM_NONE)
		ret = aqm_create(c->options.aqm, &lane->link, &lane->aqm);
	return ret;
}

static void lane_clean(struct lane *lane)
{
	aqm_destroy(lane->aqm);
	lane->aqm = NULL;
	store_clean(&lane->store);
	link_clean(&lane->link);
}

static int lanes_create(struct cellink *c, char *why)
{
	radio_init(&c->radio, &c->profile.radio, c->options.seed);
	for (int d = 0; d < N_DIRECTIONS; d++) {
		if (lane_create(c, (enum direction)d) < 0) {
			(void)snprintf(why, WHY_MAX, "not enough memory");
			return -ENOMEM;
		}
	}
	return 0;
}

static int tuns_create(struct cellink *c, char *why)
{
	const struct options *o = &c->options;
	struct tun_config modem = {
		.name = o->modem, .netns = o->modem_netns, .mtu = (uint32_t)c->profile.mtu};
	struct tun_config carrier = {
		.name = o->carrier,
		.netns = o->carrier_netns,
		.mtu = (uint32_t)c->profile.mtu,
		.address = o->carrier_address,
		.route = o->carrier_route,
	};
	int ret = tun_create(&c->tun[UPLINK], &modem, why);

	if (ret == 0)
		ret = tun_create(&c->tun[DOWNLINK], &carrier, why);
	for (int d = 0; d < N_DIRECTIONS && ret == 0; d++) {
		c->lane[d].from_fd = c->tun[d].fd;
		c->lane[d].to_fd = c->tun[1 - d].fd;
	}
	return ret;
}

/* Signals become readable, so that the loop has one place where it waits. */
static int signals_open(struct cellink *c, char *why)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigaddset(&set, SIGUSR2);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	c->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (c->signal_fd >= 0)
		return 0;
	(void)snprintf(why, WHY_MAX, "signalfd: %s", strerror(errno));
	return -errno;
}

/* An emulator that wakes late distorts what it measures; where FIFO is not allowed it says so. */
static bool realtime_take(void)
{
	struct sched_param priority = {.sched_priority = 1};

	(void)prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
	return sched_setscheduler(0, SCHED_FIFO, &priority) == 0;
}

/* What the managed queue has let go by now. */
static void lane_release(struct lane *lane, uint64_t now_ns)
{
	struct aqm_packet *p;
	uint64_t due_ns;

	while (lane->aqm != NULL && (p = aqm_take(lane->aqm, now_ns, &due_ns)) != NULL) {
		if (store_push(&lane->store, due_ns, p->bytes, p->octets) < 0)
			link_count_end(&lane->link, now_ns, p->octets, LINK_DROP_MEMORY);
		free(p);
	}
}

static void lane_offer(struct lane *lane, uint64_t now_ns, const uint8_t *packet, uint32_t octets)
{
	uint64_t due_ns;

	if (lane->aqm != NULL) {
		lane_release(lane, now_ns);
		(void)aqm_put(lane->aqm, now_ns, packet, octets);
		return;
	}
	if (link_offer(&lane->link, now_ns, octets, &due_ns) != LINK_CARRIED)
		return;
	if (store_push(&lane->store, due_ns, packet, octets) < 0)
		link_count_end(&lane->link, now_ns, octets, LINK_DROP_MEMORY);
}

/* Returns true when there may be more to read. */
static bool lane_read(struct cellink *c, struct lane *lane)
{
	for (int i = 0; i < READ_BATCH; i++) {
		ssize_t n = read(lane->from_fd, c->packet, sizeof(c->packet));

		if (n <= 0) {
			/* The kernel answers EBADFD once the interface is gone. */
			c->stop = c->stop || (n < 0 && errno != EAGAIN && errno != EINTR);
			return false;
		}
		lane_offer(lane, cellink_now_ns(c), c->packet, (uint32_t)n);
	}
	return true;
}

static void lane_deliver(struct cellink *c, struct lane *lane)
{
	const struct stored *first;
	uint64_t now_ns = cellink_now_ns(c);

	lane_release(lane, now_ns);
	for (first = store_first(&lane->store); first != NULL && first->due_ns <= now_ns;
		first = store_first(&lane->store)) {
		ssize_t n = write(lane->to_fd, first + 1, first->octets);

		histogram_add(&lane->late, now_ns - first->due_ns);
		link_count_end(&lane->link, now_ns, first->octets,
			n == (ssize_t)first->octets ? LINK_CARRIED : LINK_DROP_WRITE);
		store_pop(&lane->store);
		now_ns = cellink_now_ns(c);
	}
}

static uint64_t next_event_ns(const struct cellink *c)
{
	uint64_t next = c->end_ns;

	for (int d = 0; d < N_DIRECTIONS; d++) {
		const struct stored *first = store_first(&c->lane[d].store);

		if (first != NULL && first->due_ns < next)
			next = first->due_ns;
		if (c->lane[d].aqm != NULL && aqm_next_ns(c->lane[d].aqm) < next)
			next = aqm_next_ns(c->lane[d].aqm);
	}
	return next;
}

static void cellink_report(struct cellink *c)
{
	struct report r = {
		.profile = c->options.profile != NULL ? c->options.profile : "none",
		.seed = c->options.seed,
		.elapsed_ns = cellink_now_ns(c),
		.n_promotions = c->radio.n_promotions,
		.realtime = c->realtime,
	};
	int ret = 0;

	for (int d = 0; d < N_DIRECTIONS; d++) {
		const struct lane *lane = &c->lane[d];

		r.direction[d].stats = &lane->link.stats;
		r.direction[d].late = &lane->late;
		r.direction[d].queued.packets = lane->store.n_packets;
		r.direction[d].queued.octets = lane->store.n_octets;
		if (lane->aqm != NULL) {
			r.direction[d].queued.packets += aqm_waiting(lane->aqm).packets;
			r.direction[d].queued.octets += aqm_waiting(lane->aqm).octets;
		}
		(void)tun_dropped(&c->tun[d], &r.direction[d].tun_dropped);
	}
	report_write_text(&r, stdout);
	if (c->options.stats != NULL)
		ret = report_write_json(&r, c->options.stats);
	if (ret < 0)
		(void)fprintf(stderr, "cellink: %s: %s\n", c->options.stats, strerror(-ret));
}

/*
 * Time 0 is now: empty buffers, an idle radio, fresh figures. So a gateway can start first, and every run then sees the
 * same part of the capacity. The line says when that was on the clock of packet captures.
 */
static void cellink_begin_anew(struct cellink *c)
{
	char why[WHY_MAX];

	for (int d = 0; d < N_DIRECTIONS; d++)
		lane_clean(&c->lane[d]);
	c->stop = lanes_create(c, why) < 0;
	for (int d = 0; d < N_DIRECTIONS; d++) {
		c->lane[d].from_fd = c->tun[d].fd;
		c->lane[d].to_fd = c->tun[1 - d].fd;
	}
	c->start_ns = clock_ns(CLOCK_MONOTONIC);
	(void)fprintf(stderr, "cellink.begin realtime_ns=%llu\n",
		(unsigned long long)clock_ns(CLOCK_REALTIME));
}

static void signals_handle(struct cellink *c)
{
	struct signalfd_siginfo info;

	while (read(c->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGUSR1)
			cellink_report(c);
		else if (info.ssi_signo == SIGUSR2)
			cellink_begin_anew(c);
		else
			c->stop = true;
	}
}

/* Waits for a packet, a signal or the next departure; not at all when there is more to read. */
static void cellink_wait(const struct cellink *c, struct pollfd *polled, bool more)
{
	uint64_t next = next_event_ns(c), now = cellink_now_ns(c);
	uint64_t apart = next < now + WAKE_APART_NS ? now + WAKE_APART_NS : next;
	uint64_t wait = more ? 0 : apart - now;
	struct timespec timeout = {
		.tv_sec = (time_t)(wait / NS_PER_S), .tv_nsec = (long)(wait % NS_PER_S)};

	if (ppoll(polled, N_DIRECTIONS + 1, next == TIME_NEVER && !more ? NULL : &timeout, NULL)
		< 0) {
		for (int i = 0; i <= N_DIRECTIONS; i++)
			polled[i].revents = 0;
	}
}

static void cellink_run(struct cellink *c)
{
	struct pollfd polled[N_DIRECTIONS + 1] = {
		[UPLINK] = {.fd = c->tun[UPLINK].fd, .events = POLLIN},
		[DOWNLINK] = {.fd = c->tun[DOWNLINK].fd, .events = POLLIN},
		[N_DIRECTIONS] = {.fd = c->signal_fd, .events = POLLIN},
	};
	bool more = false;

	while (!c->stop && cellink_now_ns(c) < c->end_ns) {
		cellink_wait(c, polled, more);
		more = false;
		for (int d = 0; d < N_DIRECTIONS; d++) {
			if (polled[d].revents != 0)
				more = lane_read(c, &c->lane[d]) || more;
			lane_deliver(c, &c->lane[d]);
		}
		if (polled[N_DIRECTIONS].revents != 0)
			signals_handle(c);
	}
}

static void cellink_clean(struct cellink *c)
{
	for (int d = 0; d < N_DIRECTIONS; d++) {
		tun_destroy(&c->tun[d]);
		lane_clean(&c->lane[d]);
		capacity_destroy(c->capacity[d]);
	}
	if (c->signal_fd >= 0)
		(void)close(c->signal_fd);
}

static int cellink_write_capacity(const struct cellink *c)
{
	struct report_capacity r = {
		.duration_ns = c->options.duration_ns, .outages = &c->profile.outages};
	int ret = -EINVAL;

	for (int d = 0; d < N_DIRECTIONS; d++) {
		r.capacity[d] = c->capacity[d];
		r.link[d] = profile_link(&c->profile, (enum direction)d);
	}
	if (r.duration_ns != TIME_NEVER)
		ret = report_write_capacity(&r, c->options.capacity);
	if (ret < 0)
		(void)fprintf(stderr, "cellink: --capacity %s: %s\n", c->options.capacity,
			ret == -EINVAL ? "needs --duration" : strerror(-ret));
	return ret < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int cellink_main(struct cellink *c, char **arguments)
{
	char why[WHY_MAX] = "";

	if (cellink_parse(c, arguments, why) < 0) {
		(void)fprintf(stderr, "cellink: %s\n", why);
		usage(stderr);
		return EXIT_USAGE;
	}
	if (capacities_create(c, why) < 0) {
		(void)fprintf(stderr, "cellink: %s\n", why);
		return EXIT_FAILURE;
	}
	if (c->options.capacity != NULL)
		return cellink_write_capacity(c);
	if (lanes_create(c, why) < 0 || signals_open(c, why) < 0 || tuns_create(c, why) < 0) {
		(void)fprintf(stderr, "cellink: %s\n", why);
		return EXIT_FAILURE;
	}
	c->realtime = realtime_take();
	c->end_ns = end_of_run_ns(c);
	c->start_ns = clock_ns(CLOCK_MONOTONIC);
	(void)fprintf(stderr, "cellink.ready modem=%s carrier=%s profile=%s realtime=%s\n",
		c->options.modem, c->options.carrier,
		c->options.profile != NULL ? c->options.profile : "none",
		c->realtime ? "yes" : "no");
	cellink_run(c);
	cellink_report(c);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct cellink *c;
	int status;

	if (argc < 2 || strcmp(argv[1], "--help") == 0) {
		usage(argc < 2 ? stderr : stdout);
		return argc < 2 ? EXIT_USAGE : EXIT_SUCCESS;
	}
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return EXIT_FAILURE;
	c->options = (struct options){.modem = "wwan0",
		.carrier = "car0",
		.profiles = CELLINK_PROFILES,
		.seed = 1,
		.duration_ns = TIME_NEVER};
	c->signal_fd = -1;
	for (int d = 0; d < N_DIRECTIONS; d++)
		c->tun[d].fd = -1;
	profile_init(&c->profile);
	status = cellink_main(c, argv + 1);
	cellink_clean(c);
	free(c);
	return status;
}
