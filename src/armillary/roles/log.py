# SPDX-License-Identifier: Apache-2.0
"""Logs of a process started from the command line: JSON lines on stderr, never stdout, which is for data."""

from __future__ import annotations

import logging
import sys

from armillary.roles.absent import absent

with absent("rich"):  # for structlog's coloured console, which is not used here: 4 MB, 40 ms of a start
    import structlog


class StderrLogger:
    """Writes a finished line to what stderr is at that moment (a test or a supervisor may have replaced it)."""

    def msg(self, line: str) -> None:
        """Write one line."""
        sys.stderr.write(line + "\n")

    log = debug = info = warning = warn = error = critical = exception = fatal = msg


def log_to_stderr(level: str = "info") -> None:
    """Send the logs of this process to stderr, from ``level`` on: ``debug``, ``info``, ``warning`` or ``error``.

    Secrets never get there because no caller logs them.
    """
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *_: StderrLogger(),
    )
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
