/* SPDX-License-Identifier: MIT */
/* Files that somebody named: what is refused, and contents of all lengths. */
#include "base/file_open.h"
#include "runner.h"
#include "temporary.h"

static const char *folder;

static void set_up(void)
{
    folder = temporary_folder();
}

static void tear_down(void)
{
    temporary_remove(folder);
}

UNIT_TEST(what_is_no_file_is_refused)
{
    const char *file = temporary_path(folder, "it");
    const char *why = NULL;

    ck_assert_int_eq(file_open(file, &why), -1);
    ck_assert_str_eq(why, strerror(ENOENT));
    ck_assert_int_eq(file_open(folder, &why), -1);
    ck_assert_str_eq(why, "it is a folder; a file must be named");
    ck_assert_int_eq(mkfifo(file, 0600), 0);
    ck_assert_int_eq(file_open(file, &why), -1);
    ck_assert_str_eq(why, "it is no regular file");
}

static const size_t lengths[] = {0, 1, 16382, 16383, 16384, 40000};

UNIT_LOOP_TEST(contents_come_whole, ARRAY_COUNT(lengths))
{
    size_t len = lengths[_i], got = 1;
    const char *file = temporary_path(folder, "it");
    char *data = base_alloc(len);
    const char *why = NULL;
    FILE *out = fopen(file, "w");

    memset(data, 'x', len);
    ck_assert_uint_eq(fwrite(data, 1, len, out), len);
    ck_assert_int_eq(fclose(out), 0);
    int fd = file_open(file, &why);
    char *text = file_read(fd, len, &got);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_eq(got, len);
    ck_assert_mem_eq(text, data, len);
    ck_assert_int_eq(text[len], '\0');
    free(text);
    if (len > 0) {
        ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
        ck_assert_ptr_null(file_read(fd, len - 1, &got));
        ck_assert_int_eq(errno, EFBIG);
    }
    close(fd);
    free(data);
}

UNIT_FIXTURE(set_up, tear_down);
