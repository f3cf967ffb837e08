/* SPDX-License-Identifier: BSD-3-Clause */
/* A journal for what is over when the program ends: nothing is kept. */
#include <weir/control/journal.h>

#include <errno.h>

/* NOLINTNEXTLINE(readability-non-const-parameter): the contract's type */
static int none_size(struct journal_store *s, unsigned int segment, uint64_t *ret_bytes)
{
	(void)s;
	(void)segment;
	(void)ret_bytes;
	return -ENOENT;
}

static ssize_t none_read(
	struct journal_store *s, unsigned int segment, void *buf, size_t n_bytes, uint64_t at)
{
	(void)s;
	(void)segment;
	(void)buf;
	(void)n_bytes;
	(void)at;
	return -ENOENT;
}

static ssize_t none_write(
	struct journal_store *s, unsigned int segment, const void *buf, size_t n_bytes, uint64_t at)
{
	(void)s;
	(void)segment;
	(void)buf;
	(void)at;
	return (ssize_t)n_bytes;
}

static int none_done(struct journal_store *s, unsigned int segment)
{
	(void)s;
	(void)segment;
	return 0;
}

static void none_close(struct journal_store *s)
{
	(void)s;
}

void journal_none_init(struct journal_store *ret_store)
{
	*ret_store = (struct journal_store){
		.size = none_size,
		.read = none_read,
		.write = none_write,
		.sync = none_done,
		.create = none_done,
		.publish = none_done,
		.close = none_close,
	};
}
