/* SPDX-License-Identifier: BSD-3-Clause */
/* The file of history under a writer who is killed. */
#include "history_fixture.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child that writes until it is killed: told of each batch after it. */
static pid_t writer_start(int pipe_fd)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	/* Nothing of the test's runner may outlive a test in here. */
	if (dup2(pipe_fd, 3) != 3 || close_range(4, ~0u, 0) != 0)
		_exit(1);
	pipe_fd = 3;
	struct history *h = open_usual();
	uint64_t octets = (uint64_t)sum_of("class", "web", HISTORY_DAY);

	/* The same run goes on; what the last child counted and did not write is found again. */
	(void)history_run(h, "a");
	for (int64_t i = 0;; i++) {
		octets += 13;
		count(h, HISTORY_CLASS, "web", octets, NOON + (int64_t)(octets % 7200));
		count_since(h, HISTORY_DEVICE, "192.0.2.1", 5, octets, NOON);
		look(h, 13, NOON);
		if (i % 3 != 0)
			continue;
		commit(h);
		if (write(pipe_fd, &octets, sizeof(octets)) != sizeof(octets))
			_exit(1);
	}
}

Test(client_history_crash,
	killed_while_it_writes_the_file_is_sound_and_holds_every_batch_that_was_told, .init = setup,
	.fini = teardown, .timeout = 110)
{
	for (unsigned round = 0; round < 40; round++) {
		int fds[2];
		uint64_t told = 0;
		uint64_t next;
		int64_t held;
		pid_t pid;

		history_close(open_usual());
		cr_assert_eq(pipe(fds), 0);
		pid = writer_start(fds[1]);
		cr_assert_gt(pid, 0);
		close(fds[1]);
		cr_assert_eq(read(fds[0], &told, sizeof(told)), sizeof(told));
		usleep(round * 977 % 20000);
		cr_assert_eq(kill(pid, SIGKILL), 0);
		cr_assert_eq(waitpid(pid, NULL, 0), pid);
		while (read(fds[0], &next, sizeof(next)) == sizeof(next))
			told = next;
		close(fds[0]);
		cr_expect_eq(ask("SELECT count(*) FROM pragma_integrity_check WHERE "
				 "integrity_check = 'ok'"),
			1, "round %u", round);
		held = sum_of("class", "web", HISTORY_DAY);
		cr_assert_geq(held, (int64_t)told, "round %u: a batch is lost", round);
		cr_assert_leq(
			held, (int64_t)told + 3 * 13, "round %u: more than was counted", round);
		cr_expect_eq(sum_of("class", "web", HISTORY_MINUTE), held);
		cr_expect_eq(sum_of("device", "%", HISTORY_HOUR), held);
		cr_expect_eq(
			ask("SELECT uplink_octets FROM last l JOIN key k ON k.id = l.key WHERE "
			    "k.series = 'class'"),
			held, "counters and sums are of one moment");
	}
}
