/*
 * llm-bench: a client that measures what a proxy does to streams.  It owns the
 * order of things and the exit code: 0 all requests were complete, 1 some were
 * not, 2 bad usage, 130 and 143 a signal ended it.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <curl/curl.h>

#include "bench_report.h"
#include "bench_result.h"
#include "bench_schedule.h"
#include "bench_shard.h"
#include "bench_tally.h"


/* Each stream is a connection at least. */
static void
bench_main_files(void)
{
    struct rlimit  rl;

    if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < rl.rlim_max) {
        rl.rlim_cur = rl.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &rl);
    }
}


static int
bench_main_status(const bench_tally_t *t, int sig)
{
    size_t  i;

    if (sig != 0) {
        return 128 + sig;
    }

    for (i = 0; i < t->nrecords; i++) {
        if (t->records[i].end == BENCH_FAILED) {
            return 1;
        }
    }

    return 0;
}


static int
bench_main_run(const bench_options_t *o, const bench_body_t *b)
{
    int             sig, status;
    int64_t        *schedule;
    const char     *version;
    bench_tally_t  *t;

    schedule = bench_schedule_make(o, (size_t) o->num_prompts);

    if (schedule == NULL) {
        fputs("llm-bench: no memory\n", stderr);
        return 1;
    }

    sig = 0;
    t = bench_shard_run(o, b, schedule, &sig);
    free(schedule);

    if (t == NULL) {
        return 1;
    }

    status = bench_main_status(t, sig);
    version = o->engine == BENCH_ENGINE_CURL
              ? curl_version_info(CURLVERSION_NOW)->version : NULL;

    if (!o->quiet) {
        bench_report(stdout, o, t);

        if (fflush(stdout) != 0 || ferror(stdout)) {
            fputs("llm-bench: the table could not be written\n", stderr);
            status = status == 0 ? 1 : status;
        }
    }

    if (o->save_result && bench_result_save(o, t, version) == -1) {
        status = status == 0 ? 1 : status;
    }

    bench_tally_free(t);

    return status;
}


int
main(int argc, char **argv)
{
    int              rc;
    bench_body_t     b;
    bench_options_t  o;

    rc = bench_options_parse(&o, argc, argv);

    if (rc != 0) {
        return rc == 1 ? 0 : 2;
    }

    o.processes = bench_shard_processes(&o);
    bench_main_files();

    if (bench_body_make(&b, &o) == -1) {
        return 2;
    }

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        fputs("llm-bench: curl_global_init() failed\n", stderr);
        return 1;
    }

    rc = bench_main_run(&o, &b);

    curl_global_cleanup();
    bench_body_free(&b);

    return rc;
}
