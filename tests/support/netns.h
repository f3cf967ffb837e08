/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Private network namespaces for tests that need real interfaces.
 *
 * Shapes:   a test process moves into a namespace of its own, where nothing it does is seen outside; a second one is the
 *           far end of its cables. All of it goes when the process ends.
 * Errors:   a step that fails ends the test with what was tried; without root the test is skipped and says so.
 * Threads:  the calling thread alone is moved: before EAL starts its threads.
 */
#ifndef WEIR_TESTS_NETNS_H
#define WEIR_TESTS_NETNS_H

#include <stdint.h>
#include <sys/types.h>

/* For what ports leave in their state directory. */
#define NETNS_STATE_DIR "/run/weir"

/* Moves into a new, empty namespace with loopback up and without IPv6, and gets an empty /run of its own; skips the test when
 * it may not. */
void netns_enter(void);

/* The far end: a second namespace, by the process that holds it. `ip link set X netns <pid>` moves an interface there. */
pid_t netns_create_far(void);

/* Runs a shell command; it must succeed. */
void netns_run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same in the far namespace. */
void netns_run_far(pid_t far, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The exit status of a shell command, with its output thrown away. */
int netns_try(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Calls `body` in a child process that lives in the far namespace; its exit status is what body returns. */
pid_t netns_fork_far(pid_t far, int (*body)(void *), void *argument);

/* Waits for a child; returns its exit status, or 128 and more when it died by a signal. */
int netns_wait(pid_t child);

/* EAL as tests have it, and a pool of buffers. */
struct rte_mempool *netns_create_pool(uint32_t n_buffers);

#endif
