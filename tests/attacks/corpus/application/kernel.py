# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: PTH108, PTH116, PTH208 - system calls are what is tried
"""What belongs to the kernel: its files, its calls, namespaces, the time of the machine."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import stat
import struct
import time

from table import ASKED, LIBC, attempt, call, checked, content, failed, of_device, own, structure

SYSLOG_READ_ALL, KEYCTL_GET_KEYRING, ADDRESS_FREE_RUN = 3, 0, 0x0040000
NEW_TIME, NEW_NAMESPACE, NEW_CONTROL_GROUP, NEW_NAME = 0x80, 0x20000, 0x2000000, 0x4000000
NEW_IPC, NEW_USER, NEW_PROCESSES, NEW_NETWORK = 0x8000000, 0x10000000, 0x20000000, 0x40000000

# Files of the kernel

for _name, _path in {
    "kallsyms": "/proc/kallsyms",
    "cmdline": "/proc/cmdline",
    "mounts-of-host": "/proc/1/mountinfo",
    "memory-map-of-machine": "/proc/iomem",
    "key-users": "/proc/key-users",
    "core-pattern": "/proc/sys/kernel/core_pattern",
    "boot-id": "/proc/sys/kernel/random/boot_id",
    "uevents": "/sys/kernel/uevent_seqnum",
    "cpu-vulnerabilities": "/sys/devices/system/cpu/vulnerabilities/meltdown",
    "shadow": "/etc/shadow",
}.items():
    attempt(_name)(lambda path=_path: content(path))
for _name, _path in {
    "core-pattern-written": "/proc/sys/kernel/core_pattern",
    "hostname-written": "/proc/sys/kernel/hostname",
    "overcommit-written": "/proc/sys/vm/overcommit_memory",
    "forwarding-written": "/proc/sys/net/ipv4/ip_forward",
    "memory-score-of-victim": "/proc/{victim}/oom_score_adj",
}.items():
    attempt(_name)(lambda path=_path: os.open(path.format(**ASKED), os.O_WRONLY))
attempt("kernel-log-device")(lambda: os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK))
attempt("kernel-log")(lambda: call("syslog", SYSLOG_READ_ALL, ctypes.create_string_buffer(64), 64))
attempt("sys-kernel")(lambda: os.listdir("/sys/kernel") or failed(errno.ENOENT))
attempt("processes-of-host")(lambda: os.stat(of_device("status")) and content(of_device("cmdline")))


@attempt("block-device")
def _() -> None:
    os.mknod(own("disk"), stat.S_IFBLK | 0o600, os.stat("/").st_dev)
    os.unlink(own("disk"))


# Calls of the kernel

attempt("keyring")(lambda: call("keyctl", KEYCTL_GET_KEYRING, -3, 0))
attempt("key")(lambda: call("add_key", b"user", b"corpus", b"x", ctypes.c_size_t(1), -2))
attempt("io_uring")(lambda: call("io_uring_setup", 4, ctypes.create_string_buffer(120)))
attempt("bpf")(lambda: call("bpf", 0, structure(2, 4, 4, 1, size=72), 72))
attempt("perf")(lambda: call("perf_event_open", structure(1, 112, size=112), 0, -1, -1, 0))
attempt("userfaultfd")(lambda: call("userfaultfd", 1))
attempt("memory-file")(lambda: call("memfd_create", b"corpus", 0))
attempt("personality")(lambda: call("personality", ADDRESS_FREE_RUN))
attempt("open_tree")(lambda: call("open_tree", -100, b"/", 1))
attempt("fsopen")(lambda: call("fsopen", b"tmpfs", 0))
attempt("chroot")(lambda: os.chroot(os.environ["TMPDIR"]))
attempt("host-name")(lambda: socket.sethostname(socket.gethostname()))
attempt("become-root")(lambda: os.setresuid(0, 0, 0))
attempt("join-groups")(lambda: os.setgroups([0]))


@attempt("mount")
def _() -> None:
    place = os.environ["TMPDIR"].encode()
    checked(LIBC.mount(place, place, None, ctypes.c_ulong(0x1000), None))  # MS_BIND
    checked(LIBC.umount2(place, 2))  # MNT_DETACH


@attempt("file-handle")
def _() -> None:
    handle = structure(128, size=140)
    call("name_to_handle_at", -100, b"/usr", handle, ctypes.create_string_buffer(8), 0)


# Namespaces

for _name, _flag in {
    "new-user-namespace": NEW_USER,
    "new-mounts": NEW_NAMESPACE,
    "new-network": NEW_NETWORK,
    "new-processes": NEW_PROCESSES,
    "new-name": NEW_NAME,
    "new-ipc": NEW_IPC,
    "new-control-group": NEW_CONTROL_GROUP,
    "new-time": NEW_TIME,
    "new-user-and-network": NEW_USER | NEW_NETWORK,
}.items():
    attempt(_name)(lambda flag=_flag: checked(LIBC.unshare(flag)))
attempt("join-namespace")(lambda: checked(LIBC.setns(os.open("/proc/self/ns/net", os.O_RDONLY), 0)))
attempt("join-namespace-of-device")(lambda: checked(LIBC.setns(os.open(of_device("ns/net"), os.O_RDONLY), 0)))


@attempt("clone-into-namespace")
def _() -> None:
    if call("clone", NEW_USER | int(signal.SIGCHLD), 0, 0, 0, 0) == 0:
        os._exit(0)


@attempt("clone3-into-namespace")
def _() -> None:
    arguments = ctypes.create_string_buffer(struct.pack("=5Q", NEW_USER, 0, 0, 0, int(signal.SIGCHLD)), 88)
    if call("clone3", arguments, ctypes.c_size_t(88)) == 0:
        os._exit(0)


# The time of the machine. What is set is what is: a control changes nothing.

attempt("set-clock")(lambda: time.clock_settime_ns(time.CLOCK_REALTIME, time.clock_gettime_ns(time.CLOCK_REALTIME)))


@attempt("set-time-of-day")
def _() -> None:
    seconds, rest = divmod(time.clock_gettime_ns(time.CLOCK_REALTIME), 10**9)
    call("settimeofday", ctypes.c_char_p(struct.pack("=qq", seconds, rest // 1000)), None)


@attempt("adjust-clock")
def _() -> None:
    """ADJ_SETOFFSET by nothing."""
    call("adjtimex", structure(0x100, size=208))


@attempt("adjust-clock-by-id")
def _() -> None:
    call("clock_adjtime", 0, structure(0x100, size=208))
