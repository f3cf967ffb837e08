/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recovery from any two files: as they are, as a real ledger's with some octets changed, or as a payload whose checksums are
 * right. It ends, opens a ledger with nothing free, never takes files for a beginning, counts all as spent where it says
 * that records are cut off, and what it has made of them is read back the same.
 */
#include "../../src/control/journal_frame.h"
#include "../support/sim_disk.h"

#include <weir/control/ledger.h>

#include <stdlib.h>
#include <string.h>

#define SEGMENT   (16 * JOURNAL_PAGE)
#define OPS_MAX   256
#define N_GRANTS  9
#define EDIT_SIZE 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ledger_params SMALL = {
	.journal = {.segment_bytes = SEGMENT, .record_bytes = 4000, .seed = 42},
	.n_days = 4,
	.n_cycles = 3,
	.n_devices = 4,
	.n_shares = 4,
};

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* A ledger with a plan, in both segments. */
static void write_ledger(struct sim_disk *d)
{
	const struct ledger_usage usage = {.octets = {7, 9}, .packets = {1, 1}};
	struct ledger_time when = {.now_us = 1, .is_trusted = true};
	struct ledger_recovery rec;
	struct ledger *l;
	uint8_t plan;

	require(ledger_open(&d->store, &SMALL, &when, &rec, &l) == 0);
	plan = ledger_plan(l, "sim1");
	for (int i = 0; i < N_GRANTS; i++) {
		when.day = i / 3;
		ledger_settle(l, plan, 50, &usage, &when);
		ledger_count_class(l, plan, ledger_class(l, "web"), &usage);
		ledger_count_device(l, plan, &(struct mac_addr){{2, 0, 0, 0, 0, 1}}, &usage, &when);
		require(ledger_grant(l, &(struct ledger_lease){plan, 100}, 1, &when) == 0);
	}
	ledger_destroy(l);
}

static void edit(struct sim_disk *d, const uint8_t *data, size_t size)
{
	for (; size >= EDIT_SIZE; data += EDIT_SIZE, size -= EDIT_SIZE) {
		uint32_t at = (uint32_t)data[0] << 8 | data[1];
		uint32_t n_bytes = 1 + (uint32_t)data[2] * 16;

		for (uint32_t i = 0; i < n_bytes; i++, at++)
			d->files[at / SEGMENT % JOURNAL_SEGMENTS].bytes[at % SEGMENT] ^= data[3];
	}
}

static void put_payload(struct sim_disk *d, const uint8_t *data, size_t size)
{
	struct frame_header h = {
		.kind = FRAME_CHECKPOINT, .journal = 43, .generation = 1, .sequence = 1};
	static uint8_t frame[SEGMENT];

	h.payload_bytes = (uint32_t)(size < SEGMENT - FRAME_HEADER_BYTES ? size : 0);
	memcpy(frame + FRAME_HEADER_BYTES, data, h.payload_bytes);
	frame_seal(frame, &h);
	memcpy(d->files[0].bytes, frame, SEGMENT);
}

static void put_raw(struct sim_disk *d, const uint8_t *data, size_t size)
{
	for (unsigned int s = 0; s < JOURNAL_SEGMENTS; s++) {
		size_t n = size < SEGMENT ? size : SEGMENT;

		memcpy(d->files[s].bytes, data, n);
		data += n;
		size -= n;
	}
}

static uint64_t check(const struct ledger *l, const struct ledger_recovery *rec)
{
	uint64_t sum = 0;

	for (uint8_t i = 0; i < LEDGER_PLANS_MAX; i++) {
		struct ledger_plan p;

		if (!ledger_read_plan(l, i, &p))
			continue;
		require(p.leased_octets == 0 && p.billed_total >= p.granted_total);
		if (rec->journal.health >= JOURNAL_CUT)
			require(p.is_assumed_spent);
		sum += p.billed_total * (i + 1U) + p.used_octets;
	}
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sim_disk d; /* made once: its files are all that is looked at */
	struct ledger_time when = {.now_us = 1};
	struct ledger_recovery rec;
	struct ledger_recovery again;
	struct ledger *l;
	uint64_t sum;

	if (d.ops == NULL)
		sim_disk_init(&d, SEGMENT, OPS_MAX, OPS_MAX * JOURNAL_PAGE);
	sim_disk_reset(&d, NULL);
	for (unsigned int s = 0; s < JOURNAL_SEGMENTS; s++) {
		memset(d.files[s].bytes, 0, SEGMENT);
		d.files[s].exists = size > 0 && data[0] % 3 != 0;
		d.files[s].size = d.files[s].exists ? SEGMENT : 0;
	}
	if (size == 0)
		return 0;
	if (data[0] % 3 == 0) {
		write_ledger(&d);
		edit(&d, data + 1, size - 1);
	} else if (data[0] % 3 == 1) {
		put_payload(&d, data + 1, size - 1);
	} else {
		put_raw(&d, data + 1, size - 1);
	}
	require(ledger_open(&d.store, &SMALL, &when, &rec, &l) == 0);
	require(rec.journal.health != JOURNAL_NEW);
	require(rec.is_assumed_spent || rec.journal.health < JOURNAL_CUT);
	sum = check(l, &rec);
	if (data[0] % 3 == 0 && rec.journal.health <= JOURNAL_GAPS)
		require(sum
			<= UINT64_C(2)
				   * (N_GRANTS * 100 + 50)); /* the first 50 came before a lease */
	ledger_destroy(l);
	require(ledger_open(&d.store, &SMALL, &when, &again, &l) == 0);
	require(again.journal.health == JOURNAL_WHOLE && check(l, &again) == sum);
	require(again.is_assumed_spent == rec.is_assumed_spent);
	ledger_destroy(l);
	return 0;
}
