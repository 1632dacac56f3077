/*
 * The result's file: its name, its folder, and that it is there whole or not
 * at all.
 */

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench_figures.h"
#include "bench_result.h"


#define BENCH_RESULT_WORD    64     /* of a label or model, in a file's name */


/* A label or the last part of a model's name, for a file's name: letters,
 * digits and what else is harmless in one. */
static void
bench_result_word(char word[BENCH_RESULT_WORD], const char *text)
{
    size_t  i;

    for (i = 0; i < BENCH_RESULT_WORD - 1 && text[i]; i++) {
        word[i] = strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                         "0123456789._-", text[i])
                  ? text[i] : '_';
    }

    word[i] = '\0';

    /* neither hidden nor "..": it begins a name */
    if (word[0] == '.') {
        word[0] = '_';
    }
}


/* As vLLM: label-10.0qps-concurrency8-model-20260101-120000.json */
static void
bench_result_name(char name[PATH_MAX], const bench_options_t *o)
{
    char         label[BENCH_RESULT_WORD], model[BENCH_RESULT_WORD];
    char         date[BENCH_DATE], rate[32], limit[48];
    const char  *slash;

    bench_figures_date(date);
    slash = strrchr(o->model, '/');
    bench_result_word(label, o->label ? o->label : "llm-bench");
    bench_result_word(model, slash ? slash + 1 : o->model);

    strcpy(rate, "inf");
    limit[0] = '\0';

    if (o->request_rate > 0) {
        snprintf(rate, sizeof(rate), "%g", o->request_rate);
    }

    if (o->max_concurrency) {
        snprintf(limit, sizeof(limit), "-concurrency%llu",
                 (unsigned long long) o->max_concurrency);
    }

    snprintf(name, PATH_MAX, "%s-%sqps%s-%s-%s.json", label, rate, limit, model,
             date);
}


/* Makes every folder of the path that is not there. */
static void
bench_result_folders(const char *path)
{
    char  part[PATH_MAX], *p;

    strcpy(part, path);

    for (p = part + 1; *part && *p; p++) {
        if (*p == '/') {
            *p = '\0';
            (void) mkdir(part, 0777);
            *p = '/';
        }
    }
}


/* The file's path; 0, or -1: too long. */
static int
bench_result_path(char path[PATH_MAX], const bench_options_t *o)
{
    int          n;
    char         made[PATH_MAX];
    const char  *name;

    name = o->result_filename;

    if (name == NULL) {
        bench_result_name(made, o);
        name = made;
    }

    if (o->result_dir && name[0] != '/') {
        n = snprintf(path, PATH_MAX, "%s/%s", o->result_dir, name);

    } else {
        n = snprintf(path, PATH_MAX, "%s", name);
    }

    return n < PATH_MAX ? 0 : -1;
}


/* Through a temporary beside it, so that no half is ever at its place. */
static int
bench_result_store(const char *path, const bench_options_t *o,
    const bench_tally_t *t, const char *curl_version)
{
    int    rc;
    char   part[PATH_MAX + 24];
    FILE  *f;

    snprintf(part, sizeof(part), "%s.%ld", path, (long) getpid());

    f = fopen(part, "wx");
    if (f == NULL) {
        return -1;
    }

    rc = bench_result_write(f, o, t, curl_version);

    if (fclose(f) != 0) {
        rc = -1;
    }

    if (rc == 0) {
        rc = rename(part, path);
    }

    if (rc == -1) {
        (void) unlink(part);
    }

    return rc;
}


int
bench_result_save(const bench_options_t *o, const bench_tally_t *t,
    const char *curl_version)
{
    char  path[PATH_MAX];

    errno = ENAMETOOLONG;

    if (bench_result_path(path, o) == 0) {
        bench_result_folders(path);

        if (bench_result_store(path, o, t, curl_version) == 0) {
            return 0;
        }
    }

    fprintf(stderr, "llm-bench: the result cannot be written to %s: %s\n",
            path, strerror(errno));

    return -1;
}
