/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/log.h>
#include <weir/control/drop_watch.h>

#include <string.h>

static bool is_trouble(enum drop_reason why)
{
	return why != DROP_NONE && why != DROP_ARP_DONE && why != DROP_ARP_NOT_OURS
	       && why != DROP_SHAPE_CODEL && why != DROP_SHAPE_ACK && why != DROP_STOPPED;
}

static void judge(struct drop_watch *w, enum drop_reason why, uint64_t n, uint32_t alarm)
{
	uint64_t limit = (uint64_t)alarm * DROP_WATCH_S;
	bool is_above = alarm > 0 && (w->is_above[why] ? n * 2 >= limit : n > limit);

	if (is_above == w->is_above[why])
		return;
	w->is_above[why] = is_above;
	log_event(is_above ? LOG_WARNING : LOG_NOTICE,
		"%s reason=%s packets_per_s=%llu alarm_per_s=%u means=\"%s\"",
		is_above ? "drops.above" : "drops.below", drop_name(why),
		(unsigned long long)(n / DROP_WATCH_S), alarm, drop_help(why));
}

void drop_watch_tick(struct drop_watch *w, const uint64_t drops[N_DROP_REASONS], uint32_t alarm)
{
	uint64_t *oldest = w->samples[w->n_samples % DROP_WATCH_S];

	for (uint32_t i = 0; i < N_DROP_REASONS && w->n_samples >= DROP_WATCH_S; i++)
		if (is_trouble((enum drop_reason)i))
			judge(w, (enum drop_reason)i, drops[i] - oldest[i], alarm);
	memcpy(oldest, drops, sizeof(w->samples[0]));
	w->n_samples++;
}
