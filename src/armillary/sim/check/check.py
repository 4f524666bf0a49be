# SPDX-License-Identifier: Apache-2.0
"""``python -m armillary.sim.check``: validates all shipped content, prints one line per fault, exits with 0 or 1.

Each kind of content has one check here; application templates have theirs in ``template.py``.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib.resources.abc import Traversable

from armillary import content
from armillary.boot import profile as chip_profile
from armillary.capability.board import board_platform, parse as parse_board
from armillary.capability.grant import board_grant, platform_limits
from armillary.content import application_templates, equipment
from armillary.errors import ArmillaryError
from armillary.guard.compiling import compile_profile
from armillary.regulation.standard import read_standard
from armillary.response.playbook_file import read_playbooks
from armillary.sim.check import template as template_check
from armillary.sim.power import geometry as flash_geometry
from armillary.wire.image import app_manifest, board_configuration, hardware_definition


def chips() -> Iterator[str]:
    """Every chip profile parses, carries its file's name, and shares no component id; its usual flash is there."""
    owners: dict[object, str] = {}
    for name in content.chip_names():
        try:
            profile = chip_profile.parse(content.chip_document(name))
        except (ArmillaryError, tomllib.TOMLDecodeError) as error:
            yield f"chips/{name}.toml: {error}"
            continue
        if profile.name != name:
            yield f"chips/{name}.toml: name: expected {name}, got {profile.name}"
        for flash_name in filter(None, (profile.flash, *(profile.other_flash or ()))):
            if flash_name not in content.flash_names():
                yield f"chips/{name}.toml: flash: expected one of {', '.join(content.flash_names())}, got {flash_name}"
        for component in profile.boot_components:
            owner = owners.setdefault(component.component_id, f"{name}/{component.name}")
            if owner != f"{name}/{component.name}":
                yield f"chips/{name}.toml: {component.name}: component id belongs to {owner} already"


def flash() -> Iterator[str]:
    """Every flash geometry parses and carries its file's name."""
    for name in content.flash_names():
        try:
            found = flash_geometry.parse(content.flash_document(name))
        except (ArmillaryError, tomllib.TOMLDecodeError) as error:
            yield f"flash/{name}.toml: {error}"
            continue
        if found.name != name:
            yield f"flash/{name}.toml: name: expected {name}, got {found.name}"


def boards() -> Iterator[str]:
    """Every board configuration parses, carries its file's name, and fits its chip."""
    for name in content.board_names():
        try:
            found = board_configuration.parse(content.board_document(name))
            board_grant(found, platform_limits(chip_profile.parse(content.chip_document(found.chip))))
        except (ArmillaryError, tomllib.TOMLDecodeError) as error:
            yield f"boards/{name}.json: {error}"
            continue
        if found.name != name:
            yield f"boards/{name}.json: Name: expected {name}, got {found.name}"


def board_wirings() -> Iterator[str]:
    """Every board parses, carries its folder's name and fits its chip; what it keeps and its names are there."""
    for name in content.board_folders():
        try:
            found = parse_board(content.board_file(name))
            platform = platform_limits(chip_profile.parse(content.chip_document(found.chip)))
            board_platform(platform, found)
            if found.keeps is not None:
                board_grant(board_configuration.parse(content.board_document(found.keeps)), platform)
            definition = content.board_definition(name)
            if definition is not None:
                hardware_definition.load("hardware.json", {"hardware.json": definition})
        except (ArmillaryError, tomllib.TOMLDecodeError) as error:
            yield f"boards/{name}: {error}"
            continue
        if found.name != name:
            yield f"boards/{name}/board.json: Name: expected {name}, got {found.name}"


def applications() -> Iterator[str]:
    """Every shipped application has a source manifest that parses."""
    root = content.folder("applications")
    if not root.is_dir():
        return
    for application in sorted(root.iterdir(), key=lambda entry: entry.name):
        if application.is_dir() and not application.name.startswith(("_", ".")):
            yield from _application(application)


def _application(folder: Traversable) -> Iterator[str]:
    manifest = folder / "app_manifest.json"
    if not manifest.is_file():
        yield f"applications/{folder.name}: expected app_manifest.json, got nothing"
        return
    try:
        app_manifest.parse(manifest.read_bytes(), resolved=False)
    except ArmillaryError as error:
        yield f"applications/{folder.name}/app_manifest.json: {error}"


def standards() -> Iterator[str]:
    """Every table of requirements is read, and carries its file's name."""
    for name, text in content.standard_files().items():
        try:
            found = read_standard(text, name)
        except ArmillaryError as error:
            yield f"standards/{error.message}"
            continue
        if f"{found.id}.yml" != name:
            yield f"standards/{name}: standard: expected {name.removesuffix('.yml')}, got {found.id}"


def playbooks() -> Iterator[str]:
    """Every playbook is one, and has an id of its own."""
    owners: dict[str, str] = {}
    for file, text in content.playbook_files().items():
        try:
            found = read_playbooks(text, file)
        except ArmillaryError as error:
            yield f"playbooks/{file}: {error}"
            continue
        for each in found:
            if owners.setdefault(each.name, file) != file:
                yield f"playbooks/{file}: id: {each.name} is that of {owners[each.name]}"


def equipment_profiles() -> Iterator[str]:
    """Every profile of equipment is read and compiled, and carries its file's name."""
    for name in equipment.names():
        try:
            found = equipment.load(name)
            compile_profile(found)
        except ArmillaryError as error:
            yield f"equipment/{error.message}"
            continue
        if found.name.rpartition("/")[2] != name:
            yield f"equipment/{name}.yaml: profile: expected guard/{name}, got {found.name}"


CHECKS: tuple[Callable[[], Iterator[str]], ...] = (
    *(chips, flash, boards, board_wirings, applications, playbooks, standards, equipment_profiles),
    template_check.templates,
    template_check.guardians,
)


def main() -> int:
    """Run all checks."""
    faults = [fault for check in CHECKS for fault in check()]
    for fault in faults:
        print(fault, file=sys.stderr)  # noqa: T201 - a command
    if not faults:
        counts = f"{len(content.chip_names())} chips, {len(application_templates.names())} application templates"
        print(f"content is valid: {counts}")  # noqa: T201 - a command
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
