/*
 * Runs a fuzz target's function over files: the corpora as a unit test, for
 * any compiler, without libFuzzer.  Arguments are files and folders; it
 * fails if there was no file, and a property that does not hold aborts.
 * With -v in front each file is named before it is run.
 */

#define _POSIX_C_SOURCE  200809L

#include <dirent.h>
#include <sys/stat.h>

#include "fuzz_support.h"


static int  verbose;


static int
replay_file(const char *path)
{
    FILE         *f;
    size_t        n;
    llm_u8       *p;
    struct stat   st;

    f = fopen(path, "rb");

    if (f == NULL || fstat(fileno(f), &st) != 0) {
        perror(path);
        exit(1);
    }

    p = malloc((size_t) st.st_size + 1);

    if (p == NULL) {
        perror("malloc");
        exit(1);
    }

    n = fread(p, 1, (size_t) st.st_size, f);
    fclose(f);

    if (n != (size_t) st.st_size) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }

    if (verbose) {
        fprintf(stderr, "%s\n", path);
    }

    (void) LLVMFuzzerTestOneInput(p, n);

    free(p);

    return 1;
}


static int
replay(const char *path)
{
    DIR            *dir;
    int             n;
    char            file[4096];
    struct dirent  *entry;

    dir = opendir(path);
    if (dir == NULL) {
        return replay_file(path);
    }

    n = 0;

    while ((entry = readdir(dir)) != NULL) {

        if (entry->d_name[0] != '.'
            && snprintf(file, sizeof(file), "%s/%s", path, entry->d_name)
               < (int) sizeof(file))
        {
            n += replay_file(file);
        }
    }

    closedir(dir);

    return n;
}


int
main(int argc, char **argv)
{
    int  i, n;

    n = 0;
    verbose = argc > 1 && strcmp(argv[1], "-v") == 0;

    for (i = 1 + verbose; i < argc; i++) {
        n += replay(argv[i]);
    }

    printf("%d inputs replayed\n", n);

    return n != 0 ? 0 : 1;
}
