/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One queue each way of a DPDK device. The device is the port's alone: it is marked with an owner, so that no other
 * port takes it by the same name.
 *
 * AF_XDP shows a frame before the kernel has a word for what is unfinished about it: a veth peer that leaves checksums to
 * hardware, or sends super-frames, cannot be noticed here, as it can by rawsock. Wires do no such thing; where the
 * interface is a veth, the log says what to do.
 */
#include "netdev.h"
#include "report.h"

#include <weir/base/log.h>
#include <weir/port/ethdev.h>
#include <weir/port/takeover.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define N_DESCRIPTORS  1024
#define ETHER_OVERHEAD (RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN)
#define DEVARGS_MAX    256
#define XDP_SOCKETS    64 /* of the whole process: two a port, and ports are 16 */

struct ethdev {
	struct port port;
	struct rte_mempool *pool;
	uint32_t room_bytes;
	uint16_t id;               /* DPDK's; RTE_MAX_ETHPORTS when closed */
	_Atomic bool is_stale;     /* control has seen the link go */
	_Atomic uint64_t n_missed; /* control has read it from the device */
	_Atomic uint64_t n_no_buffer;

	/* Control's. */
	uint64_t owner;
	char *devargs;
	char *state_dir;
	char device[NETDEV_NAME_MAX]; /* "" without one */
	struct netdev opened;
	struct takeover *takeover;
	bool is_veth;
	bool is_reported_down;
};

static struct ethdev *ethdev_of(struct port *p)
{
	return (struct ethdev *)p;
}

/* --- worker --- */

static uint16_t ethdev_rx(struct port *p, struct rte_mbuf **pkts, uint16_t n)
{
	struct ethdev *e = ethdev_of(p);
	uint16_t got, kept = 0;

	if (atomic_load_explicit(&e->is_stale, memory_order_relaxed)) {
		port_fail(p);
		return 0;
	}
	got = rte_eth_rx_burst(e->id, 0, pkts, n);
	for (uint16_t i = 0; i < got; i++) {
		if (pkts[i]->nb_segs > 1) { /* larger than a buffer */
			p->counters.rx_truncated++;
			rte_pktmbuf_free(pkts[i]);
			continue;
		}
		/* Other ports' frames come by the cache, as they are copied. */
		rte_prefetch0(rte_pktmbuf_mtod(pkts[i], const void *));
		p->counters.rx_bytes += pkts[i]->pkt_len;
		pkts[kept++] = pkts[i];
	}
	p->counters.rx_packets += kept;
	p->counters.rx_kernel_drops = atomic_load_explicit(&e->n_missed, memory_order_relaxed);
	p->counters.rx_no_buffer = atomic_load_explicit(&e->n_no_buffer, memory_order_relaxed);
	return kept;
}

static uint16_t ethdev_tx(struct port *p, struct rte_mbuf **pkts, uint16_t n)
{
	uint32_t lens[PORT_BURST_MAX];
	uint16_t sent;

	if (n > PORT_BURST_MAX)
		n = PORT_BURST_MAX;
	for (uint16_t i = 0; i < n; i++)
		lens[i] = pkts[i]->pkt_len; /* a sent mbuf is the driver's */
	sent = rte_eth_tx_burst(ethdev_of(p)->id, 0, pkts, n);
	for (uint16_t i = 0; i < sent; i++)
		p->counters.tx_bytes += lens[i];
	p->counters.tx_packets += sent;
	return sent;
}

/* --- control: opening --- */

static int refuse(struct ethdev *e, char error[PORT_ERROR_MAX], int r, const char *what)
{
	(void)snprintf(error, PORT_ERROR_MAX, "%s: %s: %s", e->devargs, what, rte_strerror(-r));
	return r;
}

/* RTE_ETH_FOREACH_DEV, whose conversion gcc warns of; RTE_MAX_ETHPORTS and more when there is none. */
static uint16_t next_device(uint16_t from)
{
	return (uint16_t)rte_eth_find_next_owned_by(from, RTE_ETH_DEV_NO_OWNER);
}

/* A device that nobody owns: of this name, or, where the name is NULL, one that is not in `known`. */
static uint16_t find_device(const char *name, const bool known[RTE_MAX_ETHPORTS])
{
	for (uint16_t id = next_device(0); id < RTE_MAX_ETHPORTS;
		id = next_device((uint16_t)(id + 1))) {
		struct rte_eth_dev_info info;

		if (name == NULL && !known[id])
			return id;
		if (name != NULL && rte_eth_dev_info_get(id, &info) == 0 && info.device != NULL
			&& strcmp(rte_dev_name(info.device), name) == 0)
			return id;
	}
	return RTE_MAX_ETHPORTS;
}

static void mark_known(bool known[RTE_MAX_ETHPORTS])
{
	for (uint16_t id = next_device(0); id < RTE_MAX_ETHPORTS;
		id = next_device((uint16_t)(id + 1)))
		known[id] = true;
}

static bool is_xdp(const struct ethdev *e)
{
	return strncmp(e->devargs, "net_af_xdp", strlen("net_af_xdp")) == 0;
}

/*
 * Busy polling lets a worker run a NIC's own receive loop, by a system call for each empty poll. A veth has no NIC behind
 * it: its frames are there once the peer's CPU has sent them, and dozens of calls a packet find nothing.
 */
static int probe_driver(const struct ethdev *e)
{
	char quiet[DEVARGS_MAX];

	if (!e->is_veth || !is_xdp(e) || strstr(e->devargs, "busy_budget=") != NULL)
		return rte_dev_probe(e->devargs);
	(void)snprintf(quiet, sizeof(quiet), "%s,busy_budget=0", e->devargs);
	return rte_dev_probe(quiet);
}

/* The device may be there already: EAL probes what its command line allows. */
static int probe(struct ethdev *e, char error[PORT_ERROR_MAX])
{
	struct rte_eth_dev_owner owner = {.id = e->owner};
	bool known[RTE_MAX_ETHPORTS] = {false};
	char name[RTE_DEV_NAME_MAX_LEN];
	uint16_t id;
	int r;

	(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(e->devargs, ","), e->devargs);
	id = find_device(name, known);
	if (id == RTE_MAX_ETHPORTS) {
		mark_known(known);
		r = probe_driver(e);
		if (r < 0) {
			(void)snprintf(error, PORT_ERROR_MAX,
				"%s: cannot be opened: %s: check its name and arguments, that its "
				"driver is installed "
				"(apt-cache search librte-net-), and `dpdk-devbind.py --status` "
				"for a NIC",
				e->devargs, rte_strerror(-r));
			return -ENODEV;
		}
		id = find_device(NULL, known);
	}
	if (id == RTE_MAX_ETHPORTS) {
		(void)snprintf(error, PORT_ERROR_MAX,
			"%s: is not a network device, or another port has it: name each device "
			"once",
			e->devargs);
		return -ENODEV;
	}
	(void)snprintf(owner.name, sizeof(owner.name), "weir %s", e->port.name);
	r = rte_eth_dev_owner_set(id, &owner);
	if (r < 0)
		return refuse(e, error, r, "cannot be claimed");
	e->id = id;
	return 0;
}

static int start(struct ethdev *e, char error[PORT_ERROR_MAX])
{
	struct rte_eth_conf conf = {.txmode = {.mq_mode = RTE_ETH_MQ_TX_NONE}};
	uint16_t n_rx = N_DESCRIPTORS, n_tx = N_DESCRIPTORS;
	int socket_id = rte_eth_dev_socket_id(e->id);
	unsigned int node = socket_id < 0 ? 0 : (unsigned int)socket_id;
	int r = rte_eth_dev_configure(e->id, 1, 1, &conf);

	if (r < 0)
		return refuse(e, error, r, "cannot be configured");
	r = rte_eth_dev_adjust_nb_rx_tx_desc(e->id, &n_rx, &n_tx);
	if (r < 0)
		return refuse(e, error, r, "cannot be given descriptors");
	r = rte_eth_rx_queue_setup(e->id, 0, n_rx, node, NULL, e->pool);
	if (r < 0)
		return refuse(e, error, r, "cannot be given a receive queue");
	r = rte_eth_tx_queue_setup(e->id, 0, n_tx, node, NULL);
	if (r < 0)
		return refuse(e, error, r, "cannot be given a transmit queue");
	r = rte_eth_dev_start(e->id);
	return r < 0 ? refuse(e, error, r, "cannot be started") : 0;
}

static void close_device(struct ethdev *e)
{
	struct rte_eth_dev_info info;
	bool is_known;

	if (e->id == RTE_MAX_ETHPORTS)
		return;
	is_known = rte_eth_dev_info_get(e->id, &info) == 0;
	(void)rte_eth_dev_stop(e->id);
	(void)rte_eth_dev_owner_unset(e->id, e->owner);
	(void)rte_eth_dev_close(e->id);
	if (is_known && info.device != NULL)
		(void)rte_dev_remove(info.device);
	e->id = RTE_MAX_ETHPORTS;
	e->port.fd = -1;
}

/* Descriptors of this process that are AF_XDP sockets. */
static uint32_t list_xdp_sockets(int fds[XDP_SOCKETS])
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	uint32_t n = 0;

	if (dir == NULL)
		return 0;
	while (n < XDP_SOCKETS && (entry = readdir(dir)) != NULL) {
		int fd = (int)strtol(entry->d_name, NULL, 10), domain = 0;
		socklen_t len = sizeof(domain);

		if (entry->d_name[0] != '.'
			&& getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0
			&& domain == AF_XDP)
			fds[n++] = fd;
	}
	(void)closedir(dir);
	return n;
}

/* The driver keeps its socket to itself and knows no interrupts; but a worker can sleep on the socket all the same. It is the
 * one that was not there before the device was started. */
static int find_new_xdp_socket(const int before[XDP_SOCKETS], uint32_t n_before)
{
	int now[XDP_SOCKETS];
	uint32_t n_now = list_xdp_sockets(now);

	for (uint32_t i = 0; i < n_now; i++) {
		bool is_new = true;

		for (uint32_t k = 0; k < n_before; k++)
			is_new = is_new && now[i] != before[k];
		if (is_new)
			return now[i];
	}
	return -1;
}

/* What the kernel interface behind the device needs. */
static int prepare_interface(struct ethdev *e, char error[PORT_ERROR_MAX])
{
	char driver[NETDEV_DRIVER_MAX];
	uint32_t n_queues;
	int r;

	if (netdev_read_rx_queues(e->device, &n_queues) == 0 && n_queues > 1 && is_xdp(e)) {
		(void)snprintf(error, PORT_ERROR_MAX,
			"%s: spreads what it receives over %u queues, of which one is read: "
			"ethtool -L %s combined 1",
			e->device, n_queues, e->device);
		return -EINVAL;
	}
	r = netdev_read(e->device, &e->opened);
	if (r == 0 && e->takeover != NULL)
		r = takeover_renew(e->takeover, error);
	else if (r == 0)
		r = takeover_begin(e->device, e->state_dir, &e->takeover, error);
	e->is_veth = netdev_read_driver(e->device, driver) == 0 && strcmp(driver, "veth") == 0;
	if (r == 0 && e->is_veth)
		log_event(LOG_WARNING,
			"port.veth port=%s interface=%s reason=\"checksums that its peer leaves to "
			"hardware stay unfinished\" "
			"remedy=\"ethtool -K <peer> tx off\"",
			e->port.name, e->device);
	return r;
}

static void read_device(struct ethdev *e)
{
	uint32_t fits = e->room_bytes - ETHER_OVERHEAD;
	struct rte_ether_addr mac = {0};
	uint16_t mtu = RTE_ETHER_MTU;

	(void)rte_eth_macaddr_get(e->id, &mac);
	(void)rte_eth_dev_get_mtu(e->id, &mtu);
	memcpy(e->port.mac.bytes, mac.addr_bytes, sizeof(e->port.mac.bytes));
	e->port.mtu = e->device[0] != '\0' ? e->opened.mtu : mtu;
	if (e->port.mtu > fits)
		e->port.mtu = fits;
}

static int open_device(struct ethdev *e, char error[PORT_ERROR_MAX])
{
	int sockets[XDP_SOCKETS];
	uint32_t n_sockets = list_xdp_sockets(sockets);
	int r = e->device[0] != '\0' ? prepare_interface(e, error) : 0;

	if (r == 0)
		r = probe(e, error);
	if (r == 0)
		r = start(e, error);
	if (r < 0) {
		close_device(e);
		return r;
	}
	(void)rte_eth_promiscuous_disable(e->id); /* some drivers have no such switch */
	read_device(e);
	e->port.fd = find_new_xdp_socket(sockets, n_sockets);
	return 0;
}

/* --- control: watching --- */

static bool has_link(const struct ethdev *e)
{
	struct rte_eth_link link = {0};

	return rte_eth_link_get_nowait(e->id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

/* Why the port cannot be used as it is; NULL when it can. */
static const char *why_unusable(const struct ethdev *e)
{
	const char *why = e->device[0] != '\0' ? netdev_why_down(e->device) : NULL;

	if (why == NULL && e->id != RTE_MAX_ETHPORTS && !has_link(e))
		why = "no carrier";
	return why;
}

/* True when the kernel interface is not the one that was opened. */
static bool is_other_interface(const struct ethdev *e)
{
	struct netdev n;

	if (e->device[0] == '\0')
		return false;
	return netdev_read(e->device, &n) < 0 || n.index != e->opened.index
	       || n.mtu != e->opened.mtu || !mac_addr_equal(&n.mac, &e->opened.mac);
}

static void read_stats(struct ethdev *e)
{
	struct rte_eth_stats stats;

	if (rte_eth_stats_get(e->id, &stats) < 0)
		return;
	atomic_store_explicit(&e->n_missed, stats.imissed, memory_order_relaxed);
	atomic_store_explicit(&e->n_no_buffer, stats.rx_nombuf, memory_order_relaxed);
}

/* Makes the port the worker's if its device can be used. -ENETDOWN: not yet, and `ret_why` says why. */
static int try_up(struct ethdev *e, const char **ret_why, char error[PORT_ERROR_MAX])
{
	int r;

	if (e->id != RTE_MAX_ETHPORTS && is_other_interface(e))
		close_device(e);
	*ret_why = e->id == RTE_MAX_ETHPORTS && e->device[0] != '\0' ? netdev_why_down(e->device)
								     : NULL;
	if (*ret_why != NULL)
		return -ENETDOWN;
	if (e->id == RTE_MAX_ETHPORTS) {
		r = open_device(e, error);
		if (r < 0)
			return r;
	}
	*ret_why = why_unusable(e);
	if (*ret_why != NULL)
		return -ENETDOWN;
	atomic_store_explicit(&e->is_stale, false, memory_order_relaxed);
	e->is_reported_down = false;
	port_up(&e->port);
	report_up(&e->port, e->devargs);
	return 0;
}

static void ethdev_maintain(struct port *p, uint64_t now_us)
{
	struct ethdev *e = ethdev_of(p);
	char error[PORT_ERROR_MAX];
	const char *why;
	int r;

	(void)now_us;
	if (port_is_up(p)) {
		read_stats(e);
		if (why_unusable(e) != NULL || is_other_interface(e))
			atomic_store_explicit(&e->is_stale, true, memory_order_relaxed);
		return;
	}
	if (!e->is_reported_down) {
		why = why_unusable(e);
		report_down(p, why != NULL ? why : "changed");
		e->is_reported_down = true;
	}
	r = try_up(e, &why, error);
	if (r == -ENETDOWN)
		report_still_down(p, why);
	else if (r < 0)
		report_refused(p, error);
}

static void ethdev_close(struct port *p)
{
	struct ethdev *e = ethdev_of(p);

	close_device(e);
	takeover_end(e->takeover);
	if (e->owner != RTE_ETH_DEV_NO_OWNER)
		(void)rte_eth_dev_owner_delete(e->owner);
	free(e->devargs);
	free(e->state_dir);
	free(e);
}

static const struct port_ops ethdev_ops = {
	.kind = "ethdev",
	.rx = ethdev_rx,
	.tx = ethdev_tx,
	.maintain = ethdev_maintain,
	.close = ethdev_close,
};

static struct ethdev *make(const struct ethdev_params *params)
{
	struct ethdev *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return NULL;
	e->port.ops = &ethdev_ops;
	e->port.fd = -1;
	e->port.state = PORT_FAILED;
	e->port.framing = FRAMING_ETHERNET;
	(void)snprintf(e->port.name, sizeof(e->port.name), "%s", params->name);
	if (params->device != NULL)
		memcpy(e->device, params->device, strlen(params->device) + 1);
	e->id = RTE_MAX_ETHPORTS;
	e->pool = params->pool;
	e->room_bytes = rte_pktmbuf_data_room_size(params->pool) - RTE_PKTMBUF_HEADROOM;
	e->devargs = strdup(params->devargs);
	e->state_dir = strdup(params->state_dir != NULL ? params->state_dir : "");
	if (e->devargs == NULL || e->state_dir == NULL || rte_eth_dev_owner_new(&e->owner) < 0) {
		ethdev_close(&e->port);
		return NULL;
	}
	return e;
}

int ethdev_open(
	const struct ethdev_params *params, struct port **ret_port, char error[PORT_ERROR_MAX])
{
	struct ethdev *e;
	const char *why;
	int r;

	if (params->device != NULL && !netdev_name_is_valid(params->device)) {
		(void)snprintf(error, PORT_ERROR_MAX,
			"\"%s\" cannot be an interface: at most 15 plain characters",
			params->device);
		return -EINVAL;
	}
	e = make(params);
	if (e == NULL) {
		(void)snprintf(error, PORT_ERROR_MAX, "%s: out of memory", params->devargs);
		return -ENOMEM;
	}
	r = try_up(e, &why, error);
	if (r < 0 && r != -ENETDOWN) {
		ethdev_close(&e->port);
		return r;
	}
	if (r < 0) {
		report_down(&e->port, why);
		e->is_reported_down = true;
	}
	*ret_port = &e->port;
	return 0;
}
