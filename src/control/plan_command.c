/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/control/plan_command.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OCTETS_MAX (INT64_C(1000) * 1000000000000) /* as in the configuration: 1000 TB */

static const struct {
	const char *key;
	enum budget_command_kind kind;
} kinds[] = {
	{"top_up_octets", BUDGET_TOP_UP},
	{"set_used_octets", BUDGET_SET_USED},
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct plan_answer {
	struct server_answer answer; /* the first member */
	struct budget *budget;
	struct budget_command command;
	uint32_t ticket;
	bool is_given;
};

bool plan_command_is(const json_t *request)
{
	return json_object_get(request, "plan") != NULL;
}

/* What became of it, in words; 0 when it was done. */
static int outcome(const struct plan_answer *a, int result, char error[SERVER_ERROR_MAX])
{
	bool is_top_up = a->command.kind == BUDGET_TOP_UP;

	if (result == 0)
		return 0;
	if (result == -ESTALE)
		(void)snprintf(error, SERVER_ERROR_MAX,
			"done, and another command came between: see weirctl show plans");
	else
		(void)snprintf(error, SERVER_ERROR_MAX, "%s: %s; make room in runtime.state_dir",
			is_top_up ? "the ledger cannot be written, and nothing was added"
				  : "holds from now on, but the ledger cannot be written yet",
			strerror(-result));
	return result;
}

static void write_plan(const struct budget_view *v, struct text *part)
{
	text_open(part, NULL, '{');
	text_field_string(part, "plan", v->name);
	if (v->quota_octets > 0) {
		text_field_u64(part, "quota_octets", v->quota_octets);
		text_field_u64(part, "left_octets", budget_left(v));
	}
	text_field_u64(part, "used_octets", v->plan.used_octets);
	text_field_u64(part, "bill_low_octets", v->bill.low_octets);
	text_field_u64(part, "bill_high_octets", v->bill.high_octets);
	text_field_u64(part, "top_up_octets", v->plan.top_up_octets);
	text_field_string(part, "step", budget_action_name(v->action));
	text_close(part, '}');
}

static int plan_next(struct server_answer *answer, struct text *part, char error[SERVER_ERROR_MAX])
{
	struct plan_answer *a = (struct plan_answer *)answer;
	struct budget_view view;
	int result = 0;

	if (!a->is_given) {
		result = budget_command_give(a->budget, &a->command, &a->ticket);
		a->is_given = result == 0;
		return result == 0 || result == -EBUSY ? 1 : outcome(a, result, error);
	}
	if (!budget_command_is_done(a->budget, a->ticket, &result))
		return 1;
	result = outcome(a, result, error);
	if (result == 0 && budget_read(a->budget, a->command.plan, &view))
		write_plan(&view, part);
	return result;
}

static void plan_destroy(struct server_answer *answer)
{
	free(answer);
}

static int refuse(char error[SERVER_ERROR_MAX], const char *why)
{
	(void)snprintf(error, SERVER_ERROR_MAX, "%s", why);
	return -EINVAL;
}

/* {"plan": NAME, one of the kinds: a number} and nothing else. */
static int command_read(
	const json_t *request, struct budget_command *ret_command, char error[SERVER_ERROR_MAX])
{
	static const char what[] =
		"a command names a plan and one thing to do: {\"plan\": \"sim1\", "
		"\"top_up_octets\": 100000000} or \"set_used_octets\"";
	const json_t *value = NULL;

	if (!json_is_string(json_object_get(request, "plan")) || json_object_size(request) != 2)
		return refuse(error, what);
	for (size_t i = 0; i < N_KINDS && value == NULL; i++) {
		value = json_object_get(request, kinds[i].key);
		ret_command->kind = kinds[i].kind;
	}
	if (!json_is_integer(value))
		return refuse(error, what);
	if (json_integer_value(value) < (ret_command->kind == BUDGET_TOP_UP ? 1 : 0)
		|| json_integer_value(value) > OCTETS_MAX)
		return refuse(error, "octets are from 1B (used: 0B) to 1000TB");
	ret_command->octets = (uint64_t)json_integer_value(value);
	return 0;
}

/* The plan that is meant, which must have a quota for what is to be told of it. */
static int plan_find(struct budget *b, const char *name, struct budget_command *command,
	char error[SERVER_ERROR_MAX])
{
	struct budget_view view;
	int n = snprintf(error, SERVER_ERROR_MAX, "no plan is called \"%.40s\"; there are:", name);

	if (budget_find(b, name, &command->plan)) {
		(void)budget_read(b, command->plan, &view);
		if (view.quota_octets > 0 || command->kind != BUDGET_TOP_UP)
			return 0;
		(void)snprintf(error, SERVER_ERROR_MAX,
			"plan %s has no quota to be topped up: write quota: or prepaid: true below "
			"it",
			name);
		return -EINVAL;
	}
	for (uint32_t i = 0; budget_read(b, i, &view) && n > 0 && n < SERVER_ERROR_MAX; i++)
		n += snprintf(error + n, (size_t)(SERVER_ERROR_MAX - n), " %s", view.name);
	return -ENOENT;
}

int plan_command_answer(struct budget *budget, json_t *request, char error[SERVER_ERROR_MAX],
	struct server_answer **ret_answer)
{
	struct budget_command command = {0};
	struct plan_answer *a;
	int result = command_read(request, &command, error);

	if (result == 0)
		result = plan_find(budget, json_string_value(json_object_get(request, "plan")),
			&command, error);
	if (result != 0)
		return result;
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return -ENOMEM;
	a->answer = (struct server_answer){.next = plan_next, .destroy = plan_destroy};
	a->budget = budget;
	a->command = command;
	*ret_answer = &a->answer;
	return 0;
}
