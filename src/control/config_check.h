/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What no single key can show: roles, addresses, devices and references that must fit together.
 *
 * Shapes:   `top` is bound: ports, plans, classes and rules of the config stand in the order of their nodes.
 * Threads:  control alone.
 */
#ifndef WEIR_SRC_CONTROL_CONFIG_CHECK_H
#define WEIR_SRC_CONTROL_CONFIG_CHECK_H

#include "tree.h"

#include <weir/control/config.h>

struct config_checker {
	const struct config *config;
	struct config_report *report;
	const struct tree_node *top;
	const struct tree_node *ports[PORTS_MAX];
	const struct tree_node *plans[PLANS_MAX];
	const struct tree_node *classes[CONFIG_CLASSES_MAX];
	const struct tree_node *forwards[NAT_FORWARDS_MAX];
	const struct tree_node *topology[CONFIG_TOPOLOGY_MAX];
	unsigned int options; /* enum config_option */
};

/* Reports each mistake at the node it belongs to. */
void config_check(const struct tree_node *top, const struct config *c, unsigned int options,
	struct config_report *report);

/* The parts of it. */
void config_check_ports(struct config_checker *k);
void config_check_addresses(struct config_checker *k);
void config_check_forwards(struct config_checker *k);
void config_check_classes(struct config_checker *k);
void config_check_policy(struct config_checker *k);
void config_check_quotas(struct config_checker *k);
void config_check_export(struct config_checker *k);

/* One step of a ladder, and its place in it. */
void config_check_step(struct config_checker *k, const struct tree_node *n,
	const struct config_ladder_step *steps, uint32_t i);

/* A group that something refers to exists. */
void config_check_group_name(
	struct config_checker *k, const struct tree_node *n, const char *group);

/* One rule of a class, or of a profile: then the checker has no configuration. */
void config_check_match(
	struct config_checker *k, const struct tree_node *n, const struct config_match *m);

/* How a plan's cycle, pace and carrier's counting fit together. */
void config_check_plan_counting(
	struct config_checker *k, const struct tree_node *n, const struct config_plan *p);

/* Finds the nodes of the items that were bound, in the order of the array. */
void config_collect(
	const struct tree_node *section, const struct tree_node **nodes, uint32_t n_max);

/* A prefix of a rule or class names a network, or one host: host bits leave open which. */
void config_check_network(struct config_checker *k, const struct tree_node *n, const char *key,
	const struct ip_prefix *p);

/* An address of a device is on some LAN. */
void config_check_lan_address(struct config_checker *k, const struct tree_node *n, const char *key,
	const struct ip_prefix *p);

/* The node's `port` and `source_port` have a meaning for the protocol. */
void config_check_port_of(struct config_checker *k, const struct tree_node *n, uint8_t proto);

/* The node's `timezone` is one that this machine knows. */
void config_check_timezone(struct config_checker *k, const struct tree_node *n, const char *zone);

/* Reports at the node's child `key`, or at the node where that is not written. */
void config_complain(struct config_checker *k, enum config_severity severity,
	const struct tree_node *n, const char *key, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* True when the node has this key. */
bool config_has(const struct tree_node *n, const char *key);

/* True when the node has this key and its value was good. */
bool config_is_set(const struct tree_node *n, const char *key);

#endif
