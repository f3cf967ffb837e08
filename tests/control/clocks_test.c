/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_text.h"

#include <weir/base/clock.h>
#include <weir/classify/name_set.h>
#include <weir/control/apply.h>
#include <weir/control/clocks.h>
#include <weir/packet/meta.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define S        ((int64_t)US_PER_S)
#define HOUR     (3600 * S)
#define START    (1000 * HOUR)
#define TICK     (10 * S)
#define CLASS_ID CLASSES_BUILT_IN

static const char site_text[] =
	"ports:\n"
	"  lan0: {role: lan, device: eth1, address: 192.168.50.1/24, tap: none}\n"
	"  wwan0: {role: uplink, device: wwan0, link: cellular, address: 10.64.3.7/32}\n"
	"classes: {servicing: {profile: azure-sphere}}\n";

/* A site, its clocks, and what its devices and uplink do between two looks. */
struct world {
	struct config *config;
	struct path_config *pc;
	struct clocks *clocks;
	struct clocks_site site;
	struct device device;
	int64_t now_us;
	uint32_t flow_id;
};

static struct world *w;

static void setup(void)
{
	struct path_setup path_setup;

	w = calloc(1, sizeof(*w));
	w->config = config_of(site_text);
	cr_assert_eq(config_to_path(w->config, &path_setup, &w->pc), 0);
	w->now_us = START;
	cr_assert_eq(clocks_create(w->config, START, &w->clocks), 0);
	w->site.has_link = true;
	w->device = (struct device){.addr = ip_addr_quad(192, 168, 50, 10),
		.mac = {{2, 0, 0, 0, 0, 10}},
		.in_use = 1,
		.last_us = START};
}

static void teardown(void)
{
	clocks_destroy(w->clocks);
	ruleset_destroy(w->pc->rules);
	name_set_destroy(w->pc->names);
	classes_destroy(w->pc->classes);
	free(w->pc);
	config_destroy(w->config);
	free(w);
}

TestSuite(control_clocks, .init = setup, .fini = teardown);

/* A flow of the device that has just ended, with so many octets. */
static void exchange(uint8_t kind, uint64_t up, uint64_t down)
{
	struct flow_record r = {
		.start_us = (uint64_t)(w->now_us - S),
		.end_us = (uint64_t)w->now_us,
		.octet_delta_count = {up, down},
		.internal = w->device.addr,
		.device_mac = w->device.mac,
		.proto = kind == CLASS_KIND_TIME || kind == CLASS_KIND_DNS ? PROTO_UDP : PROTO_TCP,
		.tcp_flags = {TCP_SYN | TCP_PSH, TCP_SYN | TCP_PSH},
		.class_id = CLASS_ID,
		.kind = kind,
		.flow_id = w->flow_id++,
	};

	w->device.last_us = (uint64_t)w->now_us;
	clocks_count(w->clocks, w->pc, &r);
}

enum trouble {
	NO_TROUBLE,
	NOT_HEARD,
	LINK_DOWN,
	LINK_SILENT,
	PLAN_SPENT,
	DNS_UNANSWERED,
	TIME_UNANSWERED,
	SERVICE_UNANSWERED,
};

static void be_in_trouble(enum trouble what)
{
	w->site.has_link = what != LINK_DOWN;
	w->site.n_up_packets++;
	if (what != LINK_DOWN && what != LINK_SILENT)
		w->site.n_down_packets++;
	if (what != NOT_HEARD)
		w->device.last_us = (uint64_t)w->now_us;
	if (what == PLAN_SPENT)
		clocks_stopped(w->clocks, "servicing", w->now_us);
	if (what != NOT_HEARD && w->now_us % (60 * S) == 0) {
		w->device.dns_asked_s = (uint32_t)(w->now_us / S);
		if (what == TIME_UNANSWERED || what == SERVICE_UNANSWERED || what == NO_TROUBLE)
			w->device.dns_answered_s = w->device.dns_asked_s;
		if (what == TIME_UNANSWERED)
			exchange(CLASS_KIND_TIME, 76, 0);
	}
}

static const struct clock_row *the_row(void)
{
	cr_assert_null(clocks_row(w->clocks, 1));
	return clocks_row(w->clocks, 0);
}

static void pass(int64_t span_us, enum trouble what)
{
	int64_t end_us = w->now_us + span_us;

	while (w->now_us < end_us) {
		w->now_us += TICK;
		be_in_trouble(what);
		clocks_hear(w->clocks, "lan0", &w->device);
		clocks_judge(w->clocks, &w->site, w->now_us);
	}
}

Test(control_clocks, a_day_without_services_is_warned_of_with_its_cause)
{
	static const struct {
		const char *claim;
		enum trouble trouble;
		enum clock_cause cause;
	} rows[] = {
		{"it is not on the LAN any more", NOT_HEARD, CLOCK_CAUSE_LAN},
		{"the uplink is down", LINK_DOWN, CLOCK_CAUSE_LINK},
		{"the uplink is up and silent", LINK_SILENT, CLOCK_CAUSE_LINK},
		{"the plan is spent", PLAN_SPENT, CLOCK_CAUSE_PLAN},
		{"its questions are not answered", DNS_UNANSWERED, CLOCK_CAUSE_DNS},
		{"the time is not answered", TIME_UNANSWERED, CLOCK_CAUSE_TIME},
		{"only its services do not answer", SERVICE_UNANSWERED, CLOCK_CAUSE_SERVICE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		exchange(CLASS_KIND_TIME, 76, 76);
		exchange(CLASS_KIND_SERVICE, 2000, 5000);
		pass(20 * HOUR - TICK, rows[i].trouble);
		cr_assert_eq(the_row()->state, CLOCK_FINE, "%s", rows[i].claim);
		pass(TICK, rows[i].trouble);
		cr_assert_eq(the_row()->state, CLOCK_LATE, "%s", rows[i].claim);
		cr_assert_eq(the_row()->cause, rows[i].cause, "%s: %s", rows[i].claim,
			clock_cause_name(the_row()->cause));
		pass(4 * HOUR, rows[i].trouble);
		cr_assert_eq(the_row()->state, CLOCK_OVERDUE, "%s", rows[i].claim);
		cr_assert_eq(the_row()->cause, rows[i].cause, "%s", rows[i].claim);
		pass(2 * HOUR, NO_TROUBLE);
		exchange(CLASS_KIND_SERVICE, 2000, 5000);
		pass(TICK, NO_TROUBLE);
		cr_assert_eq(the_row()->state, CLOCK_FINE, "%s", rows[i].claim);
		cr_assert_eq(the_row()->cause, CLOCK_CAUSE_NONE, "%s", rows[i].claim);
	}
}

Test(control_clocks, each_kind_has_a_time_of_its_own)
{
	exchange(CLASS_KIND_DNS, 60, 200);
	exchange(CLASS_KIND_CONNECTIVITY, 500, 500);
	cr_assert_null(clocks_row(w->clocks, 0), "what any device does is no sign of such a one");
	exchange(CLASS_KIND_TIME, 76, 0);
	cr_assert_null(clocks_row(w->clocks, 0), "nothing was answered");
	exchange(CLASS_KIND_TIME, 76, 76);
	cr_assert_eq(the_row()->first_us, START - S);
	cr_assert_eq(the_row()->last_us[CLASS_KIND_TIME], START);
	cr_assert_eq(the_row()->last_us[CLASS_KIND_SERVICE], CLOCK_NEVER);
	pass(30 * HOUR, NO_TROUBLE);
	cr_assert_eq(the_row()->state, CLOCK_FINE, "it never had a service, so none is overdue");
	cr_assert_eq(the_row()->last_us[CLASS_KIND_DNS], START + 30 * HOUR, "of the device's own");
	exchange(CLASS_KIND_PROVISIONING, 900, 900);
	exchange(CLASS_KIND_UPDATE, 900, 900);
	cr_assert_eq(the_row()->last_us[CLASS_KIND_PROVISIONING], START + 30 * HOUR);
	cr_assert_eq(the_row()->last_us[CLASS_KIND_UPDATE], START + 30 * HOUR);
	cr_assert_eq(the_row()->last_us[CLASS_KIND_TIME], START);
}

Test(control_clocks, much_from_a_service_is_an_update)
{
	exchange(CLASS_KIND_SERVICE, 900, 60000);
	cr_assert_eq(the_row()->last_us[CLASS_KIND_UPDATE], CLOCK_NEVER);
	pass(HOUR, NO_TROUBLE);
	exchange(CLASS_KIND_SERVICE, 900, 60000);
	cr_assert_eq(the_row()->last_us[CLASS_KIND_UPDATE], CLOCK_NEVER, "an hour lies between");
	pass(60 * S, NO_TROUBLE);
	exchange(CLASS_KIND_SERVICE, 900, 40000);
	cr_assert_eq(the_row()->last_us[CLASS_KIND_UPDATE], w->now_us);
}

Test(control_clocks, a_handshake_is_no_answer)
{
	struct flow_record r = {.end_us = START,
		.octet_delta_count = {200, 100},
		.internal = w->device.addr,
		.proto = PROTO_TCP,
		.tcp_flags = {TCP_SYN | TCP_PSH, TCP_SYN | TCP_ACK},
		.class_id = CLASS_ID,
		.kind = CLASS_KIND_SERVICE};

	clocks_count(w->clocks, w->pc, &r);
	cr_assert_null(clocks_row(w->clocks, 0));
	r.tcp_flags[DOWNLINK] |= TCP_PSH;
	clocks_count(w->clocks, w->pc, &r);
	cr_assert_not_null(clocks_row(w->clocks, 0));
}

Test(control_clocks, another_mac_at_the_address_is_another_device)
{
	exchange(CLASS_KIND_SERVICE, 900, 900);
	w->device.mac.bytes[5]++;
	pass(25 * HOUR, NO_TROUBLE);
	cr_assert_eq(the_row()->state, CLOCK_OVERDUE);
	cr_assert_eq(the_row()->cause, CLOCK_CAUSE_LAN, "the one that is heard is not it");
	exchange(CLASS_KIND_TIME, 76, 76);
	cr_assert_eq(the_row()->last_us[CLASS_KIND_SERVICE], CLOCK_NEVER);
	pass(TICK, NO_TROUBLE);
	cr_assert_eq(the_row()->state, CLOCK_FINE);
}

Test(control_clocks, rows_are_bounded_and_those_without_a_service_yield)
{
	uint32_t n_services = 0;

	for (uint32_t i = 0; i < CLOCKS_ROWS_MAX + 100; i++) {
		w->device.addr = ip_addr_v4((i + 1) << 8);
		exchange(i < 10 ? CLASS_KIND_SERVICE : CLASS_KIND_TIME, 100, 100);
		clocks_hear(w->clocks, "lan0", &w->device);
		w->now_us += S;
	}
	for (uint32_t i = 0; i < CLOCKS_ROWS_MAX; i++)
		n_services += clocks_row(w->clocks, i)->last_us[CLASS_KIND_SERVICE] != CLOCK_NEVER;
	cr_assert_null(clocks_row(w->clocks, CLOCKS_ROWS_MAX));
	cr_assert_eq(n_services, 10);
}

Test(control_clocks, rows_end_with_the_profile_of_their_class)
{
	struct config *other = config_of("ports:\n"
					 "  lan0: {role: lan, device: eth1, address: "
					 "192.168.50.1/24}\n"
					 "  wwan0: {role: uplink, device: wwan0, address: "
					 "10.64.3.7/32, link: cellular}\n");

	exchange(CLASS_KIND_SERVICE, 900, 900);
	clocks_set_config(w->clocks, w->config);
	cr_assert_not_null(the_row());
	clocks_set_config(w->clocks, other);
	cr_assert_null(clocks_row(w->clocks, 0));
	config_destroy(other);
}

/* The wall clock is what two lives of the program have in common. */
Test(control_clocks, a_restart_keeps_them_by_a_wall_clock_that_is_trusted)
{
	char dir[] = "/tmp/weir-clocks-XXXXXX";
	char file[64];
	struct budget_time now = {.now_us = (uint64_t)START, .wall_s = 1800000000};

	cr_assert_not_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/%s", dir, CLOCKS_FILE);
	clocks_keep(w->clocks, dir, &now);
	exchange(CLASS_KIND_TIME, 76, 76);
	exchange(CLASS_KIND_SERVICE, 900, 900);
	clocks_save(w->clocks, dir, &now);
	cr_assert_neq(access(file, F_OK), 0, "no clock, no file");
	now.is_trusted = true;
	clocks_keep(w->clocks, dir, &now);
	now.now_us += (uint64_t)(601 * S);
	now.wall_s += 601;
	clocks_keep(w->clocks, dir, &now);
	cr_assert_eq(access(file, F_OK), 0, "kept after ten minutes");

	/* Another life: its clock begins at a minute, 22 hours later by the wall. */
	clocks_destroy(w->clocks);
	cr_assert_eq(clocks_create(w->config, 60 * S, &w->clocks), 0);
	now = (struct budget_time){.now_us = 60 * US_PER_S, .wall_s = 1800000000 + 22 * 3600};
	clocks_keep(w->clocks, dir, &now);
	cr_assert_null(clocks_row(w->clocks, 0), "nothing is known without the time");
	now.is_trusted = true;
	clocks_keep(w->clocks, dir, &now);
	cr_assert_eq(the_row()->last_us[CLASS_KIND_SERVICE], 60 * S - 22 * HOUR);
	cr_assert_eq(the_row()->last_us[CLASS_KIND_TIME], 60 * S - 22 * HOUR);
	cr_assert_eq(the_row()->last_us[CLASS_KIND_DNS], CLOCK_NEVER);
	w->now_us = 60 * S;
	w->device.last_us = 60 * US_PER_S;
	pass(500 * S, NO_TROUBLE);
	cr_assert_eq(the_row()->state, CLOCK_FINE, "devices have yet to be heard");
	pass(200 * S, NO_TROUBLE);
	cr_assert_eq(the_row()->state, CLOCK_LATE);
	cr_assert_eq(unlink(file), 0);
	cr_assert_eq(rmdir(dir), 0);
}

Test(control_clocks, a_bad_file_gives_nothing_and_breaks_nothing)
{
	static const char *const texts[] = {"", "{", "[]", "{\"devices\":7}",
		"{\"devices\":[7,{},{\"port\":\"lan0\"}]}",
		"{\"devices\":[{\"port\":\"lan0\",\"address\":\"192.168.50.9\",\"mac\":"
		"\"02:00:00:00:00:09\",\"class\":\"other\",\"first\":1}]}",
		"{\"devices\":[{\"port\":\"a-name-that-is-longer-than-any-port\",\"address\":"
		"\"192.168.50.9\",\"mac\":\"02:00:00:00:00:09\",\"class\":\"servicing\","
		"\"first\":1}]}",
		"{\"devices\":[{\"port\":\"lan0\",\"address\":\"192.168.50.9\",\"mac\":"
		"\"02:00:00:00:00:09\",\"class\":\"servicing\",\"first\":9999999999}]}"};
	char dir[] = "/tmp/weir-clocks-XXXXXX";
	char file[64];

	cr_assert_not_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/%s", dir, CLOCKS_FILE);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct budget_time now = {
			.now_us = (uint64_t)START, .wall_s = 1800000000, .is_trusted = true};
		struct clocks *k;
		FILE *out = fopen(file, "we");

		cr_assert_not_null(out);
		fputs(texts[i], out);
		fclose(out);
		cr_assert_eq(clocks_create(w->config, START, &k), 0);
		clocks_keep(k, dir, &now);
		cr_assert_null(clocks_row(k, 0), "%zu", i);
		clocks_destroy(k);
	}
	cr_assert_eq(unlink(file), 0);
	cr_assert_eq(rmdir(dir), 0);
}
