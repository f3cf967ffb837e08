/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A capacity for a modem that moves, made instead of measured.
 *
 * Source:   Gauss-Markov shadowing (Gudmundson, "Correlation model for shadow fading in mobile radio
 *           systems", Electronics Letters 27(23), 1991), taken on the logarithm of the rate; dead
 *           spots come as a Poisson process and last an exponential time.
 * Shapes:   steps of equal length, rates in whole kbit/s, repeated at the end.
 * Units:    nanoseconds; bits a second; sigma in decibels (10·log10 of the rate).
 * Errors:   -EINVAL for a description that makes no sense, -ENOMEM.
 * Threads:  pure; the same description and seed make the same capacity.
 * Memory:   one step list, handed to the capacity.
 */
#ifndef CELLINK_FADING_H
#define CELLINK_FADING_H

#include "cellink_capacity.h"

struct fading {
	uint64_t median_bps;
	uint64_t floor_bps;      /* never less outside a dead spot */
	uint64_t ceiling_bps;    /* never more; 0 = no such limit */
	double sigma_db;         /* spread of the rate; 0 = no fading */
	uint64_t correlation_ns; /* time after which the correlation is 1/e */
	uint64_t step_ns;        /* how often the rate moves */
	uint64_t length_ns;      /* of one round */
	uint64_t dead_every_ns;  /* mean time between dead spots; 0 = none */
	uint64_t dead_ns;        /* mean length of one */
};

/* Both directions given the same seed fade together, as one radio does. */
int fading_create(const struct fading *f, uint64_t seed, struct capacity **ret_capacity);

#endif
