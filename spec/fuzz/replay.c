/* SPDX-License-Identifier: MIT
 *
 * Plays the files of a directory through a fuzz target without the fuzzer:
 *
 *     replay_NAME DIRECTORY
 *
 * A failed expectation ends the program, naming the file. Every file counts
 * as a test; a directory without any fails.
 */
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *playing; /* for whoever is to be told of an abort */

static void on_abort(int signal_number)
{
    (void)signal_number;
    fprintf(stderr, "an expectation failed with %s\n", playing);
    _Exit(EXIT_FAILURE);
}

static bool play(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t n = 0, cap = 0, k;

    if (!f)
        return false;
    do {
        cap = cap ? cap * 2 : 4096;
        uint8_t *more = realloc(data, cap);
        if (!more)
            abort();
        data = more;
        k = fread(data + n, 1, cap - n, f);
        n += k;
    } while (k && n == cap);
    fclose(f);
    playing = path;
    LLVMFuzzerTestOneInput(data, n);
    free(data);
    return true;
}

int main(int argc, char **argv)
{
    const char *name = strrchr(argv[0], '/');
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    struct dirent *entry;
    int passed = 0;

    name = name ? name + 1 : argv[0];
    signal(SIGABRT, on_abort);
    while (dir && (entry = readdir(dir))) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
        passed += play(path);
    }
    if (dir)
        closedir(dir);
    printf("%s: %d passed, %d failed\n", name, passed, !passed);
    return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}
