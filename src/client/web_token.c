/* SPDX-License-Identifier: BSD-3-Clause */
#include "web_token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define GROUPS        6
#define GROUP         4
#define TEXT_MAX      (GROUPS * (GROUP + 1) + 1)
#define FILE_MAX      512
#define FILE_NAME_MAX 1024
#define OTHERS_ALL    077

/* Without 0, 1, l and o, which look like others. 32 of them: five bits of chance each. */
static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";

static int explain(const char *what, const char *file, char *error)
{
	(void)snprintf(error, CONNECTION_ERROR_MAX,
		"the token's file %s cannot be %s: %s (--token names another)", file, what,
		strerror(errno));
	return -1;
}

/* k7qf-2m3x-..., and a newline. */
static int token_make(char ret_text[TEXT_MAX])
{
	uint8_t random[GROUPS * GROUP];
	size_t n = 0;

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return -1;
	for (size_t i = 0; i < sizeof(random); i++) {
		if (i > 0 && i % GROUP == 0)
			ret_text[n++] = '-';
		ret_text[n++] = letters[random[i] % 32];
	}
	ret_text[n++] = '\n';
	ret_text[n] = '\0';
	return 0;
}

/* The folder alone: that in which it is has to be there. */
static void folder_make(const char *file)
{
	const char *slash = strrchr(file, '/');
	char folder[FILE_NAME_MAX];

	if (slash == NULL || slash == file || (size_t)(slash - file) >= sizeof(folder))
		return;
	memcpy(folder, file, (size_t)(slash - file));
	folder[slash - file] = '\0';
	(void)mkdir(folder, 0700); /* one that cannot be made is told of by open() */
}

/* Complete under another name first: a power cut leaves no half of a token. */
static int file_write(const char *file, const char *text)
{
	char draft[FILE_NAME_MAX];
	int n = snprintf(draft, sizeof(draft), "%s.new", file);
	size_t n_text = strlen(text);
	int fd;
	int why;

	if (n < 0 || (size_t)n >= sizeof(draft)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	(void)unlink(draft);
	fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	errno = EIO;
	if (write(fd, text, n_text) != (ssize_t)n_text || fsync(fd) != 0
		|| link(draft, file) != 0) {
		why = errno;
		close(fd);
		(void)unlink(draft);
		errno = why;
		return -1;
	}
	close(fd);
	return unlink(draft);
}

static int token_create(const char *file, char *error)
{
	char text[TEXT_MAX];

	folder_make(file);
	if (token_make(text) != 0 || file_write(file, text) != 0)
		return explain("made", file, error);
	(void)fprintf(stderr, "weir-web: made a token to log in with; it is in %s\n", file);
	return 0;
}

static int token_take(struct web_gate *g, int fd, const char *file, char *error)
{
	char text[FILE_MAX];
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) != 0)
		return explain("read", file, error);
	if (!S_ISREG(st.st_mode) || (st.st_mode & OTHERS_ALL) != 0) {
		(void)snprintf(error, CONNECTION_ERROR_MAX,
			"others than its owner may read the token's file: chmod 600 %s", file);
		return -1;
	}
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return explain("read", file, error);
	text[n] = '\0';
	if (strlen(text) == (size_t)n && web_gate_set_token(g, text) == 0)
		return 0;
	(void)snprintf(error, CONNECTION_ERROR_MAX,
		"%s holds no token: one line of %d to %d letters, digits and signs, or remove the "
		"file and another is made",
		file, WEB_TOKEN_MIN, WEB_TOKEN_MAX);
	return -1;
}

int web_token_open(struct web_gate *g, const char *file, char error[CONNECTION_ERROR_MAX])
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int result;

	if (fd < 0 && errno == ENOENT) {
		if (token_create(file, error) != 0)
			return -1;
		fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	}
	if (fd < 0)
		return explain("read", file, error);
	result = token_take(g, fd, file, error);
	close(fd);
	return result;
}
