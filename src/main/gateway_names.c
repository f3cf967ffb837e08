/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway_names.h"

#include <weir/base/clock.h>
#include <weir/base/rng.h>
#include <weir/path/doors.h>

#define NAMES_BATCH 8

int gateway_names_open(
	struct gateway_names *n, const struct config *config, const struct path_config *path_config)
{
	int err = device_names_create(VENDORS_FILE, config->runtime.leases, &n->devices);

	if (err == 0)
		err = remote_names_create(config->runtime.remote_names_max,
			(uint16_t)config->devices_capacity, rng_entropy(), &n->remotes);
	if (err < 0)
		return err;
	n->limit = (struct log_limit){.interval_us = US_PER_S, .burst = 10};
	gateway_names_set_config(n, path_config);
	return 0;
}

void gateway_names_set_config(struct gateway_names *n, const struct path_config *config)
{
	n->hears_remotes = config->remote_names;
	remote_names_set_times(n->remotes, &config->names_times);
	if (!n->hears_remotes)
		remote_names_clear(n->remotes);
}

static void hear_host(
	struct gateway_names *n, struct path *path, const struct path_name *name, uint64_t now_us)
{
	bool is_device = name->device_id != DEVICE_NONE;
	char before[LEASE_NAME_MAX];
	char mac[MAC_ADDR_TEXT_MAX];

	if (!device_names_hear(n->devices, &name->mac, name->name, is_device, before)
		|| !log_limit_take(&n->limit, now_us))
		return;
	mac_addr_format(&name->mac, mac);
	log_event(LOG_INFO, "device.named port=%s mac=%s name=%s%s%s more=%u",
		doors_config(path)->ports[name->port].name, mac, name->name,
		before[0] == '\0' ? "" : " before=", before, n->limit.n_suppressed);
	n->limit.n_suppressed = 0;
}

void gateway_names_take(struct gateway_names *n, struct path *path, uint64_t now_us)
{
	struct path_name names[NAMES_BATCH];
	uint32_t n_names;

	/* No more rounds than there is room on the way: who fills it as fast as it is emptied keeps nobody here. */
	for (uint32_t rounds = 0; rounds < PATH_NAMES_WAITING / NAMES_BATCH
				  && (n_names = doors_names_take(path, names, NAMES_BATCH)) > 0;
		rounds++)
		for (uint32_t i = 0; i < n_names; i++)
			if (names[i].kind == PATH_NAME_HOST)
				hear_host(n, path, &names[i], now_us);
			else if (n->hears_remotes)
				remote_names_hear(n->remotes, &names[i]);
}

void gateway_names_close(struct gateway_names *n)
{
	device_names_destroy(n->devices);
	remote_names_destroy(n->remotes);
}
