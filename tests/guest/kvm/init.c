// SPDX-License-Identifier: MIT
/* The first process of the KVM demonstration: loads the kernel's own KVM modules, runs virtual machines with nested paging and,
 * the module loaded again with npt=0, with shadow paging, and powers off. With the argument "avic" it runs those that have a local APIC
 * with AVIC instead. */
#include "vm.h"

static u32 checks, failures;

static int check(int ok, const char *what)
{
    struct line l = { .len = 0 };

    put(&l, ok ? "host: ok: " : "host: FAILED: ");
    put(&l, what);
    put_end(&l);
    failures += !ok;
    return ok;
}

static int load(const char *file, const char *parameters)
{
    struct line l = { .len = 0 };
    int fd = (int)sys3(__NR_open, (u64)file, 0, 0);
    int ok = fd >= 0 && sys3(__NR_finit_module, (u64)fd, (u64)parameters, 0) == 0;

    sys3(__NR_close, (u64)fd, 0, 0);
    put(&l, "load ");
    put(&l, file);
    put(&l, *parameters ? " " : "");
    put(&l, parameters);
    l.text[l.len] = 0;
    return check(ok, l.text);
}

static void run(int kvm, const char *name, u32 kind, u32 vcpus)
{
    static struct vm vm;
    struct line l = { .len = 0 };

    __builtin_memset(&vm, 0, sizeof(vm));
    vm_run(&vm, kvm, kind, vcpus, name);
    put(&l, name);
    put(&l, ": ");
    put_number(&l, vm.checks, 10);
    put(&l, " checks, ");
    put_number(&l, vm.failures, 10);
    put(&l, " failed");
    put_end(&l);
    checks += vm.checks;
    failures += vm.failures + (vm.checks == 0);
}

/* The machines, once for each kind of paging; without a first name only those with a local APIC. */
static void run_all(const char *const names[3])
{
    int kvm = (int)sys3(__NR_open, (u64) "/dev/kvm", 2, 0);

    if (!check(kvm >= 0, "open /dev/kvm") || !check(sys3(__NR_ioctl, (u64)kvm, KVM_GET_API_VERSION, 0) == 12, "KVM's API is 12"))
        return;
    if (names[0])
        run(kvm, names[0], KIND_MODES, 1);
    run(kvm, names[1], KIND_CHIPS, 1);
    run(kvm, names[2], KIND_CHIPS, 2);
    sys3(__NR_close, (u64)kvm, 0, 0);
}

/* KVM says in sysfs which kind of paging it chose, and whether AVIC. */
#define NPT "/sys/module/kvm_amd/parameters/npt"
#define AVIC "/sys/module/kvm_amd/parameters/avic"
static int parameter(const char *file)
{
    char answer = 0;
    int fd = (int)sys3(__NR_open, (u64)file, 0, 0);

    sys3(__NR_read, (u64)fd, (u64)&answer, 1);
    sys3(__NR_close, (u64)fd, 0, 0);
    return answer == 'Y' ? 1 : answer == 'N' ? 0 : -1;
}

static void unload(void)
{
    check(sys3(__NR_delete_module, (u64) "kvm_amd", 0, 0) == 0, "unload kvm_amd");
}

static void run_pagings(void)
{
    static const char *const nested[3] = { "npt=1, 1 vCPU", "npt=1, 1 vCPU, APIC", "npt=1, 2 vCPUs, APIC" };
    static const char *const shadow[3] = { "npt=0, 1 vCPU", "npt=0, 1 vCPU, APIC", "npt=0, 2 vCPUs, APIC" };

    load("/kvm-amd.ko", "npt=1");
    check(parameter(NPT) == 1, "KVM uses nested paging");
    run_all(nested);
    unload();
    load("/kvm-amd.ko", "npt=0");
    check(parameter(NPT) == 0, "KVM uses shadow paging");
    run_all(shadow);
    unload();
}

static void run_avic(void)
{
    static const char *const names[3] = { 0, "avic=1, 1 vCPU, APIC", "avic=1, 2 vCPUs, APIC" };

    load("/kvm-amd.ko", "npt=1 avic=1");
    check(parameter(AVIC) == 1, "KVM uses AVIC");
    run_all(names);
    unload();
}

/* STACK: argc, argv. The kernel passes what stands behind "--" on its command line. */
void start(u64 *stack);
void start(u64 *stack)
{
    struct line l = { .len = 0 };
    const char *argument = stack[0] > 1 ? (const char *)stack[2] : "";

    sys3(__NR_mkdir, (u64) "/sys", 0755, 0);
    check(sys6(__NR_mount, (u64) "dev", (u64) "/dev", (u64) "devtmpfs", 0, 0, 0) == 0 &&
              sys6(__NR_mount, (u64) "sys", (u64) "/sys", (u64) "sysfs", 0, 0, 0) == 0,
          "mount devtmpfs and sysfs");
    load("/irqbypass.ko", "");
    load("/kvm.ko", "");
    if (argument[0] == 'a')
        run_avic();
    else
        run_pagings();
    put(&l, "kvm demonstration: ");
    put_number(&l, checks, 10);
    put(&l, " checks in the virtual machines: ");
    put(&l, failures ? "FAILED" : "PASSED");
    put_end(&l);
    power_off();
}

__asm__(".globl _start\n"
        "_start: mov %rsp, %rdi; and $-16, %rsp; call start\n");
