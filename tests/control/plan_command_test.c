/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands as they come off the socket, over books that are a mailbox. */
#include <weir/control/plan_command.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct budget {
	struct budget_view view;
	struct budget_command given;
	uint32_t n_given;
	uint32_t n_busy; /* refusals to come */
	uint32_t n_asked;
	uint32_t takes; /* questions until it is done */
	int result;
};

bool budget_find(struct budget *b, const char *name, uint8_t *ret_plan)
{
	if (strcmp(name, b->view.name) != 0)
		return false;
	*ret_plan = 0;
	return true;
}

bool budget_read(struct budget *b, uint32_t plan_id, struct budget_view *ret_view)
{
	if (plan_id > 0)
		return false;
	*ret_view = b->view;
	return true;
}

const char *budget_action_name(enum ladder_action action)
{
	(void)action;
	return "open";
}

int budget_command_give(
	struct budget *b, const struct budget_command *command, uint32_t *ret_ticket)
{
	if (b->n_busy > 0) {
		b->n_busy--;
		return -EBUSY;
	}
	b->given = *command;
	*ret_ticket = ++b->n_given;
	return 0;
}

bool budget_command_is_done(struct budget *b, uint32_t ticket, int *ret_error)
{
	cr_expect_eq(ticket, b->n_given);
	*ret_error = b->result;
	return ++b->n_asked > b->takes;
}

static struct budget books(void)
{
	return (struct budget){.view = {.name = "sim1", .quota_octets = 1000, .bill = {200, 300}}};
}

/* The whole answer, or the error's sentence; the result of the last call. */
static int ask(struct budget *b, const char *text, char *out, size_t size)
{
	json_t *request = json_loads(text, 0, NULL);
	char error[SERVER_ERROR_MAX] = "";
	struct server_answer *a = NULL;
	struct text part;
	int result;

	cr_assert_not_null(request, "%s", text);
	text_init(&part, 1 << 16);
	result = plan_command_answer(b, request, error, &a);
	if (result == 0)
		result = 1;
	for (int i = 0; i < 100 && result == 1; i++)
		result = a->next(a, &part, error);
	(void)snprintf(out, size, "%.*s", result == 0 ? (int)part.n : (int)strlen(error),
		result == 0 ? part.data : error);
	if (a != NULL)
		a->destroy(a);
	text_clean(&part);
	json_decref(request);
	return result;
}

Test(control_plan_command, a_top_up_waits_for_its_turn_and_for_the_disk)
{
	struct budget b = books();
	char out[1024];

	b.n_busy = 2;
	b.takes = 3;
	cr_expect_eq(ask(&b, "{\"plan\": \"sim1\", \"top_up_octets\": 500}", out, sizeof(out)), 0);
	cr_expect(b.given.kind == BUDGET_TOP_UP && b.given.octets == 500 && b.given.plan == 0);
	cr_expect_eq(b.n_given, 1);
	cr_expect_eq(b.n_asked, 4);
	cr_expect_not_null(strstr(out, "\"left_octets\":700"), "%s", out);
	cr_expect_not_null(strstr(out, "\"bill_low_octets\":200"), "%s", out);
}

Test(control_plan_command, what_was_used_may_be_nothing)
{
	struct budget b = books();
	char out[1024];

	cr_expect_eq(ask(&b, "{\"plan\": \"sim1\", \"set_used_octets\": 0}", out, sizeof(out)), 0);
	cr_expect_eq(b.given.kind, BUDGET_SET_USED);
}

Test(control_plan_command, each_mistake_gets_a_sentence)
{
	static const struct {
		const char *request;
		const char *says;
	} rows[] = {
		{"{\"plan\": \"sim2\", \"top_up_octets\": 5}",
			"no plan is called \"sim2\"; there are: sim1"},
		{"{\"plan\": 1, \"top_up_octets\": 5}", "names a plan"},
		{"{\"plan\": \"sim1\"}", "names a plan"},
		{"{\"plan\": \"sim1\", \"top_up\": 5}", "names a plan"},
		{"{\"plan\": \"sim1\", \"top_up_octets\": \"5\"}", "names a plan"},
		{"{\"plan\": \"sim1\", \"top_up_octets\": 5, \"set_used_octets\": 5}",
			"names a plan"},
		{"{\"plan\": \"sim1\", \"top_up_octets\": 0}", "octets are from"},
		{"{\"plan\": \"sim1\", \"set_used_octets\": -1}", "octets are from"},
		{"{\"plan\": \"sim1\", \"top_up_octets\": 1000000000000001}", "octets are from"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct budget b = books();
		char out[1024];

		cr_expect_lt(ask(&b, rows[i].request, out, sizeof(out)), 0, "%s", rows[i].request);
		cr_expect_not_null(strstr(out, rows[i].says), "%s: %s", rows[i].request, out);
		cr_expect_eq(b.n_given, 0);
	}
}

Test(control_plan_command, what_cannot_be_recorded_is_said)
{
	struct budget b = books();
	char out[1024];

	b.result = -ENOSPC;
	cr_expect_eq(
		ask(&b, "{\"plan\": \"sim1\", \"top_up_octets\": 5}", out, sizeof(out)), -ENOSPC);
	cr_expect_not_null(strstr(out, "nothing was added: No space left"), "%s", out);
	cr_expect_eq(
		ask(&b, "{\"plan\": \"sim1\", \"set_used_octets\": 5}", out, sizeof(out)), -ENOSPC);
	cr_expect_not_null(strstr(out, "holds from now on"), "%s", out);
}

Test(control_plan_command, a_plan_without_a_quota_takes_no_top_up)
{
	struct budget b = books();
	char out[1024];

	b.view.quota_octets = 0;
	cr_expect_lt(ask(&b, "{\"plan\": \"sim1\", \"top_up_octets\": 5}", out, sizeof(out)), 0);
	cr_expect_not_null(strstr(out, "has no quota"), "%s", out);
	cr_expect_eq(ask(&b, "{\"plan\": \"sim1\", \"set_used_octets\": 5}", out, sizeof(out)), 0);
}

Test(control_plan_command, only_what_names_a_plan_is_a_command)
{
	json_t *show = json_loads("{\"show\": \"plans\"}", 0, NULL);
	json_t *command = json_loads("{\"plan\": 7}", 0, NULL);

	cr_expect(!plan_command_is(show) && plan_command_is(command));
	json_decref(show);
	json_decref(command);
}
