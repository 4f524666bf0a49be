# SPDX-License-Identifier: Apache-2.0
"""Runs jq programs over records in a separate process, which is killed if it never ends or takes too much memory.

An author's program is not trusted. It has no environment, opens no file, and has limits of memory, time and output;
when it does not answer in time it is killed, and its record counts as failed.

Needs the extra ``jq``.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import select
import subprocess
import sys
import time
from collections.abc import Sequence

from armillary.errors import InvalidArgumentError

# Seconds for one record; a program over a record of some kilobytes takes microseconds.
RECORD_TIMEOUT_S = 2.0
# Bytes of output for one record.
MAX_OUTPUT_BYTES = 1 << 20
# Address space of the process.
MAX_MEMORY_BYTES = 512 << 20

Outputs = tuple[list[bytes], str]

# Runs in the other process; each line in is a record in base64, each line out its outputs or an error.
_WORKER = """
import base64, json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (%d, %d))
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
import jq
# None but the three that are open: jq's `import "x" as $x {search: "/any"}` would read this host's files.
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
try:
    program = jq.compile(base64.b64decode(sys.stdin.readline()).decode())
except Exception as error:
    print(json.dumps({"error": str(error)[:200]}), flush=True)
    sys.exit(1)
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    try:
        outputs, size = [], 0
        for each in program.input_text(base64.b64decode(line).decode()):
            text = json.dumps(each, separators=(",", ":"))
            size += len(text)
            if size > %d:
                raise ValueError("more output than allowed")
            outputs.append(text)
        answer = {"outputs": outputs}
    except Exception as error:
        answer = {"error": str(error)[:200] or type(error).__name__}
    print(json.dumps(answer), flush=True)
"""


class Transform:
    """A compiled jq program. Methods block: call them from threads, one at a time.

    Raises:
        InvalidArgumentError: it does not compile, or the extra is not installed.
    """

    def __init__(self, program: str) -> None:
        if importlib.util.find_spec("jq") is None:
            raise InvalidArgumentError(
                "export.transform: jq is not installed where the service runs",
                remedy="Install it with the service: pip install 'armillary[jq]'; or leave the transform out.",
            )
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""
        self._start()

    def apply(self, records: Sequence[bytes]) -> list[Outputs]:
        """Run the program on each record: its outputs (no output drops the record), or why it failed."""
        return [self._one(each) for each in records]

    def close(self) -> None:
        """End the process. May be called twice."""
        process, self._process, self._unread = self._process, None, b""
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
            process.wait()

    def _start(self) -> None:
        code = _WORKER % (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES, MAX_OUTPUT_BYTES)
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
            [sys.executable, "-I", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            bufsize=0,
        )
        answer = self._ask(self._program.encode("utf-8"), 10 * RECORD_TIMEOUT_S)
        if "ready" not in answer:
            self.close()
            raise InvalidArgumentError(
                f"export.transform: the program does not compile ({answer.get('error', 'it did not answer')})",
                remedy="Try it with jq on a record; docs/concepts/data-export.md shows one.",
            )

    def _one(self, record: bytes) -> Outputs:
        if self._process is None:
            self._start()
        answer = self._ask(record, RECORD_TIMEOUT_S)
        if "outputs" in answer:
            return [each.encode("utf-8") for each in answer["outputs"]], ""
        if "error" not in answer:
            self.close()  # the next record gets a process of its own
        return [], str(answer.get("error", f"it did not end within {RECORD_TIMEOUT_S:g} s, or took too much memory"))

    def _ask(self, content: bytes, timeout_s: float) -> dict[str, list[str]]:
        """Send one line to the process; returns its answer, empty when none comes in time."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return {}
        try:
            process.stdin.write(base64.b64encode(content) + b"\n")
            deadline = time.monotonic() + timeout_s
            while b"\n" not in self._unread:
                ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
                part = process.stdout.read(1 << 16) if ready else b""
                if not part or len(self._unread) > 8 * MAX_OUTPUT_BYTES:
                    return {}
                self._unread += part
        except OSError:
            return {}
        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, list[str]] = json.loads(line)
        return answer
