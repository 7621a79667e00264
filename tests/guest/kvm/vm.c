// SPDX-License-Identifier: MIT
#include "vm.h"
#include "../lib/thread.h"

extern const u8 guest_image[], guest_image_end[];
__asm__(".section .rodata\n.globl guest_image, guest_image_end\n"
        "guest_image: .incbin \"kvm_guest.bin\"\nguest_image_end: .text\n");

enum {
    PROT_READ_WRITE = 3, MAP_SHARED_ = 1, MAP_PRIVATE_ANONYMOUS = 0x22, SIGUSR1_ = 10, EINTR_ = 4, EAGAIN_ = 11, STACK = 16384,
};

static const char *current_name;

static i64 io(int fd, u64 command, u64 argument)
{
    return sys3(__NR_ioctl, (u64)fd, command, argument);
}

static void *map(u64 size, u64 flags, int fd)
{
    i64 at = sys6(__NR_mmap, 0, size, PROT_READ_WRITE, flags, (u64)(i64)fd, 0);
    return at < 0 && at > -4096 ? 0 : (void *)at;
}

static int complain(struct vm *vm, const char *what, u64 value)
{
    struct line l = { .len = 0 };

    put(&l, current_name);
    put(&l, ": FAILED: ");
    put(&l, what);
    put(&l, " 0x");
    put_number(&l, value, 16);
    put_end(&l);
    vm->failures++;
    vm->done = 1;
    return 0;
}

static void guest_check(struct vm *vm, int passed, u32 text)
{
    struct line l = { .len = 0 };

    put(&l, current_name);
    put(&l, passed ? ": ok: " : ": FAILED: ");
    put(&l, text < LOW_RAM ? (const char *)vm->ram + text : "(no text)");
    put_end(&l);
    vm->checks++;
    vm->failures += !passed;
}

/* Counts and clears the dirty pages of slot 1, the RAM from 1 MiB. */
static u32 dirty_pages(struct vm *vm)
{
    u64 bits[(RAM_END - HIGH_RAM) / 4096 / 64];
    struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = bits };
    u32 n = 0;

    if (io(vm->fd, KVM_GET_DIRTY_LOG, (u64)&log) < 0)
        return ~0u;
    for (u32 i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
        for (u64 word = bits[i]; word; word &= word - 1)
            n++;
    return n;
}

static int set_ram(struct vm *vm, u32 slot, u32 from, u32 to, u32 flags)
{
    struct kvm_userspace_memory_region region = {
        .slot = slot, .flags = flags, .guest_phys_addr = from, .memory_size = to - from, .userspace_addr = (u64)vm->ram + from
    };
    return io(vm->fd, KVM_SET_USER_MEMORY_REGION, (u64)&region) == 0;
}

static int set_line(struct vm *vm, u32 gsi, u32 level)
{
    struct kvm_irq_level line = { .irq = gsi, .level = level };
    return io(vm->fd, KVM_IRQ_LINE, (u64)&line) == 0;
}

static int set_stepping(struct vcpu *c, int on)
{
    struct kvm_guest_debug debug = { .control = on ? KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP : 0 };
    return io(c->fd, KVM_SET_GUEST_DEBUG, (u64)&debug) == 0;
}

static int serve_request(struct vcpu *c, u32 number)
{
    struct vm *vm = c->vm;

    c->result = 0;
    switch (number) {
    case REQ_DONE:
        vm->done = 1;
        return 1;
    case REQ_INTERRUPT:
        c->inject = 1;
        return 1;
    case REQ_NMI:
        return io(c->fd, KVM_NMI, 0) == 0;
    case REQ_STEP:
        c->steps = STEPS;
        c->trapped = 0;
        return set_stepping(c, 1);
    case REQ_LOG_START:
        return set_ram(vm, 1, HIGH_RAM, RAM_END, KVM_MEM_LOG_DIRTY_PAGES);
    case REQ_LOG_COUNT:
        c->result = dirty_pages(vm);
        return 1;
    case REQ_PULSE:
        return set_line(vm, 4, 1) && set_line(vm, 4, 0);
    case REQ_RAISE:
        return set_line(vm, 5, 1);
    case REQ_LOWER:
        return set_line(vm, 5, 0);
    default:
        return 0;
    }
}

static int serve_port(struct vcpu *c)
{
    struct kvm_run *run = c->run;
    u8 *data = (u8 *)run + run->io.data_offset;
    u32 value = 0;

    if (run->io.direction == KVM_EXIT_IO_OUT) {
        for (u32 i = 0; i < run->io.size && run->io.count == 1; i++)
            value |= (u32)data[i] << i * 8;
        switch (run->io.port) {
        case PORT_CONSOLE:
            return sys3(__NR_write, 1, (u64)data, (u64)run->io.size * run->io.count) > 0;
        case PORT_CHECK:
        case PORT_CHECK + 1:
            guest_check(c->vm, run->io.port - PORT_CHECK, value);
            return 1;
        case PORT_DATA:
            c->data = ~value;
            return 1;
        case PORT_REQUEST:
            return serve_request(c, value);
        default:
            return 0;
        }
    }
    switch (run->io.port) {
    case PORT_DATA:
        value = c->data;
        break;
    case PORT_RESULT:
        value = c->steps ? c->trapped : c->result;
        break;
    case PORT_STREAM:
        for (u32 i = 0; i < run->io.count; i++)
            data[i] = ++c->stream;
        return 1;
    default:
        return 0;
    }
    for (u32 i = 0; i < run->io.size; i++)
        data[i] = (u8)(value >> i * 8);
    return 1;
}

static int serve_mmio(struct vcpu *c)
{
    struct kvm_run *run = c->run;
    u64 offset = run->mmio.phys_addr - (run->mmio.phys_addr >= MMIO_HIGH ? MMIO_HIGH : MMIO_LOW);
    u8 *reg = c->vm->mmio[run->mmio.phys_addr >= MMIO_HIGH];

    if (offset + run->mmio.len > sizeof(c->vm->mmio[0]))
        return 0;
    for (u32 i = 0; i < run->mmio.len; i++) {
        if (run->mmio.is_write)
            reg[offset + i] = (u8)~run->mmio.data[i];
        else
            run->mmio.data[i] = reg[offset + i];
    }
    return 1;
}

static int serve_exit(struct vcpu *c)
{
    struct kvm_run *run = c->run;

    c->exits[run->exit_reason & 63]++;
    switch (run->exit_reason) {
    case KVM_EXIT_IO:
        return serve_port(c) || complain(c->vm, "port", run->io.port);
    case KVM_EXIT_MMIO:
        return serve_mmio(c) || complain(c->vm, "address", run->mmio.phys_addr);
    case KVM_EXIT_HLT:
        c->inject = 1;
        return 1;
    case KVM_EXIT_IRQ_WINDOW_OPEN:
    case KVM_EXIT_SET_TPR: /* CR8 is the monitor's without KVM's APIC; nothing here has a priority */
        return 1;
    case KVM_EXIT_DEBUG:
        if (++c->trapped == c->steps)
            return set_stepping(c, 0);
        return 1;
    case KVM_EXIT_INTERNAL_ERROR:
        return complain(c->vm, "internal error", run->internal.suberror);
    default:
        return complain(c->vm, "exit", run->exit_reason);
    }
}

/* An interrupt from the monitor: KVM says when the guest can take it. */
static void inject(struct vcpu *c)
{
    struct kvm_interrupt interrupt = { .irq = VECTOR_INJECTED };

    if (c->inject && c->run->ready_for_interrupt_injection && io(c->fd, KVM_INTERRUPT, (u64)&interrupt) == 0)
        c->inject = 0;
    c->run->request_interrupt_window = c->inject != 0;
}

static void run_vcpu(struct vcpu *c)
{
    struct vm *vm = c->vm;

    while (!__atomic_load_n(&vm->done, __ATOMIC_SEQ_CST)) {
        if (vm->kind == KIND_MODES)
            inject(c);
        i64 result = io(c->fd, KVM_RUN, 0);
        if (result == -EINTR_ || result == -EAGAIN_) /* a signal; INIT has come to a vCPU that waits for its start-up IPI */
            continue;
        if (result < 0) {
            complain(vm, "KVM_RUN", (u64)-result);
            return;
        }
        if (!serve_exit(c))
            return;
    }
}

static void thread_main(void *vcpu)
{
    run_vcpu(vcpu);
}

static int start_thread(struct vcpu *c)
{
    static u64 stacks[MAX_VCPUS][STACK / 8] __attribute__((aligned(16)));

    return thread_start(thread_main, c, stacks[c->index] + STACK / 8, &c->thread);
}

static void on_signal(int number, void *info, void *context)
{
    (void)number, (void)info, (void)context; /* its only effect is that KVM_RUN returns */
}

/* The vCPU may be asleep in KVM: a signal takes it out, and immediate_exit one that is about to enter. */
static void stop_thread(struct vcpu *c)
{
    u32 thread = __atomic_load_n(&c->thread, __ATOMIC_SEQ_CST);

    c->run->immediate_exit = 1;
    if (!thread)
        return;
    sys3(__NR_tgkill, (u64)sys3(__NR_getpid, 0, 0, 0), thread, SIGUSR1_);
    thread_join(&c->thread);
}

/* CPUID: what KVM can give, and a leaf of our own; the APIC's ID in leaf 1. */
static int set_cpuid(struct vcpu *c, int kvm)
{
    enum { MAX = 100 };
    struct { /* kvm_cpuid2 */
        u32 nent, padding;
        struct kvm_cpuid_entry2 entry[MAX + 1];
    } *id = map(sizeof(*id), MAP_PRIVATE_ANONYMOUS, -1);

    if (!id)
        return 0;
    id->nent = MAX;
    if (io(kvm, KVM_GET_SUPPORTED_CPUID, (u64)id) < 0)
        return 0;
    for (u32 i = 0; i < id->nent; i++)
        if (id->entry[i].function == 1)
            id->entry[i].ebx = (id->entry[i].ebx & 0xffffff) | c->index << 24;
    id->entry[id->nent++] = (struct kvm_cpuid_entry2){
        .function = CPUID_LEAF, .ebx = CPUID_EBX, .ecx = CPUID_ECX, .edx = CPUID_EDX
    };
    int ok = io(c->fd, KVM_SET_CPUID2, (u64)id) == 0;
    sys3(__NR_munmap, (u64)id, sizeof(*id), 0);
    return ok;
}

static int create_vcpu(struct vm *vm, int kvm, u32 index)
{
    struct vcpu *c = &vm->vcpu[index];
    i64 size = io(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    struct kvm_sregs sregs;
    struct kvm_regs regs = { .rip = IMAGE_BASE, .rflags = 2 };

    c->vm = vm;
    c->index = index;
    c->fd = (int)io(vm->fd, KVM_CREATE_VCPU, index);
    if (c->fd < 0 || size < (i64)sizeof(struct kvm_run) || !(c->run = map((u64)size, MAP_SHARED_, c->fd)))
        return 0;
    if (!set_cpuid(c, kvm) || io(c->fd, KVM_GET_SREGS, (u64)&sregs) < 0)
        return 0;
    if (index)
        return 1; /* it waits for its start-up IPI */
    sregs.cs.base = 0;
    sregs.cs.selector = 0;
    return io(c->fd, KVM_SET_SREGS, (u64)&sregs) == 0 && io(c->fd, KVM_SET_REGS, (u64)&regs) == 0;
}

static int create(struct vm *vm, int kvm)
{
    vm->fd = (int)io(kvm, KVM_CREATE_VM, 0);
    if (vm->fd < 0 || !(vm->ram = map(RAM_END, MAP_PRIVATE_ANONYMOUS, -1)))
        return complain(vm, "KVM_CREATE_VM", (u64)(i64)-vm->fd);
    if (!set_ram(vm, 0, 0, LOW_RAM, 0) || !set_ram(vm, 1, HIGH_RAM, RAM_END, 0))
        return complain(vm, "KVM_SET_USER_MEMORY_REGION", 0);
    if (vm->kind == KIND_CHIPS && io(vm->fd, KVM_CREATE_IRQCHIP, 0) < 0)
        return complain(vm, "KVM_CREATE_IRQCHIP", 0);
    for (u32 i = 0; i < vm->vcpus; i++)
        if (!create_vcpu(vm, kvm, i))
            return complain(vm, "vCPU", i);
    for (const u8 *p = guest_image; p < guest_image_end; p++)
        vm->ram[IMAGE_BASE + (p - guest_image)] = *p;
    *(u32 *)(vm->ram + KIND_ADDR) = vm->kind;
    *(u32 *)(vm->ram + VCPUS_ADDR) = vm->vcpus;
    return 1;
}

static void destroy(struct vm *vm, int kvm)
{
    u64 size = (u64)io(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

    for (u32 i = 0; i < vm->vcpus; i++) {
        if (vm->vcpu[i].run)
            sys3(__NR_munmap, (u64)vm->vcpu[i].run, size, 0);
        if (vm->vcpu[i].fd > 0)
            sys3(__NR_close, (u64)vm->vcpu[i].fd, 0, 0);
    }
    sys3(__NR_close, (u64)vm->fd, 0, 0);
    sys3(__NR_munmap, (u64)vm->ram, RAM_END, 0);
}

int vm_run(struct vm *vm, int kvm, u32 kind, u32 vcpus, const char *name)
{
    current_name = name;
    vm->kind = kind;
    vm->vcpus = vcpus;
    if (!create(vm, kvm))
        return 0;
    if (!catch_signal(SIGUSR1_, on_signal, 0))
        complain(vm, "rt_sigaction", 0);
    for (u32 i = 1; i < vcpus; i++)
        if (!start_thread(&vm->vcpu[i]))
            complain(vm, "clone", i);
    run_vcpu(&vm->vcpu[0]);
    for (u32 i = 1; i < vcpus; i++)
        stop_thread(&vm->vcpu[i]);
    destroy(vm, kvm);
    return vm->failures == 0 && vm->checks > 0;
}
