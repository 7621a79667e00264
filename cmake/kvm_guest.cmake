# SPDX-License-Identifier: MIT
# The KVM demonstration: the VM's guest (a flat image) inside the init program that runs it.
set(kvm_dir ${PROJECT_SOURCE_DIR}/tests/guest/kvm)
set(kvm_image ${svmemu_guest_dir}/kvm_guest.bin)
set(kvm_objects "")
file(GLOB kvm_headers CONFIGURE_DEPENDS ${kvm_dir}/*.h ${PROJECT_SOURCE_DIR}/tests/guest/lib/*.h)
foreach(source IN ITEMS real.S protected.S long.c chips.c)
    set(object ${svmemu_guest_dir}/kvm.${source}.o)
    # clang warns of calls in interrupt handlers because of vector registers, which -mgeneral-regs-only leaves alone.
    add_custom_command(OUTPUT ${object}
        COMMAND ${SVMEMU_GUEST_CC} -m64 ${svmemu_guest_cflags} -Wno-interrupt-service-routine -c ${kvm_dir}/${source} -o ${object}
        DEPENDS ${kvm_dir}/${source} ${kvm_headers} COMMENT "KVM's guest: ${source}" VERBATIM)
    list(APPEND kvm_objects ${object})
endforeach()
add_custom_command(OUTPUT ${kvm_image}
    COMMAND ld -m elf_x86_64 -nostdlib -static -z noexecstack --no-warn-rwx-segments -T ${kvm_dir}/guest.ld -o ${kvm_image}.elf
        ${kvm_objects}
    COMMAND objcopy -O binary ${kvm_image}.elf ${kvm_image}
    DEPENDS ${kvm_objects} ${kvm_dir}/guest.ld COMMENT "KVM's guest" VERBATIM)
svmemu_init(kvm_init kvm/init.c kvm/vm.c lib/thread.c DEPENDS ${kvm_image})
