# SPDX-License-Identifier: Apache-2.0
"""The verdict of kernel-hardening-checker on a configuration, kept beside the fragments it belongs to.

::

    # who said it, about what
    fragments SHA256                  what the fragments of the architecture want (``fragments.digest``)
    ok N, fail N
    FAIL NAME wanted VALUE            one line each, sorted by name; below it, after four spaces, why it stays
    OK NAME wanted VALUE

The checker (github.com/a13xp0p0v/kernel-hardening-checker) is a program of its own and no part of this project. Its
names and results are written down here in a form of ours, so that a change of the fragments shows what it changes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from armillary.device_image.own_kernel.toolchain import run
from armillary.errors import HostError, InvalidArgumentError

CHECKER: Final = "kernel-hardening-checker"
REASONS: Final = "refused.txt"
_REASON: Final = re.compile(r"(CONFIG_\w+)  # (\S.*)")


@dataclass(frozen=True, slots=True)
class Check:
    """One check: the option, the value that it wants, whether it is content."""

    name: str
    wanted: str
    content: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """All checks of an architecture, and the digest of the fragments that they are about."""

    fragments: str
    checks: tuple[Check, ...]

    def failed(self) -> tuple[Check, ...]:
        """The checks that are not content."""
        return tuple(check for check in self.checks if not check.content)


def ask_checker(program: Path, configuration: Path) -> tuple[str, tuple[Check, ...]]:
    """The checker's version and its checks of a ``.config``, sorted by name.

    Raises:
        HostError: there is no such program, or it says nothing that can be read.
    """
    if not program.is_file():
        raise HostError(
            f"kernel: there is no {CHECKER} at {program}",
            remedy="git clone https://github.com/a13xp0p0v/kernel-hardening-checker, then "
            "make image-kernel-verdict CHECKER=FOLDER/bin/kernel-hardening-checker.",
        )
    version = run(["python3", program, "--version"]).split()[-1]
    said = run(["python3", program, "--mode", "json", "--config", configuration])
    try:
        checks = [_check(each) for each in json.loads(said)]
    except (ValueError, KeyError, TypeError) as error:
        raise HostError(
            f"kernel: {CHECKER} {version} answers in another form: {error}", remedy="Take version 0.6.17."
        ) from error
    return version, tuple(sorted(checks, key=lambda check: (check.name, check.wanted)))


def read_reasons(folder: Path) -> dict[str, str]:
    """Why checks that are not content stay so, by option; InvalidArgumentError for a line of another form."""
    found = {}
    for number, line in enumerate((folder / REASONS).read_text("utf-8").splitlines(), 1):
        if not line or line.startswith("# "):
            continue
        match = _REASON.fullmatch(line)
        if match is None:
            raise InvalidArgumentError(
                f"{REASONS}:{number}: expected CONFIG_NAME, two spaces, # and a reason, got {line!r:.100}",
                remedy="One line for each option that kernel-hardening-checker refuses.",
            )
        found[match[1]] = match[2]
    return found


def rendered(verdict: Verdict, about: str, reasons: Mapping[str, str]) -> str:
    """The text of a verdict's file; InvalidArgumentError names failed checks without a reason."""
    failed = verdict.failed()
    unexplained = sorted({check.name for check in failed} - reasons.keys())
    if unexplained:
        raise InvalidArgumentError(
            f"kernel: no reason for {', '.join(unexplained)}", remedy=f"Mend the fragments, or say why in {REASONS}."
        )
    content = [check for check in verdict.checks if check.content]
    lines = [f"# {about}", "# Written by `make image-kernel-verdict`.", f"fragments {verdict.fragments}"]
    lines.append(f"ok {len(content)}, fail {len(failed)}")
    for check in failed:
        lines += [f"FAIL {check.name} wanted {check.wanted}", f"    {reasons[check.name]}"]
    lines += [f"OK {check.name} wanted {check.wanted}" for check in content]
    return "\n".join(lines) + "\n"


def read_verdict(text: str) -> Verdict:
    """A kept verdict; ValueError if its counts are not those of its lines."""
    lines = text.splitlines()
    fragments = next(line.split()[1] for line in lines if line.startswith("fragments "))
    checks = tuple(_kept(lines))
    counts = next(line for line in lines if line.startswith("ok "))
    failed = sum(not check.content for check in checks)
    if counts != f"ok {len(checks) - failed}, fail {failed}":
        raise ValueError(f"{counts!r}, but there are {len(checks) - failed} and {failed}")
    return Verdict(fragments, checks)


def _kept(lines: Iterable[str]) -> Iterable[Check]:
    for line in lines:
        word, _, rest = line.partition(" ")
        if word in ("FAIL", "OK"):
            name, _, wanted = rest.partition(" wanted ")
            yield Check(name, wanted, content=word == "OK")


def _check(said: Mapping[str, Any]) -> Check:
    return Check(str(said["option_name"]), str(said["desired_val"]), content=str(said["check_result"]).startswith("OK"))
