# SPDX-License-Identifier: Apache-2.0
"""What else runs in the process of these tests logs past what a command prints."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import structlog
from tests.cli.conftest import Command

from armillary.roles.log import log_to_stderr


@pytest.mark.parametrize("set_up", [lambda: None, log_to_stderr], ids=["as-it-is", "by-the-command"])
def test_a_line_of_another_thread_is_not_the_commands(
    bare: Command, monkeypatch: pytest.MonkeyPatch, set_up: Callable[[], None]
) -> None:
    def log() -> None:
        structlog.get_logger().warning("from-a-service")

    def command(_: object) -> None:
        set_up()
        other = threading.Thread(target=log)
        other.start()
        other.join()
        print("of the command")

    monkeypatch.setattr("tests.cli.conftest.run", command)
    ran = bare("anything")
    assert (ran.code, ran.out, ran.err) == (0, "of the command\n", "")


def test_what_a_command_logs_itself_is_on_its_stderr(bare: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def command(_: object) -> None:
        log_to_stderr()
        structlog.get_logger().warning("from-the-command")

    monkeypatch.setattr("tests.cli.conftest.run", command)
    ran = bare("anything")
    assert ran.out == ""
    assert "from-the-command" in ran.err
