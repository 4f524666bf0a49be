# SPDX-License-Identifier: Apache-2.0
"""The program inside a container that takes the channel and becomes the launcher.

Run by the host's interpreter as ``python3 -I -S FILE LAUNCHER``; LAUNCHER is a file with the source of
``within/launcher.py``. It imports the standard library only.

The channel waits in the socket that crun hands on, and is nobody's but the launcher's afterwards: crun keeps what it
hands on, and the channel has to close when the application is executed.
"""

from __future__ import annotations

import signal
import socket
import sys

HANDED_ON = 3


def receive() -> int:
    """The channel, out of the socket that was handed on."""
    with socket.socket(fileno=HANDED_ON) as waiting:
        return socket.recv_fds(waiting, 1, 1)[1][0]


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGQUIT):  # a shell starts what it waits for without them
        signal.signal(number, signal.SIG_DFL)
    with open(sys.argv[1], encoding="utf-8") as file:  # noqa: PTH123 - no pathlib in here
        launcher = compile(file.read(), sys.argv[1], "exec")
    sys.argv[1] = str(receive())
    exec(launcher, {"__name__": "__main__"})  # noqa: S102 - its purpose
