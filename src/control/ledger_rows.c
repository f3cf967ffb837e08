/* SPDX-License-Identifier: BSD-3-Clause */
#include "ledger_state.h"
#include "little_endian.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum row_type {
	ROW_LEDGER = 1,
	ROW_PLAN = 2,
	ROW_CLASS = 3,
	ROW_DEVICE = 4,
	ROW_DAY = 5,
	ROW_CYCLE = 6,
	ROW_BILL = 7,
	ROW_BILL_EDGES = 8,
	ROW_SHARE = 16,
};

#define ROW_HEAD_BYTES 2
#define USAGE_BYTES    (2 * N_DIRECTIONS * 8)
#define LEDGER_BYTES   17
#define PLAN_BYTES     (1 + 1 + LEDGER_NAME_MAX + 7 * 8 + USAGE_BYTES)
#define CLASS_BYTES    (1 + LEDGER_NAME_MAX + USAGE_BYTES)
#define DEVICE_BYTES   (1 + 6 + 4 + USAGE_BYTES)
#define DAY_BYTES      (1 + 2 * 8 + USAGE_BYTES)
#define CYCLE_BYTES    (1 + 6 * 8 + USAGE_BYTES)

#define SHARE_BYTES      (1 + 6 + LEDGER_NAME_MAX + 8)
#define BILL_SUM_BYTES   (2 * N_DIRECTIONS * 8)
#define BILL_BYTES       (1 + 1 + 13 * 8 + 3 * BILL_SUM_BYTES)
#define BILL_EDGES_BYTES (1 + 4 * BILL_SUM_BYTES)
#define PLAN_ROWS_BYTES                                                                            \
	(3 * ROW_HEAD_BYTES + PLAN_BYTES + BILL_BYTES + BILL_EDGES_BYTES) /* in every record */

#define FLAG_SUSPECT 0x01
#define FLAG_SPENT   0x01
#define FLAG_UNSURE  0x02
#define FLAG_CUT     0x01
#define FLAG_END     0x02
#define FLAG_DAY     0x04
#define FLAG_SESSION 0x08
#define FLAG_BEFORE  0x10

uint64_t rows_most(uint32_t n_days, uint32_t n_cycles, uint32_t n_devices, uint32_t n_shares)
{
	uint64_t one_plan = PLAN_ROWS_BYTES + LEDGER_CLASSES_MAX * (ROW_HEAD_BYTES + CLASS_BYTES)
			    + (uint64_t)n_days * (ROW_HEAD_BYTES + DAY_BYTES)
			    + (uint64_t)n_cycles * (ROW_HEAD_BYTES + CYCLE_BYTES);

	return ROW_HEAD_BYTES + LEDGER_BYTES + LEDGER_PLANS_MAX * one_plan
	       + (uint64_t)n_devices * (ROW_HEAD_BYTES + DEVICE_BYTES)
	       + (uint64_t)n_shares * (ROW_HEAD_BYTES + SHARE_BYTES);
}

uint32_t rows_least(void)
{
	return ROW_HEAD_BYTES + LEDGER_BYTES + LEDGER_PLANS_MAX * PLAN_ROWS_BYTES;
}

/* Both ways over a payload. */
struct row_writer {
	uint8_t *at;
	const uint8_t *end;
};

struct row_reader {
	const uint8_t *at;
};

static void put8(struct row_writer *w, uint8_t value)
{
	*w->at++ = value;
}

static void put32(struct row_writer *w, uint32_t value)
{
	store_le32(w->at, value);
	w->at += 4;
}

static void put64(struct row_writer *w, uint64_t value)
{
	store_le64(w->at, value);
	w->at += 8;
}

static void put_name(struct row_writer *w, const char *name)
{
	memset(w->at, 0, LEDGER_NAME_MAX);
	memcpy(w->at, name, strnlen(name, LEDGER_NAME_MAX - 1));
	w->at += LEDGER_NAME_MAX;
}

static void put_usage(struct row_writer *w, const struct ledger_usage *u)
{
	for (unsigned int d = 0; d < N_DIRECTIONS; d++) {
		put64(w, u->octets[d]);
		put64(w, u->packets[d]);
	}
}

static uint8_t get8(struct row_reader *r)
{
	return *r->at++;
}

static uint64_t get64(struct row_reader *r)
{
	uint64_t value = load_le64(r->at);

	r->at += 8;
	return value;
}

static void get_name(struct row_reader *r, char *name)
{
	memcpy(name, r->at, LEDGER_NAME_MAX);
	name[LEDGER_NAME_MAX - 1] = '\0';
	r->at += LEDGER_NAME_MAX;
}

static void get_usage(struct row_reader *r, struct ledger_usage *u)
{
	for (unsigned int d = 0; d < N_DIRECTIONS; d++) {
		u->octets[d] = get64(r);
		u->packets[d] = get64(r);
	}
}

/* False when there is no room for the row. */
static bool begin(struct row_writer *w, enum row_type type, uint8_t n_bytes)
{
	if ((size_t)(w->end - w->at) < ROW_HEAD_BYTES + (size_t)n_bytes)
		return false;
	put8(w, (uint8_t)type);
	put8(w, n_bytes);
	return true;
}

static void put_bill_sum(struct row_writer *w, const struct bill_sum *s)
{
	for (unsigned int d = 0; d < N_DIRECTIONS; d++) {
		put64(w, s->octets[d]);
		put64(w, s->packets[d]);
	}
}

static uint8_t bill_flags(const struct bill *b)
{
	return (uint8_t)((b->is_near_cut ? FLAG_CUT : 0) | (b->is_near_end ? FLAG_END : 0)
			 | (b->is_day_used ? FLAG_DAY : 0) | (b->is_session_used ? FLAG_SESSION : 0)
			 | (b->was_session_used ? FLAG_BEFORE : 0));
}

/* The bill as it was when the plan's sums were what the row before says. */
static void write_bill(struct row_writer *w, const struct plan_row *p, uint8_t plan)
{
	const struct bill *b = &p->bill;

	if (!bill_is_begun(b) || !begin(w, ROW_BILL, BILL_BYTES))
		return;
	put8(w, plan);
	put8(w, bill_flags(b));
	put64(w, p->credited_octets);
	put64(w, b->told_octets);
	put64(w, b->low_octets);
	put64(w, b->high_octets);
	put64(w, b->n_closed);
	put64(w, b->n_inner_cuts);
	put64(w, b->unseen_octets);
	put64(w, (uint64_t)b->cycle.start_s);
	put64(w, (uint64_t)b->cycle.end_s);
	put64(w, (uint64_t)b->now_s);
	put64(w, (uint64_t)b->day_s);
	put64(w, b->n_days);
	put64(w, (uint64_t)b->cut_s);
	put_bill_sum(w, &b->total);
	put_bill_sum(w, &b->unit);
	put_bill_sum(w, &b->free);
	if (!begin(w, ROW_BILL_EDGES, BILL_EDGES_BYTES))
		return;
	put8(w, plan);
	put_bill_sum(w, &b->edge_first);
	put_bill_sum(w, &b->edge_last);
	put_bill_sum(w, &b->edge_end);
	put_bill_sum(w, &b->carried);
}

/* Ledger and plans: in every payload. */
static void write_sums(struct row_writer *w, const struct ledger *l)
{
	if (begin(w, ROW_LEDGER, LEDGER_BYTES)) {
		put8(w, l->is_suspect ? FLAG_SUSPECT : 0);
		put32(w, l->stats.n_writes_today + 1); /* this one, too */
		put32(w, l->day_passed_s);
		put64(w, l->stats.written_bytes_today);
	}
	for (uint8_t i = 0; i < LEDGER_PLANS_MAX; i++) {
		const struct plan_row *p = &l->plans[i];

		if (!plan_is_known(l, i) || !begin(w, ROW_PLAN, PLAN_BYTES))
			continue;
		put8(w, i);
		put8(w, (uint8_t)((p->is_spent ? FLAG_SPENT : 0)
				  | (p->is_unsure ? FLAG_UNSURE : 0)));
		put_name(w, p->name);
		put64(w, (uint64_t)p->cycle_start_s);
		put64(w, p->granted);
		put64(w, p->billed);
		put64(w, p->cycle_base);
		put64(w, p->top_up);
		put64(w, p->rollover);
		put64(w, p->lost);
		put_usage(w, &p->usage);
		write_bill(w, p, i);
	}
}

static bool is_wanted(uint8_t mark, bool is_checkpoint)
{
	return is_checkpoint || mark == ROW_DIRTY;
}

static bool has_counted(const struct ledger_usage *u)
{
	return (u->octets[UPLINK] | u->octets[DOWNLINK] | u->packets[UPLINK] | u->packets[DOWNLINK])
	       != 0;
}

static void write_classes(struct row_writer *w, struct ledger *l, uint8_t plan, bool is_checkpoint)
{
	for (uint8_t i = 0; i < LEDGER_CLASSES_MAX; i++) {
		struct class_row *row = &l->classes[plan][i];

		if (!is_wanted(row->mark, is_checkpoint) || !has_counted(&row->usage)
			|| !begin(w, ROW_CLASS, CLASS_BYTES))
			continue;
		put8(w, plan);
		put_name(w, l->class_names[i]);
		put_usage(w, &row->usage);
		row->mark = ROW_WRITING;
	}
}

static void write_day(struct row_writer *w, uint8_t plan, struct period_row *row)
{
	if (!begin(w, ROW_DAY, DAY_BYTES))
		return;
	put8(w, plan);
	put64(w, (uint64_t)row->key);
	put64(w, row->billed);
	put_usage(w, &row->usage);
	row->mark = ROW_WRITING;
}

static void write_cycle(struct row_writer *w, uint8_t plan, struct period_row *row)
{
	if (!begin(w, ROW_CYCLE, CYCLE_BYTES))
		return;
	put8(w, plan);
	put64(w, (uint64_t)row->key);
	put64(w, row->billed);
	put64(w, (uint64_t)row->end_s);
	put64(w, row->lost);
	put64(w, row->top_up);
	put64(w, row->rollover);
	put_usage(w, &row->usage);
	row->mark = ROW_WRITING;
}

/* The oldest first: read back, they are added in that order. */
static void write_periods(struct row_writer *w, struct ledger *l, uint8_t plan, bool is_checkpoint)
{
	for (uint32_t i = l->cycles[plan].capacity; i-- > 0;) {
		struct period_row *row = periods_at(&l->cycles[plan], i);

		if (row != NULL && is_wanted(row->mark, is_checkpoint))
			write_cycle(w, plan, row);
	}
	for (uint32_t i = l->days[plan].capacity; i-- > 0;) {
		struct period_row *row = periods_at(&l->days[plan], i);

		if (row != NULL && is_wanted(row->mark, is_checkpoint))
			write_day(w, plan, row);
	}
}

/* From where the last record ended, so that none waits for ever while others are busy. */
static void write_devices(struct row_writer *w, struct ledger *l, bool is_checkpoint)
{
	uint32_t first = l->next_device;

	for (uint32_t i = 0; i < l->n_devices; i++) {
		uint32_t n = (first + i) % l->n_devices;
		struct device_row *row = &l->devices[n];

		if (!row->is_used || !is_wanted(row->mark, is_checkpoint))
			continue;
		if (!begin(w, ROW_DEVICE, DEVICE_BYTES))
			return;
		put8(w, row->plan);
		memcpy(w->at, row->mac.bytes, sizeof(row->mac.bytes));
		w->at += sizeof(row->mac.bytes);
		store_le32(w->at, (uint32_t)row->last_day);
		w->at += 4;
		put_usage(w, &row->usage);
		row->mark = ROW_WRITING;
		l->next_device = n + 1;
	}
}

/* As write_devices. */
static void write_shares(struct row_writer *w, struct ledger *l, bool is_checkpoint)
{
	uint32_t first = l->next_share;

	for (uint32_t i = 0; i < l->n_shares; i++) {
		uint32_t n = (first + i) % l->n_shares;
		struct share_row *row = &l->shares[n];

		if (!row->is_used || !is_wanted(row->mark, is_checkpoint))
			continue;
		if (!begin(w, ROW_SHARE, SHARE_BYTES))
			return;
		put8(w, row->share.plan);
		memcpy(w->at, row->share.key.bytes, sizeof(row->share.key.bytes));
		w->at += sizeof(row->share.key.bytes);
		put_name(w, l->class_names[row->share.class_id]);
		put64(w, row->share.octets);
		row->mark = ROW_WRITING;
		l->next_share = n + 1;
	}
}

uint32_t rows_write(struct ledger *l, bool is_checkpoint, uint8_t *payload, uint32_t room_bytes)
{
	struct row_writer w = {.at = payload, .end = payload + room_bytes};

	write_sums(&w, l);
	for (uint8_t i = 0; i < LEDGER_PLANS_MAX; i++) {
		if (!plan_is_known(l, i))
			continue;
		write_classes(&w, l, i, is_checkpoint);
		write_periods(&w, l, i, is_checkpoint);
	}
	/* Shares are what devices are held to; the other is for people to see. */
	write_shares(&w, l, is_checkpoint);
	write_devices(&w, l, is_checkpoint);
	return (uint32_t)(w.at - payload);
}

static void settle_mark(uint8_t *mark, bool is_durable)
{
	if (*mark == ROW_WRITING)
		*mark = is_durable ? ROW_CLEAN : ROW_DIRTY;
}

void rows_written(struct ledger *l, bool is_durable)
{
	for (unsigned int p = 0; p < LEDGER_PLANS_MAX; p++) {
		for (unsigned int i = 0; i < LEDGER_CLASSES_MAX; i++)
			settle_mark(&l->classes[p][i].mark, is_durable);
		for (uint32_t i = 0; i < l->days[p].capacity; i++)
			settle_mark(&l->days[p].rows[i].mark, is_durable);
		for (uint32_t i = 0; i < l->cycles[p].capacity; i++)
			settle_mark(&l->cycles[p].rows[i].mark, is_durable);
	}
	for (uint32_t i = 0; i < l->n_devices; i++)
		settle_mark(&l->devices[i].mark, is_durable);
	for (uint32_t i = 0; i < l->n_shares; i++)
		settle_mark(&l->shares[i].mark, is_durable);
}

static void read_plan(struct row_reader *r, struct ledger *l, uint8_t plan)
{
	struct plan_row *p = &l->plans[plan];
	uint8_t flags = get8(r);
	char name[LEDGER_NAME_MAX];
	int64_t start_s;

	get_name(r, name);
	start_s = (int64_t)get64(r);
	if (strcmp(name, p->name) != 0)
		plan_clear(l, plan);
	else if (p->cycle_start_s != 0 && p->cycle_start_s != start_s)
		plan_clear_cycle(l, plan);
	memcpy(p->name, name, sizeof(name));
	p->is_spent = (flags & FLAG_SPENT) != 0;
	p->is_unsure = (flags & FLAG_UNSURE) != 0;
	p->cycle_start_s = start_s;
	p->granted = get64(r);
	p->billed = get64(r);
	p->cycle_base = get64(r);
	p->top_up = get64(r);
	p->rollover = get64(r);
	p->lost = get64(r);
	get_usage(r, &p->usage);
}

/* The flags alone stood here once. */
static int read_ledger(struct ledger *l, const uint8_t *body, uint8_t n_bytes)
{
	if (n_bytes == 0)
		return -EINVAL;
	l->is_suspect = (body[0] & FLAG_SUSPECT) != 0;
	if (n_bytes < LEDGER_BYTES)
		return 0;
	l->stats.n_writes_today = load_le32(body + 1);
	l->day_passed_s = load_le32(body + 5);
	l->stats.written_bytes_today = load_le64(body + 9);
	return 0;
}

static void read_class(struct row_reader *r, struct ledger *l, uint8_t plan)
{
	char name[LEDGER_NAME_MAX];
	struct class_row *row;

	get_name(r, name);
	row = &l->classes[plan][class_get(l, name)];
	get_usage(r, &row->usage);
}

static void read_device(struct row_reader *r, struct ledger *l, uint8_t plan)
{
	struct device_row *row;
	struct mac_addr mac;

	memcpy(mac.bytes, r->at, sizeof(mac.bytes));
	r->at += sizeof(mac.bytes);
	row = device_get(l, plan, &mac);
	row->last_day = (int32_t)load_le32(r->at);
	r->at += 4;
	get_usage(r, &row->usage);
}

static void read_day(struct row_reader *r, struct ledger *l, uint8_t plan)
{
	struct period_row *row = periods_get(&l->days[plan], (int64_t)get64(r));

	row->billed = get64(r);
	get_usage(r, &row->usage);
	row->mark = ROW_CLEAN;
}

static void read_cycle(struct row_reader *r, struct ledger *l, uint8_t plan)
{
	struct period_row *row = periods_get(&l->cycles[plan], (int64_t)get64(r));

	row->billed = get64(r);
	row->end_s = (int64_t)get64(r);
	row->lost = get64(r);
	row->top_up = get64(r);
	row->rollover = get64(r);
	get_usage(r, &row->usage);
	row->mark = ROW_CLEAN;
}

static void read_share(struct row_reader *r, struct ledger *l, uint8_t plan)
{
	char name[LEDGER_NAME_MAX];
	struct share_row *row;
	struct mac_addr key;
	uint8_t class_id;

	memcpy(key.bytes, r->at, sizeof(key.bytes));
	r->at += sizeof(key.bytes);
	get_name(r, name);
	class_id = class_get(l, name);
	/* Class 0 is that of quotas, and of names that have found no room. */
	row = class_id == 0 && name[0] != '\0' ? NULL : share_get(l, &key, plan, class_id);
	if (row != NULL)
		row->share.octets = get64(r);
}

static void get_bill_sum(struct row_reader *r, struct bill_sum *s)
{
	for (unsigned int d = 0; d < N_DIRECTIONS; d++) {
		s->octets[d] = get64(r);
		s->packets[d] = get64(r);
	}
}

static void read_bill(struct row_reader *r, struct ledger *l, uint8_t plan)
{
	struct bill *b = &l->plans[plan].bill;
	uint8_t flags = get8(r);

	*b = (struct bill){
		.is_near_cut = (flags & FLAG_CUT) != 0,
		.is_near_end = (flags & FLAG_END) != 0,
		.is_day_used = (flags & FLAG_DAY) != 0,
		.is_session_used = (flags & FLAG_SESSION) != 0,
		.was_session_used = (flags & FLAG_BEFORE) != 0,
	};
	l->plans[plan].credited_octets = get64(r);
	b->told_octets = get64(r);
	b->low_octets = get64(r);
	b->high_octets = get64(r);
	b->n_closed = get64(r);
	b->n_inner_cuts = get64(r);
	b->unseen_octets = get64(r);
	b->cycle.start_s = (int64_t)get64(r);
	b->cycle.end_s = (int64_t)get64(r);
	b->now_s = (int64_t)get64(r);
	b->day_s = (int64_t)get64(r);
	b->n_days = get64(r);
	b->cut_s = (int64_t)get64(r);
	get_bill_sum(r, &b->total);
	get_bill_sum(r, &b->unit);
	get_bill_sum(r, &b->free);
}

static void read_bill_edges(struct row_reader *r, struct ledger *l, uint8_t plan)
{
	struct bill *b = &l->plans[plan].bill;

	get_bill_sum(r, &b->edge_first);
	get_bill_sum(r, &b->edge_last);
	get_bill_sum(r, &b->edge_end);
	get_bill_sum(r, &b->carried);
}

static const struct {
	uint8_t n_bytes;
	void (*read)(struct row_reader *r, struct ledger *l, uint8_t plan);
} plan_rows[] = {
	[ROW_PLAN] = {PLAN_BYTES, read_plan},
	[ROW_CLASS] = {CLASS_BYTES, read_class},
	[ROW_DEVICE] = {DEVICE_BYTES, read_device},
	[ROW_DAY] = {DAY_BYTES, read_day},
	[ROW_CYCLE] = {CYCLE_BYTES, read_cycle},
	[ROW_BILL] = {BILL_BYTES, read_bill},
	[ROW_BILL_EDGES] = {BILL_EDGES_BYTES, read_bill_edges},
	[ROW_SHARE] = {SHARE_BYTES, read_share},
};

#define N_ROW_TYPES (sizeof(plan_rows) / sizeof(plan_rows[0]))

/* A row that belongs to a plan; only a plan's own may be of one that is not known. */
static int read_plan_row(struct ledger *l, uint8_t type, const uint8_t *body, uint8_t n_bytes)
{
	struct row_reader r = {.at = body};
	uint8_t plan;

	if (n_bytes < plan_rows[type].n_bytes)
		return -EINVAL;
	plan = get8(&r);
	if (plan >= LEDGER_PLANS_MAX || (type == ROW_PLAN && body[2] == '\0')
		|| (type != ROW_PLAN && !plan_is_known(l, plan)))
		return -EINVAL;
	plan_rows[type].read(&r, l, plan);
	return 0;
}

int rows_read(struct ledger *l, bool is_checkpoint, const uint8_t *payload, uint32_t n_bytes)
{
	uint32_t at = 0;

	if (is_checkpoint)
		ledger_clear(l);
	while (at < n_bytes) {
		uint8_t type = payload[at];
		int error = 0;

		if (n_bytes - at < ROW_HEAD_BYTES
			|| n_bytes - at - ROW_HEAD_BYTES < payload[at + 1])
			return -EINVAL;
		if (type == ROW_LEDGER)
			error = read_ledger(l, payload + at + ROW_HEAD_BYTES, payload[at + 1]);
		else if (type < N_ROW_TYPES && plan_rows[type].read != NULL)
			error = read_plan_row(
				l, type, payload + at + ROW_HEAD_BYTES, payload[at + 1]);
		if (error != 0)
			return error;
		at += ROW_HEAD_BYTES + payload[at + 1];
	}
	return 0;
}
