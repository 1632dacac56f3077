/*
 * The goldens: what each client gets of our own fixtures, to the last byte.
 * Those of a fixture are one file, t/golden/<upstream>/<fixture>, with a
 * section for each client; they are made by --update and read by people.
 */

#include "matrix.h"


static struct {
    char        *path;
    char        *old;
    FILE        *new;           /* with --update */
} golden;


static void
make_folders(const char *path)
{
    char        *command;
    const char  *slash;

    slash = strrchr(path, '/');
    command = matrix_say("mkdir -p '%.*s'", (int) (slash - path), path);

    if (system(command) != 0) {
        perror(path);
    }

    free(command);
}


void
matrix_golden_open(const char *from, const char *name, unsigned update)
{
    size_t  n;

    golden.path = matrix_say("t/golden/%s/%s", from, name);

    if (!update) {
        golden.old = matrix_slurp(golden.path, &n);
        return;
    }

    make_folders(golden.path);
    golden.new = fopen(golden.path, "wb");

    if (golden.new == NULL) {
        perror(golden.path);
        exit(2);
    }
}


void
matrix_golden_close(void)
{
    if (golden.new != NULL && fclose(golden.new) != 0) {
        perror(golden.path);
        exit(2);
    }

    free(golden.old);
    free(golden.path);
    memset(&golden, 0, sizeof(golden));
}


/* Whether the section under this heading is the text, to its last byte. */
static int
golden_same(const char *heading, const char *text)
{
    char  *section;

    section = golden.old != NULL ? strstr(golden.old, heading) : NULL;

    if (section == NULL) {
        return 0;
    }

    section += strlen(heading);

    if (strncmp(section, text, strlen(text)) != 0) {
        return 0;
    }

    section += strlen(text);

    return strcmp(section, "\n") == 0 || strncmp(section, "\n=== ", 5) == 0;
}


char *
matrix_golden(const char *heading, const char *text)
{
    if (golden.new != NULL) {
        fprintf(golden.new, "%s%s\n", heading, text);
        return NULL;
    }

    return golden_same(heading, text)
           ? NULL : matrix_say("%s: %sis another: %.400s", golden.path,
                               heading, text);
}
