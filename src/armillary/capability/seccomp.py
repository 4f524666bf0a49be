# SPDX-License-Identifier: Apache-2.0
"""The system-call policy for applications, compiled to BPF.

A curated list of what a network application in C or Python needs; whatever is not in it returns EPERM, and a
call through another calling convention ends the process. Eight calls are decided by their arguments and six
(connect, bind, listen and the ones that can send to an address) are handed to the supervisor, which decides with the
destination in hand (``SECCOMP_RET_USER_NOTIF``, seccomp_unotify(2)).

Deliberately absent, among others: mount, pivot_root, unshare, setns, ptrace, process_vm_*, bpf, perf_event_open,
io_uring_* (its operations never pass this filter), keyctl, userfaultfd, memfd_create, execveat, set*id,
seccomp, reboot, kexec, module and clock-setting calls.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from armillary.capability import bpf
from armillary.capability.bpf import Case, Check, Half, Rule
from armillary.capability.syscalls import ARCHITECTURES

# Group -> the calls that are allowed whatever their arguments, and above each group why. Names with a number of bits,
# and set_tls, cacheflush, sigreturn, send and recv, are 32-bit Arm's: what the others do, or what its threads need.
ALLOWED: Mapping[str, str] = {
    # Read and write what the mounts and Landlock let it see; the file system decides, not the number of the
    # call.
    "files": (
        "read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek close close_range "
        "open openat openat2 creat dup dup2 dup3 flock fsync fdatasync ftruncate truncate fallocate "
        "fadvise64 copy_file_range sendfile pipe pipe2 umask "
        "_llseek sendfile64 truncate64 ftruncate64 arm_fadvise64_64 "
    ),
    # Look at and change names in the two places it may write, /tmp and its mutable storage.
    "names": (
        "access faccessat faccessat2 stat fstat lstat newfstatat statx statfs fstatfs readlink readlinkat "
        "getdents getdents64 getcwd chdir fchdir rename renameat renameat2 link linkat symlink symlinkat "
        "unlink unlinkat mkdir mkdirat rmdir chmod fchmod fchmodat fchmodat2 utime utimes utimensat "
        "futimesat getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr inotify_init inotify_init1 "
        "inotify_add_watch inotify_rm_watch stat64 lstat64 fstat64 fstatat64 statfs64 fstatfs64 utimensat_time64 "
    ),
    # A C library cannot load programs or allocate without these; the amount is a resource limit.
    "memory": ("mmap mmap2 munmap mprotect mremap madvise brk msync mincore membarrier "),
    # Start and wait for own threads and children. A child keeps filter, namespaces and limits; fork and vfork
    # take no flags, clone is checked below.
    "processes": (
        "fork vfork execve exit exit_group wait4 waitid getpid getppid gettid getpgid getpgrp setpgid "
        "getsid setsid pidfd_open pidfd_send_signal kill tkill tgkill set_tid_address set_robust_list "
        "get_robust_list rseq futex futex_time64 futex_waitv arch_prctl set_tls cacheflush restart_syscall "
    ),
    # Read who it is. Nothing here changes it: the set*id calls and capset are not in the list.
    "identity": (
        "getuid geteuid getgid getegid getresuid getresgid getgroups capget "
        "getuid32 geteuid32 getgid32 getegid32 getresuid32 getresgid32 getgroups32 "
    ),
    # Yield and look at its place in the scheduler, as thread pools do; raising priority is not in the list.
    "scheduling": (
        "sched_yield sched_getaffinity sched_getparam sched_getscheduler sched_get_priority_max "
        "sched_get_priority_min getpriority getcpu "
    ),
    # Install and wait for its own signals.
    "signals": (
        "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend "
        "rt_sigqueueinfo sigaltstack signalfd signalfd4 pause sigreturn rt_sigtimedwait_time64 "
    ),
    # Read clocks, sleep and set timers; setting a clock is not in the list.
    "time": (
        "clock_gettime clock_getres clock_nanosleep gettimeofday time times nanosleep alarm setitimer "
        "getitimer timer_create timer_settime timer_gettime timer_getoverrun timer_delete timerfd_create "
        "timerfd_settime timerfd_gettime clock_gettime64 clock_getres_time64 clock_nanosleep_time64 "
        "timer_settime64 timer_gettime64 timerfd_settime64 timerfd_gettime64 "
    ),
    # Wait for several descriptors at once: every event loop.
    "waiting": (
        "poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait "
        "epoll_pwait2 eventfd eventfd2 _newselect ppoll_time64 pselect6_time64 "
    ),
    # Facts about the machine that a C library asks for when it starts, and randomness.
    "facts": ("uname sysinfo getrusage getrlimit ugetrlimit getrandom "),
    # Use a socket it already has. Making one, its options, binding and connecting it and sending to an
    # address are checked below.
    "sockets": (
        "accept accept4 getsockname getpeername getsockopt shutdown recvfrom recvmsg recvmmsg recv recvmmsg_time64 "
    ),
}

# Calls that take any path or readable file of the user, whatever Landlock allows (landlock(7), "Current limitations").
ATTRIBUTES = "chmod fchmod fchmodat fchmodat2 utime utimes utimensat utimensat_time64 futimesat inotify_add_watch"
# fcntl(2): a lease on a file that it may only read holds up whoever opens that file, and a note tells of a folder.
F_SETLEASE, F_NOTIFY = 1024, 1026

# clone(2): low 32 bits of the flags. CLONE_NEWTIME shares its bit with the exit signal and exists for clone3 only.
CLONE_NEW = (
    0x00020000  # CLONE_NEWNS
    | 0x02000000  # CLONE_NEWCGROUP
    | 0x04000000  # CLONE_NEWUTS
    | 0x08000000  # CLONE_NEWIPC
    | 0x10000000  # CLONE_NEWUSER
    | 0x20000000  # CLONE_NEWPID
    | 0x40000000  # CLONE_NEWNET
)

AF_UNIX, AF_INET, AF_INET6 = 1, 2, 10
SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET = 1, 2, 5
SOCKET_TYPE_MASK = 0xF  # the type argument also carries SOCK_NONBLOCK and SOCK_CLOEXEC
IPPROTO_TCP, IPPROTO_UDP = 6, 17
SOL_SOCKET, SO_REUSEPORT = 1, 15  # asm-generic/socket.h

# Options that put a route, or what a router reads, into each packet of a socket (linux/in.h, linux/in6.h): a connection
# to a declared host would go by another one first, which no supervisor has decided about.
SOURCE_ROUTE_OPTIONS: Mapping[str, tuple[int, int]] = {
    "IP_OPTIONS": (0, 4),
    "IPV6_2292RTHDR": (41, 5),
    "IPV6_2292PKTOPTIONS": (41, 6),
    "IPV6_HOPOPTS": (41, 54),
    "IPV6_RTHDRDSTOPTS": (41, 55),
    "IPV6_RTHDR": (41, 57),
    "IPV6_DSTOPTS": (41, 59),
}

# Sending with this flag connects: a way around connect(2), and with AF_UNSPEC a way to disconnect a socket that
# the supervisor connected outside. Refused wherever it can be given.
MSG_FASTOPEN = 0x20000000

# ioctl requests that change nothing outside the process's own descriptors. TIOCSTI (0x5412) and TIOCLINUX
# (0x541C), which type into a terminal, are refused like all others; REFUSED_IOCTLS names some for the tests.
ALLOWED_IOCTLS: Mapping[str, int] = {
    "TCGETS": 0x5401,  # isatty(3)
    "TIOCGPGRP": 0x540F,
    "TIOCGWINSZ": 0x5413,
    "FIONREAD": 0x541B,
    "FIONBIO": 0x5421,
    "FIONCLEX": 0x5450,
    "FIOCLEX": 0x5451,
    "TCGETS2": 0x802C542A,  # isatty(3) of newer C libraries
}
# Further ioctl requests for an application that was handed a serial port: termios(3), RS-485 and modem lines, and
# nothing that reaches further than that line (asm-generic/ioctls.h, the same on both architectures).
SERIAL_IOCTLS: Mapping[str, int] = {
    "TCSETS": 0x5402,  # tcsetattr(3): speed, parity, raw mode
    "TCSETSW": 0x5403,
    "TCSETSF": 0x5404,
    "TCSETS2": 0x402C542B,  # the same of newer C libraries, with any speed
    "TCSETSW2": 0x402C542C,
    "TCSETSF2": 0x402C542D,
    "TCSBRK": 0x5409,  # tcdrain(3): wait until everything is sent
    "TCFLSH": 0x540B,  # tcflush(3): drop what a late reply left
    "TIOCOUTQ": 0x5411,  # bytes not sent yet
    "TIOCMGET": 0x5415,  # modem lines: RTS and DTR switch some adapters' direction
    "TIOCMBIS": 0x5416,
    "TIOCMBIC": 0x5417,
    "TIOCMSET": 0x5418,
    "TIOCGRS485": 0x542E,  # the driver switches the direction of an RS-485 line
    "TIOCSRS485": 0x542F,
    "TIOCGICOUNT": 0x545D,  # counts of framing and parity errors
}
# Further ioctl requests for an application with a pin: the level of the lines whose descriptors it was handed. Not how
# a line is used, and nothing of a chip, through which it would have all lines (linux/gpio.h).
LINE_IOCTLS: Mapping[str, int] = {
    "GPIO_V2_LINE_GET_VALUES": 0xC010B40E,
    "GPIO_V2_LINE_SET_VALUES": 0xC010B40F,
}
# Refused with a serial port as well: typing into a terminal, taking the console's output, another line discipline
# (kernel code that an application would choose), a controlling terminal, port addresses and interrupts of the UART.
REFUSED_IOCTLS: Mapping[str, int] = {
    "TIOCSTI": 0x5412,
    "TIOCLINUX": 0x541C,
    "TIOCCONS": 0x541D,
    "TIOCSETD": 0x5423,
    "TIOCSCTTY": 0x540E,
    "TIOCSSERIAL": 0x541F,
    "SIOCGIFCONF": 0x8912,
    "GPIO_GET_CHIPINFO": 0x8044B401,
    "GPIO_V2_GET_LINE": 0xC250B407,
    "GPIO_V2_LINE_SET_CONFIG": 0xC110B40D,
    "GPIO_GET_LINEHANDLE": 0xC16CB403,
    "I2C_SLAVE": 0x0703,
    "I2C_RDWR": 0x0707,
    "SPI_IOC_WR_MODE32": 0x40046B05,
}

# prctl operations that are about the calling thread alone.
ALLOWED_PRCTLS: Mapping[str, int] = {
    "PR_SET_PDEATHSIG": 1,
    "PR_GET_DUMPABLE": 3,
    "PR_SET_NAME": 15,
    "PR_GET_NAME": 16,
    "PR_CAPBSET_READ": 23,
    "PR_SET_TIMERSLACK": 29,
    "PR_SET_NO_NEW_PRIVS": 38,
    "PR_GET_NO_NEW_PRIVS": 39,
    "PR_SET_VMA": 0x53564D41,  # names for anonymous memory, used by C libraries
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What of the policy varies.

    Attributes:
        notify: Hand connects, addressed sends, binding and listening to a supervisor; otherwise the first two fail with
            EACCES.
        listen: Without a supervisor, it may listen: in a network of its own, or with declared server ports.
        server: It has listeners of the host's network, or is in it: it may share their ports with no program of the
            host (SO_REUSEPORT), from which it would take connections.
        serial: It was handed a serial port and may set that line up.
        lines: It may be handed lines of pins, and read and set their levels.
        attributes: It may change modes and times of files and watch folders. Without mounts of its own it may not:
            Landlock has no say in these, so they would reach every file of the user who started the device.
        sessions: It may leave its session and process group. Without a process namespace it may not: that is how the
            supervisor finds all its processes.
        log_unknown: Log refused calls to the audit log and let them pass: for finding what a new program needs,
            never for a device.
        without: Names of rules left out, each call of which is then allowed. Only for tests that show that a
            probe notices the missing rule.
    """

    notify: bool = True
    listen: bool = False
    server: bool = False
    serial: bool = False
    lines: bool = False
    attributes: bool = True
    sessions: bool = True
    log_unknown: bool = False
    without: frozenset[str] = frozenset()


@cache
def compile_filter(architecture: str, policy: Policy | None = None) -> bytes:
    """Compile the policy (the strictest when None) to an array of ``struct sock_filter``.

    ``architecture`` is ``x86_64``, ``aarch64`` or ``armv7l``, as ``uname -m`` prints it.

    Raises:
        ValueError: the architecture has no table of numbers.
    """
    chosen = policy or Policy()
    known = ARCHITECTURES.get(architecture)
    if known is None:
        raise ValueError(f"no system-call table for {architecture!r}; known: {', '.join(ARCHITECTURES)}")
    cases: dict[str, tuple[Case, ...]] = {
        name: (Case(bpf.RET_ALLOW),) for names in ALLOWED.values() for name in names.split()
    }
    cases |= _checked(chosen)
    if not chosen.attributes:
        cases |= {name: (Case(bpf.failure(errno.EPERM)),) for name in ATTRIBUTES.split()}
    if not chosen.sessions:
        cases |= {name: (Case(bpf.failure(errno.EPERM)),) for name in ("setsid", "setpgid")}
    cases |= {name: (Case(bpf.RET_ALLOW),) for name in chosen.without}
    default = bpf.RET_LOG if chosen.log_unknown else bpf.failure(errno.EPERM)
    return bpf.assemble(
        [Rule(known.numbers[name], found) for name, found in cases.items() if name in known.numbers],
        architecture=known.audit,
        default=default,
        number_limit=known.number_limit,
    )


def named_calls(architecture: str) -> tuple[str, ...]:
    """Every call that the policy allows with some arguments, or hands to the supervisor; sorted."""
    known = ARCHITECTURES[architecture].numbers
    names = {name for names in ALLOWED.values() for name in names.split()} | set(_checked(Policy()))
    return tuple(sorted(names & set(known)))


def _checked(policy: Policy) -> dict[str, tuple[Case, ...]]:
    """The calls that are decided by their arguments."""
    allow, refuse = Case(bpf.RET_ALLOW), Case(bpf.failure(errno.EPERM))
    decide = Case(bpf.RET_USER_NOTIFICATION) if policy.notify else Case(bpf.failure(errno.EACCES))
    return {
        # New threads and processes, but none in new namespaces: the way to capabilities in a user namespace.
        "clone": (Case(bpf.RET_ALLOW, (Check(0, 0, CLONE_NEW),)), refuse),
        # Its flags are in memory, where no filter can see them. ENOSYS makes C libraries fall back to clone.
        "clone3": (Case(bpf.failure(errno.ENOSYS)),),
        # No netlink, packet, raw, vsock or other families; protocol 0 or the type's own.
        "socket": (*_socket_cases(), Case(bpf.failure(errno.EAFNOSUPPORT))),
        "socketpair": (Case(bpf.RET_ALLOW, (Check(0, AF_UNIX),)), Case(bpf.failure(errno.EAFNOSUPPORT))),
        **{
            name: (*(Case(bpf.failure(errno.EPERM), (Check(1, each),)) for each in (F_SETLEASE, F_NOTIFY)), allow)
            for name in ("fcntl", "fcntl64")
        },
        "connect": (decide,),
        # send(2) is sendto without an address: the socket's own peer, which was decided when it connected.
        "sendto": (
            Case(bpf.failure(errno.EPERM), (Check(3, MSG_FASTOPEN, MSG_FASTOPEN),)),
            Case(bpf.RET_ALLOW, (Check(4, 0), Check(4, 0, half=Half.HIGH))),
            decide,
        ),
        "send": (Case(bpf.failure(errno.EPERM), (Check(3, MSG_FASTOPEN, MSG_FASTOPEN),)), allow),
        # The address is in memory; only the supervisor can look.
        "sendmsg": (Case(bpf.failure(errno.EPERM), (Check(2, MSG_FASTOPEN, MSG_FASTOPEN),)), decide),
        "sendmmsg": (Case(bpf.failure(errno.EPERM), (Check(3, MSG_FASTOPEN, MSG_FASTOPEN),)), decide),
        "bind": (decide,) if policy.notify else (allow,),
        # The supervisor looks at the socket's port, and listens with it: there is no address in memory to change.
        "listen": (decide,) if policy.notify else (allow,) if policy.listen else (refuse,),
        "setsockopt": (*_shared_port_cases(policy), *_source_route_cases(), allow),
        # The kernel reads 32 bits of the request, so 32 bits are compared: a set high bit changes nothing.
        "ioctl": tuple(Case(bpf.RET_ALLOW, (Check(1, request),)) for request in _ioctls(policy)),
        "prctl": tuple(Case(bpf.RET_ALLOW, (Check(0, operation),)) for operation in ALLOWED_PRCTLS.values()),
        # Its own limits only; hard limits cannot be raised without a capability.
        "prlimit64": (Case(bpf.RET_ALLOW, (Check(0, 0),)), refuse),
    }


def _source_route_cases() -> tuple[Case, ...]:
    """No way of its own for a connection's packets: the first stop of a route is a host like any other."""
    return tuple(
        Case(bpf.failure(errno.EPERM), (Check(1, level), Check(2, option)))
        for level, option in SOURCE_ROUTE_OPTIONS.values()
    )


def _shared_port_cases(policy: Policy) -> tuple[Case, ...]:
    """As a kernel without that option answers."""
    shares = (Check(1, SOL_SOCKET), Check(2, SO_REUSEPORT))
    return (Case(bpf.failure(errno.ENOPROTOOPT), shares),) if policy.server else ()


def _ioctls(policy: Policy) -> tuple[int, ...]:
    serial = SERIAL_IOCTLS.values() if policy.serial else ()
    lines = LINE_IOCTLS.values() if policy.lines else ()
    return (*ALLOWED_IOCTLS.values(), *serial, *lines)


def _socket_cases() -> tuple[Case, ...]:
    cases = [
        Case(bpf.RET_ALLOW, (Check(0, AF_UNIX), Check(1, kind, SOCKET_TYPE_MASK), Check(2, 0)))
        for kind in (SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET)
    ]
    for family in (AF_INET, AF_INET6):
        for kind, protocol in ((SOCK_STREAM, IPPROTO_TCP), (SOCK_DGRAM, IPPROTO_UDP)):
            cases += [
                Case(bpf.RET_ALLOW, (Check(0, family), Check(1, kind, SOCKET_TYPE_MASK), Check(2, allowed)))
                for allowed in (0, protocol)
            ]
    return tuple(cases)
