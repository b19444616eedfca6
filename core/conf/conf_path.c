/* SPDX-License-Identifier: MIT */
/*
 * Relative paths are relative to the file that contains them, not to the working folder.
 */
#include "conf/conf_path.h"

#include <stdlib.h>
#include <unistd.h>

/* `folder/rest`; a leading `./` would only clutter messages. */
static struct weir_str join(struct arena *arena, struct weir_str folder, struct weir_str rest)
{
    while (rest.len > 2 && rest.ptr[0] == '.' && rest.ptr[1] == '/') {
        rest.ptr += 2;
        rest.len -= 2;
    }
    while (folder.len > 0 && folder.ptr[folder.len - 1] == '/') {
        folder.len--;
    }
    return arena_printf(arena, "%.*s/%.*s", STR_ARGS(folder), STR_ARGS(rest));
}

static struct weir_str from_working_folder(struct arena *arena, struct weir_str path)
{
    char *folder = getcwd(NULL, 0);
    struct weir_str full = {NULL, 0};

    if (folder != NULL) {
        full = join(arena, str_from(folder), path);
        free(folder);
    }
    return full;
}

struct weir_str conf_path_absolute(struct arena *arena, const char *path)
{
    struct weir_str text = str_from(path);
    return path[0] == '/' ? arena_copy(arena, text) : from_working_folder(arena, text);
}

struct weir_str conf_path_beside(struct arena *arena, const char *file, struct weir_str path)
{
    const char *slash = file != NULL ? strrchr(file, '/') : NULL;

    if (path.len > 0 && path.ptr[0] == '/') {
        return arena_copy(arena, path);
    }
    if (slash == NULL) {
        return from_working_folder(arena, path);
    }
    struct weir_str folder = {file, (size_t)(slash - file)};
    return join(arena, folder, path);
}
