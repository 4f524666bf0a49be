# SPDX-License-Identifier: Apache-2.0
"""Chooses the sandbox engine that works on this host, by its self-test."""

from __future__ import annotations

from collections.abc import Callable

from armillary.engines.sandbox.linux import LinuxSandbox
from armillary.engines.sandbox.linux_report import OPTIONAL
from armillary.engines.sandbox.port import Sandbox
from armillary.engines.sandbox.start import host
from armillary.errors import InvalidArgumentError, SandboxUnavailableError

REMEDY = (
    "Install bubblewrap and allow unprivileged user namespaces (Ubuntu: the AppArmor profile for bwrap), or run on "
    "Linux 6.12 or newer with Landlock. For development without containment: --sandbox process."
)

CRUN_REMEDY = "Allow user namespaces, or start the device as root; or use --sandbox linux, which falls back."


def open_sandbox(name: str) -> Sandbox:
    """The sandbox of a name: ``linux`` (``reduced`` where the host forbids namespaces) or one of the others.

    Raises:
        InvalidArgumentError: no such engine.
        SandboxUnavailableError: it does not hold on this host.
    """
    engines: dict[str, Callable[[], Sandbox]] = {
        "linux": _open_linux,
        "crun": _open_crun,
        "reduced": lambda: _checked_reduced(""),
        "process": _open_process,
    }
    if name not in engines:
        raise InvalidArgumentError(
            f"sandbox: expected {', '.join(engines)}, got {name!r}", remedy="Choose one of the named sandboxes."
        )
    return engines[name]()


def _open_linux() -> Sandbox:
    """Namespaces with the first bwrap that passes the self-test, else the reduced sandbox.

    Raises:
        SandboxUnavailableError: neither passes.
    """
    reasons: list[str] = []
    for path in host.bubblewrap_candidates():
        sandbox = LinuxSandbox(path)
        try:
            missing = sandbox.self_test().missing(OPTIONAL)
        except SandboxUnavailableError as error:
            reasons.append(f"{path}: {error.message}")
            continue
        if not missing:
            return sandbox
        reasons.append(f"{path}: {', '.join(missing)}")
    reason = f"This host does not allow namespaces: {'; '.join(reasons) or 'no bwrap was found'}."
    return _checked_reduced(reason)


def _open_crun() -> Sandbox:
    """Containers by the host's crun. Who asks for it gets it or an error, and no other engine in its place.

    Raises:
        SandboxUnavailableError: there is none, or the self-test does not pass.
    """
    from armillary.engines.sandbox.crun import CrunSandbox  # noqa: PLC0415 - only where it is asked for
    from armillary.engines.sandbox.oci import runtime  # noqa: PLC0415

    sandbox = CrunSandbox(runtime.find())
    try:
        missing = sandbox.self_test().missing(OPTIONAL)
    except SandboxUnavailableError as error:
        raise SandboxUnavailableError(f"sandbox crun: {error.message}", remedy=CRUN_REMEDY) from error
    if missing:
        raise SandboxUnavailableError(f"sandbox crun: {', '.join(missing)}", remedy=CRUN_REMEDY)
    return sandbox


def _open_process() -> Sandbox:
    from armillary.engines.sandbox.process import ProcessSandbox  # noqa: PLC0415 - for development only

    return ProcessSandbox()


def _checked_reduced(reason: str) -> Sandbox:
    from armillary.engines.sandbox.reduced import ReducedSandbox  # noqa: PLC0415 - where the other one does not work

    sandbox = ReducedSandbox(reason)
    try:
        missing = sandbox.self_test().missing(OPTIONAL)
    except SandboxUnavailableError as error:
        raise SandboxUnavailableError(f"{reason} {error.message}".strip(), remedy=REMEDY) from error
    if missing:
        raise SandboxUnavailableError(f"{reason} Reduced sandbox: {', '.join(missing)}".strip(), remedy=REMEDY)
    return sandbox
