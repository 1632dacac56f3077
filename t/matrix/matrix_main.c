/*
 * The matrix: takes every fixture and every recorded stream of each upstream
 * dialect through the module's flow to each client dialect, as a stream and
 * as one answer, and prints how many checks each pair has passed.
 *
 *   matrix [--cuts N] [--update] [--jobs N] [--only TEXT] [--details N]
 *
 * Per pair and file: N cuts, or all, give the same; no text waits for what
 * comes after it; what comes out has the form that the client's SDK reads; it
 * says what an independent reader finds in the upstream's bytes; fed back as
 * an upstream's it says the same to each other client; and it is what stands
 * in t/golden (own fixtures).  --only takes the files whose path holds TEXT,
 * --details prints so many failures of each job.
 */

#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

#include "matrix.h"


#define RECORDED     "../shared/recorded"
#define MATRIX_SIDES 16
#define DETAILS      20

/* places in a stream where it is looked at what has gone so far */
#define SO_FAR       8

/* bytes of a fixture that is worth reading */
#define GOLDEN_MAX   8192


/* Where the bytes of an upstream dialect lie. */
typedef struct {
    const char   *folder;
    const char   *side;
} place_t;

typedef struct {
    char                 *path;
    char                 *name;
    const matrix_side_t  *side;
    unsigned              answer;
    unsigned              own;
} file_t;

typedef struct {
    uint64_t   checks[MATRIX_SIDES][MATRIX_SIDES];
    uint64_t   failed[MATRIX_SIDES][MATRIX_SIDES];
} table_t;


static const place_t  places[] = {
    { "t/fixtures/openai", "openai" },
    { "t/fixtures/openai-completions", "openai-completions" },
    { "t/fixtures/responses", "openai-responses" },
    { "t/fixtures/anthropic", "anthropic" },
    { "t/fixtures/gemini", "gemini" },
    { "t/fixtures/ollama", "ollama" },
    { "t/fixtures/ollama-generate", "ollama-generate" },
    { "t/fixtures/flowise", "flowise" },
    { "t/fixtures/cohere", "cohere" },

    { RECORDED "/openai-chat", "openai" },
    { RECORDED "/openrouter", "openai" },
    { RECORDED "/azure-openai", "openai" },
    { RECORDED "/deepseek", "openai" },
    { RECORDED "/groq", "openai" },
    { RECORDED "/xai", "openai" },
    { RECORDED "/vllm", "openai-completions" },
    { RECORDED "/mistral", "openai" },
    { RECORDED "/qwen", "openai" },
    { RECORDED "/other", "openai" },
    { RECORDED "/openai-completions", "openai-completions" },
    { RECORDED "/openai-responses", "openai-responses" },
    { RECORDED "/anthropic-messages", "anthropic" },
    { RECORDED "/gemini", "gemini" },
    { RECORDED "/ollama-chat", "ollama" },
    { RECORDED "/ollama-generate", "ollama-generate" },
    { RECORDED "/flowise", "flowise" },
    { RECORDED "/cohere", "cohere" }
};

/* files that speak another dialect than their folder; NULL: none of ours */
static const place_t  others[] = {
    { "openrouter/responses-api.sse", "openai-responses" },
    { "azure-openai/responses-text.sse", "openai-responses" },
    { "deepseek/responses-function-call.sse", "openai-responses" },
    { "xai/responses-image.sse", "openai-responses" },
    { "other/watsonx.sse", NULL },
    { "other/replicate-multiline-data.sse", NULL },
    { "other/openai-assistants-thread-run.sse", NULL },
    { "gemini/json-array-split-part2.json-array", NULL },
    { "gemini/json-array-tail.json-array", NULL },
    { "cohere/v1-text.ndjson", NULL }
};

static table_t      table;
static size_t       cuts = 16;
static unsigned     update;
static const char  *only;
static unsigned     details;
static unsigned     max_details = DETAILS;


/* fixtures that no reader can agree about: only their cuts and what stands
 * in t/golden are checked */
static const char *const  hostile[] = {
    "type-confusion", "invalid-utf8", "not-json"
};


static const matrix_side_t *
side_of(const char *name)
{
    size_t  i;

    for (i = 0; i < matrix_nsides; i++) {
        if (strcmp(matrix_sides[i].name, name) == 0) {
            return &matrix_sides[i];
        }
    }

    abort();
}


char *
matrix_slurp(const char *path, size_t *n)
{
    char    *p;
    long     size;
    FILE    *f;

    f = fopen(path, "rb");

    if (f == NULL) {
        return NULL;
    }

    (void) fseek(f, 0, SEEK_END);
    size = ftell(f);
    rewind(f);

    p = malloc((size_t) size + 1);
    if (p == NULL) {
        abort();
    }

    *n = fread(p, 1, (size_t) size, f);
    p[*n] = '\0';
    (void) fclose(f);

    return p;
}


/* Takes over n checks of a pair; what: the failure, freed here, or NULL. */
static void
count(const matrix_case_t *c, const file_t *file, size_t n, char *what,
    const char *through)
{
    size_t  i, k;

    i = (size_t) (c->from - matrix_sides);
    k = (size_t) (c->to - matrix_sides);
    table.checks[i][k] += n;

    if (what == NULL) {
        return;
    }

    table.failed[i][k]++;

    if (details++ < max_details) {
        printf("FAILED %s, %s to %s%s%s %s: %s\n", file->path,
               c->answer_in ? "answer" : "stream", through,
               through[0] != '\0' ? " to " : "", c->to->name,
               c->answer_out ? "answer" : "stream", what);
        (void) fflush(stdout);
    }

    free(what);
}


/* What a run said to its client. */
static json_t *
heard(const matrix_case_t *c, const matrix_run_t *r)
{
    json_t  *said, *error;

    said = matrix_read(c->to, r->p, r->n, c->answer_out);

    if (r->rc == LLM_DONE) {
        return said;
    }

    /* text cannot say it in the stream, an answer says it by its status */

    if (c->answer_out || c->to->dialect == &llm_dialect_text) {
        json_object_set_new(said, "outcome", json_string("error"));

        if (c->to->dialect == &llm_dialect_text) {
            json_object_set_new(said, "error",
                                json_stringn(r->body, strlen(r->body) - 1));
            return said;
        }

        error = matrix_read(c->to, r->body, strlen(r->body), 1);
        json_object_set(said, "error", at(error, "error"));

        if (strcmp(word(error, "outcome"), "error") != 0) {
            json_object_set_new(said, "outcome", json_string("no error"));
        }

        json_decref(error);
    }

    return said;
}


/* What goes on as it came is not put into words anew. */
static int
is_passed(const matrix_case_t *c)
{
    return c->from->dialect == c->to->dialect
           && c->answer_in == c->answer_out
           && (c->answer_out || c->from->framing == c->to->framing);
}


static json_t *
expected(const matrix_case_t *c, const json_t *said)
{
    json_t  *all;

    if (!is_passed(c)) {
        return matrix_project(said, c->to, c->answer_out);
    }

    all = json_deep_copy(said);

    if (strcmp(word(all, "outcome"), "cut") == 0) {
        json_object_set_new(all, "outcome", json_string("error"));
    }

    return all;
}


/* The same through the dialect of `c`, whose output `r` is. */
static void
round_trip(const file_t *file, const matrix_case_t *c,
    const matrix_run_t *r, const json_t *said)
{
    size_t          i, n;
    char           *differ;
    json_t         *expect, *got;
    matrix_run_t    second;
    matrix_case_t   on, counted;

    for (i = 0; i < matrix_nsides; i++) {
        if (!matrix_sides[i].client) {
            continue;
        }

        on.from = c->to;
        on.to = &matrix_sides[i];
        on.answer_in = c->answer_out;
        on.answer_out = c->answer_out;

        matrix_run(&second, &on, r->p, r->n, NULL, 0);

        expect = expected(&on, said);
        got = heard(&on, &second);
        n = matrix_compare(expect, got, !on.answer_out, &differ);

        counted = on;
        counted.from = c->from;
        counted.answer_in = c->answer_in;
        count(&counted, file, n, differ, c->to->name);

        json_decref(expect);
        json_decref(got);
        matrix_run_free(&second);
    }
}


/* What was written, and how it ended if it did not end well. */
static void
check_golden(const file_t *file, const matrix_case_t *c,
    const matrix_run_t *r)
{
    char  *heading, *text, *what;

    text = r->rc == LLM_DONE
           ? matrix_say("%s", r->p)
           : matrix_say("%s--- %s, status %d: %s\n", r->p,
                        (const char *) llm_fault_info(r->fault)->code.p,
                        r->status, r->body);
    heading = matrix_say("=== %s, %s\n", c->to->name,
                         c->answer_out ? "answer" : "stream");
    what = matrix_golden(heading, text);

    count(c, file, 1, what, "");
    free(heading);
    free(text);
}


/* Nothing waits: when an event has come, all text up to it has gone. */
static void
check_so_far(const file_t *file, const matrix_case_t *c, const char *p,
    size_t n)
{
    char          *differ;
    size_t         i, end, checks;
    json_t        *said, *expect, *got;
    matrix_run_t   r;

    for (i = 0; i < SO_FAR; i++) {
        end = matrix_event_end(c->from, p, i * n / SO_FAR);

        if (end == 0 || end >= n) {
            break;
        }

        said = matrix_read(c->from, p, end, 0);
        matrix_run_so_far(&r, c, p, end);

        if (at(said, "unread") == NULL && r.rc == LLM_OK) {
            expect = matrix_project(said, c->to, 0);
            got = matrix_read(c->to, r.p, r.n, 0);
            checks = matrix_compare_so_far(expect, got, &differ);
            count(c, file, checks, differ, "");
            json_decref(expect);
            json_decref(got);
        }

        json_decref(said);
        matrix_run_free(&r);
    }
}


static void
check_case(const file_t *file, const matrix_case_t *c, const char *p,
    size_t n, const json_t *said)
{
    char          *differ;
    size_t         checks;
    json_t        *expect, *got;
    matrix_run_t   r;

    checks = matrix_run_cuts(&r, c, p, n, cuts, &differ);
    count(c, file, checks, differ, "");
    count(c, file, 1, r.leaked != 0 ? matrix_say("%zu blocks leaked",
                                                 r.leaked) : NULL, "");

    if (!c->answer_out && !is_passed(c)) {
        differ = matrix_strict(c->to, &r, &checks);
        count(c, file, checks, differ, "");
    }

    if (!c->answer_in && !c->answer_out
        && c->from->framing != LLM_FRAMING_ARRAY && cuts != 0
        && at(said, "unread") == NULL)
    {
        check_so_far(file, c, p, n);
    }

    if (at(said, "unread") == NULL) {
        expect = expected(c, said);
        got = heard(c, &r);
        checks = matrix_compare(expect, got, !c->answer_out, &differ);
        count(c, file, checks, differ, "");

        if (c->to->upstream && differ == NULL
            && (r.rc == LLM_DONE || !c->answer_out)
            && c->answer_in == c->answer_out)
        {
            matrix_carried(expect, c->to, c->answer_out);
            round_trip(file, c, &r, expect);
        }

        json_decref(expect);
        json_decref(got);
    }

    /* one answer of Gemini's is the same for both framings */

    if (file->own && n <= GOLDEN_MAX
        && !(c->answer_out && c->to->framing == LLM_FRAMING_ARRAY))
    {
        check_golden(file, c, &r);
    }

    matrix_run_free(&r);
}


static void
check_file(const file_t *file)
{
    char           *p;
    size_t          i, n;
    json_t         *said;
    matrix_case_t   c;

    p = matrix_slurp(file->path, &n);

    if (p == NULL) {
        perror(file->path);
        exit(2);
    }

    said = matrix_read(file->side, p, n, file->answer);
    matrix_carried(said, file->side, file->answer);

    for (i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        if (strstr(file->name, hostile[i]) != NULL) {
            json_object_set_new(said, "unread", json_true());
        }
    }

    if (file->own) {
        matrix_golden_open(file->side->name, file->name, update);
    }

    for (i = 0; i < 2 * matrix_nsides; i++) {
        c.from = file->side;
        c.to = &matrix_sides[i / 2];
        c.answer_in = file->answer;
        c.answer_out = i % 2;

        if (c.to->client) {
            check_case(file, &c, p, n, said);
        }
    }

    matrix_golden_close();
    json_decref(said);
    free(p);
}


/* The side of a file in a folder, by its ending; NULL: not to be read. */
static const matrix_side_t *
file_side(const char *path, const char *side, unsigned *answer)
{
    size_t       i;
    const char  *ext;

    ext = strrchr(path, '.');
    *answer = 0;

    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (strstr(path, others[i].folder) != NULL) {
            side = others[i].side;
        }
    }

    if (ext == NULL || side == NULL
        || (only != NULL && strstr(path, only) == NULL))
    {
        return NULL;
    }

    if (strcmp(ext, ".json-array") == 0) {
        return side_of("gemini-array");
    }

    *answer = strcmp(ext, ".json") == 0;

    return *answer || strcmp(ext, ".sse") == 0
           || strcmp(ext, ".ndjson") == 0 ? side_of(side) : NULL;
}


static int
by_path(const void *a, const void *b)
{
    return strcmp(((const file_t *) a)->path, ((const file_t *) b)->path);
}


/* The files of a place behind the n that are there. */
static size_t
list_place(const place_t *place, file_t **files, size_t n)
{
    DIR            *dir;
    file_t          file;
    struct dirent  *entry;

    dir = opendir(place->folder);

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        file.path = matrix_say("%s/%s", place->folder, entry->d_name);
        file.side = file_side(file.path, place->side, &file.answer);

        if (file.side == NULL) {
            free(file.path);
            continue;
        }

        file.own = strncmp(file.path, "t/fixtures/", 11) == 0;
        file.name = matrix_say("%s", entry->d_name);
        *files = realloc(*files, (n + 1) * sizeof(file_t));

        if (*files == NULL) {
            abort();
        }

        (*files)[n++] = file;
    }

    if (dir != NULL) {
        (void) closedir(dir);
    }

    return n;
}


static int
print_table(void)
{
    size_t    i, k;
    uint64_t  checks, failed, row;

    checks = 0;
    failed = 0;

    for (i = 0; i < matrix_nsides; i++) {
        if (!matrix_sides[i].upstream) {
            continue;
        }

        printf("%s:\n", matrix_sides[i].name);
        row = 0;

        for (k = 0; k < matrix_nsides; k++) {
            if (!matrix_sides[k].client) {
                continue;
            }

            printf("    to %-20s %9llu checks", matrix_sides[k].name,
                   (unsigned long long) table.checks[i][k]);

            if (table.failed[i][k] != 0) {
                printf(", %llu FAILED",
                       (unsigned long long) table.failed[i][k]);
            }

            printf("\n");
            row += table.checks[i][k];
            failed += table.failed[i][k];
            failed += table.checks[i][k] == 0 && only == NULL;
        }

        checks += row;
    }

    printf("== matrix: %llu checks, %llu failed\n",
           (unsigned long long) checks, (unsigned long long) failed);

    return failed != 0;
}


/* Every jobs-th file in a process of its own; their tables are added. */
static void
check_files(const file_t *files, size_t n, unsigned jobs)
{
    int        fds[2], status;
    pid_t      pid;
    size_t     i, job;
    table_t    sum;
    uint64_t  *to, *from;

    memset(&sum, 0, sizeof(sum));

    if (pipe(fds) != 0) {
        perror("pipe");
        exit(2);
    }

    for (job = 0; job < jobs; job++) {
        (void) fflush(stdout);
        pid = fork();

        if (pid == 0) {
            for (i = job; i < n; i += jobs) {
                check_file(&files[i]);
            }

            (void) fflush(stdout);
            _exit(write(fds[1], &table, sizeof(table))
                  == (ssize_t) sizeof(table) ? 0 : 2);
        }
    }

    (void) close(fds[1]);

    for (job = 0; job < jobs; job++) {
        if (read(fds[0], &table, sizeof(table)) != (ssize_t) sizeof(table)) {
            printf("a job died\n");
            exit(2);
        }

        to = &sum.checks[0][0];
        from = &table.checks[0][0];

        for (i = 0; i < sizeof(table) / sizeof(uint64_t); i++) {
            to[i] += from[i];
        }

        if (wait(&status) < 0 || status != 0) {
            printf("a job died\n");
            exit(2);
        }
    }

    table = sum;
}


int
main(int argc, char **argv)
{
    int        i;
    size_t     k, n;
    file_t    *files;
    unsigned   jobs;

    jobs = 2;
    files = NULL;
    n = 0;

    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--update") == 0) {
            update = 1;

        } else if (i + 1 < argc && strcmp(argv[i], "--cuts") == 0) {
            cuts = (size_t) atol(argv[++i]);

        } else if (i + 1 < argc && strcmp(argv[i], "--jobs") == 0) {
            jobs = (unsigned) atoi(argv[++i]);

        } else if (i + 1 < argc && strcmp(argv[i], "--only") == 0) {
            only = argv[++i];

        } else if (i + 1 < argc && strcmp(argv[i], "--details") == 0) {
            max_details = (unsigned) atoi(argv[++i]);

        } else {
            fprintf(stderr, "usage: matrix [--cuts N] [--jobs N] "
                    "[--only TEXT] [--details N] [--update]\n");
            return 2;
        }
    }

    for (k = 0; k < sizeof(places) / sizeof(places[0]); k++) {
        n = list_place(&places[k], &files, n);
    }

    qsort(files, n, sizeof(file_t), by_path);
    printf("%zu files%s\n", n, access(RECORDED, R_OK) == 0 ? ""
           : "; skipped: no recorded streams, " RECORDED " is missing");

    check_files(files, n, jobs);

    for (k = 0; k < n; k++) {
        free(files[k].path);
        free(files[k].name);
    }

    free(files);

    return print_table();
}
