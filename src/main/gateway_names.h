/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The names that the path hears, kept for all who show devices and flows.
 *
 * Shapes:   opened before the first flow, closed after the last record.
 * Threads:  control.
 */
#ifndef WEIR_MAIN_GATEWAY_NAMES_H
#define WEIR_MAIN_GATEWAY_NAMES_H

#include <weir/base/log.h>
#include <weir/control/config.h>
#include <weir/control/device_names.h>
#include <weir/control/remote_names.h>

struct gateway_names {
	struct device_names *devices;
	struct remote_names *remotes;
	bool hears_remotes;
	struct log_limit limit; /* of names told as events */
};

/* Returns 0 or a negative errno, and leaves what is open to gateway_names_close. */
int gateway_names_open(struct gateway_names *n, const struct config *config,
	const struct path_config *path_config);

/* The path has adopted this configuration. Names of remotes that are not to be kept any more are forgotten. */
void gateway_names_set_config(struct gateway_names *n, const struct path_config *config);

/* Takes in what the path has heard. */
void gateway_names_take(struct gateway_names *n, struct path *path, uint64_t now_us);

/* What was never opened is fine. */
void gateway_names_close(struct gateway_names *n);

#endif
