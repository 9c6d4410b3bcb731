/* measure COMMAND…: runs it and prints its wall time in µs, CPU time in µs, peak memory in KB, and exit code.
 *
 * A program of its own, because the kernel counts the memory of the process that was forked before exec: started by
 * Python, everything would seem to need Python's memory, and to cost the CPU time of entering the namespaces. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long of(struct timeval time)
{
    return time.tv_sec * 1000000LL + time.tv_usec;
}

static long long between(struct timespec from, struct timespec to)
{
    return (to.tv_sec - from.tv_sec) * 1000000LL + (to.tv_nsec - from.tv_nsec) / 1000;
}

int main(int count, char **arguments)
{
    struct timespec started, ended;
    struct rusage used;
    int status;
    if (count < 2)
        return 64;
    clock_gettime(CLOCK_MONOTONIC, &started);
    pid_t child = fork();
    if (child == 0) {
        freopen("/dev/null", "w", stdout);
        execvp(arguments[1], arguments + 1);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &used) < 0)
        return 71;
    clock_gettime(CLOCK_MONOTONIC, &ended);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    printf("%lld %lld %ld %d\n", between(started, ended), of(used.ru_utime) + of(used.ru_stime), used.ru_maxrss, code);
    return 0;
}
