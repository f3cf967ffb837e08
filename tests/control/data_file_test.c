/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/control/data_file.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/weir-data-XXXXXX";
static char file[sizeof(dir) + 32];

static void make_file(void)
{
	char folder[sizeof(dir) + 16];
	FILE *out;

	cr_assert_not_null(mkdtemp(dir));
	(void)snprintf(folder, sizeof(folder), "%s/profiles", dir);
	cr_assert_eq(mkdir(folder, 0700), 0);
	(void)snprintf(file, sizeof(file), "%s/pump.yaml", folder);
	out = fopen(file, "we");
	cr_assert_not_null(out);
	cr_assert_geq(fputs("name: pump\n", out), 0);
	cr_assert_eq(fclose(out), 0);
}

static void remove_file(void)
{
	(void)unlink(file);
	*strrchr(file, '/') = '\0';
	(void)rmdir(file);
	(void)rmdir(dir);
}

TestSuite(control_data_file, .init = make_file, .fini = remove_file);

Test(control_data_file, a_name_is_found_beside_the_configuration)
{
	char path[DATA_PATH_MAX];

	cr_assert_eq(data_file_find(dir, "profiles", "pump", path), 0);
	cr_assert_str_eq(path, file);
}

Test(control_data_file, a_name_with_a_slash_is_a_path_from_there)
{
	char path[DATA_PATH_MAX];

	cr_assert_eq(data_file_find(dir, "carriers", "profiles/pump.yaml", path), 0);
	cr_assert_str_eq(path, file);
	cr_assert_eq(data_file_find("/nowhere", "carriers", file, path), 0);
	cr_assert_str_eq(path, file);
}

Test(control_data_file, what_is_nowhere_is_said_to_be)
{
	char path[DATA_PATH_MAX];
	char name[DATA_PATH_MAX + 1];

	cr_assert_eq(data_file_find(dir, "carriers", "pump", path), -ENOENT);
	cr_assert_eq(data_file_find("", "profiles", "pump", path), -ENOENT);
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	cr_assert_eq(data_file_find(dir, "profiles", name, path), -ENAMETOOLONG);
}

Test(control_data_file, a_file_is_read_whole_or_refused)
{
	char *text = NULL;
	size_t len = 0;

	cr_assert_eq(data_file_read(file, 11, &text, &len), 0);
	cr_assert_eq(len, 11);
	cr_assert_eq(memcmp(text, "name: pump\n", len), 0);
	free(text);
	cr_assert_eq(data_file_read(file, 10, &text, &len), -EFBIG);
	cr_assert_eq(data_file_read(dir, 10, &text, &len), -EISDIR);
	cr_assert_eq(data_file_read("/nowhere/at.all", 10, &text, &len), -ENOENT);
}
