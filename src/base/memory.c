/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/memory.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

#define HUGE_PAGE_BYTES ((size_t)2 << 20)

/* Sums for the status page; the tables themselves belong to whoever made them. */
/* NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables) */
static _Atomic size_t total_bytes, total_huge_bytes;
/* NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables): set by control before it makes tables */
static _Atomic bool takes_huge = true;

void memory_set_huge(bool may_take)
{
	atomic_store(&takes_huge, may_take);
}

static size_t round_up(size_t len_bytes)
{
	return (len_bytes + HUGE_PAGE_BYTES - 1) & ~(HUGE_PAGE_BYTES - 1);
}

/* Small tables would waste most of a huge page. */
static size_t mapped_len(size_t len_bytes)
{
	return len_bytes >= HUGE_PAGE_BYTES / 2 ? round_up(len_bytes) : len_bytes;
}

/* Ordinary pages, aligned so that the kernel can join them to huge ones where it may. */
static void *map_ordinary(size_t len_bytes)
{
	size_t slack =
		atomic_load(&takes_huge) && len_bytes >= HUGE_PAGE_BYTES ? HUGE_PAGE_BYTES : 0;
	char *at = mmap(NULL, len_bytes + slack, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t lead;

	if (at == MAP_FAILED || slack == 0)
		return at;
	lead = round_up((size_t)(uintptr_t)at) - (size_t)(uintptr_t)at;
	if (lead > 0)
		munmap(at, lead);
	if (slack > lead)
		munmap(at + lead + len_bytes, slack - lead);
	madvise(at + lead, len_bytes, MADV_HUGEPAGE);
	return at + lead;
}

int memory_create(size_t len_bytes, void **ret_memory)
{
	size_t mapped = mapped_len(len_bytes);
	void *at = MAP_FAILED;

	if (len_bytes == 0 || mapped < len_bytes)
		return -ENOMEM;
	if (atomic_load(&takes_huge) && mapped >= HUGE_PAGE_BYTES)
		at = mmap(NULL, mapped, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1, 0);
	if (at != MAP_FAILED)
		atomic_fetch_add(&total_huge_bytes, mapped);
	else
		at = map_ordinary(mapped);
	if (at == MAP_FAILED)
		return -ENOMEM;
	atomic_fetch_add(&total_bytes, mapped);
	*ret_memory = at;
	return 0;
}

void memory_destroy(void *memory, size_t len_bytes)
{
	if (memory == NULL)
		return;
	munmap(memory, mapped_len(len_bytes));
	atomic_fetch_sub(&total_bytes, mapped_len(len_bytes));
}

void memory_usage(size_t *ret_bytes, size_t *ret_huge_bytes)
{
	*ret_bytes = atomic_load(&total_bytes);
	*ret_huge_bytes = atomic_load(&total_huge_bytes);
}
