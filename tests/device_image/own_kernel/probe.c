// SPDX-License-Identifier: Apache-2.0
/*
 * The first program of a test's root file system: says what the kernel under it has, one "probe NAME VALUE" a line.
 *
 * It is process 1: when it has said everything it switches the machine off. Calls that a kernel may lack say their
 * error's number; files say their first line.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const char PROGRAM[] = "/init";

enum { LANDLOCK_VERSION = 1, SECCOMP_NOTIFIER_SIZES = 3 };

static void say(const char *name, const char *value) { printf("probe %s %s\n", name, value); }

static void number(const char *name, long value) { printf("probe %s %ld\n", name, value); }

/* What a system call gives: a number from 0 up, or its error's number below. */
static void call(const char *name, long result) { number(name, result < 0 ? -errno : result); }

static void file(const char *name, const char *path) {
    char text[1024];
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = descriptor < 0 ? -1 : read(descriptor, text, sizeof text - 1);
    if (descriptor >= 0) close(descriptor);
    if (length < 0) {
        number(name, -errno);
        return;
    }
    text[length] = 0;
    text[strcspn(text, "\n")] = 0;
    say(name, text);
}

/* Names in a folder that begin so, joined by commas, in the order in which there are few enough to compare. */
static int order(const struct dirent **one, const struct dirent **other) {
    return strcmp((*one)->d_name, (*other)->d_name);
}

static void names(const char *name, const char *folder, const char *begin) {
    struct dirent **found;
    int count = scandir(folder, &found, NULL, order);
    printf("probe %s", name);
    for (int i = 0; i < count; i++)
        if (!strncmp(found[i]->d_name, begin, strlen(begin)) && found[i]->d_name[0] != '.')
            printf(" %s", found[i]->d_name);
    printf("\n");
}

static int write_text(const char *path, const char *text) {
    int descriptor = open(path, O_WRONLY | O_CLOEXEC);
    if (descriptor < 0) return -1;
    ssize_t written = write(descriptor, text, strlen(text));
    close(descriptor);
    return written < 0 ? -1 : 0;
}

/* A simulated chip of eight pins, and a simulated converter, as a program makes them. */
static void simulate(void) {
    mount("configfs", "/sys/kernel/config", "configfs", 0, NULL);
    call("gpio-sim", mkdir("/sys/kernel/config/gpio-sim/probe", 0755));
    mkdir("/sys/kernel/config/gpio-sim/probe/bank", 0755);
    write_text("/sys/kernel/config/gpio-sim/probe/bank/num_lines", "8");
    call("gpio-sim-live", write_text("/sys/kernel/config/gpio-sim/probe/live", "1"));
    file("gpio-sim-chip", "/sys/kernel/config/gpio-sim/probe/bank/chip_name");
    call("converter", mkdir("/sys/kernel/config/iio/devices/dummy/probe", 0755));
    names("converters", "/sys/bus/iio/devices", "iio:device");
}

static void kernel(void) {
    file("version", "/proc/version");
    file("lockdown", "/sys/kernel/security/lockdown");
    file("modules-of-security", "/sys/kernel/security/lsm");
    file("pressure", "/proc/pressure/memory");
    file("controllers", "/sys/fs/cgroup/cgroup.controllers");
    file("ptrace-scope", "/proc/sys/kernel/yama/ptrace_scope");
    file("bpf-of-users", "/proc/sys/kernel/unprivileged_bpf_disabled");
    call("landlock", syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION));
    unsigned short sizes[4];
    call("seccomp-notification", syscall(SYS_seccomp, SECCOMP_NOTIFIER_SIZES, 0, sizes));
    call("pidfd", syscall(SYS_pidfd_open, getpid(), 0));
    call("namespaces", unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP));
}

/* What must not be there. */
static void absent(void) {
    call("user-namespace", unshare(CLONE_NEWUSER));
    call("io-uring", syscall(SYS_io_uring_setup, 1, NULL));
    call("asynchronous-io", syscall(SYS_io_setup, 1, NULL));
    call("kexec", syscall(SYS_kexec_file_load, -1, -1, 0, NULL, 0));
    call("module", syscall(SYS_finit_module, 0, "", 0));
    call("userfaultfd", syscall(SYS_userfaultfd, 0));
    call("physical-memory", open("/dev/mem", O_RDONLY));
    call("kernel-memory", open("/proc/kcore", O_RDONLY));
    call("symbols", open("/proc/kallsyms", O_RDONLY));
    call("tracing", mount("tracefs", "/tmp", "tracefs", 0, NULL));
    call("debugging", mount("debugfs", "/tmp", "debugfs", 0, NULL));
    char *const words[] = {"/script", NULL};
    call("script", execve("/script", words, words + 1));
    call("write-root", open("/written", O_WRONLY | O_CREAT, 0600));
}

/* What drivers have found. */
static void board(void) {
    names("radios", "/sys/class/ieee80211", "phy");
    names("networks", "/sys/class/net", "");
    names("watchdogs", "/sys/class/watchdog", "watchdog");
    file("watchdog-0", "/sys/class/watchdog/watchdog0/identity");
    file("watchdog-1", "/sys/class/watchdog/watchdog1/identity");
    file("no-way-out", "/sys/class/watchdog/watchdog0/nowayout");
    names("tpm", "/sys/class/tpm", "tpm");
    names("gpio", "/sys/bus/gpio/devices", "gpiochip");
    names("i2c", "/sys/class/i2c-dev", "i2c-");
    names("spi", "/sys/class/spi_master", "spi");
    names("pwm", "/sys/class/pwm", "pwmchip");
    names("clocks", "/sys/class/rtc", "rtc");
    names("cards", "/sys/block", "mmcblk");
    file("random", "/sys/class/misc/hw_random/rng_available");
    file("machine", "/proc/device-tree/model");
}

/* Reads every block of a file, so that a changed one is met wherever it is. */
static void read_whole(const char *path) {
    static char block[4096];
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    while (descriptor >= 0 && read(descriptor, block, sizeof block) > 0) continue;
    if (descriptor >= 0) close(descriptor);
}

int main(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    printf("probe begun-ms %ld\n", now.tv_sec * 1000 + now.tv_nsec / 1000000);
    mount("proc", "/proc", "proc", 0, NULL);
    mount("sysfs", "/sys", "sysfs", 0, NULL);
    mount("securityfs", "/sys/kernel/security", "securityfs", 0, NULL);
    mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL);
    board();
    simulate();
    kernel();
    absent();
    read_whole(PROGRAM);
    say("done", "yes");
    fflush(stdout);
    sync();
    reboot(RB_POWER_OFF);
    for (;;) pause();
}
