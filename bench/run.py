#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the benchmark guests on svmemu, QEMU (TCG) and Bochs, interleaved, and prints medians and ratios.

Each time is that of the whole process less the median of the guest `null` on the same emulator. Guests print their work
and a checksum; a run whose checksum differs from that of the others is an error. Results go to bench/results/ as JSON.

bench/packages.txt names the Debian packages that the others need.

    bench/run.py [--repeats N] [--only GUEST,...] [--no-bochs] [--bochs-rounds N] [--no-qemu] [--no-boots] [--build DIR]
                 [--before PROGRAM]
"""
import argparse
import datetime
import gzip
import json
import math
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COMPUTE = ["alu", "sieve", "crc32", "quicksort", "sha256", "interp", "strings"]
SYSTEM = ["pagetables", "syscalls", "exceptions", "timer"]
SVM = ["svm_ping", "svm_ping_npt", "svm_cpuid", "svm_touch64", "svm_touch64_npt", "svm_two_asids"]
MEMORY_MIB = 256
TIMEOUT = 300
BOCHSRC = """\
megs: {memory}
cpu: model=ryzen, count=1, ips=100000000, reset_on_triple_fault=0
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path={iso}, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev={serial}
display_library: term
sound: driver=dummy
log: /dev/null
panic: action=fatal
error: action=ignore
info: action=ignore
"""


class Failed(Exception):
    pass


def run(command, serial=None, stop_at_end=False):
    """Time of a process and its serial output; kills it once the guest printed its RESULT if asked to."""
    with tempfile.TemporaryFile() as out:
        start, end = time.perf_counter(), None
        start_word = start
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.DEVNULL,
                              start_new_session=True, env={**os.environ, "TERM": "vt100"}) as process:
            if not stop_at_end:
                # Not wait(TIMEOUT), which polls ever more seldom: it would round a time of 55 ms up to 64.
                killer = threading.Timer(TIMEOUT, process.kill)
                killer.daemon = True  # Ctrl-C does not wait for it
                killer.start()
                process.wait()
                end = time.perf_counter()
                killer.cancel()
                if end - start > TIMEOUT:
                    raise Failed(f"no end after {TIMEOUT} s")
            else:
                # Firmware and GRUB take seconds, by one more or less: time counts from the guest's first word.
                while process.poll() is None:
                    if time.perf_counter() - start > TIMEOUT:
                        process.terminate()
                        raise Failed(f"no end after {TIMEOUT} s")
                    said = open(serial, "rb").read() if os.path.exists(serial) else b""
                    if b"BEGIN" not in said:
                        start_word = time.perf_counter()
                    if b"RESULT:" in said:
                        start, end = start_word, time.perf_counter()
                        process.terminate()  # script passes it on to its child
                        break
                    time.sleep(0.005)
        seconds = (end or time.perf_counter()) - start
        out.seek(0)
        if serial and not os.path.exists(serial):
            raise Failed("no serial output: it did not start (are the packages of bench/packages.txt installed?)")
        text = (open(serial, "rb") if serial else out).read().decode("latin-1").replace("\r", "")
    return seconds, text


class Svmemu:
    name = "svmemu"
    rounds = None
    runs = 5

    def __init__(self, program):
        self.program = program

    def version(self):
        return subprocess.run([self.program, "version"], capture_output=True, text=True).stdout.strip()

    def command(self, elf):
        return [self.program, "run", "--memory", f"{MEMORY_MIB}M", elf]

    def run(self, elf):
        return run(self.command(elf))


class Before(Svmemu):
    """An older svmemu, to see what a change did."""
    name = "before"


class Qemu:
    name = "qemu"
    rounds = None
    runs = 1
    program = "qemu-system-x86_64"
    options = ["-accel", "tcg", "-cpu", "EPYC,+svm", "-m", str(MEMORY_MIB), "-display", "none", "-serial", "stdio",
               "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-no-reboot"]

    def version(self):
        return subprocess.run([self.program, "--version"], capture_output=True, text=True).stdout.splitlines()[0]

    def command(self, elf):
        return [self.program, *self.options, "-kernel", elf]

    def run(self, elf):
        return run(self.command(elf))


class Bochs:
    """From a GRUB ISO; Debian's build has its debugger on, so a script tells it to continue at once. It has no exit
    device: it is ended when the guest has printed its result."""
    name = "bochs"
    runs = 1
    program = "bochs"

    def __init__(self, scratch, rounds):
        self.scratch = scratch
        self.rounds = rounds
        self.isos = {}

    def version(self):
        text = subprocess.run([self.program, "--help"], capture_output=True, text=True)
        found = re.search(r"Bochs x86 Emulator [^\n]*", text.stdout + text.stderr)
        return found.group(0).strip() if found else "bochs"

    def iso(self, elf):
        if elf not in self.isos:
            tree = os.path.join(self.scratch, os.path.basename(elf) + ".tree")
            os.makedirs(os.path.join(tree, "boot/grub"))
            shutil.copy(elf, os.path.join(tree, "boot/guest.elf"))
            with open(os.path.join(tree, "boot/grub/grub.cfg"), "w") as f:
                f.write("set timeout=0\nmenuentry guest {\n multiboot /boot/guest.elf\n boot\n}\n")
            iso = os.path.join(self.scratch, os.path.basename(elf) + ".iso")
            subprocess.run(["grub-mkrescue", "-o", iso, tree], check=True, capture_output=True)
            self.isos[elf] = iso
        return self.isos[elf]

    def run(self, elf):
        serial = os.path.join(self.scratch, "serial.out")
        if os.path.exists(serial):
            os.unlink(serial)
        rc = os.path.join(self.scratch, "bochsrc")
        script = os.path.join(self.scratch, "debugger")
        with open(rc, "w") as f:
            f.write(BOCHSRC.format(memory=MEMORY_MIB, iso=self.iso(elf), serial=serial))
        with open(script, "w") as f:
            f.write("continue\n")
        # Debian has no "nogui": the terminal display (bochs-term) on a terminal of script's making.
        return run(["script", "-qec", f"exec {self.program} -q -f {rc} -rc {script}", "/dev/null"], serial=serial,
                   stop_at_end=True)


def first_character(command):
    """From the start of the process to the guest's first character: loading, building the machine, the guest's own first steps."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0) as process:
        said = process.stdout.read(1)
        seconds = time.perf_counter() - start
        while process.stdout.read(4096):
            pass
    if not said:
        raise Failed("no output")
    return seconds


def boot(command):
    """Seconds from the start of the process to init's first word and to the end."""
    said, init = b"", None
    start = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0) as process:
        killer = threading.Timer(TIMEOUT, process.kill)
        killer.daemon = True
        killer.start()
        while piece := process.stdout.read(65536):
            said += piece
            if init is None and b"init: ok" in said:
                init = time.perf_counter() - start
        process.wait()
        killer.cancel()
        end = time.perf_counter() - start
    if end > TIMEOUT:
        raise Failed(f"no end after {TIMEOUT} s")
    if b"init: RESULT: PASS" not in said:
        raise Failed("init did not pass")
    return init, end


def parse(text, guest):
    found = re.search(r"^END (\S+) (\d+) (\S+) ([0-9a-f]+)$", text, re.M)
    if not found or "RESULT: PASS" not in text:
        raise Failed(f"{guest} did not pass")
    return int(found.group(2)), found.group(3), found.group(4)


def measure(emulators, guests, directory, repeats):
    """Rounds over all guests, the emulators in turn. The first round warms up and is not counted; a slow emulator takes part in the
    first `rounds` counted ones only, a fast one runs each guest `runs` times in a round."""
    times = {e.name: {g: [] for g in guests} for e in emulators}
    work, errors = {}, {}
    turns = [e for run_index in range(max(e.runs for e in emulators)) for e in emulators if run_index < e.runs]
    for repeat in range(repeats + 1):
        for guest in guests:
            for emulator in turns:
                if (emulator.name, guest) in errors or (emulator.rounds and not 0 < repeat <= emulator.rounds):
                    continue
                try:
                    seconds, text = emulator.run(os.path.join(directory, f"bench_{guest}.elf"))
                    result = parse(text, guest)
                    if work.setdefault(guest, result) != result:
                        raise Failed(f"{guest}: result {result} differs from {work[guest]}")
                except (Failed, OSError) as error:
                    errors[emulator.name, guest] = str(error)
                    print(f"{emulator.name} {guest}: {error}", file=sys.stderr)
                    continue
                if repeat:
                    times[emulator.name][guest].append(seconds)
    return times, work, errors


def measure_first(emulators, directory, repeats):
    """Process start to the first character of the guest `null`; the minimum, since all that disturbs it makes it longer."""
    null = os.path.join(directory, "bench_null.elf")
    first = {}
    for emulator in emulators:
        if hasattr(emulator, "command"):
            first[emulator.name] = min(first_character(emulator.command(null)) for _ in range(4 * repeats))
    return first


class Boots:
    """Whole boots of real kernels to the project's own init, which ends the run: the same command line and memory for each emulator."""

    def __init__(self, build):
        here = os.path.join(ROOT, "tests/guest")

        def fetch(script, *arguments):
            return subprocess.run([os.path.join(here, script), *arguments], check=True, capture_output=True, text=True).stdout.strip()

        self.kernel = fetch("fetch_kernel.sh", os.path.join(build, "linux"))
        self.initrd = os.path.join(build, "linux", "bench.cpio")
        fetch("make_initrd.sh", os.path.join(build, "guests/init"), self.initrd)
        xen = os.path.join(build, "xen")
        os.makedirs(xen, exist_ok=True)
        self.dom0 = fetch("fetch_boot.sh", xen, "linux-image-amd64", "vmlinuz-*")
        self.xen = os.path.join(xen, "xen.elf")  # QEMU takes it unpacked only
        with gzip.open(fetch("fetch_boot.sh", xen, "xen-hypervisor-4.17-amd64", "xen-4.17-amd64.gz")) as f, open(self.xen, "wb") as out:
            shutil.copyfileobj(f, out)

    def linux(self, emulator, vcpus):
        cmdline = "console=ttyS0 panic=-1 rdinit=/init"
        if isinstance(emulator, Svmemu):
            return [emulator.program, "run", "--memory", f"{MEMORY_MIB}M", "--vcpus", str(vcpus), "--initrd", self.initrd, "--cmdline", cmdline,
                    self.kernel]
        return [emulator.program, *emulator.options, "-smp", str(vcpus), "-kernel", self.kernel, "-initrd", self.initrd, "-append", cmdline]

    def xen_dom0(self, emulator, vcpus):
        cmdline = "no-real-mode console=com1 com1=115200,8n1,0x3f8,4 dom0_mem=512M"
        dom0 = "console=hvc0 panic=-1 rdinit=/init"
        if isinstance(emulator, Svmemu):
            return [emulator.program, "run", "--memory", "1G", "--vcpus", str(vcpus), "--no-exit-port", "--no-reboot", "--cmdline", cmdline,
                    "--module", f"{self.dom0},{dom0}", "--module", self.initrd, self.xen]
        # With SMAP, QEMU 7.2 gives dom0 a #PF on its own stack (error code 1) at its first instructions.
        return [emulator.program, "-accel", "tcg", "-cpu", "EPYC,+svm,-smap", "-m", "1024", "-display", "none", "-serial", "stdio", "-no-reboot",
                "-smp", str(vcpus), "-kernel", self.xen, "-append", cmdline, "-initrd", f"{self.dom0} {dom0},{self.initrd}"]

    def measure(self, emulators, repeats):
        """For each boot and emulator a list of (to init, to the end)."""
        times = {}
        for _ in range(repeats):
            for name, command, vcpus in (("linux", self.linux, 1), ("linux, 4 vCPUs", self.linux, 4), ("xen and dom0", self.xen_dom0, 1)):
                for emulator in emulators:
                    if isinstance(emulator, Bochs):
                        continue
                    try:
                        times.setdefault(name, {}).setdefault(emulator.name, []).append(boot(command(emulator, vcpus)))
                    except (Failed, OSError) as error:
                        print(f"{emulator.name} {name}: {error}", file=sys.stderr)
        return times


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--build", default=os.path.join(ROOT, "build/release"))
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--bochs-rounds", type=int, default=2, help="of the repeats; Bochs takes minutes for each (default 2)")
    options.add_argument("--only", default="")
    options.add_argument("--before", help="another svmemu program, which is measured beside it")
    options.add_argument("--no-bochs", action="store_true")
    options.add_argument("--no-qemu", action="store_true")
    options.add_argument("--no-svmemu", action="store_true")
    options.add_argument("--no-boots", action="store_true")
    options.add_argument("--output", default=None, help="JSON file; default bench/results/DATE.json, - for none")
    args = options.parse_args()
    guests = [g for g in args.only.split(",") if g] or COMPUTE + SYSTEM + SVM
    scratch = tempfile.mkdtemp(prefix="svmemu-bench-")
    try:
        emulators = []
        if not args.no_svmemu:
            emulators.append(Svmemu(os.path.join(args.build, "svmemu")))
        if args.before:
            emulators.append(Before(args.before))
        if not args.no_qemu and shutil.which(Qemu.program):
            emulators.append(Qemu())
        if not args.no_bochs and shutil.which(Bochs.program):
            emulators.append(Bochs(scratch, args.bochs_rounds))
        times, work, errors = measure(emulators, ["null"] + guests, os.path.join(args.build, "guests"), args.repeats)
        first = measure_first(emulators, os.path.join(args.build, "guests"), args.repeats)
        boots = {} if args.no_boots else Boots(args.build).measure(emulators, min(args.repeats, 3))
    finally:
        shutil.rmtree(scratch)

    names = [e.name for e in emulators]
    start = {n: statistics.median(times[n]["null"]) if times[n]["null"] else math.nan for n in names}
    net = {n: {g: statistics.median(times[n][g]) - start[n] for g in guests if times[n][g]} for n in names}
    print("start-up, process start to the guest's first character (ms): " + ", ".join(f"{n} {s * 1e3:.1f}" for n, s in first.items()))
    print("whole run of `null` (s): " + ", ".join(f"{n} {start[n]:.3f}" for n in names))
    print(f"{'guest':<18}{'unit':>12}" + "".join(f"{n + ' /s':>14}{'spread':>8}" for n in names) +
          "".join(f"{'x ' + n:>10}" for n in names if n != "svmemu"))
    for guest in guests:
        if guest not in work:
            continue
        amount, unit, _ = work[guest]
        line = f"{guest:<18}{unit:>12}"
        for n in names:
            if guest in net[n]:
                spread = (max(times[n][guest]) - min(times[n][guest])) / statistics.median(times[n][guest])
                # A guest that took no longer than starting did cannot be told from nothing.
                rate = f"{amount / net[n][guest]:,.0f}" if net[n][guest] > 0 else "too fast"
                line += f"{rate:>14}{spread:>8.0%}"
            else:
                line += f"{'-':>14}{'':>8}"
        for n in names:
            if n != "svmemu":
                both = guest in net[n] and guest in net.get("svmemu", {}) and net["svmemu"][guest] > 0
                line += f"{net[n][guest] / net['svmemu'][guest]:>10.2f}" if both else f"{'-':>10}"
        print(line)
    for group, members in (("compute", COMPUTE), ("compute, the first five", COMPUTE[:5]), ("system", SYSTEM), ("svm", SVM)):
        for n in names:
            ratios = [net[n][g] / net["svmemu"][g] for g in members
                      if n != "svmemu" and g in net[n] and net.get("svmemu", {}).get(g, 0) > 0 and net[n][g] > 0]
            if ratios:
                print(f"{group}: svmemu is {math.exp(statistics.mean(map(math.log, ratios))):.2f} x {n} "
                      f"(geometric mean of {len(ratios)})")
    for name, seconds in boots.items():
        for column, what in ((0, "entry to init"), (1, "whole run, to init's end")):
            medians = {n: statistics.median(pair[column] for pair in t) - (0 if column else first[n]) for n, t in seconds.items()}
            ratio = "".join(f", {m / medians['svmemu']:.2f} x {n}" for n, m in medians.items() if n != "svmemu" and "svmemu" in medians)
            print(f"{name}, {what}: " + ", ".join(f"{n} {m:.2f} s" for n, m in medians.items()) + ratio)

    if args.output != "-":
        output = args.output or os.path.join(ROOT, "bench/results", datetime.date.today().isoformat() + ".json")
        os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
        cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
        commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
        with open(output, "w") as f:
            json.dump({"date": datetime.datetime.now().isoformat(timespec="seconds"), "commit": commit, "cpu": cpu,
                       "cores": os.cpu_count(), "kernel": platform.release(), "repeats": args.repeats,
                       "versions": {e.name: e.version() for e in emulators}, "startup": start, "first_character": first,
                       "work": {g: dict(zip(("amount", "unit", "checksum"), work[g])) for g in work},
                       "seconds": times, "boots": boots,
                       "errors": {f"{e} {g}": text for (e, g), text in errors.items()}}, f, indent=1)
            f.write("\n")
        print(f"written: {output}")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
