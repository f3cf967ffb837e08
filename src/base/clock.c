/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>

#include <time.h>
#if defined(__x86_64__)
#	include <x86intrin.h>
#endif

/*
 * Ticks become microseconds by a multiplication: us = ticks * mult >> 32. Ticks are counted from
 * the start of the process, so the product of 64 × 64 bits is taken in 128.
 */
struct clock_scale {
	uint64_t start_tsc;
	uint64_t hz;
	uint64_t mult; /* 2^32 * 1e6 / hz */
};

/* NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables): set once by clock_init */
static struct clock_scale scale;

#if defined(__x86_64__)

uint64_t clock_tsc(void)
{
	return __rdtsc();
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* The counter's rate against the kernel's clock over 10 ms: off by less than 10 parts a million. */
static uint64_t counter_hz(void)
{
	uint64_t start_ns = monotonic_ns();
	uint64_t start_tsc = clock_tsc();
	uint64_t ns;

	do {
		ns = monotonic_ns() - start_ns;
	} while (ns < 10000000);
	return (uint64_t)((unsigned __int128)(clock_tsc() - start_tsc) * 1000000000ull / ns);
}

#elif defined(__aarch64__)

uint64_t clock_tsc(void)
{
	uint64_t ticks;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
}

/* The architecture says it. */
static uint64_t counter_hz(void)
{
	uint64_t hz;

	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(hz));
	return hz;
}

#else
#	error "no time stamp counter known for this architecture"
#endif

void clock_init(void)
{
	scale.hz = counter_hz();
	scale.start_tsc = clock_tsc();
	scale.mult = (uint64_t)(((unsigned __int128)US_PER_S << 32) / scale.hz);
}

uint64_t clock_now_us(void)
{
	return (uint64_t)((unsigned __int128)(clock_tsc() - scale.start_tsc) * scale.mult >> 32);
}

uint64_t clock_tsc_hz(void)
{
	return scale.hz;
}
