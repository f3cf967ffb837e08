/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway_export.h"

#include <weir/base/log.h>

static int open_lines(struct gateway_export *e, const struct config *c)
{
	char error[EXPORT_ERROR_MAX];
	int err;

	if (c->runtime.records[0] == '\0')
		return 0;
	err = export_records_open(c->runtime.records, error, &e->lines);
	if (err < 0)
		log_event(LOG_ERROR, "start.records error=\"%s\"", error);
	return err;
}

static int open_ipfix(
	const struct config *c, enum ipfix_transport transport, struct export_ipfix **ret_export)
{
	struct export_ipfix_params params = {
		.transport = transport,
		.file = c->ipfix.file,
		.ca_file = c->ipfix.ca_file,
		.certificate = c->ipfix.certificate,
		.key = c->ipfix.key,
		.server_name = c->ipfix.server_name,
		.domain = c->ipfix.domain,
		.buffer = c->ipfix.buffer,
		.template_every_us = c->ipfix.template_every_us,
	};
	char error[EXPORT_ERROR_MAX];
	int err = 0;

	if (transport != IPFIX_FILE)
		err = config_collector(&c->ipfix, &params.collector, &params.port);
	if (err == 0)
		err = export_ipfix_open(&params, error, ret_export);
	if (err < 0)
		log_event(LOG_ERROR, "start.ipfix error=\"%s\"", error);
	return err;
}

int gateway_export_open(struct gateway_export *e, const struct config *config)
{
	int err = open_lines(e, config);

	if (err == 0 && config->ipfix.collector[0] != '\0')
		err = open_ipfix(config, config->ipfix.transport, &e->collector);
	if (err == 0 && config->ipfix.file[0] != '\0')
		err = open_ipfix(config, IPFIX_FILE, &e->file);
	return err;
}

void gateway_export_set_wall_offset(struct gateway_export *e, int64_t wall_offset_us)
{
	if (e->lines != NULL)
		export_records_set_wall_offset(e->lines, wall_offset_us);
	if (e->collector != NULL)
		export_ipfix_set_wall_offset(e->collector, wall_offset_us);
	if (e->file != NULL)
		export_ipfix_set_wall_offset(e->file, wall_offset_us);
}

void gateway_export_set_remote_names(struct gateway_export *e, struct remote_names *names)
{
	if (e->lines != NULL)
		export_records_set_remote_names(e->lines, names);
}

void gateway_export_add(struct gateway_export *e, const struct path_config *config,
	const struct flow_record *records, uint32_t n_records, uint64_t now_us)
{
	if (e->lines != NULL)
		export_records_add(e->lines, config, records, n_records, now_us);
	if (e->collector != NULL)
		export_ipfix_add(e->collector, config, records, n_records, now_us);
	if (e->file != NULL)
		export_ipfix_add(e->file, config, records, n_records, now_us);
}

void gateway_export_tick(
	struct gateway_export *e, const struct path_config *config, uint64_t now_us)
{
	if (e->collector != NULL)
		export_ipfix_tick(e->collector, config, now_us);
	if (e->file != NULL)
		export_ipfix_tick(e->file, config, now_us);
}

void gateway_export_flush(struct gateway_export *e, uint64_t now_us)
{
	if (e->lines != NULL)
		export_records_flush(e->lines, now_us);
}

void gateway_export_reopen(struct gateway_export *e, uint64_t now_us)
{
	if (e->lines != NULL)
		export_records_reopen(e->lines, now_us);
	if (e->file != NULL)
		export_ipfix_reopen(e->file, now_us);
}

bool gateway_export_drain(struct gateway_export *e)
{
	bool is_empty = e->collector == NULL || export_ipfix_drain(e->collector);

	return (e->file == NULL || export_ipfix_drain(e->file)) && is_empty;
}

void gateway_export_finish(
	struct gateway_export *e, const struct path_config *config, uint64_t now_us)
{
	if (e->file == NULL)
		return;
	export_ipfix_drain(e->file);
	export_ipfix_tick(e->file, config, now_us);
}

void gateway_export_close(struct gateway_export *e)
{
	export_records_close(e->lines);
	export_ipfix_close(e->collector);
	export_ipfix_close(e->file);
	*e = (struct gateway_export){NULL, NULL, NULL};
}
