/* SPDX-License-Identifier: BSD-3-Clause */
/* Profiles: what devices of a kind talk to, from files that classes name. Mistakes are reported at the file's own lines. */
#include "config_bind.h"
#include "config_check.h"

#include <weir/base/civil.h>
#include <weir/control/config.h>
#include <weir/control/data_file.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX_BYTES (1 << 16)

static void check_head(struct config_checker *k, const struct config_profile *p, const char *name)
{
	const struct tree_node *top = k->top;
	int64_t day;

	if (config_is_set(top, "name") && strcmp(p->name, name) != 0)
		config_complain(k, CONFIG_ERROR, top, "name",
			"is not what the file is called by; write %s", name);
	if (config_is_set(top, "checked_on") && civil_date_parse(p->checked_on, &day) != 0)
		config_complain(k, CONFIG_ERROR, top, "checked_on",
			"'%.40s' is no day; write one such as 2026-01-31", p->checked_on);
	if (p->warn_after_us > 0 && p->overdue_after_us > 0
		&& p->warn_after_us > p->overdue_after_us)
		config_complain(k, CONFIG_ERROR, top, "warn_after",
			"comes when the device is overdue already; write less than overdue_after");
}

static void check_profile(
	struct config_checker *k, const struct config_profile *p, const char *name)
{
	const struct tree_node *rules = tree_child(k->top, "rules");
	const struct tree_node *nodes[CONFIG_MATCH_MAX] = {NULL};

	check_head(k, p, name);
	config_collect(rules, nodes, CONFIG_MATCH_MAX);
	for (uint32_t i = 0; i < p->n_rules; i++)
		config_check_match(k, nodes[i], &p->rules[i]);
	if (rules != NULL && p->n_rules == 0)
		config_complain(k, CONFIG_ERROR, k->top, "rules",
			"there are none; write - { kind: service, protocol: tcp, port: 443, names: "
			"[service.example.com] }");
}

int config_profile_read(const char *text, size_t len, const char *name,
	struct config_profile *ret_profile, struct config_report *report)
{
	struct config_checker k = {.report = report};
	uint32_t n_errors = report->n_errors;
	struct tree_node *top;
	int error = tree_read(text, len, report, &top);

	if (error != 0)
		return error;
	memset(ret_profile, 0, sizeof(*ret_profile));
	config_bind(top, schema_profile(), ret_profile, report);
	config_bind_required(top, report);
	for (uint32_t i = 0; i < ret_profile->n_rules; i++) {
		ret_profile->rules[i].dscp = DSCP_NONE;
		config_match_settle(&ret_profile->rules[i]);
	}
	k.top = top;
	check_profile(&k, ret_profile, name);
	tree_destroy(top);
	return report->n_errors > n_errors ? -EINVAL : 0;
}

static int load(
	const char *path, const char *name, struct config_profile *p, struct config_report *report)
{
	char *text;
	size_t len;
	int error = data_file_read(path, FILE_MAX_BYTES, &text, &len);

	config_report_file(report, path);
	if (error != 0)
		config_report_add(report, CONFIG_ERROR, 0, 0, "cannot be read: %s",
			error == -EFBIG ? "larger than 64 KiB; this is no profile"
					: strerror(-error));
	if (error == 0) {
		error = config_profile_read(text, len, name, p, report);
		free(text);
	}
	config_report_file(report, NULL);
	return error;
}

/* A profile is entered under the name that it is called for by, with its mistakes too: they are told once. */
static void profile_take(
	struct config *c, const struct tree_node *n, const char *name, struct config_report *report)
{
	struct config_checker k = {.report = report};
	struct config_profile *p;
	char path[DATA_PATH_MAX];
	int error;

	if (config_find_profile(c, name) != NULL)
		return;
	if (c->n_profiles == CONFIG_PROFILES_MAX) {
		config_complain(&k, CONFIG_ERROR, n, "profile",
			"more than %d profiles; put their rules together", CONFIG_PROFILES_MAX);
		return;
	}
	error = data_file_find(c->dir, "profiles", name, path);
	if (error != 0) {
		config_complain(&k, CONFIG_ERROR, n, "profile",
			"there is no profiles/%s.yaml beside this file, below /etc/weir or among "
			"those that come with weir; write azure-sphere or fleet-update, or add it",
			name);
		return;
	}
	p = &c->profiles[c->n_profiles++];
	(void)load(path, name, p, report);
	memset(p->name, 0, sizeof(p->name));
	memcpy(p->name, name, strlen(name));
}

void config_profiles_load(
	const struct tree_node *top, struct config *c, struct config_report *report)
{
	const struct tree_node *nodes[CONFIG_CLASSES_MAX] = {NULL};

	config_collect(tree_child(top, "classes"), nodes, CONFIG_CLASSES_MAX);
	for (uint32_t i = 0; i < c->n_classes; i++)
		if (c->classes[i].profile[0] != '\0')
			profile_take(c, nodes[i], c->classes[i].profile, report);
}

const struct config_profile *config_find_profile(const struct config *c, const char *name)
{
	for (uint32_t i = 0; i < c->n_profiles; i++)
		if (name[0] != '\0' && strcmp(c->profiles[i].name, name) == 0)
			return &c->profiles[i];
	return NULL;
}
