# SPDX-License-Identifier: Apache-2.0
"""The fork server: starts a device's applications by forking itself, so that none waits for an interpreter to start.

Run by the host's interpreter outside of every sandbox, as ``python3 -I -S PROGRAM LAUNCHER CONTROL DEVICE``: the path
of ``within/launcher.py``, the number of an inherited Unix socket (SOCK_SEQPACKET), and the device's process id. It
imports the standard library only, has one thread, knows nothing of the device, and ends with it.

The device sends one message for each start: JSON with ``command`` (bwrap and its arguments; none for a plain process)
and ``inherited`` (numbers under which the command expects the last descriptors). With it come descriptors: the status
socket, the launcher's channel, standard output and error, then those that are inherited. Meanwhile the device makes the
application's control groups, and says on the status socket which they are: ``groups`` (files that take ``0`` for the
writer) and ``group`` (a directory of version 2, or ""). The launcher is not made before that.

On the status socket the server says ``{"process": PID}`` when the launcher runs, ``{"error": TEXT, "step": NAME}`` when
there will be none, and at last ``{"ended": CODE}`` when the application and everything of its sandbox is gone (minus
the number of a signal that ended it). When the device closes its end for writing, the application is ended.

With a command, two processes are made. The first is bwrap, whose command ends with cat(1) waiting for input that never
comes; it is of the sandbox, but in none of the application's groups. The second is the launcher, forked into the
sandbox's process namespace (only a new process gets there): it enters what the sandbox has from the beginning, makes
its groups the roots of those that it sees, waits until bwrap has made the mounts, enters them, and goes on as a
launcher that bwrap had started would. Where there is a user namespace, a third process stands between for a moment,
because nobody leaves one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gc
import json
import mmap
import os
import select
import signal
import socket
import struct
import sys
import termios
import types
from collections.abc import Callable
from typing import Any

MESSAGE_LIMIT_BYTES = 1 << 18  # of a start
GROUPS_LIMIT_BYTES = 1 << 14  # of where its groups are
WOKEN_BYTES = 64  # One byte is one signal, and all are served at once.
DESCRIPTOR_LIMIT, DESCRIPTOR_BYTES = 64, 4
FIXED_DESCRIPTORS = 4  # status, channel, standard output, standard error
INFORMATION_LIMIT_BYTES = 4096
ENVIRONMENT = {"PATH": "/usr/bin:/bin"}
# What ends a service or comes from a terminal is for the device, with which this server ends.
NOT_FOR_THE_SERVER = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def load(path: str) -> types.ModuleType:
    """A program beside this one, which is no module of any package here."""
    module = types.ModuleType(path)
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - no pathlib here
        exec(compile(file.read(), path, "exec"), module.__dict__)  # noqa: S102 - our own file
    return module


kernel = load(f"{os.path.dirname(os.path.abspath(__file__))}/kernel_calls.py")  # noqa: PTH100, PTH120 - no pathlib here


def forget_signals() -> None:
    """Take signals as a new program does."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, *NOT_FOR_THE_SERVER):
        signal.signal(number, signal.SIG_DFL)


def tell(status: int, what: dict[str, Any]) -> None:
    """One message to the device, which may be gone or not listen any more."""
    with contextlib.suppress(OSError):
        said = socket.socket(fileno=status)
        try:
            said.send(json.dumps(what).encode(), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        finally:
            said.detach()  # it stays open


class Start:
    """One application: its processes, and what this server holds for it."""

    def __init__(self, asked: dict[str, Any], descriptors: list[int]) -> None:
        self.command: list[str] = asked["command"]
        self.inherited: list[int] = asked["inherited"]
        self.groups: tuple[str, list[str]] | None = None  # Which it is in: of version 2, files of version 1
        self.status, self.channel, self.output, self.errors = descriptors[:FIXED_DESCRIPTORS]
        self.given = descriptors[FIXED_DESCRIPTORS:]
        self.nothing = -1  # Its standard input: what one application sets of it, no other reads
        self.wrapper = 0  # bwrap
        self.sandbox = -1  # pidfd of the first process in the sandbox
        self.namespaces = dict[str, int]()  # Its namespaces, by name
        self.emptied = False  # That process is gone
        self.application = 0
        self.code = 0
        self.wanted = True  # The device has not asked for its end
        self.information = -1  # What bwrap tells about its sandbox, until it was read
        self.ready = -1  # Pipe with one byte, which bwrap reads, and then closes it, when the sandbox is made
        self.input = -1  # Of the placeholder, which waits for it

    def let_go(self) -> None:
        """Close what only the launcher needs."""
        for descriptor in (self.nothing, self.channel, self.output, self.errors, self.ready, *self.given):
            if descriptor >= 0:
                os.close(descriptor)
        self.nothing = self.channel = self.output = self.errors = self.ready = -1
        self.given = []

    def end(self) -> None:
        """Kill the application with its sandbox, which also ends where its number is not known: by its input."""
        if self.input >= 0:
            os.close(self.input)
            self.input = -1
        if self.application:
            os.kill(self.application, signal.SIGKILL)  # our child: its number is its own until we have waited for it
        if self.sandbox >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.sandbox, signal.SIGKILL)
            if self.wrapper:
                os.kill(self.wrapper, signal.SIGKILL)

    @property
    def gone(self) -> bool:
        """Whether nothing of it is left."""
        inside = self.sandbox >= 0 and not self.emptied
        return not self.wrapper and not self.application and self.information < 0 and not inside


class Server:
    """Serves one device."""

    def __init__(self, launcher: types.ModuleType, control: int, device: int) -> None:
        self._launcher = launcher
        self._serves = True
        self._control = socket.socket(fileno=control)
        self._control.set_inheritable(False)
        self._starts: dict[int, Start] = {}  # By status socket
        self._poll = select.poll()
        # For a request: to make as much anew for each one takes its time. What is not used of it is no memory.
        self._room = mmap.mmap(-1, MESSAGE_LIMIT_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)  # Of what waits in sandboxes, no application's
        self._woken, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._own_namespaces = kernel.namespaces_of("self")
        self._own_processes = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in NOT_FOR_THE_SERVER:
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self._heard: dict[int, Callable[[], None]] = {}
        self._listen(control, self._receive)
        self._listen(device, self._stop)
        self._listen(self._woken, self._reap)

    def serve(self) -> None:
        """Start and end applications until the device is gone."""
        while self._serves:
            # Only the first: to serve it may give the number of another one's descriptor to a new one.
            self._heard[self._poll.poll()[0][0]]()
        left = list(self._starts.values())
        for start in left:
            start.wanted = False
            start.end()
        for start in left:
            if start.information >= 0:  # a bwrap that were ended before it has told of it could leave a process
                self._inform(start)

    def _listen(self, descriptor: int, call: Callable[[], None], events: int = select.POLLIN) -> None:
        self._heard[descriptor] = call
        self._poll.register(descriptor, events)

    def _forget(self, descriptor: int) -> None:
        if self._heard.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def _stop(self) -> None:
        self._serves = False

    def _receive(self) -> None:
        """Begin one start; stop when the device has closed its end."""
        room = socket.CMSG_SPACE(DESCRIPTOR_LIMIT * DESCRIPTOR_BYTES)
        # recv_fds() would leave the descriptors open for every program that is executed.
        length, ancillary, _, _ = self._control.recvmsg_into([self._room], room, socket.MSG_CMSG_CLOEXEC)
        if not length:
            self._stop()
            return
        descriptors = [number for _, _, data in ancillary for (number,) in struct.iter_unpack("=i", data)]
        asked = json.loads(self._room[:length])
        if len(descriptors) != FIXED_DESCRIPTORS + len(asked["inherited"]):  # this process may open no more
            if descriptors:
                tell(descriptors[0], {"error": os.strerror(errno.EMFILE), "step": "descriptors"})
            for descriptor in descriptors:
                os.close(descriptor)
            return  # the device sees that nobody holds the status socket
        start = Start(asked, descriptors)
        self._starts[start.status] = start
        self._listen(start.status, lambda: self._hear(start))
        try:
            start.nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            if start.command:
                self._wrap(start)
        except OSError as error:
            self._fail(start, "process", str(error))

    def _fork(self, start: Start, child: Any) -> int:
        """A new process in the application's groups, which does not return."""
        born, entered = start.groups or ("", [])
        process = kernel.fork_into(born) if born else -1
        if process < 0:
            process = os.fork()
            entered = [f"{born}/cgroup.procs", *entered] if born else entered
        if process:
            return process
        try:
            forget_signals()
            for file in entered:
                kernel.enter_group(file)
            child(start)
        except BaseException as error:  # noqa: BLE001 - whatever it is, there is only one server
            os.write(start.errors, f"{error}\n".encode())
        os._exit(125)

    def _wrap(self, start: Start) -> None:
        """Have bwrap make the sandbox."""
        theirs: list[int] = []
        try:
            start.information, information = os.pipe2(os.O_CLOEXEC)
            theirs.append(information)
            block, start.ready = os.pipe2(os.O_CLOEXEC)
            theirs.append(block)
            waits, start.input = os.pipe2(os.O_CLOEXEC)
            theirs.append(waits)
            os.write(start.ready, b"1")
            start.wrapper = self._spawn_wrapper(start, information, block, waits)
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        # Only its end: bwrap writes word by word, and each would keep it from making the sandbox.
        self._listen(start.information, lambda: self._inform(start), 0)

    def _spawn_wrapper(self, start: Start, information: int, block: int, waits: int) -> int:
        """Start bwrap with the descriptors it expects, and no other: each here is closed by an execution."""
        told = max([2, *start.inherited]) + 1
        sources = (*start.given, waits, self._nothing, start.errors, information, block)
        targets = (*start.inherited, 0, 1, 2, told, told + 1)
        program, *arguments = start.command
        moved: list[int] = []
        try:
            for source in sources:  # to where no target is; each is known at once, to be closed where the next fails
                moved.append(kernel.duplicate(source, told + 2))  # noqa: PERF401
            return os.posix_spawn(
                program,
                [program, "--info-fd", str(told), "--block-fd", str(told + 1), *arguments],
                ENVIRONMENT,
                file_actions=[(os.POSIX_SPAWN_DUP2, *pair) for pair in zip(moved, targets, strict=True)],
                setsigdef=NOT_FOR_THE_SERVER,
            )
        finally:
            for descriptor in moved:
                os.close(descriptor)

    def _inform(self, start: Start) -> None:
        """Read what bwrap tells of its sandbox until the end of it, and bring the launcher into that."""
        said = b""
        while len(said) <= INFORMATION_LIMIT_BYTES and (part := os.read(start.information, INFORMATION_LIMIT_BYTES)):
            said += part
        self._forget(start.information)
        os.close(start.information)
        start.information = -1
        try:
            first = int(json.loads(said)["child-pid"])
            start.sandbox = os.pidfd_open(first)
            self._listen(start.sandbox, lambda: self._emptied(start))
            start.namespaces = kernel.namespaces_of(str(first))
        except (OSError, ValueError, KeyError) as error:
            reason = "bwrap ended" if not said else str(error)
            self._fail(start, "namespaces", reason)
        self._proceed(start)
        self._finish(start)

    def _proceed(self, start: Start) -> None:
        """Make the launcher, once its groups are known and bwrap has told of the sandbox."""
        if not start.wanted:
            start.end()
        elif start.groups is not None and not start.application and (start.namespaces or not start.command):
            try:
                if start.command:
                    self._bring(start)
                else:
                    start.application = self._fork(start, self._launch_plain)
                tell(start.status, {"process": start.application})
                start.let_go()
                self._watch(start)
            except OSError as error:
                self._fail(start, "namespaces" if start.command else "process", str(error))

    def _bring(self, start: Start) -> None:
        """Make the launcher, in the sandbox's process namespace."""
        if not start.wrapper:
            raise OSError(errno.EPROTO, "bwrap ended")
        inside = start.namespaces
        kinds = sum(kernel.NAMESPACES[name] for name, number in inside.items() if number != self._own_namespaces[name])
        later = kinds & ~kernel.ENTERED_FIRST
        if kinds & kernel.NAMESPACES["user"]:
            start.application = self._fork_across(start, kinds & kernel.ENTERED_FIRST, later)
        else:
            start.application = self._fork_inside(start, kinds & kernel.ENTERED_FIRST, later)

    def _fork_inside(self, start: Start, kinds: int, later: int) -> int:
        """The launcher, forked while this process makes its children in the sandbox's process namespace."""
        if kinds:
            kernel.enter_namespaces(start.sandbox, kinds)
        try:
            return self._fork(start, lambda _: self._launch_inside(start, later))
        finally:
            if kinds:
                self._come_back(kinds)

    def _come_back(self, kinds: int) -> None:
        """Make children in the own process namespace again; who cannot must never fork for another application."""
        try:
            kernel.enter_namespaces(self._own_processes, kinds)
        except OSError:
            os._exit(1)

    def _fork_across(self, start: Start, kinds: int, later: int) -> int:
        """The launcher, forked by a process between: who has entered a user namespace cannot leave it any more."""
        told, tell = os.pipe2(os.O_CLOEXEC)
        try:
            between = self._fork(start, lambda _: self._cross(start, kinds, later, tell))
            os.close(tell)
            tell = -1
            answer = os.read(told, INFORMATION_LIMIT_BYTES)
            os.waitpid(between, 0)
        finally:
            os.close(told)
            if tell >= 0:
                os.close(tell)
        if not answer.isdigit():
            raise OSError(errno.EPERM, answer.decode("utf-8", "replace") or "the process between ended")
        return int(answer)

    def _cross(self, start: Start, kinds: int, later: int, tell: int) -> None:
        """Enter the user namespace and make the launcher there; say its number, or what went wrong."""
        try:
            kernel.enter_namespaces(start.sandbox, kinds)
            process = kernel.fork_for_parent()
        except OSError as error:
            os.write(tell, str(error).encode())
            os._exit(1)
        if process:
            os.write(tell, str(process).encode())
            os._exit(0)
        os.close(tell)
        self._launch_inside(start, later)

    def _launch_plain(self, start: Start) -> None:
        """Be the launcher of a plain process."""
        self._set_up(start, {start.channel})
        self._launcher.serve(start.channel)

    def _launch_inside(self, start: Start, kinds: int) -> None:
        """Be the launcher, and enter these namespaces: the mounts last, once bwrap has made them."""
        self._set_up(start, {start.channel, start.ready, start.sandbox})
        mounts = kernel.NAMESPACES["mnt"]
        self._launcher.serve(
            start.channel, lambda: self._approach(start, kinds & ~mounts), lambda: self._enter(start, kinds & mounts)
        )

    def _set_up(self, start: Start, kept: set[int]) -> None:
        """Take the application's standard streams, and keep these descriptors beside them."""
        for source, target in ((start.nothing, 0), (start.output, 1), (start.errors, 2)):
            os.dup2(source, target)
        kernel.close_all_but(kept)

    def _approach(self, start: Start, kinds: int) -> None:
        """Enter what the sandbox has from its first moment on."""
        kernel.end_with_parent()
        groups = kernel.NAMESPACES["cgroup"]
        if kinds & ~groups:
            kernel.enter_namespaces(start.sandbox, kinds & ~groups)
        if kinds & groups:
            kernel.leave_groups_above()

    def _enter(self, start: Start, kinds: int) -> None:
        """Wait until bwrap has made the sandbox, and enter its mounts."""
        readers = select.poll()
        readers.register(start.ready, 0)
        readers.poll()  # until nobody can read it any more
        unread = fcntl.ioctl(start.ready, termios.FIONREAD, bytes(4))
        if any(unread):
            raise OSError(errno.EPROTO, "bwrap ended")
        kernel.enter_namespaces(start.sandbox, kinds)
        os.close(start.ready)
        os.close(start.sandbox)

    def _hear(self, start: Start) -> None:
        """The device says in which groups the launcher is, and at last, by closing its side, that it wants the end."""
        said = b""
        with contextlib.suppress(ConnectionError):  # a device that closes it unread: the others' server goes on
            said = os.read(start.status, GROUPS_LIMIT_BYTES)
        if said:
            asked = json.loads(said)
            start.groups = (asked["group"], asked["groups"])
            self._proceed(start)
            return
        self._forget(start.status)
        start.wanted = False
        start.end()
        self._finish(start)

    def _watch(self, start: Start) -> None:
        """Begin to end the sandbox as soon as the application has ended, before who traces it lets us wait for it.

        Without a descriptor for that, the sandbox ends once the application was waited for.
        """
        with contextlib.suppress(OSError):
            process = os.pidfd_open(start.application)
            self._listen(process, lambda: self._left(start, process))

    def _left(self, start: Start, process: int) -> None:
        self._forget(process)
        os.close(process)
        start.end()

    def _emptied(self, start: Start) -> None:
        """The sandbox's first process is gone, and with it everything inside."""
        self._forget(start.sandbox)
        start.emptied = True
        self._finish(start)

    def _reap(self) -> None:
        """Take note of processes that ended."""
        os.read(self._woken, WOKEN_BYTES)
        while True:
            try:
                process, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not process:
                return
            for start in [each for each in self._starts.values() if process in (each.wrapper, each.application)]:
                if process == start.wrapper:
                    start.wrapper = 0
                else:
                    start.application = 0
                    start.code = os.waitstatus_to_exitcode(status)
                start.end()  # what waits inside does not hear of the wrapper's end where it has changed its user
                self._finish(start)

    def _fail(self, start: Start, step: str, reason: str) -> None:
        """Say why there is no application, and end what there is of it."""
        tell(start.status, {"error": reason, "step": step})
        if start.information >= 0 and not start.wrapper:
            os.close(start.information)
            start.information = -1
        start.end()
        start.let_go()
        self._finish(start)

    def _finish(self, start: Start) -> None:
        """Say that it is over, once nothing is left."""
        if not start.gone or start.status not in self._starts:
            return
        del self._starts[start.status]
        self._forget(start.status)
        tell(start.status, {"ended": start.code})
        start.let_go()
        for descriptor in (start.status, start.sandbox):
            if descriptor >= 0:
                os.close(descriptor)
        start.sandbox = -1


def main(launcher: str, control: int, device: int) -> None:
    """Serve until the device is gone."""
    os.chdir("/")
    os.umask(0o077)
    try:
        process = os.pidfd_open(device)
    except ProcessLookupError:
        return
    if os.getppid() != device:
        return
    server = Server(load(launcher), control, process)
    gc.disable()
    gc.freeze()
    server.serve()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
