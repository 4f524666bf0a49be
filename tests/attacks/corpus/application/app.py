# SPDX-License-Identifier: Apache-2.0
"""The application of the hostile corpus: tries each attempt of its list, and says of each what happened.

Runs inside a sandbox, and outside of one as the control. It imports the standard library alone. One attempt is one
process, so that what ends an attempt ends no other. An attempt that returns worked, whatever its value. Without a list it
says what there is.
"""

from __future__ import annotations

import errno
import json
import os
import signal

import kernel
import network
import processes
import storage
from table import ASKED, TRIES, forked

__all__ = ["kernel", "network", "processes", "storage"]


def tried(name: str) -> tuple[bool, str]:
    """Try one: whether it worked, and what was seen."""
    reader, writer = os.pipe()

    def answer() -> None:
        os.close(reader)
        try:
            TRIES[name]()
            said = "worked"
        except OSError as error:
            said = errno.errorcode.get(error.errno or 0, str(error))
        except MemoryError:
            said = "ENOMEM"
        os.write(writer, said.encode())

    child = forked(answer)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        said = file.read().decode()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        said = signal.Signals(os.WTERMSIG(status)).name
    return said == "worked", said


def main() -> None:
    """Try each of the list."""
    if not ASKED:
        print(json.dumps(sorted(TRIES)))
        return
    for name in ASKED["attempts"]:
        did, saw = tried(name)
        print(json.dumps({"attempt": name, "did": did, "saw": saw}), flush=True)


if __name__ == "__main__":
    main()
