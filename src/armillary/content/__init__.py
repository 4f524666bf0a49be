# SPDX-License-Identifier: Apache-2.0
"""Data files that vary by chip, board, industry or detection, and the functions that load them.

What it is: TOML, JSON and application folders shipped in the package, beside this file in a wheel as in a
checkout. ``python -m armillary.sim.check`` validates all of it.

What it is not: rules. A chip profile is decoded here and understood by ``armillary.boot.profile``; adding a chip adds
a file and no code.

Specification: each kind of content is described by the module that parses it; ``sim/check/check.py`` lists which.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from armillary.errors import NotFoundError


def folder(kind: str) -> Path:
    """The folder of one kind of content, e.g. ``chips``."""
    return Path(__file__).parent / kind


def folder_names(kind: str) -> tuple[str, ...]:
    """Names of the folders of one kind of content, sorted, if there is any; ``_library`` and hidden ones left out."""
    root = folder(kind)
    found = (entry.name for entry in root.iterdir() if entry.is_dir()) if root.is_dir() else ()
    return tuple(sorted(name for name in found if not name.startswith((".", "_"))))


def chip_names() -> tuple[str, ...]:
    """Names of all chip profiles, sorted."""
    names = (entry.name for entry in folder("chips").iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def chip_document(name: str) -> dict[str, Any]:
    """One chip profile, decoded, not checked (``armillary.boot.profile.parse``). Raises NotFoundError."""
    if name not in chip_names():
        raise NotFoundError(f"no chip {name!r}", remedy=f"Use one of: {', '.join(chip_names())}.")
    return tomllib.loads((folder("chips") / f"{name}.toml").read_text("utf-8"))


def board_names() -> tuple[str, ...]:
    """Names of all shipped board configurations, sorted, if there is any."""
    root = folder("boards")
    names = (entry.name for entry in root.iterdir()) if root.is_dir() else ()
    return tuple(sorted(name.removesuffix(".json") for name in names if name.endswith(".json")))


def board_document(name: str) -> bytes:
    """A board configuration, not checked (``armillary.wire.image.board_configuration``). Raises NotFoundError."""
    if name not in board_names():
        raise NotFoundError(f"no board configuration {name!a:.60}", remedy=f"Use one of: {', '.join(board_names())}.")
    return (folder("boards") / f"{name}.json").read_bytes()


def board_folders() -> tuple[str, ...]:
    """Names of all shipped boards, sorted: each is a folder with a ``board.json``."""
    return folder_names("boards")


def board_file(name: str) -> bytes:
    """The ``board.json`` of a board, not checked (``armillary.capability.board``). Raises NotFoundError."""
    if name not in board_folders():
        raise NotFoundError(f"no board {name!a:.60}", remedy=f"Use one of: {', '.join(board_folders())}.")
    return (folder("boards") / name / "board.json").read_bytes()


def board_definition(name: str) -> bytes | None:
    """The hardware definition that a board has beside it (``hardware.json``), or None."""
    file = folder("boards") / name / "hardware.json"
    return file.read_bytes() if file.is_file() else None


def flash_names() -> tuple[str, ...]:
    """Names of all flash geometries, sorted."""
    names = (entry.name for entry in folder("flash").iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def flash_document(name: str) -> dict[str, Any]:
    """One flash geometry, decoded, not checked (``armillary.sim.power.geometry.parse``). Raises NotFoundError."""
    if name not in flash_names():
        raise NotFoundError(f"no flash geometry {name!r}", remedy=f"Use one of: {', '.join(flash_names())}.")
    return tomllib.loads((folder("flash") / f"{name}.toml").read_text("utf-8"))


def playbook_files() -> dict[str, str]:
    """File name -> text of shipped playbooks, if there is any, not checked (``armillary.response.playbook_file``)."""
    root = folder("playbooks")
    found = [entry for entry in root.iterdir() if entry.name.endswith(".yml")] if root.is_dir() else []
    return {entry.name: entry.read_text("utf-8") for entry in sorted(found, key=lambda entry: entry.name)}


def detection_files() -> dict[str, str]:
    """File name -> text of all detection rules, sorted, not checked (``armillary.detect.rule_file``)."""
    found = (entry for entry in folder("detections").iterdir() if entry.name.endswith(".yml"))
    return {entry.name: entry.read_text("utf-8") for entry in sorted(found, key=lambda entry: entry.name)}


def standard_files() -> dict[str, str]:
    """File name -> text of all tables of requirements, sorted, not checked (``armillary.regulation.standard``)."""
    root = folder("standards")
    found = [entry for entry in root.iterdir() if entry.name.endswith(".yml")] if root.is_dir() else []
    return {entry.name: entry.read_text("utf-8") for entry in sorted(found, key=lambda entry: entry.name)}
