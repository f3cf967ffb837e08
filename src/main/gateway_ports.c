/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway_ports.h"

#include <weir/base/clock.h>
#include <weir/base/log.h>
#include <weir/control/apply.h>
#include <weir/port/ethdev.h>
#include <weir/port/rawsock.h>
#include <weir/port/tap.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MAINTAIN_DOWN_US (200 * US_PER_MS)
#define MAINTAIN_UP_US   US_PER_S
#define MTU_DEFAULT      1500

/* A tap needs a MAC also when its LAN port has none yet, being absent: a locally administered one. */
static struct mac_addr tap_mac(const struct port *lan, uint32_t id)
{
	static const struct mac_addr none = {{0}};
	struct mac_addr made_up = {{0x02, 'w', 'e', 'i', 'r', (uint8_t)(0x10 + id)}};

	return mac_addr_equal(&lan->mac, &none) ? made_up : lan->mac;
}

static int open_dpdk(const struct config *c, const struct config_port *p, struct rte_mempool *pool,
	struct port **ret_port, char error[PORT_ERROR_MAX])
{
	char devargs[CONFIG_DEVICE_MAX + 64];
	bool is_interface = config_device_kind(p->device) == DEVICE_INTERFACE;
	struct ethdev_params params = {
		.name = p->name,
		.devargs = devargs,
		.device = is_interface ? p->device : NULL,
		.pool = pool,
		.state_dir = c->runtime.state_dir,
	};

	if (is_interface)
		snprintf(devargs, sizeof(devargs), "net_af_xdp_%s,iface=%s", p->name, p->device);
	else
		snprintf(devargs, sizeof(devargs), "%s", p->device);
	return ethdev_open(&params, ret_port, error);
}

static int open_one(const struct config *c, const struct config_port *p, struct rte_mempool *pool,
	struct port **ret_port, char error[PORT_ERROR_MAX])
{
	struct rawsock_params params = {
		.name = p->name,
		.device = p->device,
		.pool = pool,
		.state_dir = c->runtime.state_dir,
		.ring_bytes = c->runtime.receive_ring_bytes,
		.n_senders = c->runtime.senders,
		.sends_singly = p->role == PORT_UPLINK,
	};

	if (config_is_dpdk(p))
		return open_dpdk(c, p, pool, ret_port, error);
	return rawsock_open(&params, ret_port, error);
}

static int check_framing(
	const struct config_port *p, const struct port *port, char error[PORT_ERROR_MAX])
{
	bool is_raw = port->framing == FRAMING_RAW_IP;

	if (!port_is_up(port) || p->framing == CONFIG_FRAMING_AUTO
		|| is_raw == (p->framing == CONFIG_FRAMING_RAW_IP))
		return 0;
	snprintf(error, PORT_ERROR_MAX,
		"%s is an interface with %s framing; write framing: %s or auto", p->device,
		is_raw ? "raw-IP" : "Ethernet", is_raw ? "raw-ip" : "ethernet");
	return -EINVAL;
}

static int open_tap(struct gateway_ports *g, const struct config *c, const struct path_config *pc,
	uint32_t id, struct rte_mempool *pool)
{
	uint32_t lan_id = pc->ports[id].peer;
	const struct config_port *lan = &c->ports[lan_id];
	char error[PORT_ERROR_MAX] = "";
	struct tap_params params = {
		.name = pc->ports[id].name,
		.device = lan->tap,
		.mac = tap_mac(g->ports[lan_id], id),
		.address = lan->address,
		.mtu = g->ports[lan_id]->mtu == 0 ? MTU_DEFAULT : g->ports[lan_id]->mtu,
		.default_route = lan->tap_default_route,
		.pool = pool,
	};
	int err = tap_open(&params, &g->ports[id], error);

	g->lan_of[id] = lan_id;
	if (err < 0)
		log_event(LOG_ERROR, "port.tap port=%s device=%s error=\"%s\"", lan->name, lan->tap,
			error);
	else
		snprintf(g->devices[id], sizeof(g->devices[id]), "%s", lan->tap);
	return err;
}

int gateway_ports_open(struct gateway_ports *g, const struct config *config,
	const struct path_config *path_config, struct rte_mempool *pool)
{
	int err = 0;

	for (uint32_t i = 0; i < config->n_ports && err == 0; i++) {
		const struct config_port *p = &config->ports[i];
		char error[PORT_ERROR_MAX] = "";

		err = open_one(config, p, pool, &g->ports[i], error);
		if (err == 0)
			err = check_framing(p, g->ports[i], error);
		if (err < 0)
			log_event(LOG_ERROR, "port.open port=%s device=%s error=\"%s\"", p->name,
				p->device, error);
		snprintf(g->devices[i], sizeof(g->devices[i]), "%s", p->device);
	}
	for (uint32_t i = config->n_ports; i < path_config->n_ports && err == 0; i++)
		err = open_tap(g, config, path_config, i, pool);
	g->n_ports = path_config->n_ports;
	g->n_configured = config->n_ports;
	if (err < 0)
		gateway_ports_close(g);
	return err;
}

/* A LAN port that came late, or was replaced, has another MAC than its tap was made with. */
static void follow_macs(struct gateway_ports *g)
{
	for (uint32_t i = g->n_configured; i < g->n_ports; i++) {
		const struct port *lan = g->ports[g->lan_of[i]];

		if (port_is_up(lan))
			tap_set_mac(g->ports[i], &lan->mac);
	}
}

void gateway_ports_maintain(struct gateway_ports *g, uint64_t now_us)
{
	bool look_at_up = now_us - g->looked_us >= MAINTAIN_UP_US;

	if (now_us - g->maintained_us < MAINTAIN_DOWN_US)
		return;
	g->maintained_us = now_us;
	if (look_at_up)
		g->looked_us = now_us;
	for (uint32_t i = 0; i < g->n_ports; i++) {
		struct port *p = g->ports[i];

		if (p != NULL && p->ops->maintain != NULL && (look_at_up || !port_is_up(p)))
			p->ops->maintain(p, now_us);
	}
	follow_macs(g);
}

void gateway_ports_close(struct gateway_ports *g)
{
	/* Taps first: their addresses must not answer while the LAN below goes back to the kernel. */
	for (uint32_t i = PORTS_MAX; i-- > 0;) {
		port_close(g->ports[i]);
		g->ports[i] = NULL;
	}
	g->n_ports = 0;
}
