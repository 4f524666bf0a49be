# SPDX-License-Identifier: Apache-2.0
"""Chooses the sandbox engine that works on this host, by its self-test.

A host that is too slow to answer is asked again, with more patience: no answer is no refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from armillary.engines.sandbox.linux import LinuxSandbox
from armillary.engines.sandbox.linux_report import OPTIONAL
from armillary.engines.sandbox.patience import LONG, USUAL, NoAnswerError, Patience
from armillary.engines.sandbox.port import Sandbox
from armillary.engines.sandbox.start import host
from armillary.errors import InvalidArgumentError, SandboxUnavailableError

REMEDY = (
    "Install bubblewrap and allow unprivileged user namespaces (Ubuntu: the AppArmor profile for bwrap), or run on "
    "Linux 6.12 or newer with Landlock. For development without containment: --sandbox process."
)

CRUN_REMEDY = "Allow user namespaces, or start the device as root; or use --sandbox linux, which falls back."
SLOW_REMEDY = "Start the device again once this machine has less to do, or give it more of a processor."
# How long each engine is waited for, one time after the other.
TRIES = (USUAL, LONG)


def open_sandbox(name: str) -> Sandbox:
    """The sandbox of a name: ``linux`` (``reduced`` where that does not hold on this host) or one of the others.

    Raises:
        InvalidArgumentError: no such engine.
        NoAnswerError: this host is too slow to say whether it holds.
        SandboxUnavailableError: it does not hold on this host.
    """
    engines: dict[str, Callable[[], Sandbox]] = {
        "linux": _linux_or_reduced,
        "crun": lambda: _open_crun(TRIES),
        "reduced": lambda: _open_reduced(""),
        "process": _open_process,
    }
    if name not in engines:
        raise InvalidArgumentError(
            f"sandbox: expected {', '.join(engines)}, got {name!r}", remedy="Choose one of the named sandboxes."
        )
    return engines[name]()


def open_without_falling_back(name: str, patience: Patience) -> Sandbox:
    """As :func:`open_sandbox`, but of ``linux`` that or an error; tried once, for so long."""
    if name == "linux":
        return _open_linux((patience,))
    return _open_crun((patience,)) if name == "crun" else open_sandbox(name)


def _linux_or_reduced() -> Sandbox:
    try:
        return _open_linux(TRIES)
    except SandboxUnavailableError as error:
        return _open_reduced(error.message)


def _open_linux(tries: Sequence[Patience]) -> Sandbox:
    """Namespaces with the first bwrap that passes the self-test.

    Raises:
        NoAnswerError: none passes, and of one it is not known.
        SandboxUnavailableError: none passes.
    """
    reasons: list[str] = []
    unanswered = False
    for path in host.bubblewrap_candidates():
        try:
            return _proved(partial(LinuxSandbox, path), tries)
        except SandboxUnavailableError as error:
            reasons.append(f"{path}: {error.message}")
            unanswered = unanswered or isinstance(error, NoAnswerError)
    if unanswered:
        raise NoAnswerError(
            f"This host did not answer in time whether it allows namespaces: {'; '.join(reasons)}.", remedy=SLOW_REMEDY
        )
    raise SandboxUnavailableError(
        f"This host does not allow namespaces: {'; '.join(reasons) or 'no bwrap was found'}.", remedy=REMEDY
    )


def _open_crun(tries: Sequence[Patience]) -> Sandbox:
    """Containers by the host's crun. Who asks for it gets it or an error, and no other engine in its place.

    Raises:
        NoAnswerError: the self-test was not over in time.
        SandboxUnavailableError: there is none, or the self-test does not pass.
    """
    from armillary.engines.sandbox.crun import CrunSandbox  # noqa: PLC0415 - only where it is asked for
    from armillary.engines.sandbox.oci import runtime  # noqa: PLC0415

    found = runtime.find()
    try:
        return _proved(partial(CrunSandbox, found), tries)
    except NoAnswerError as error:
        raise NoAnswerError(f"sandbox crun: {error.message}", remedy=SLOW_REMEDY) from error
    except SandboxUnavailableError as error:
        raise SandboxUnavailableError(f"sandbox crun: {error.message}", remedy=CRUN_REMEDY) from error


def _proved(make: Callable[..., Sandbox], tries: Sequence[Patience]) -> Sandbox:
    """An engine whose self-test has passed; ``make`` is given ``patience``.

    Raises:
        NoAnswerError: each time it was not over in time.
        SandboxUnavailableError: it could not run, or required mechanisms do not hold: which.
    """
    late: NoAnswerError | None = None
    for patience in tries:
        sandbox = make(patience=patience)
        try:
            missing = sandbox.self_test().missing(OPTIONAL)
        except NoAnswerError as error:
            late = error
            continue
        if missing:
            raise SandboxUnavailableError(", ".join(missing))
        return sandbox
    raise late or ValueError("tries: expected at least one")


def _open_process() -> Sandbox:
    from armillary.engines.sandbox.process import ProcessSandbox  # noqa: PLC0415 - for development only

    return ProcessSandbox()


def _open_reduced(reason: str) -> Sandbox:
    """The reduced sandbox; ``reason`` says why it is not the one that was asked for, or is empty."""
    from armillary.engines.sandbox.reduced import ReducedSandbox  # noqa: PLC0415 - where the other one does not work

    try:
        return _proved(partial(ReducedSandbox, reason), TRIES)
    except NoAnswerError as error:
        raise NoAnswerError(f"{reason} Reduced sandbox: {error.message}".strip(), remedy=SLOW_REMEDY) from error
    except SandboxUnavailableError as error:
        raise SandboxUnavailableError(f"{reason} Reduced sandbox: {error.message}".strip(), remedy=REMEDY) from error
