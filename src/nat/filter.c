/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/nat/filter.h>

#include <assert.h>

/* Three of four places are taken at most: then a search that fails looks at 8 of them, two lines, on average. */
static uint32_t places_for(uint32_t n_max)
{
	return n_max + n_max / 3 + 1;
}

size_t nat_filter_bytes(uint32_t n_max)
{
	return places_for(n_max) * sizeof(struct nat_filter_place);
}

void nat_filter_init(
	struct nat_filter *f, uint32_t n_max, const struct flow_hash_key *key, void *places)
{
	*f = (struct nat_filter){
		.places = places, .n_places = places_for(n_max), .n_max = n_max, .hash_key = *key};
}

static uint32_t next_of(const struct nat_filter *f, uint32_t at)
{
	return at + 1 == f->n_places ? 0 : at + 1;
}

/* The place of a pair, or the empty one where it would be. */
static uint32_t find(const struct nat_filter *f, uint32_t mapping_id, uint32_t remote_be)
{
	uint32_t at = nat_filter_home(f, mapping_id, remote_be);

	while (f->places[at].n_flows != 0
		&& (f->places[at].remote_be != remote_be || f->places[at].mapping_id != mapping_id))
		at = next_of(f, at);
	return at;
}

bool nat_filter_add(struct nat_filter *f, uint32_t mapping_id, uint32_t remote_be)
{
	struct nat_filter_place *p = &f->places[find(f, mapping_id, remote_be)];

	if (p->n_flows == 0) {
		if (f->n == f->n_max)
			return false;
		f->n++;
		p->remote_be = remote_be;
		p->mapping_id = mapping_id;
	}
	p->n_flows++;
	return true;
}

/* True when `at` lies from `first` on, and before `last`, going round. */
static bool is_between(uint32_t at, uint32_t first, uint32_t last)
{
	return first <= last ? first <= at && at < last : first <= at || at < last;
}

void nat_filter_remove(struct nat_filter *f, uint32_t mapping_id, uint32_t remote_be)
{
	uint32_t gap = find(f, mapping_id, remote_be);

	assert(f->places[gap].n_flows > 0);
	if (--f->places[gap].n_flows > 0)
		return;
	f->n--;
	for (uint32_t at = next_of(f, gap); f->places[at].n_flows != 0; at = next_of(f, at)) {
		uint32_t home =
			nat_filter_home(f, f->places[at].mapping_id, f->places[at].remote_be);

		/* It may move up where its search passes the gap: where its home is not behind that. */
		if (is_between(gap, home, at)) {
			f->places[gap] = f->places[at];
			f->places[at].n_flows = 0;
			gap = at;
		}
	}
}

bool nat_filter_has(const struct nat_filter *f, uint32_t mapping_id, uint32_t remote_be)
{
	return f->places[find(f, mapping_id, remote_be)].n_flows != 0;
}
