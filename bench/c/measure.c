/* SPDX-License-Identifier: MIT
 *
 * measure.c - runs a program and says what the kernel charged it.
 *
 *     measure PROGRAM [ARGUMENT...]
 *
 * Adds one last line to standard output: user and system CPU seconds of the
 * whole process from exec to exit, wall seconds, peak memory, exit code. The
 * same ruler for every client, whatever language it is written in. The
 * program does not outlive this one.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static pid_t start(char **argv)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent)
        execvp(argv[0], argv);
    perror(argv[0]);
    _exit(127);
}

int main(int argc, char **argv)
{
    struct rusage r;
    int status;
    if (argc < 2) {
        fprintf(stderr, "usage: %s PROGRAM [ARGUMENT...]\n", argv[0]);
        return 2;
    }
    double from = now();
    pid_t pid = start(argv + 1);
    while (pid > 0 && wait4(pid, &status, 0, &r) < 0)
        if (errno != EINTR)
            pid = -1;
    if (pid < 0) {
        perror("measure");
        return 2;
    }
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    printf("measure_user=%.6f measure_sys=%.6f measure_wall=%.6f "
           "measure_rss_kib=%ld measure_exit=%d\n",
           seconds(r.ru_utime), seconds(r.ru_stime), now() - from, r.ru_maxrss,
           code);
    return code;
}
