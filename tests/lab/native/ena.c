/* Shows the allowance counters of an ENA adapter on an interface that has none: LD_PRELOAD around ioctl(SIOCETHTOOL).
 *
 * LAB_ENA="linklocal_allowance_exceeded=7,conntrack_allowance_exceeded=0": each named counter grows by its number from
 * one reading to the next; LAB_ENA_STATE names the file that counts the readings, since each run is a new process. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COUNTERS = 16 };

struct counter {
    char name[ETH_GSTRING_LEN];
    unsigned long long step;
};

static int counters(struct counter out[MAX_COUNTERS])
{
    const char *spec = getenv("LAB_ENA");
    int count = 0;
    while (spec && *spec && count < MAX_COUNTERS) {
        const char *equals = strchr(spec, '='), *comma;
        if (!equals)
            break;
        memset(&out[count], 0, sizeof out[count]);
        size_t length = (size_t)(equals - spec);
        memcpy(out[count].name, spec, length < ETH_GSTRING_LEN ? length : ETH_GSTRING_LEN - 1);
        out[count++].step = strtoull(equals + 1, NULL, 10);
        comma = strchr(equals, ',');
        spec = comma ? comma + 1 : NULL;
    }
    return count;
}

static unsigned long long next_reading(void)
{
    const char *path = getenv("LAB_ENA_STATE");
    unsigned long long reading = 0;
    FILE *state = path ? fopen(path, "r") : NULL;
    if (state) {
        if (fscanf(state, "%llu", &reading) != 1)
            reading = 0;
        fclose(state);
    }
    reading++;
    if (path && (state = fopen(path, "w"))) {
        fprintf(state, "%llu", reading);
        fclose(state);
    }
    return reading;
}

static int answer(void *data)
{
    struct counter list[MAX_COUNTERS];
    int count = counters(list);
    switch (*(__u32 *)data) {
    case ETHTOOL_GDRVINFO: {
        struct ethtool_drvinfo *info = data;
        memset((char *)info + sizeof info->cmd, 0, sizeof *info - sizeof info->cmd);
        strcpy(info->driver, "ena");
        info->n_stats = (__u32)count;
        return 0;
    }
    case ETHTOOL_GSSET_INFO: {
        struct ethtool_sset_info *info = data;
        if (!(info->sset_mask & (1ULL << ETH_SS_STATS)))
            return -1;
        info->sset_mask = 1ULL << ETH_SS_STATS;
        info->data[0] = (__u32)count;
        return 0;
    }
    case ETHTOOL_GSTRINGS: {
        struct ethtool_gstrings *strings = data;
        if (strings->string_set != ETH_SS_STATS)
            return -1;
        strings->len = (__u32)count;
        for (int i = 0; i < count; i++)
            memcpy(strings->data + i * ETH_GSTRING_LEN, list[i].name, ETH_GSTRING_LEN);
        return 0;
    }
    case ETHTOOL_GSTATS: {
        struct ethtool_stats *stats = data;
        unsigned long long reading = next_reading();
        stats->n_stats = (__u32)count;
        for (int i = 0; i < count; i++)
            stats->data[i] = list[i].step * reading;
        return 0;
    }
    default:
        return -1;
    }
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    int (*real)(int, unsigned long, void *) = (int (*)(int, unsigned long, void *))dlsym(RTLD_NEXT, "ioctl");
    if (request == SIOCETHTOOL) {
        struct ifreq *wanted = argument;
        if (strncmp(wanted->ifr_name, "eth0", IFNAMSIZ) == 0 && answer(wanted->ifr_data) == 0)
            return 0;
    }
    return real(fd, request, argument);
}
