/*
 * Processor time and memory of trees of processes: a /proc made of files, and
 * the real one.
 */

#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit_support.h"

#include "bench_proc.h"


/* Writes a file of the made /proc; its folders come by themselves. */
static void
put(const char *root, const char *name, const char *text)
{
    char   path[512], *p;
    FILE  *f;

    snprintf(path, sizeof(path), "%s/%s", root, name);

    for (p = path + strlen(root) + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
        *p = '/';
    }

    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}


/* 10 has threads 10, 11 and children 20 (which has 30) and 21, which says that
 * it is a parent of 10: pids come again.  40 is alone.  50 is dead. */
static void
put_tree(const char *root)
{
    put(root, "10/task/10/schedstat", "1000 5 1\n");
    put(root, "10/task/11/schedstat", "200 90 1\n");
    put(root, "10/stat", "10 (a) S 1 1 1\n");
    put(root, "10/status", "Name:\ta\nVmRSS:\t9 kB\nRssAnon:\t  7 kB\n");
    put(root, "20/task/20/schedstat", "30 5 1\n");
    put(root, "20/stat", "20 (b) S) R 10 1 1\n");
    put(root, "20/status", "Name:\tRssAnon: 9 kB\nRssAnon:\t  500 kB\nX:\t1\n");
    put(root, "21/task/21/schedstat", "4 5 1\n");
    put(root, "21/stat", "21 () ) 40 () R 10 1 1\n");
    put(root, "21/status", "Name:\tc\n");
    put(root, "30/task/30/schedstat", "50000 5 1\n");
    put(root, "30/stat", "30 (d) S 20 1 1\n");
    put(root, "30/status", "Name:\td\nRssAnon:\t1 kB\n");
    put(root, "40/task/40/schedstat", "7000000 5 1\n");
    put(root, "40/stat", "40 (10) S 1 1 1\n");
    put(root, "40/status", "Name:\te\nRssAnon:\t70000 kB\n");
    put(root, "uptime", "1 1\n");
}


static void
put_children(const char *root)
{
    put(root, "10/task/10/children", "20 ");
    put(root, "10/task/11/children", "21 50 20 ");
    put(root, "20/task/20/children", "30 ");
    put(root, "21/task/21/children", "10 ");
    put(root, "30/task/30/children", "");
    put(root, "40/task/40/children", "");
}


static void
check_tree(void)
{
    static const pid_t  tree[] = { 10 }, twice[] = { 20, 10, 10 };
    static const pid_t  both[] = { 40, 30 }, dead[] = { 10, 50 };

    assert_int_equal(bench_proc_cpu(tree, 1), 51234);
    assert_int_equal(bench_proc_cpu(twice, 3), 51234);
    assert_int_equal(bench_proc_cpu(both, 2), 7050000);
    assert_int_equal(bench_proc_cpu(dead, 2), -1);
    assert_int_equal(bench_proc_cpu(dead, 0), -1);

    assert_int_equal(bench_proc_wait(tree, 1), 110);
    assert_int_equal(bench_proc_wait(dead, 2), -1);

    /* 21 has no such line: it ended and was not waited for */
    assert_int_equal(bench_proc_rss(tree, 1), 508);
    assert_int_equal(bench_proc_rss(both, 2), 70001);
    assert_int_equal(bench_proc_rss(dead, 2), -1);
}


/* With the kernel's lists of children, and without any. */
static void
test_made(void **state)
{
    char  root[256], command[300];

    (void) state;
    snprintf(root, sizeof(root), "%s/bench_proc.XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(root));
    bench_proc_root = root;

    put_tree(root);
    check_tree();
    put_children(root);
    check_tree();

    /* a thread that ended when it was looked at: the lists are used all the
     * same, 30 says no longer whose child it is */
    snprintf(command, sizeof(command), "%s/10/task/12", root);
    assert_int_equal(symlink("nowhere", command), 0);
    put(root, "30/stat", "30 (d) S 1 1 1\n");
    check_tree();

    bench_proc_root = "/proc";
    snprintf(command, sizeof(command), "rm -r '%s'", root);
    assert_int_equal(system(command), 0);
}


static void
burn(int64_t ns)
{
    int64_t            from;
    volatile unsigned  sink;

    from = bench_proc_self();
    sink = 0;

    while (bench_proc_self() - from < ns) {
        sink++;
    }
}


/* Until the test is over, however it ends. */
static void
outlive(int life)
{
    char  byte;

    while (read(life, &byte, 1) == -1 && errno == EINTR) { /* void */ }

    _exit(0);
}


/* A child of a child works and takes memory: it is seen from the top. */
static void
grandchild(int ready, int life)
{
    char    *p;
    size_t   n;

    n = 32 << 20;
    p = malloc(n);

    if (p == NULL) {
        _exit(1);
    }

    memset(p, 1, n);
    burn(50000000);

    if (write(ready, p, 1) != 1) {
        _exit(1);
    }

    outlive(life);
}


static void
test_real(void **state)
{
    int      fds[2], life[2];
    char     byte;
    pid_t    child;
    int64_t  cpu;

    (void) state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(pipe(life), 0);

    child = fork();
    assert_int_not_equal(child, -1);

    if (child == 0) {
        close(life[1]);

        if (fork() == 0) {
            grandchild(fds[1], life[0]);
        }

        outlive(life[0]);
    }

    assert_int_equal(read(fds[0], &byte, 1), 1);

    /* the kernel accounts for a running thread now and then: not all of the
     * 50 ms need be there yet */
    cpu = bench_proc_cpu(&child, 1);
    assert_true(cpu >= 25000000);
    assert_true(bench_proc_rss(&child, 1) >= 32 << 10);

    close(life[1]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(bench_proc_cpu(&child, 1), -1);
    assert_int_equal(bench_proc_rss(&child, 1), -1);
    close(fds[0]);
    close(fds[1]);
    close(life[0]);
}


/* Our own time goes on when we work, and not when we wait for nothing. */
static void
test_self(void **state)
{
    pid_t    own;
    int64_t  before, self;

    (void) state;
    own = getpid();
    before = bench_proc_self();
    burn(20000000);
    self = bench_proc_self();
    assert_true(self - before >= 20000000);

    assert_true(bench_proc_cpu(&own, 1) > 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_made),
        cmocka_unit_test(test_real),
        cmocka_unit_test(test_self),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
