# SPDX-License-Identifier: Apache-2.0
"""One place among the device workers: the process that fills it now, and what is known of it.

==========  =======================================================  ==========
state       means                                                    next
==========  =======================================================  ==========
down        no process; one is due at a time                         starting
starting    a process that accepts no devices yet                    ready, down
ready       devices are accepted                                     down
==========  =======================================================  ==========
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Final

from armillary.service.watch.heartbeat import Liveness
from armillary.service.workers.channel import Channel
from armillary.settings import ENVIRONMENT_PREFIX
from armillary.wire.device.worker_message import Heartbeat, Message

PROGRAM: Final = "armillary.cli.service.device_worker"
# A worker reads its socket all the time; one that lets 200 KB of messages wait has stopped.
SEND_PATIENCE_S: Final = 2.0
# A process that was killed is gone in milliseconds, and its connections with it.
END_S: Final = 5.0
# Waits before a worker is started again, one after the other; the last one repeats.
BACK_OFF_S: Final = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
# A worker that lived so long does not fail at its start: the waits begin anew.
SETTLED_S: Final = 60.0


class WorkerProcess:
    """One place in the pool. The pool's thread starts and ends processes; everything else is read from any thread.

    Attributes:
        number: From 0.
        life: Rises when a process ends: messages that it had not answered need no answer any more.
        done: The highest number of a message that the present process has done.
        liveness: As in ``service/watch/heartbeat.py``; it does not advance while there is no process.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.life = 0
        self.done = 0
        self.state = "down"
        self.restarts = 0
        self.liveness = Liveness(time.monotonic(), 0)
        self.connections = 0
        self.counts: Mapping[str, int] = {}
        self.channel: Channel | None = None
        self.began = 0.0
        self.due = 0.0
        self._failures = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process that fills this place."""
        return None if self._process is None or self.channel is None else self._process.pid

    def start(self, first: Message) -> Channel:
        """Start a process and send it its first message; OSError if the system refuses.

        Secrets go through the socket pair alone: a command line can be read by everybody on the machine, and the
        environment by every process of this user, so the settings are left out of it.
        """
        mine, theirs = socket.socketpair()
        with theirs:
            channel = Channel(mine, patience_s=SEND_PATIENCE_S)
            try:
                channel.send(first)
                environment = {
                    name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)
                }
                self._process = subprocess.Popen(  # noqa: S603 - our own module
                    # -P: nothing is imported from the folder that the service happens to run in
                    [sys.executable, "-P", "-m", PROGRAM, str(theirs.fileno())],
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,  # it is for data of the service; logs go to stderr
                    env=environment,
                )
            except BaseException:  # undone whatever it was, then raised on
                channel.close()
                raise
        self.state, self.began, self.done = "starting", time.monotonic(), 0
        self.channel = channel
        return channel

    def is_ready(self) -> None:
        """The process accepts devices."""
        self.state = "ready"
        self.liveness = Liveness(time.monotonic(), 0)

    def beat(self, heard: Heartbeat) -> None:
        """Keep what a heartbeat says."""
        if self.state == "ready":
            self.liveness = Liveness(time.monotonic() - heard.age_ms / 1000, heard.oldest_wait_s)
        self.connections, self.counts = heard.connections, heard.counts

    def kill(self) -> None:
        """End the process and wait until it has ended: then it answers nobody any more. Safe from any thread."""
        process = self._process
        if process is not None:
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):  # the system holds it: it runs nothing of ours
                process.wait(END_S)

    def end(self) -> int:
        """End the process if it runs, and decide when the next is due; returns the seconds that it ran."""
        self.kill()
        if self.channel is not None:
            self.channel.close()
        ran = time.monotonic() - self.began
        self._failures = 0 if ran >= SETTLED_S else self._failures + 1
        self.due = time.monotonic() + BACK_OFF_S[max(0, min(self._failures, len(BACK_OFF_S)) - 1)]
        self.life += 1
        self.state, self.channel, self.connections, self.counts = "down", None, 0, {}
        return int(ran)

    def describe(self) -> dict[str, object]:
        """For the health of the service."""
        return {
            "number": self.number,
            "pid": self.pid,
            "state": self.state,
            "restarts": self.restarts,
            "connections": self.connections,
            "check_ins": self.counts.get("check-ins", 0),
        }
