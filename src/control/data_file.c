/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/control/data_file.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int try_path(int n_chars, const char path[DATA_PATH_MAX])
{
	if (n_chars < 0 || n_chars >= DATA_PATH_MAX)
		return -ENAMETOOLONG;
	return access(path, R_OK) == 0 ? 0 : -ENOENT;
}

int data_file_find(
	const char *dir, const char *kind, const char *name, char ret_path[DATA_PATH_MAX])
{
	const char *const dirs[] = {dir, "/etc/weir", WEIR_SOURCE_CONFIG, WEIR_DATA};

	if (name[0] == '/')
		return try_path(snprintf(ret_path, DATA_PATH_MAX, "%s", name), ret_path);
	if (strchr(name, '/') != NULL)
		return try_path(snprintf(ret_path, DATA_PATH_MAX, "%s/%s",
					dir[0] == '\0' ? "." : dir, name),
			ret_path);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		int error = -ENOENT;

		if (dirs[i][0] != '\0')
			error = try_path(snprintf(ret_path, DATA_PATH_MAX, "%s/%s/%s.yaml", dirs[i],
						 kind, name),
				ret_path);
		if (error != -ENOENT)
			return error;
	}
	return -ENOENT;
}

int data_file_read(const char *path, size_t max, char **ret_text, size_t *ret_len)
{
	FILE *in = fopen(path, "re");
	char *text;
	size_t len;
	int error = 0;

	if (in == NULL)
		return -errno;
	text = malloc(max + 1);
	if (text == NULL) {
		error = -ENOMEM;
		goto err_file;
	}
	len = fread(text, 1, max + 1, in);
	if (ferror(in))
		error = errno == 0 ? -EIO : -errno;
	else if (len > max)
		error = -EFBIG;
	if (error != 0)
		goto err_text;
	(void)fclose(in);
	*ret_text = text;
	*ret_len = len;
	return 0;

err_text:
	free(text);
err_file:
	(void)fclose(in);
	return error;
}
