/* SPDX-License-Identifier: BSD-3-Clause */
#include "top.h"

#include "terminal.h"
#include "top_round.h"
#include "top_view.h"

#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS  10000 /* with a daemon that says nothing */
#define DEAF_MAX     50    /* reads of a terminal that is readable and gives nothing: it is gone */
#define ONCE_ROWS    24    /* unless LINES and COLUMNS say otherwise */
#define ONCE_COLUMNS 80

struct top {
	const struct top_settings *settings;
	struct top_state state;
	struct top_round round;
	struct screen screen;
	struct top_look look;
	char clock[sizeof("23:59:59")];
	char trouble[CONNECTION_ERROR_MAX]; /* "": none */
	int signals;                        /* a signalfd */
	uint32_t n_deaf;
	int64_t next_ms;    /* when a round is due */
	int64_t started_ms; /* when the one under way was begun */
	bool wanted;        /* a round is due although time stands still */
	bool changed;       /* the screen is to be drawn */
};

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void clock_write(char clock[sizeof("23:59:59")])
{
	time_t now = time(NULL);
	struct tm tm;

	clock[0] = '\0';
	if (localtime_r(&now, &tm) != NULL)
		(void)snprintf(clock, sizeof("23:59:59"), "%02u:%02u:%02u",
			(unsigned int)tm.tm_hour % 24, (unsigned int)tm.tm_min % 60,
			(unsigned int)tm.tm_sec % 61);
}

static struct top *top_create(const struct top_settings *settings, char *error)
{
	struct top *t = calloc(1, sizeof(*t));

	if (t == NULL || top_round_init(&t->round, settings->socket) != 0) {
		(void)snprintf(error, CONNECTION_ERROR_MAX, "no memory");
		free(t);
		return NULL;
	}
	t->settings = settings;
	t->state.pane = settings->pane;
	t->state.order = settings->order;
	(void)snprintf(t->state.filter, sizeof(t->state.filter), "%s", settings->filter);
	t->signals = -1;
	t->look = (struct top_look){.once = settings->once,
		.interval_s = (double)settings->interval_ms / 1000,
		.clock = t->clock,
		.trouble = t->trouble};
	return t;
}

static void top_destroy(struct top *t)
{
	if (t->signals >= 0)
		close(t->signals);
	top_round_clean(&t->round);
	free(t);
}

/* Characters that the terminal, or where the text goes, cannot show are not sent. */
static void charset_choose(struct top *t)
{
	(void)setlocale(LC_CTYPE, "");
	t->look.ascii = terminal_is_ascii();
	if (t->look.ascii)
		(void)setlocale(LC_CTYPE, "C");
}

static int signals_open(struct top *t, char *error)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGQUIT);
	(void)sigaddset(&set, SIGWINCH);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	t->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (t->signals >= 0)
		return 0;
	(void)snprintf(error, CONNECTION_ERROR_MAX, "signals cannot be had: %s", strerror(errno));
	return -1;
}

static void round_failed(struct top *t, const char *error)
{
	(void)snprintf(t->trouble, sizeof(t->trouble), "%.400s (tries again every %g s)", error,
		t->look.interval_s);
	t->changed = true;
}

static void round_begin(struct top *t, int64_t now)
{
	char error[CONNECTION_ERROR_MAX];

	t->wanted = false;
	t->started_ms = now;
	t->next_ms = now + t->settings->interval_ms;
	if (top_round_start(&t->round, &t->state, error) != 0)
		round_failed(t, error);
}

/* Begins a round that is due, and gives one up that has taken too long. */
static void round_tend(struct top *t)
{
	int64_t now = now_ms();
	bool under_way = t->round.feed.fd >= 0;

	if (under_way && now - t->started_ms > PATIENCE_MS) {
		feed_stop(&t->round.feed);
		round_failed(t, "weir does not answer");
		t->next_ms = now;
		return;
	}
	if (t->wanted || (!under_way && !t->state.paused && now >= t->next_ms))
		round_begin(t, now);
}

static void round_take(struct top *t)
{
	char error[CONNECTION_ERROR_MAX];

	switch (top_round_work(&t->round, error)) {
	case FEED_DONE:
		t->trouble[0] = '\0';
		clock_write(t->clock);
		t->changed = true;
		break;
	case FEED_FAILED:
		round_failed(t, error);
		break;
	case FEED_MORE:
	default:
		break;
	}
}

static void top_draw(struct top *t)
{
	int n_rows;
	int n_columns;

	terminal_size(&n_rows, &n_columns);
	screen_begin(&t->screen, n_rows, n_columns);
	top_view_draw(&t->round.model, &t->state, &t->look, &t->screen);
	terminal_draw(&t->screen);
	t->changed = false;
}

/* Each key means what the screen before it showed. */
static void keys_take(struct top *t)
{
	int key = terminal_key();

	t->n_deaf = key == TERMINAL_NO_KEY ? t->n_deaf + 1 : 0;
	if (t->n_deaf > DEAF_MAX)
		t->state.quit = true;
	for (; key != TERMINAL_NO_KEY; key = terminal_key()) {
		if (key == TOP_KEY_REDRAW)
			terminal_forget();
		if (top_state_key(&t->state, key)) {
			top_round_forget(&t->round);
			t->wanted = true;
		}
		top_draw(t);
	}
}

static void signals_take(struct top *t)
{
	struct signalfd_siginfo info;

	while (read(t->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGWINCH)
			terminal_resize();
		else
			t->state.quit = true;
		t->changed = true;
	}
}

static int wait_ms(const struct top *t)
{
	int64_t until = t->round.feed.fd >= 0 ? t->started_ms + PATIENCE_MS + 1 : t->next_ms;
	int64_t ms = until - now_ms();

	if (t->state.paused && t->round.feed.fd < 0)
		return -1;
	return ms < 0 ? 0 : (int)ms;
}

static void top_wait(struct top *t)
{
	struct pollfd fds[] = {
		{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = t->signals, .events = POLLIN},
		{.fd = t->round.feed.fd, .events = POLLIN},
	};

	if (poll(fds, sizeof(fds) / sizeof(fds[0]), wait_ms(t)) <= 0)
		return;
	if (fds[1].revents != 0)
		signals_take(t);
	if (fds[2].revents != 0)
		round_take(t);
	if ((fds[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
		t->state.quit = true;
	else if (fds[0].revents != 0)
		keys_take(t);
}

int top_run(const struct top_settings *settings, char error[CONNECTION_ERROR_MAX])
{
	struct top *t = top_create(settings, error);
	int result;

	if (t == NULL)
		return -1;
	charset_choose(t);
	result = signals_open(t, error);
	if (result == 0)
		result = terminal_open(error);
	if (result == 0) {
		t->changed = true;
		while (!t->state.quit) {
			round_tend(t);
			if (t->changed)
				top_draw(t);
			top_wait(t);
		}
		terminal_close();
	}
	top_destroy(t);
	return result;
}

/* One round from its beginning to its end. */
static int round_whole(struct top *t, char *error)
{
	struct pollfd fd = {.events = POLLIN};
	enum feed_result result = FEED_MORE;

	if (top_round_start(&t->round, &t->state, error) != 0)
		return -1;
	while (result == FEED_MORE) {
		fd.fd = t->round.feed.fd;
		if (poll(&fd, 1, PATIENCE_MS) == 0) {
			(void)snprintf(error, CONNECTION_ERROR_MAX, "weir does not answer");
			return -1;
		}
		result = top_round_work(&t->round, error);
	}
	return result == FEED_DONE ? 0 : -1;
}

static int size_of(const char *variable, int usual)
{
	const char *text = getenv(variable);
	long n = text == NULL ? 0 : strtol(text, NULL, 10);

	return n > 0 && n < INT16_MAX ? (int)n : usual;
}

static void text_print(struct top *t)
{
	screen_begin(&t->screen, size_of("LINES", ONCE_ROWS), size_of("COLUMNS", ONCE_COLUMNS));
	top_view_draw(&t->round.model, &t->state, &t->look, &t->screen);
	for (int i = 0; i < t->screen.n_used; i++) {
		struct screen_line *l = &t->screen.lines[i];

		while (l->n_bytes > 0 && l->text[l->n_bytes - 1] == ' ')
			l->n_bytes--;
		(void)printf("%.*s\n", (int)l->n_bytes, l->text);
	}
}

static int json_print(struct top *t, char *error)
{
	json_t *all = json_object();
	char *text;

	json_object_set(all, "status", t->round.model.status);
	for (uint32_t i = 1; i < t->round.n_views; i++)
		json_object_set(all, top_view_name(t->round.views[i]),
			t->round.model.listings[t->round.views[i]].rows);
	text = json_dumps(all, JSON_COMPACT);
	json_decref(all);
	if (text == NULL) {
		(void)snprintf(error, CONNECTION_ERROR_MAX, "no memory");
		return -1;
	}
	(void)printf("%s\n", text);
	free(text);
	return 0;
}

int top_print(const struct top_settings *settings, char error[CONNECTION_ERROR_MAX])
{
	struct top *t = top_create(settings, error);
	struct timespec pause = {.tv_sec = settings->interval_ms / 1000,
		.tv_nsec = (long)(settings->interval_ms % 1000) * 1000000};
	int result;

	if (t == NULL)
		return -1;
	charset_choose(t);
	result = round_whole(t, error);
	if (result == 0) {
		(void)nanosleep(&pause, NULL); /* cut short: rates of less than was asked for */
		result = round_whole(t, error);
	}
	if (result == 0 && settings->json)
		result = json_print(t, error);
	else if (result == 0)
		text_print(t);
	top_destroy(t);
	return result;
}
