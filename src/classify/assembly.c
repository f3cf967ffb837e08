/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/classify/assembly.h>

#include <errno.h>
#include <string.h>

void assembly_init(struct assembly *a, uint8_t *octets, uint32_t capacity)
{
	a->octets = octets;
	a->capacity = capacity;
	a->n_ranges = 0;
}

/* Copies what of the piece is not there yet: the gaps between the ranges from `first` to before `last`. */
static void copy_gaps(struct assembly *a, uint32_t offset, const uint8_t *piece, uint32_t end,
	uint32_t first, uint32_t last)
{
	uint32_t at = offset;

	for (uint32_t i = first; i <= last; i++) {
		uint32_t gap_end = i < last && a->ranges[i].begin < end ? a->ranges[i].begin : end;

		if (gap_end > at)
			memcpy(a->octets + at, piece + (at - offset), gap_end - at);
		if (i < last && a->ranges[i].end > at)
			at = a->ranges[i].end;
	}
}

int assembly_add(struct assembly *a, uint32_t offset, const uint8_t *piece, uint32_t len)
{
	uint32_t end = offset + len;
	uint32_t first = 0;
	uint32_t last;
	struct assembly_range joined = {offset, end};

	if (len == 0)
		return 0;
	if (offset > a->capacity || len > a->capacity - offset)
		return -ENOSPC;
	/* Ranges first … last-1 touch the piece and become one with it. */
	while (first < a->n_ranges && a->ranges[first].end < offset)
		first++;
	last = first;
	while (last < a->n_ranges && a->ranges[last].begin <= end)
		last++;
	if (first == last && a->n_ranges == ASSEMBLY_RANGES_MAX)
		return -ENOSPC;
	copy_gaps(a, offset, piece, end, first, last);
	if (first < last) {
		if (a->ranges[first].begin < offset)
			joined.begin = a->ranges[first].begin;
		if (a->ranges[last - 1].end > end)
			joined.end = a->ranges[last - 1].end;
	}
	memmove(&a->ranges[first + 1], &a->ranges[last],
		(a->n_ranges - last) * sizeof(a->ranges[0]));
	a->ranges[first] = joined;
	a->n_ranges = a->n_ranges - (last - first) + 1;
	return 0;
}

uint32_t assembly_n_ready(const struct assembly *a)
{
	return a->n_ranges == 0 || a->ranges[0].begin != 0 ? 0 : a->ranges[0].end;
}

void assembly_consume(struct assembly *a, uint32_t n)
{
	uint32_t n_octets;

	if (n == 0)
		return;
	n_octets = a->ranges[a->n_ranges - 1].end;
	memmove(a->octets, a->octets + n, n_octets - n);
	a->ranges[0].begin = n;
	if (a->ranges[0].end == n) {
		a->n_ranges--;
		memmove(&a->ranges[0], &a->ranges[1], a->n_ranges * sizeof(a->ranges[0]));
	}
	for (uint32_t i = 0; i < a->n_ranges; i++) {
		a->ranges[i].begin -= n;
		a->ranges[i].end -= n;
	}
}
