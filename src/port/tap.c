/* SPDX-License-Identifier: BSD-3-Clause */
#include "netdev.h"
#include "report.h"

#include <weir/base/log.h>
#include <weir/port/tap.h>

#include <rte_mbuf.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TAP_ROUTE_METRIC 4096 /* behind whatever route the system has of its own */

struct tap {
	struct port port;
	struct rte_mempool *pool;
	uint32_t room_bytes;
	_Atomic bool is_stale; /* control wants another MAC, which no worker may read meanwhile */

	/* Control's: what to create, and to create again. */
	char device[NETDEV_NAME_MAX];
	struct ip_prefix address;
	bool default_route;
	struct mac_addr wanted_mac;
};

static struct tap *tap_of(struct port *p)
{
	return (struct tap *)p;
}

static bool is_to_be_retried(int error)
{
	return error == EAGAIN || error == EINTR || error == ENOBUFS || error == ENOMEM;
}

/* One frame; NULL when none waits. A frame that is larger than an mbuf is read, counted, and stays out. */
static struct rte_mbuf *read_frame(struct tap *t)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(t->pool);
	ssize_t len;

	if (m == NULL) {
		t->port.counters.rx_no_buffer++;
		return NULL; /* it waits in the kernel's queue, which is bounded */
	}
	/* read() cuts what does not fit without a word, so a frame that fills the room is too large. */
	len = read(t->port.fd, rte_pktmbuf_mtod(m, void *), t->room_bytes);
	if (len <= 0 || (size_t)len == t->room_bytes) {
		if (len > 0)
			t->port.counters.rx_truncated++;
		else if (len < 0 && !is_to_be_retried(errno))
			port_fail(&t->port);
		rte_pktmbuf_free(m);
		return NULL;
	}
	m->data_len = (uint16_t)len;
	m->pkt_len = (uint32_t)len;
	return m;
}

static uint16_t tap_rx(struct port *p, struct rte_mbuf **pkts, uint16_t n)
{
	struct tap *t = tap_of(p);
	uint16_t got = 0;

	if (atomic_load_explicit(&t->is_stale, memory_order_relaxed)) {
		port_fail(p);
		return 0;
	}
	while (got < n) {
		struct rte_mbuf *m = read_frame(t);

		if (m == NULL)
			break;
		p->counters.rx_bytes += m->pkt_len;
		pkts[got++] = m;
	}
	p->counters.rx_packets += got;
	return got;
}

static uint16_t tap_tx(struct port *p, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t done = 0;

	for (; done < n; done++) {
		if (write(p->fd, rte_pktmbuf_mtod(pkts[done], const void *), pkts[done]->data_len)
			>= 0) {
			p->counters.tx_packets++;
			p->counters.tx_bytes += pkts[done]->pkt_len;
			continue;
		}
		if (is_to_be_retried(errno))
			break;
		p->counters.tx_errors++;
		/* EIO: the interface is down; EBADFD: it was deleted. Any other error is this frame's own. */
		if (errno == EIO || errno == EBADFD) {
			port_fail(p);
			break;
		}
	}
	rte_pktmbuf_free_bulk(pkts, done);
	return done;
}

static void disable_ipv6(const char *device)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", device);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return; /* a kernel without IPv6 */
	if (write(fd, "1", 1) != 1)
		log_event(
			LOG_WARNING, "tap.ipv6 interface=%s error=\"%s\"", device, strerror(errno));
	(void)close(fd);
}

static int attach(const char *device, char error[PORT_ERROR_MAX])
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int r;

	if (fd < 0) {
		r = -errno;
		(void)snprintf(error, PORT_ERROR_MAX,
			"/dev/net/tun: %s: modprobe tun, and run weir as root", strerror(-r));
		return r;
	}
	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", device);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
		r = -errno;
		(void)snprintf(error, PORT_ERROR_MAX, "%s: cannot create the tap: %s%s", device,
			strerror(-r),
			r == -EBUSY || r == -EINVAL
				? ": another interface has this name, choose another"
				: "");
		(void)close(fd);
		return r;
	}
	return fd;
}

static int set_up(const struct tap *t, char error[PORT_ERROR_MAX])
{
	const char *what = "MAC address";
	int r;

	disable_ipv6(t->device); /* before it comes up: its chatter would reach the LAN */
	r = netdev_set_mac(t->device, &t->port.mac);
	if (r == 0) {
		what = "MTU";
		r = netdev_set_mtu(t->device, t->port.mtu);
	}
	if (r == 0) {
		what = "address";
		r = netdev_set_address(t->device, &t->address);
	}
	if (r == 0) {
		what = "state to up";
		r = netdev_set_up(t->device);
	}
	if (r == 0 && t->default_route) {
		what = "default route";
		r = netdev_add_default_route(t->device, TAP_ROUTE_METRIC);
	}
	if (r < 0)
		(void)snprintf(error, PORT_ERROR_MAX, "%s: cannot set its %s: %s", t->device, what,
			strerror(-r));
	return r;
}

/* Creates the interface; whoever has the descriptor is its carrier. */
static int create(struct tap *t, char error[PORT_ERROR_MAX])
{
	int fd = attach(t->device, error);
	int r;

	if (fd < 0)
		return fd;
	r = set_up(t, error);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	t->port.fd = fd;
	return 0;
}

/* True when the port was down for a new MAC alone, and is up with it. */
static bool change_mac(struct tap *t)
{
	struct port *p = &t->port;
	char mac[MAC_ADDR_TEXT_MAX];

	if (!atomic_load_explicit(&t->is_stale, memory_order_relaxed))
		return false;
	atomic_store_explicit(&t->is_stale, false, memory_order_relaxed);
	p->mac = t->wanted_mac;
	if (p->fd < 0 || netdev_set_mac(t->device, &p->mac) < 0)
		return false;
	log_event(LOG_INFO, "tap.mac port=%s interface=%s mac=%s", p->name, t->device,
		mac_addr_format(&p->mac, mac));
	port_up(p);
	return true;
}

static void tap_maintain(struct port *p, uint64_t now_us)
{
	struct tap *t = tap_of(p);
	char error[PORT_ERROR_MAX];

	(void)now_us;
	if (port_is_up(p) || change_mac(t))
		return;
	if (p->fd >= 0) {
		const char *why = netdev_why_down(t->device);

		(void)close(p->fd);
		p->fd = -1;
		report_down(p, why != NULL ? why : "interrupted");
	}
	if (create(t, error) < 0) {
		report_refused(p, error);
		return;
	}
	port_up(p);
	report_up(p, t->device);
}

static void tap_close(struct port *p)
{
	if (p->fd >= 0)
		(void)close(p->fd);
	free(tap_of(p));
}

static const struct port_ops tap_ops = {
	.kind = "tap",
	.rx = tap_rx,
	.tx = tap_tx,
	.maintain = tap_maintain,
	.close = tap_close,
};

void tap_set_mac(struct port *p, const struct mac_addr *mac)
{
	struct tap *t = tap_of(p);

	if (mac_addr_equal(&t->wanted_mac, mac))
		return;
	t->wanted_mac = *mac;
	atomic_store_explicit(&t->is_stale, true, memory_order_relaxed);
}

int tap_open(const struct tap_params *params, struct port **ret_port, char error[PORT_ERROR_MAX])
{
	struct tap *t;
	int r;

	if (!netdev_name_is_valid(params->device)) {
		(void)snprintf(error, PORT_ERROR_MAX,
			"\"%s\" cannot be an interface: at most 15 plain characters",
			params->device);
		return -EINVAL;
	}
	t = calloc(1, sizeof(*t));
	if (t == NULL) {
		(void)snprintf(error, PORT_ERROR_MAX, "%s: out of memory", params->device);
		return -ENOMEM;
	}
	t->port.ops = &tap_ops;
	t->port.framing = FRAMING_ETHERNET;
	t->port.mac = params->mac;
	t->wanted_mac = params->mac;
	t->port.mtu = params->mtu;
	t->port.fd = -1;
	(void)snprintf(t->port.name, sizeof(t->port.name), "%s", params->name);
	memcpy(t->device, params->device, strlen(params->device) + 1);
	t->address = params->address;
	t->default_route = params->default_route;
	t->pool = params->pool;
	t->room_bytes = rte_pktmbuf_data_room_size(params->pool) - RTE_PKTMBUF_HEADROOM;
	r = create(t, error);
	if (r < 0) {
		free(t);
		return r;
	}
	port_up(&t->port);
	report_up(&t->port, t->device);
	*ret_port = &t->port;
	return 0;
}
