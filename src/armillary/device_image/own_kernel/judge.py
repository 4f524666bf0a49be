# SPDX-License-Identifier: Apache-2.0
"""Asks kernel-hardening-checker about the fragments and keeps its verdict: seconds, since nothing is compiled."""

from __future__ import annotations

from pathlib import Path

from armillary.device_image.kept.alone import alone_in, work_folder
from armillary.device_image.own_kernel import fragments, verdict
from armillary.device_image.own_kernel.build import configure
from armillary.device_image.own_kernel.progress import Report
from armillary.device_image.own_kernel.source import unpack
from armillary.device_image.own_kernel.toolchain import (
    SOURCE_PACKAGE,
    TARGETS,
    compiler_version,
    require,
    source_version,
)


def judge(architecture: str, checker: Path, progress: Report, *, cache: Path) -> str:
    """Write ``verdict-ARCHITECTURE.txt`` beside the fragments and return one line about it.

    A build with this cache is waited for, which ``progress`` says.

    Raises:
        HostError: a package, room or the checker is missing.
        InvalidArgumentError: a fragment is wrong, an option is lost, or a refused one has no reason.
    """
    folder = fragments.kernel_folder()
    wanted = fragments.read_fragments(folder, architecture)
    target = TARGETS[architecture]
    require(target, cache)
    version = source_version()
    with alone_in(cache, progress), work_folder(cache / "verdict") as work:
        configure(unpack(cache, version), target, wanted, work)
        checked_by, checks = verdict.ask_checker(checker, work / ".config")
    compiler = compiler_version(target).splitlines()[0]
    about = f"{verdict.CHECKER} {checked_by} on {architecture}, {SOURCE_PACKAGE} {version}, {compiler}"
    found = verdict.Verdict(fragments.digest(wanted), checks)
    kept = folder / f"verdict-{architecture}.txt"
    kept.write_text(verdict.rendered(found, about, verdict.read_reasons(folder)), "utf-8")
    return f"kernel {architecture}: {len(checks) - len(found.failed())} ok, {len(found.failed())} fail: {kept}"
