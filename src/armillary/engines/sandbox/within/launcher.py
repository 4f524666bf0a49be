# SPDX-License-Identifier: Apache-2.0
"""The last program before an application: it gives up all rights, then executes the application.

The fork server (``serving/program.py``) becomes it by forking, or the host's interpreter runs it inside a container, as
``python3 -I -S -c SOURCE CHANNEL``, where CHANNEL is the number of an inherited Unix stream socket. It imports the
standard library only: nothing of Armillary is visible in the sandbox.

Conversation on the channel: the supervisor sends one line of JSON (see :func:`prepare_early` and :func:`prepare`); the
launcher answers with one line, ``{"listener": N, "gateway": M, "datagram_server": L}`` (descriptor numbers, which the
supervisor copies out of this process) or ``{"error": TEXT, "step": NAME}``; the supervisor answers with one byte; the
launcher executes the application and the channel closes with it. Every step that fails ends the launch.
"""

from __future__ import annotations

import base64
import ctypes
import errno
import json
import os
import resource
import signal
import socket
import stat
import struct
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

LIBC = ctypes.CDLL(None, use_errno=True)
MOUNT = LIBC.mount  # Looked up once, by the fork server

# System-call numbers that have no C library wrapper, by architecture.
NUMBERS = {
    "x86_64": {"capset": 126, "seccomp": 317, "landlock": 444, "move_mount": 429},
    "aarch64": {"capset": 91, "seccomp": 277, "landlock": 444, "move_mount": 429},
    "armv7l": {"capset": 185, "seccomp": 383, "landlock": 444, "move_mount": 429},
}
# linux/mount.h
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND = 1, 1 << 1, 1 << 2, 1 << 3, 1 << 5, 1 << 12
MS_COVERED = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC  # a device node under it cannot be opened
AT_FDCWD, MOVE_MOUNT_F_EMPTY_PATH = -100, 4
# statvfs(3) flags that a remount has to name again, or it would take them away (which a user namespace may not).
KEPT_MOUNT_FLAGS = {1 << 10: 1 << 10, 1 << 11: 1 << 11, 1 << 12: 1 << 21}  # noatime, nodiratime, relatime
# linux/prctl.h
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 1, 24, 38, 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
CAPABILITY_VERSION_3 = 0x20080522  # linux/capability.h
CAPABILITY_LIMIT = 64  # more than the kernel has; the loop ends at EINVAL
# linux/seccomp.h
SECCOMP_SET_MODE_FILTER = 1
FLAG_NEW_LISTENER, FLAG_WAIT_KILLABLE = 1 << 3, 1 << 5
# linux/landlock.h
LANDLOCK_PATH_BENEATH = 1
# Rights that mean something for a file; the others are refused by the kernel on a rule for a file.
LANDLOCK_FILE_RIGHTS = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15
CONFIGURATION_LIMIT = 1 << 20


def call(number: int, *arguments: Any) -> int:
    """Make a system call by number; raise OSError where it fails."""
    result = int(LIBC.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def prctl(operation: int, *arguments: int) -> int:
    """Change something about this thread; raise OSError where the kernel refuses."""
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    result = int(LIBC.prctl(ctypes.c_int(operation), *padded))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Mount something at a path; raise OSError where the kernel refuses."""
    texts = [None if text is None else text.encode() for text in (source, target, kind, data)]
    if MOUNT(*texts[:3], ctypes.c_ulong(flags), texts[3]) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)


def hide(files: list[str], folders: list[str]) -> None:
    """Cover files by one that cannot be opened, and folders by an empty one.

    All by the same two: what is mounted from a mount has its flags, so that each of the others is one call.
    """
    if files:
        mount("/dev/null", files[0], None, MS_BIND)
        mount("none", files[0], None, MS_REMOUNT | MS_BIND | MS_COVERED)
    if folders:
        mount("tmpfs", folders[0], "tmpfs", MS_COVERED, "mode=0555,size=4096")
    for covered in (files, folders):
        for other in covered[1:]:
            mount(covered[0], other, None, MS_BIND)


def forbid_execution(asked: dict[str, Any]) -> None:
    """Forbid to execute files below these mount points, and to map them for execution (by a loader or dlopen(3)).

    Landlock refuses execve(2) only. A host that gives bwrap's children no capabilities refuses this step; where the
    self-test has seen it work, it is required.
    """
    for path in asked["paths"]:
        found = os.statvfs(path).f_flag
        kept = sum(mount for flag, mount in KEPT_MOUNT_FLAGS.items() if found & flag)
        flags = kept | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_REMOUNT | MS_BIND
        if MOUNT(None, path.encode(), None, ctypes.c_ulong(flags), None) < 0:
            code = ctypes.get_errno()
            if asked["required"] or code not in (errno.EPERM, errno.EACCES):
                raise OSError(code, os.strerror(code), path)


def place_storage(mount: int, path: str, machine: str) -> None:
    """Put the mount that the supervisor made at a path: nobody but this application sees it."""
    empty = ctypes.c_char_p(b"")
    here, flags = ctypes.c_int(AT_FDCWD), ctypes.c_uint(MOVE_MOUNT_F_EMPTY_PATH)
    call(NUMBERS[machine]["move_mount"], ctypes.c_int(mount), empty, here, ctypes.c_char_p(path.encode()), flags)
    os.close(mount)


def limit_resources(limits: dict[str, int]) -> None:
    """Set both the soft and the hard limit, never above the present hard limit."""
    for name, wanted in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (value, value))


def give_way(asked: dict[str, int]) -> None:
    """Let the device that supervises go first, and be ended before it where the machine runs out of memory.

    A device that itself gives way more than this (nice(1), a service's settings) keeps its applications there: to take
    it back needs a right that they do not get.
    """
    if os.getpriority(os.PRIO_PROCESS, 0) < asked["niceness"]:
        os.setpriority(os.PRIO_PROCESS, 0, asked["niceness"])
    score = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
    if int(os.read(score, 16)) < asked["memory_score"]:
        os.pwrite(score, str(asked["memory_score"]).encode(), 0)
    os.close(score)


def give_up_identity(identity: dict[str, Any]) -> None:
    """Become another user with exactly these groups; needs privilege, which is gone afterwards."""
    os.setgroups(identity["groups"])
    os.setresgid(identity["gid"], identity["gid"], identity["gid"])
    os.setresuid(identity["uid"], identity["uid"], identity["uid"])


def give_up_bounding_set() -> None:
    """Empty the ambient and the bounding set: no program started later can gain a capability."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    for capability in range(CAPABILITY_LIMIT):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno == errno.EINVAL:  # past the last capability this kernel knows
                return
            if error.errno != errno.EPERM:
                raise
            return  # no CAP_SETPCAP: an unprivileged process, whose bounding set no_new_privs makes harmless


def give_up_capabilities(machine: str) -> None:
    """Empty the effective, permitted and inheritable sets."""
    header = struct.pack("=II", CAPABILITY_VERSION_3, 0)
    call(NUMBERS[machine]["capset"], ctypes.c_char_p(header), ctypes.c_char_p(bytes(24)))


def landlock_ruleset(rules: dict[str, Any], machine: str) -> int:
    """A Landlock ruleset without a rule."""
    attributes = struct.pack("=QQQ", rules["handled_files"], rules["handled_network"], rules["scoped"])
    size = rules["attribute_bytes"]
    number = NUMBERS[machine]["landlock"]
    return call(number, ctypes.c_char_p(attributes[:size]), ctypes.c_size_t(size), ctypes.c_uint32(0))


def restrict_with_landlock(ruleset: int, rules: dict[str, Any], machine: str) -> None:
    """Apply a ruleset with rules for these paths; one that does not exist is an error, not a rule less."""
    first = NUMBERS[machine]["landlock"]
    for path, rights in rules["paths"]:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        allowed = rights & rules["handled_files"]
        if allowed & ~LANDLOCK_FILE_RIGHTS and not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            allowed &= LANDLOCK_FILE_RIGHTS
        rule = struct.pack("=Qi", allowed, descriptor)
        call(first + 1, ctypes.c_int(ruleset), ctypes.c_int(LANDLOCK_PATH_BENEATH), ctypes.c_char_p(rule), 0)
        os.close(descriptor)
    call(first + 2, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    os.close(ruleset)


def filter_program(program: bytes) -> bytes:
    """What seccomp(2) takes for a filter (struct sock_fprog): valid for as long as ``program`` is held."""
    # u16 count, padding to a pointer's alignment, pointer
    return struct.pack("@HP", len(program) // 8, ctypes.cast(ctypes.c_char_p(program), ctypes.c_void_p).value)


def install_filter(fprog: bytes, machine: str, *, notify: bool) -> int:
    """Install the seccomp filter; returns the listener's descriptor, or -1 without notification."""
    flag_sets = (FLAG_NEW_LISTENER | FLAG_WAIT_KILLABLE, FLAG_NEW_LISTENER) if notify else (0,)
    for flags in flag_sets:
        try:
            result = call(NUMBERS[machine]["seccomp"], SECCOMP_SET_MODE_FILTER, flags, ctypes.c_char_p(fprog))
        except OSError as error:
            if error.errno == errno.EINVAL and flags != flag_sets[-1]:
                continue  # kernels before 5.19 know no WAIT_KILLABLE
            raise
        return result if notify else -1
    raise OSError(errno.EINVAL, "no flag set was accepted")


class Early(NamedTuple):
    """What was made before the sandbox was there, in its network already."""

    gateway: socket.socket | None  # At which the supervisor answers
    datagram_server: socket.socket | None
    ruleset: int  # Of Landlock, or -1
    fprog: bytes  # The filter (:func:`filter_program`), b"" for none


def make_early(asked: dict[str, Any], program: bytes, step: list[str]) -> Early:
    """Make what needs nothing but the sandbox's network, while everything else of the sandbox is made."""
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
    step[0] = "gateway"
    gateway = socket.socket(socket.AF_INET, kind) if asked["gateway"] else None
    datagram_server = socket.socket(socket.AF_INET, kind) if asked["datagram_server"] else None
    step[0] = "landlock"
    ruleset = -1 if asked["landlock"] is None else landlock_ruleset(asked["landlock"], asked["machine"])
    return Early(gateway, datagram_server, ruleset, filter_program(program) if program else b"")


def bound(made: socket.socket | None, address: str) -> int:
    """A socket that was made, at an address; -1 where none was."""
    if made is None:
        return -1
    made.bind((address, 0))
    return made.detach()


def receive_line(channel: int) -> tuple[bytes, int]:
    """Read up to and including a line end; the descriptor that came with the first byte, or -1."""
    peer = socket.socket(fileno=channel)
    first, descriptors, _, _ = socket.recv_fds(peer, 1, 1)
    peer.detach()
    received = bytearray(first)
    while not received.endswith(b"\n"):
        part = os.read(channel, 65536)
        if not part or len(received) > CONFIGURATION_LIMIT:
            raise OSError(errno.EPROTO, "the supervisor sent no configuration")
        received += part
    return bytes(received), descriptors[0] if descriptors else -1


def prepare_early(asked: dict[str, Any], step: list[str]) -> None:
    """Carry out what can be done before the sandbox is there; ``step`` names what is in progress."""
    step[0] = "session"
    if asked["new_session"]:
        os.setsid()
    step[0] = "priority"
    if asked["priority"] is not None:
        give_way(asked["priority"])
    step[0] = "limits"
    limit_resources(asked["limits"])
    step[0] = "bounding set"
    if not asked.get("keep_bounding_set"):  # only a test keeps it
        give_up_bounding_set()


def prepare(asked: dict[str, Any], early: Early, step: list[str]) -> dict[str, int]:
    """Carry out the rest of the configuration in the only order that works."""
    machine = asked["machine"]
    step[0] = "gateway"
    answer = {"gateway": bound(early.gateway, asked["gateway"])}
    answer["datagram_server"] = bound(early.datagram_server, "0.0.0.0")  # noqa: S104 - its own lo
    step[0] = "mounts"
    if asked["hidden"] is not None:
        hide(asked["hidden"]["files"], asked["hidden"]["folders"])
    if asked["noexec"] is not None:
        forbid_execution(asked["noexec"])
    step[0] = "identity"
    if asked["identity"] is not None:
        give_up_identity(asked["identity"])
    step[0] = "capabilities"
    if asked["drop_capabilities"]:
        give_up_capabilities(machine)
    step[0] = "parent death signal"  # after the identity change, which clears it
    if asked["supervisor"]:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != asked["supervisor"]:
            raise OSError(errno.ESRCH, "the supervisor is gone")
    step[0] = "directory"
    os.chdir(asked["directory"])
    step[0] = "no new privileges"
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    step[0] = "landlock"
    if asked["landlock"] is not None:
        restrict_with_landlock(early.ruleset, asked["landlock"], machine)
    step[0] = "seccomp"
    answer["listener"] = install_filter(early.fprog, machine, notify=asked["notify"]) if early.fprog else -1
    return answer


def await_permission(channel: int) -> None:
    """Wait until the supervisor has the other ends of the filter and of the gateway."""
    if os.read(channel, 1) != b"g":
        raise OSError(errno.EPROTO, "the supervisor did not say go")


def serve(channel: int, approach: Callable[[], None] | None = None, enter: Callable[[], None] | None = None) -> None:
    """Serve the channel once, with no other descriptor open; does not return.

    Where this process is not in its sandbox yet, ``approach`` brings it into what is there of it from the beginning,
    its network among that, and ``enter`` waits for the rest and brings it there.
    """
    step = ["configuration"]
    os.umask(0o077)
    try:
        os.set_inheritable(channel, False)
        line, storage = receive_line(channel)
        asked = json.loads(line)
        program = base64.b64decode(asked["filter"])  # held until the filter is installed
        prepare_early(asked, step)
        if approach is not None:
            step[0] = "namespaces"
            approach()
        early = make_early(asked, program, step)
        if enter is not None:
            step[0] = "namespaces"
            enter()
        if asked["storage"] is not None:
            step[0] = "storage"
            place_storage(storage, asked["storage"], asked["machine"])
        answer = prepare(asked, early, step)
        step[0] = "supervisor"
        os.write(channel, json.dumps(answer).encode() + b"\n")
        await_permission(channel)
        step[0] = "execution"
        os.execve(asked["argv"][0], asked["argv"], asked["environment"])  # noqa: S606 - its purpose
    except (OSError, ValueError, KeyError) as error:
        problem = {"error": str(error), "step": step[0], "errno": getattr(error, "errno", None)}
        os.write(channel, json.dumps(problem).encode() + b"\n")
        os._exit(125)


def main(channel: int) -> None:
    """Be the launcher as a program of its own; does not return."""
    os.closerange(3, channel)
    os.closerange(channel + 1, 65536)
    serve(channel)


if __name__ == "__main__":
    main(int(sys.argv[1]))
