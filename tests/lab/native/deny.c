/* deny CGROUP ADDRESS…: the kernel refuses connect() to these IPv4 addresses, with EPERM, to every process in the cgroup.
 *
 * A BPF program at the cgroup's connect hook, as security agents and container networks place it. It stays, without a
 * process, until the cgroup is removed. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_ADDRESSES = 32, REFUSE = 0, ALLOW = 1 };

static int fail(const char *what)
{
    perror(what);
    return 71;
}

int main(int count, char **arguments)
{
    struct bpf_insn code[MAX_ADDRESSES + 5];
    int addresses = count - 2, length = 0;
    if (addresses < 1 || addresses > MAX_ADDRESSES)
        return 64;
    code[length++] = (struct bpf_insn){.code = BPF_LDX | BPF_MEM | BPF_W,
                                       .dst_reg = BPF_REG_2,
                                       .src_reg = BPF_REG_1,
                                       .off = offsetof(struct bpf_sock_addr, user_ip4)};
    for (int i = 0; i < addresses; i++) {
        struct in_addr address;
        if (inet_pton(AF_INET, arguments[2 + i], &address) != 1)
            return 64;
        code[length++] = (struct bpf_insn){.code = BPF_JMP32 | BPF_JEQ | BPF_K,
                                           .dst_reg = BPF_REG_2,
                                           .off = (int16_t)(addresses - i + 1), /* over the others and ALLOW's two */
                                           .imm = (int32_t)address.s_addr};
    }
    code[length++] = (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = ALLOW};
    code[length++] = (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
    code[length++] = (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = REFUSE};
    code[length++] = (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};

    struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_MEMLOCK, &unlimited); /* kernels before 5.11 count programs as locked memory */
    union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
                           .expected_attach_type = BPF_CGROUP_INET4_CONNECT,
                           .insns = (uintptr_t)code,
                           .insn_cnt = (uint32_t)length,
                           .license = (uintptr_t) ""};
    long program = syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
    if (program < 0)
        return fail("load");
    int cgroup = open(arguments[1], O_RDONLY | O_DIRECTORY);
    if (cgroup < 0)
        return fail(arguments[1]);
    union bpf_attr attach = {.target_fd = (uint32_t)cgroup,
                             .attach_bpf_fd = (uint32_t)program,
                             .attach_type = BPF_CGROUP_INET4_CONNECT,
                             .attach_flags = BPF_F_ALLOW_MULTI};
    if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach) != 0)
        return fail("attach");
    return 0;
}
