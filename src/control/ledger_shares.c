/* SPDX-License-Identifier: BSD-3-Clause */
/* What single stations have used of a plan: a row each for their quota and for each reserve. */
#include "ledger_state.h"

#define LOOKS                                                                                      \
	16 /* rows looked at from where a key leads; one that finds none of them free is not kept */

static bool is_of(
	const struct share_row *row, const struct mac_addr *key, uint8_t plan, uint8_t class_id)
{
	return row->is_used && row->share.plan == plan && row->share.class_id == class_id
	       && mac_addr_equal(&row->share.key, key);
}

static uint32_t place_of(const struct mac_addr *key, uint8_t plan, uint8_t class_id)
{
	uint32_t at = 31u * plan + class_id;

	for (uint32_t i = 0; i < sizeof(key->bytes); i++)
		at = (at ^ key->bytes[i]) * UINT32_C(0x01000193); /* FNV-1 */
	return at;
}

struct share_row *share_get(
	struct ledger *l, const struct mac_addr *key, uint8_t plan, uint8_t class_id)
{
	uint32_t at = place_of(key, plan, class_id);
	struct share_row *unused = NULL;

	for (uint32_t i = 0; i < LOOKS && i < l->n_shares; i++) {
		struct share_row *row = &l->shares[(at + i) % l->n_shares];

		if (is_of(row, key, plan, class_id))
			return row;
		if (!row->is_used && unused == NULL)
			unused = row;
	}
	if (unused != NULL)
		*unused = (struct share_row){
			.share = {.key = *key, .plan = plan, .class_id = class_id},
			.is_used = true};
	return unused;
}

void shares_clear(struct ledger *l, uint8_t plan)
{
	for (uint32_t i = 0; i < l->n_shares; i++)
		if (l->shares[i].is_used && l->shares[i].share.plan == plan)
			l->shares[i] = (struct share_row){0};
}

bool ledger_set_share(struct ledger *l, const struct ledger_share *share)
{
	struct share_row *row;

	if (!plan_is_known(l, share->plan) || share->class_id >= LEDGER_CLASSES_MAX)
		return false;
	row = share_get(l, &share->key, share->plan, share->class_id);
	if (row == NULL)
		return false;
	if (row->share.octets != share->octets)
		row->mark = ROW_DIRTY;
	row->share.octets = share->octets;
	return true;
}

bool ledger_read_share(const struct ledger *l, uint32_t i, struct ledger_share *ret_share)
{
	for (uint32_t n = 0; n < l->n_shares; n++) {
		if (!l->shares[n].is_used || i-- > 0)
			continue;
		*ret_share = l->shares[n].share;
		return true;
	}
	return false;
}
