# SPDX-License-Identifier: Apache-2.0
"""System-call numbers of 32-bit Arm (EABI); see ``syscalls.py``.

Source: Linux 6.12 ``arch/arm/tools/syscall.tbl``, and ``arch/arm/include/uapi/asm/unistd.h`` for the two that are Arm's
own and above all others. What has 64 bits of time has a second form, whose name says so.
"""

from __future__ import annotations

from collections.abc import Mapping

# fmt: off
ARMV7L: Mapping[str, int] = {
    "restart_syscall": 0, "exit": 1, "fork": 2, "read": 3, "write": 4, "open": 5, "close": 6, "creat": 8,
    "link": 9, "unlink": 10, "execve": 11, "chdir": 12, "chmod": 15, "lseek": 19, "getpid": 20, "getuid":
    24, "pause": 29, "access": 33, "kill": 37, "rename": 38, "mkdir": 39, "rmdir": 40, "dup": 41, "pipe":
    42, "times": 43, "brk": 45, "getgid": 47, "geteuid": 49, "getegid": 50, "ioctl": 54, "fcntl": 55,
    "setpgid": 57, "umask": 60, "dup2": 63, "getppid": 64, "getpgrp": 65, "setsid": 66, "getrusage": 77,
    "gettimeofday": 78, "getgroups": 80, "symlink": 83, "readlink": 85, "munmap": 91, "truncate": 92,
    "ftruncate": 93, "fchmod": 94, "getpriority": 96, "statfs": 99, "fstatfs": 100, "setitimer": 104,
    "getitimer": 105, "stat": 106, "lstat": 107, "fstat": 108, "wait4": 114, "sysinfo": 116, "fsync": 118,
    "sigreturn": 119, "clone": 120, "uname": 122, "mprotect": 125, "getpgid": 132, "fchdir": 133,
    "_llseek": 140, "getdents": 141, "_newselect": 142, "flock": 143, "msync": 144, "readv": 145,
    "writev": 146, "getsid": 147, "fdatasync": 148, "sched_getparam": 155, "sched_getscheduler": 157,
    "sched_yield": 158, "sched_get_priority_max": 159, "sched_get_priority_min": 160, "nanosleep": 162,
    "mremap": 163, "getresuid": 165, "poll": 168, "getresgid": 171, "prctl": 172, "rt_sigreturn": 173,
    "rt_sigaction": 174, "rt_sigprocmask": 175, "rt_sigpending": 176, "rt_sigtimedwait": 177,
    "rt_sigqueueinfo": 178, "rt_sigsuspend": 179, "pread64": 180, "pwrite64": 181, "getcwd": 183,
    "capget": 184, "sigaltstack": 186, "sendfile": 187, "vfork": 190, "ugetrlimit": 191, "mmap2": 192,
    "truncate64": 193, "ftruncate64": 194, "stat64": 195, "lstat64": 196, "fstat64": 197, "getuid32": 199,
    "getgid32": 200, "geteuid32": 201, "getegid32": 202, "getgroups32": 205, "getresuid32": 209,
    "getresgid32": 211, "getdents64": 217, "mincore": 219, "madvise": 220, "fcntl64": 221, "gettid": 224,
    "getxattr": 229, "lgetxattr": 230, "fgetxattr": 231, "listxattr": 232, "llistxattr": 233,
    "flistxattr": 234, "tkill": 238, "sendfile64": 239, "futex": 240, "sched_getaffinity": 242,
    "exit_group": 248, "epoll_create": 250, "epoll_ctl": 251, "epoll_wait": 252, "set_tid_address": 256,
    "timer_create": 257, "timer_settime": 258, "timer_gettime": 259, "timer_getoverrun": 260,
    "timer_delete": 261, "clock_gettime": 263, "clock_getres": 264, "clock_nanosleep": 265, "statfs64":
    266, "fstatfs64": 267, "tgkill": 268, "utimes": 269, "arm_fadvise64_64": 270, "waitid": 280, "socket":
    281, "bind": 282, "connect": 283, "listen": 284, "accept": 285, "getsockname": 286, "getpeername":
    287, "socketpair": 288, "send": 289, "sendto": 290, "recv": 291, "recvfrom": 292, "shutdown": 293,
    "setsockopt": 294, "getsockopt": 295, "sendmsg": 296, "recvmsg": 297, "inotify_init": 316,
    "inotify_add_watch": 317, "inotify_rm_watch": 318, "openat": 322, "mkdirat": 323, "futimesat": 326,
    "fstatat64": 327, "unlinkat": 328, "renameat": 329, "linkat": 330, "symlinkat": 331, "readlinkat":
    332, "fchmodat": 333, "faccessat": 334, "pselect6": 335, "ppoll": 336, "set_robust_list": 338,
    "get_robust_list": 339, "getcpu": 345, "epoll_pwait": 346, "utimensat": 348, "signalfd": 349,
    "timerfd_create": 350, "eventfd": 351, "fallocate": 352, "timerfd_settime": 353, "timerfd_gettime":
    354, "signalfd4": 355, "eventfd2": 356, "epoll_create1": 357, "dup3": 358, "pipe2": 359,
    "inotify_init1": 360, "preadv": 361, "pwritev": 362, "recvmmsg": 365, "accept4": 366, "prlimit64":
    369, "sendmmsg": 374, "renameat2": 382, "getrandom": 384, "membarrier": 389, "copy_file_range": 391,
    "preadv2": 392, "pwritev2": 393, "statx": 397, "rseq": 398, "clock_gettime64": 403,
    "clock_getres_time64": 406, "clock_nanosleep_time64": 407, "timer_gettime64": 408, "timer_settime64":
    409, "timerfd_gettime64": 410, "timerfd_settime64": 411, "utimensat_time64": 412, "pselect6_time64":
    413, "ppoll_time64": 414, "recvmmsg_time64": 417, "rt_sigtimedwait_time64": 421, "futex_time64": 422,
    "pidfd_send_signal": 424, "pidfd_open": 434, "clone3": 435, "close_range": 436, "openat2": 437,
    "faccessat2": 439, "epoll_pwait2": 441, "futex_waitv": 449, "fchmodat2": 452, "cacheflush": 983042,
    "set_tls": 983045,
}
# fmt: on
