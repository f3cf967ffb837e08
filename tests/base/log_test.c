/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/log.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char captured[4096];
static int read_fd;
static int saved_fd;

/* Criterion runs each test in a process of its own, so stderr is the test's to bend. */
static void capture_begin(void)
{
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	saved_fd = dup(STDERR_FILENO);
	cr_assert_geq(dup2(fds[1], STDERR_FILENO), 0);
	close(fds[1]);
	read_fd = fds[0];
}

static const char *capture_end(void)
{
	ssize_t len;

	dup2(saved_fd, STDERR_FILENO);
	len = read(read_fd, captured, sizeof(captured) - 1);
	captured[len > 0 ? len : 0] = '\0';
	return captured;
}

Test(base_log, writes_one_event_a_line_and_says_how_bad_it_is)
{
	unsetenv("JOURNAL_STREAM");
	capture_begin();
	log_event(LOG_INFO, "link.up port=%s", "wwan0");
	log_event(LOG_ERROR, "port.failed port=%s", "eth1");
	cr_expect_str_eq(capture_end(), "link.up port=wwan0\nerror: port.failed port=eth1\n");
}

Test(base_log, tells_the_journal_the_priority)
{
	setenv("JOURNAL_STREAM", "8:1", 1);
	capture_begin();
	log_event(LOG_ERROR, "a");
	log_event(LOG_WARNING, "b");
	log_event(LOG_NOTICE, "c");
	log_event(LOG_INFO, "d");
	cr_expect_str_eq(capture_end(), "<3>a\n<4>b\n<5>c\n<6>d\n");
}

Test(base_log, leaves_out_what_lies_above_the_level)
{
	unsetenv("JOURNAL_STREAM");
	capture_begin();
	log_event(LOG_DEBUG, "unseen");
	log_set_level(LOG_ERROR);
	log_event(LOG_WARNING, "unseen");
	log_set_level(LOG_DEBUG);
	log_event(LOG_DEBUG, "seen");
	cr_expect_str_eq(capture_end(), "debug: seen\n");
}

Test(base_log, cuts_a_long_line_and_still_ends_it)
{
	char text[3000];
	const char *line;

	unsetenv("JOURNAL_STREAM");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	capture_begin();
	log_event(LOG_INFO, "%s", text);
	line = capture_end();
	cr_expect_leq(strlen(line), 1024);
	cr_expect_geq(strlen(line), 1000);
	cr_expect_eq(line[strlen(line) - 1], '\n');
}

Test(base_log, a_limiter_lets_a_burst_through_then_one_an_interval)
{
	struct log_limit l = {.interval_us = 1000, .burst = 3};

	for (int i = 0; i < 3; i++)
		cr_expect(log_limit_take(&l, 5000));
	cr_expect_not(log_limit_take(&l, 5000));
	cr_expect_not(log_limit_take(&l, 5999));
	cr_expect_eq(l.n_suppressed, 2);
	cr_expect(log_limit_take(&l, 6000));
	cr_expect_not(log_limit_take(&l, 6000));
	/* A long pause restores the burst and no more. */
	for (int i = 0; i < 3; i++)
		cr_expect(log_limit_take(&l, 1000000));
	cr_expect_not(log_limit_take(&l, 1000000));
}
