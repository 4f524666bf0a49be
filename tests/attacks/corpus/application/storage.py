# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: PTH101, PTH102, PTH104, PTH106, PTH108, PTH123, PTH211 - system calls are what is tried
"""What there is only so much of, and files that are somebody else's by way of links of its own."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import signal
import socket
import threading

from table import ASKED, LIBC, attempt, checked, content, failed, forked, own

MANY_PROCESSES, MANY_DESCRIPTORS, MANY_FILES, MANY_BYTES = 100, 400, 60_000, 4 << 20


@attempt("fork-bomb")
def _() -> None:
    """Processes that start processes, until there are more than any application may have."""
    children = []
    try:
        while len(children) < MANY_PROCESSES:
            children.append(forked(signal.pause))
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


@attempt("thread-bomb")
def _() -> None:
    end = threading.Event()
    threads = [threading.Thread(target=end.wait, daemon=True) for _ in range(MANY_PROCESSES)]
    try:
        for thread in threads:
            thread.start()
    except RuntimeError:
        failed(errno.EAGAIN)
    finally:
        end.set()


@attempt("descriptors")
def _() -> None:
    for _ in range(MANY_DESCRIPTORS):
        os.dup(0)


@attempt("sockets-without-end")
def _() -> None:
    for _ in range(MANY_DESCRIPTORS):
        socket.socket().detach()


@attempt("inodes")
def _() -> None:
    """Files without content take none of the room, and memory of the kernel."""
    folder, made = own("inodes"), 0
    os.mkdir(folder)
    _larger = bytearray(8 << 20)  # so that the kernel, which ends the largest process, ends this one
    try:
        for made in range(MANY_FILES):
            os.close(os.open(f"{folder}/{made}", os.O_CREAT | os.O_WRONLY))
    finally:
        for number in range(made + 1):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{folder}/{number}")
        os.rmdir(folder)


@attempt("large-file")
def _() -> None:
    try:
        with open(own("large"), "wb", buffering=0) as file:
            while file.tell() < MANY_BYTES:
                file.write(bytes(100_000)) or failed(errno.ENOSPC)
    finally:
        os.unlink(own("large"))


@attempt("locked-memory")
def _() -> None:
    place = ctypes.create_string_buffer(2 << 20)
    checked(LIBC.mlock(place, 2 << 20))


@attempt("message-queue")
def _() -> None:
    """mq_open(3): memory of the kernel outside of every file system."""
    real = ctypes.CDLL("librt.so.1", use_errno=True)
    checked(real.mq_open(b"/corpus", os.O_CREAT | os.O_RDWR, 0o600, None))
    real.mq_unlink(b"/corpus")


# Files that are somebody else's, by way of its own

attempt("secret")(lambda: content(ASKED["secret"]))
attempt("storage-of-victim")(lambda: content(ASKED["storage"]))
attempt("secret-written")(lambda: os.open(ASKED["secret"], os.O_WRONLY))


attempt("mode-of-host")(lambda: os.chmod(ASKED["secret"], 0o644))
attempt("mode-of-folder")(lambda: os.chmod(ASKED["folder"], 0o700))
attempt("times-of-host")(lambda: os.utime(ASKED["secret"], (1, 1)))
attempt("mode-by-descriptor")(lambda: os.fchmod(readable(), os.fstat(readable()).st_mode & 0o7777))
attempt("times-by-descriptor")(
    lambda: os.utime(readable(), ns=(os.fstat(readable()).st_atime_ns, os.fstat(readable()).st_mtime_ns))
)
attempt("lease")(lambda: fcntl.fcntl(os.open(own("mine"), os.O_CREAT | os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_RDLCK))


def readable() -> int:
    """A descriptor of a file of the host that every application may read."""
    return os.open("/usr/bin/env", os.O_RDONLY)


@attempt("watch-of-host")
def _() -> None:
    """Told of every file that is opened or made in a folder of the host."""
    checked(LIBC.inotify_add_watch(LIBC.inotify_init1(0), ASKED["folder"].encode(), 0xFFF))


@attempt("hard-link")
def _() -> None:
    os.link(ASKED["secret"], own("hard"))
    os.unlink(own("hard"))


@attempt("symbolic-link")
def _() -> None:
    os.symlink(ASKED["secret"], own("soft"))
    try:
        content(own("soft"))
    finally:
        os.unlink(own("soft"))


@attempt("path-descriptor")
def _() -> None:
    """A descriptor that only names a file may be had without the right to read it."""
    content(f"/proc/self/fd/{os.open(ASKED['secret'], os.O_PATH)}")


@attempt("moved-in")
def _() -> None:
    os.rename(ASKED["decoy"], own("decoy"))
    os.rename(own("decoy"), ASKED["decoy"])


@attempt("link-race")
def _() -> None:
    """A link that leads to its own file and to the secret by turns, opened meanwhile."""
    with open(own("mine"), "wb") as file:
        file.write(b"mine")

    def turn() -> None:
        for number in range(4000):
            os.symlink((own("mine"), ASKED["secret"])[number % 2], own("turn"))
            os.rename(own("turn"), own("race"))

    child = forked(turn)
    won = ended = False
    while not ended:
        ended = os.waitpid(child, os.WNOHANG) != (0, 0)  # then it leads to the secret for good, and is opened once more
        with contextlib.suppress(OSError):
            won = content(own("race")) != b"mine" or won
    for name in ("mine", "race"):
        os.unlink(own(name))
    if not won:
        failed(errno.EACCES)
