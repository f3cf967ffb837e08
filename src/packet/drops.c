/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/packet/drops.h>

struct drop_text {
	const char *name;
	const char *help;
};

static const struct drop_text texts[N_DROP_REASONS] = {
	[DROP_NONE] = {"none", "not dropped"},
#define DROP(id, name, help) [DROP_##id] = {name, help},
#include <weir/packet/drops.def>
#undef DROP
};

const char *drop_name(enum drop_reason why)
{
	return (uint32_t)why < N_DROP_REASONS ? texts[why].name : "unknown";
}

const char *drop_help(enum drop_reason why)
{
	return (uint32_t)why < N_DROP_REASONS ? texts[why].help : "no such reason";
}
