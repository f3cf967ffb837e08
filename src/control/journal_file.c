/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/control/journal.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const names[JOURNAL_SEGMENTS] = {"ledger.0", "ledger.1"};
static const char *const new_names[JOURNAL_SEGMENTS] = {"ledger.0.new", "ledger.1.new"};

struct file_store {
	struct journal_store store;
	char *path;
	int directory;             /* its lock is held as long as it is open */
	int fds[JOURNAL_SEGMENTS]; /* -1: none */
	bool is_read_only[JOURNAL_SEGMENTS];
	bool is_created
		[JOURNAL_SEGMENTS]; /* the descriptor is that of the file without the segment's name */
};

static struct file_store *of(struct journal_store *s)
{
	return (struct file_store *)s;
}

/* A directory that was just made is durable when the one above it is. */
static int sync_parent(int fd)
{
	int parent = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error;

	if (parent < 0)
		return -errno;
	error = fsync(parent) != 0 ? -errno : 0;
	(void)close(parent);
	return error;
}

/* Opens the directory and locks it; flock(2) goes with the process, however it ends. */
static int lock_directory(const char *path)
{
	bool is_made = mkdir(path, S_IRWXU) == 0;
	int error = 0;
	int fd;

	if (!is_made && errno != EEXIST && errno != EROFS)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		error = errno == EWOULDBLOCK ? -EBUSY : -errno;
	else if (is_made)
		error = sync_parent(fd);
	if (error != 0) {
		(void)close(fd);
		return error;
	}
	return fd;
}

static void drop(struct file_store *f, unsigned int segment)
{
	if (f->fds[segment] >= 0)
		(void)close(f->fds[segment]);
	f->fds[segment] = -1;
}

/* A file system that an error or the system has made read-only still tells what was counted. */
static int reach(struct file_store *f, unsigned int segment)
{
	const int flags = O_CLOEXEC | O_NOFOLLOW;
	bool is_read_only = false;
	struct stat st;
	int fd = openat(f->directory, names[segment], O_RDWR | flags);

	if (fd < 0 && errno == EROFS) {
		is_read_only = true;
		fd = openat(f->directory, names[segment], O_RDONLY | flags);
	}
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		(void)close(fd);
		return -EINVAL;
	}
	drop(f, segment);
	f->fds[segment] = fd;
	f->is_read_only[segment] = is_read_only;
	f->is_created[segment] = false;
	return 0;
}

static int file_size(struct journal_store *s, unsigned int segment, uint64_t *ret_bytes)
{
	struct file_store *f = of(s);
	struct stat st;
	int error = f->fds[segment] >= 0 ? 0 : reach(f, segment);

	if (error != 0)
		return error;
	if (fstat(f->fds[segment], &st) != 0)
		return -errno;
	*ret_bytes = (uint64_t)st.st_size;
	return 0;
}

static ssize_t file_read(
	struct journal_store *s, unsigned int segment, void *buf, size_t n_bytes, uint64_t at)
{
	ssize_t got = pread(of(s)->fds[segment], buf, n_bytes, (off_t)at);

	return got < 0 ? -errno : got;
}

static ssize_t file_write(
	struct journal_store *s, unsigned int segment, const void *buf, size_t n_bytes, uint64_t at)
{
	struct file_store *f = of(s);
	ssize_t put;

	if (f->is_read_only[segment]) {
		int error = reach(f, segment); /* it may have become writable again */

		if (error != 0)
			return error;
		if (f->is_read_only[segment])
			return -EROFS;
	}
	put = pwrite(f->fds[segment], buf, n_bytes, (off_t)at);
	return put < 0 ? -errno : put;
}

static int file_sync(struct journal_store *s, unsigned int segment)
{
	int fd = of(s)->fds[segment];
	struct stat st;

	if (fdatasync(fd) != 0)
		return -errno;
	/* Somebody has removed the file: what is written to it is durable, and gone with the process. */
	if (fstat(fd, &st) != 0)
		return -errno;
	return st.st_nlink == 0 ? -ESTALE : 0;
}

/* Somebody has removed the directory, or put another in its place: that is taken, and made where there is none. */
static int follow_directory(struct file_store *f)
{
	struct stat here, there;
	int fd;

	if (fstat(f->directory, &here) != 0)
		return -errno;
	if (stat(f->path, &there) == 0 && here.st_dev == there.st_dev
		&& here.st_ino == there.st_ino)
		return 0;
	fd = lock_directory(f->path);
	if (fd < 0)
		return fd;
	(void)close(f->directory);
	f->directory = fd;
	return 0;
}

static int file_create(struct journal_store *s, unsigned int segment)
{
	struct file_store *f = of(s);
	int error = follow_directory(f);
	int fd;

	if (error != 0)
		return error;
	fd = openat(f->directory, new_names[segment],
		O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);

	if (fd < 0)
		return -errno;
	drop(f, segment);
	f->fds[segment] = fd;
	f->is_read_only[segment] = false;
	f->is_created[segment] = true;
	return 0;
}

static int file_publish(struct journal_store *s, unsigned int segment)
{
	struct file_store *f = of(s);

	if (!f->is_created[segment])
		return -EINVAL;
	if (renameat(f->directory, new_names[segment], f->directory, names[segment]) != 0)
		return -errno;
	f->is_created[segment] = false;
	return fsync(f->directory) != 0 ? -errno : 0;
}

static void file_close(struct journal_store *s)
{
	struct file_store *f = of(s);

	if (s == NULL)
		return;
	for (unsigned int i = 0; i < JOURNAL_SEGMENTS; i++) {
		if (f->is_created[i])
			(void)unlinkat(f->directory, new_names[i], 0);
		drop(f, i);
	}
	(void)close(f->directory);
	free(f->path);
	free(f);
}

int journal_file_open(const char *directory, struct journal_store **ret_store)
{
	struct file_store *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -ENOMEM;
	f->path = strdup(directory);
	f->directory = f->path == NULL ? -ENOMEM : lock_directory(directory);
	if (f->directory < 0) {
		int error = f->directory;

		free(f->path);
		free(f);
		return error;
	}
	for (unsigned int i = 0; i < JOURNAL_SEGMENTS; i++)
		f->fds[i] = -1;
	f->store = (struct journal_store){
		.size = file_size,
		.read = file_read,
		.write = file_write,
		.sync = file_sync,
		.create = file_create,
		.publish = file_publish,
		.close = file_close,
	};
	*ret_store = &f->store;
	return 0;
}
