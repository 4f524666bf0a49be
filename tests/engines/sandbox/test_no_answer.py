# SPDX-License-Identifier: Apache-2.0
"""A host that is too slow to answer is asked again with more patience; no answer is no refusal, and is said as that."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engines.sandbox.sandbox_stage import linux as linux_sandbox, reduced as reduced_sandbox

from armillary.engines.sandbox import selection
from armillary.engines.sandbox.linux import LinuxSandbox
from armillary.engines.sandbox.patience import LONG, USUAL, NoAnswerError, Patience
from armillary.engines.sandbox.port import Mechanism, SandboxReport
from armillary.engines.sandbox.selection import open_sandbox, open_without_falling_back
from armillary.errors import SandboxUnavailableError

# So short that no machine answers, however fast it is; the other limit is not met.
NONE = Patience(start_s=0.2, test_s=LONG.test_s)


class Host:
    """In place of ``LinuxSandbox``: answers those who wait so long, and has been asked with these limits."""

    def __init__(self, answers: frozenset[Patience], missing: str = "") -> None:
        self.answers, self.missing = answers, missing
        self.asked: list[Patience] = []

    def engine(self, bubblewrap: str, *, patience: Patience) -> Engine:
        return Engine(self, bubblewrap, patience)


class Engine:
    name = "linux"

    def __init__(self, host: Host, bubblewrap: str, patience: Patience) -> None:
        self.host, self.bubblewrap, self.patience = host, bubblewrap, patience

    def self_test(self) -> SandboxReport:
        self.host.asked.append(self.patience)
        if self.patience not in self.host.answers:
            raise NoAnswerError(f"no answer within {self.patience.start_s:g} s")
        return SandboxReport("linux", (Mechanism("user", not self.host.missing, self.host.missing),), ())


@pytest.fixture
def one_bwrap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection.host, "bubblewrap_candidates", lambda: ("/opt/bwrap",))


def pretend(monkeypatch: pytest.MonkeyPatch, *answers: Patience, missing: str = "") -> Host:
    host = Host(frozenset(answers), missing)
    monkeypatch.setattr(selection, "LinuxSandbox", host.engine)
    return host


def test_a_host_that_answers_late_is_asked_again_and_gets_the_whole_sandbox(
    one_bwrap: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = pretend(monkeypatch, LONG)
    sandbox = open_sandbox("linux")
    assert (sandbox.name, host.asked) == ("linux", [USUAL, LONG])
    assert isinstance(sandbox, Engine)
    assert sandbox.patience == LONG, "its applications are started with that patience, too"


def test_a_host_that_answers_is_asked_once(one_bwrap: None, monkeypatch: pytest.MonkeyPatch) -> None:
    host = pretend(monkeypatch, USUAL, LONG)
    assert open_sandbox("linux").name == "linux"
    assert host.asked == [USUAL]


def test_no_answer_is_said_as_that_and_not_as_a_refusal(one_bwrap: None, monkeypatch: pytest.MonkeyPatch) -> None:
    reduced_sandbox()
    host = pretend(monkeypatch)
    report = open_sandbox("linux").self_test()
    assert host.asked == [USUAL, LONG]
    assert report.sandbox == "reduced"
    said = "This host did not answer in time whether it allows namespaces: /opt/bwrap: no answer within 120 s."
    assert report.weaker[0] == report.fallen == said
    assert not report.complete


def test_a_refusal_is_an_answer_and_nobody_asks_again(one_bwrap: None, monkeypatch: pytest.MonkeyPatch) -> None:
    reduced_sandbox()
    host = pretend(monkeypatch, USUAL, missing="seen as root")
    report = open_sandbox("linux").self_test()
    assert host.asked == [USUAL]
    assert report.fallen == "This host does not allow namespaces: /opt/bwrap: user (seen as root)."


def test_who_settles_for_nothing_less_gets_the_engine_or_an_error(
    one_bwrap: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = pretend(monkeypatch, LONG)
    with pytest.raises(NoAnswerError, match="did not answer in time"):
        open_without_falling_back("linux", USUAL)
    assert host.asked == [USUAL]
    assert open_without_falling_back("linux", LONG).name == "linux"
    pretend(monkeypatch, USUAL, missing="seen as root")
    with pytest.raises(SandboxUnavailableError, match="does not allow namespaces") as caught:
        open_without_falling_back("linux", USUAL)
    assert not isinstance(caught.value, NoAnswerError)


def test_a_launcher_that_never_answers_is_no_answer(tmp_path: Path) -> None:
    """A program in place of bwrap that does nothing until its input ends."""
    linux_sandbox()
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\nexec cat >/dev/null\n")
    program.chmod(0o755)
    with pytest.raises(NoAnswerError, match=r"application not started: no answer within 0.2 s"):
        LinuxSandbox(str(program), patience=NONE).self_test()


def test_probes_that_never_end_are_no_answer() -> None:
    plain = linux_sandbox()
    late = LinuxSandbox(plain.bubblewrap, plain.own_user, patience=Patience(start_s=LONG.start_s, test_s=0.0))
    with pytest.raises(NoAnswerError, match="the self-test gave no answer within 0 s"):
        late.self_test()
