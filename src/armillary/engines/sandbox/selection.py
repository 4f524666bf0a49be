# SPDX-License-Identifier: Apache-2.0
"""Choose the engine that this host can really run, by its self-test."""

from __future__ import annotations

from armillary.engines.sandbox.linux import LinuxSandbox
from armillary.engines.sandbox.port import Sandbox
from armillary.engines.sandbox.process import ProcessSandbox
from armillary.engines.sandbox.reduced import ReducedSandbox
from armillary.engines.sandbox.start import host
from armillary.errors import SandboxUnavailableError

REMEDY = (
    "Install bubblewrap and allow unprivileged user namespaces (Ubuntu: the AppArmor profile for bwrap), or run on "
    "Linux 6.12 or newer with Landlock. For development without containment: --sandbox process."
)


def open_linux() -> Sandbox:
    """Namespaces with the first bwrap that passes the self-test, else the reduced sandbox.

    Raises:
        SandboxUnavailableError: neither passes.
    """
    reasons: list[str] = []
    for path in host.bubblewrap_candidates():
        sandbox = LinuxSandbox(path)
        try:
            missing = sandbox.missing()
        except SandboxUnavailableError as error:
            reasons.append(f"{path}: {error.message}")
            continue
        if not missing:
            return sandbox
        reasons.append(f"{path}: {', '.join(missing)}")
    reason = f"This host does not allow namespaces: {'; '.join(reasons) or 'no bwrap was found'}."
    return _checked_reduced(reason)


def open_reduced() -> Sandbox:
    """The reduced sandbox, checked.

    Raises:
        SandboxUnavailableError: it does not hold on this host.
    """
    return _checked_reduced("")


def open_process() -> Sandbox:
    """No sandbox at all."""
    return ProcessSandbox()


def _checked_reduced(reason: str) -> Sandbox:
    sandbox = ReducedSandbox(reason)
    try:
        missing = sandbox.missing()
    except SandboxUnavailableError as error:
        raise SandboxUnavailableError(f"{reason} {error.message}".strip(), remedy=REMEDY) from error
    if missing:
        raise SandboxUnavailableError(f"{reason} Reduced sandbox: {', '.join(missing)}".strip(), remedy=REMEDY)
    return sandbox
