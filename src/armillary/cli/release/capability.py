# SPDX-License-Identifier: Apache-2.0
"""``armillary capability``: what an application gets of what its manifest asks for."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from armillary import content
from armillary.boot.profile import parse as parse_profile
from armillary.capability.board import LIMIT_BYTES, Board
from armillary.capability.compiled import Compiled
from armillary.capability.explain import ANY_STORAGE_KB, Explanation, Image, KeyAnswer, Refusal, explain
from armillary.capability.grant import Grant, PlatformLimits, grant, platform_limits
from armillary.cli.release.board_file import load_board
from armillary.cli.release.package_folder import load_board_definition, load_definitions, read_file, read_folder
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, inert, noun, record, table
from armillary.errors import ManifestError
from armillary.wire.image import (
    app_manifest,
    asxipfs,
    board_configuration,
    hardware_definition,
    package as image_package,
)
from armillary.wire.image.app_manifest import AppManifest
from armillary.wire.image.application import MANIFEST_PATH, open_unverified
from armillary.wire.image.board_configuration import BoardConfiguration
from armillary.wire.image.hardware_definition import DefinitionSet

app = noun("Capabilities: what an application gets of what its manifest asks for.")

DEFAULT_CHIP = "mt3620"
PACKAGE_SUFFIX = ".imagepackage"
NOT_LOOKED_AT = "not looked at: name its folder or .imagepackage instead of the manifest"


@app.callback()
def capability() -> None:
    """Capabilities: what an application gets of what its manifest asks for."""


@app.command("explain")
def explain_command(
    manifest: Annotated[
        Path,
        typer.Argument(
            metavar="APPLICATION", help="Folder or .imagepackage of the application, or its manifest alone."
        ),
    ],
    board: Annotated[
        str | None,
        typer.Option(
            "--board",
            metavar="BOARD",
            help=f"Board: a file, or one of {', '.join((*content.board_folders(), *content.board_names()))}.",
        ),
    ] = None,
    chip: Annotated[
        str | None,
        typer.Option("--chip", metavar="NAME", help=f"Chip profile; the board's, or {DEFAULT_CHIP}, by default."),
    ] = None,
    hardware_definitions: Annotated[
        str,
        typer.Option(
            "--hardware-definitions",
            metavar="PATHS",
            help="Comma-separated definition files, shipped boards, and folders to look up imports in, for $NAME.",
        ),
    ] = "",
    beside: Annotated[
        list[Path] | None,
        typer.Option("--beside", metavar="MANIFEST", help="Manifest of an application that stays installed."),
    ] = None,
    engine: Annotated[
        Literal["linux", "crun", "reduced", "process"],
        typer.Option(
            "--engine", metavar="NAME", help="Sandbox whose mechanisms are shown: linux, crun, reduced or process."
        ),
    ] = "linux",
    as_json: JsonOption = False,
) -> None:
    """Explain what an application gets on a board.

    Says for each capability what the application gets, by which mechanism, and what would be refused and why. Fails
    when the application would not be installed.
    """
    wiring, kept = (None, None) if board is None else _board(board)
    of_board = wiring.chip if wiring is not None else DEFAULT_CHIP if kept is None else kept.chip
    platform = platform_limits(parse_profile(content.chip_document(chip or of_board)))
    definitions = load_definitions([part.strip() for part in hardware_definitions.split(",") if part.strip()])
    own = None if wiring is None else load_board_definition(wiring.name)
    if own is not None:
        definitions.append(own)
    asked, image = _application(manifest, definitions, engine)
    found = explain(
        asked,
        platform,
        wiring=wiring,
        board=kept,
        others=_grants(beside or (), definitions, platform),
        image=image,
    )
    _shown(found, engine).show(as_json=as_json)


def _board(given: str) -> tuple[Board | None, BoardConfiguration | None]:
    """A board with what it keeps, or what a board keeps alone: of a name that is shipped, or a file."""
    if given in content.board_names():
        return None, board_configuration.parse(content.board_document(given))
    if given not in content.board_folders() and Path(given).is_file():
        data = read_file(Path(given))
        if "Peripherals" in app_manifest.decode_json(data, what=given, limit=LIMIT_BYTES):
            return None, board_configuration.parse(data)
    found = load_board(given)
    return found, None if found.keeps is None else board_configuration.parse(content.board_document(found.keeps))


def _application(path: Path, definitions: Iterable[DefinitionSet], engine: str) -> tuple[AppManifest, Image | None]:
    """The manifest of a folder, package or file, and the image of the first two."""
    if path.is_dir():
        manifest = _manifest(path / MANIFEST_PATH, definitions)
        entry_point = manifest.entry_point[1:]
        files = read_folder(path)
        if entry_point not in files:
            raise ManifestError("EntryPoint", expected=f"a file of {path}", got=manifest.entry_point)
        data = asxipfs.build(files, {entry_point})
        return manifest, Image(asxipfs.read(data), len(data), engine)
    manifest = _manifest(path, definitions)
    if path.suffix != PACKAGE_SUFFIX:
        return manifest, None
    data = read_file(path)
    return manifest, Image(open_unverified(image_package.parse(data)).filesystem, len(data), engine)


def _manifest(path: Path, definitions: Iterable[DefinitionSet]) -> AppManifest:
    """The manifest of a file, its names resolved; of an image package, which has values only."""
    data = read_file(path)
    try:
        if path.suffix == PACKAGE_SUFFIX:
            return open_unverified(image_package.parse(data)).manifest
        source = app_manifest.parse(data, resolved=False, mutable_storage_limit_kb=ANY_STORAGE_KB)
        return hardware_definition.resolve(source, definitions, mutable_storage_limit_kb=ANY_STORAGE_KB)
    except ManifestError as error:
        raise ManifestError(
            f"{path.name}: {error.path}", expected=error.expected, got=error.got, error_id=error.error_id
        ) from error


def _grants(paths: Iterable[Path], definitions: Iterable[DefinitionSet], platform: PlatformLimits) -> list[Grant]:
    """The grants of applications that stay installed, each beside those before it."""
    found: list[Grant] = []
    for path in paths:
        found.append(grant(_manifest(path, definitions), platform, others=found))
    return found


def _shown(found: Explanation, engine: str) -> Shown:
    summary = {
        "application": found.name,
        "component_id": str(found.component_id),
        "type": "real-time" if found.application_type == "RealTimeCapable" else "high-level",
        "chip": found.platform,
        "board": found.board,
        "image": f"{found.image_bytes} bytes" if found.image_bytes is not None else NOT_LOOKED_AT,
        "installed": "yes" if found.granted else "no",
    }
    rows = [_key_row(each, engine) for each in found.answers]
    answers = table(
        rows, ("capability", "answer", "asked", "by"), empty="It asks for nothing: it has no network and no device."
    )
    gets = _lines("gets", [(each.key, each.gets) for each in found.answers])
    otherwise = _lines("otherwise", [(each.key, each.without) for each in found.answers])
    refusals = _lines("refused", [(each.path, _because(each)) for each in found.refusals])
    warning = "The process engine encloses nothing: what the application asks for it has, and more." * (
        engine == "process"
    )
    shown = record(summary).then(_lines("", []), answers, gets, otherwise, refusals, warning or None)
    return Shown(document(found), shown.print_text, exit_code=0 if found.granted else 1)


def _lines(title: str, pairs: Sequence[tuple[str, str]]) -> Shown:
    """Sentences, each behind its name and whole on every terminal, below an empty line and a title."""

    def print_text() -> None:
        width = max((len(name) for name, _ in pairs), default=0)
        sys.stdout.write(f"\n{title}\n" if title and pairs else "\n" if not title else "")
        for name, text in pairs:
            sys.stdout.write(f"  {inert(name):<{width}}  {inert(text)}\n")

    return Shown(None, print_text)


def document(found: Explanation) -> dict[str, Any]:
    """An explanation as JSON values."""
    return {
        "application": found.name,
        "component_id": str(found.component_id),
        "application_type": found.application_type,
        "chip": found.platform,
        "board": found.board,
        "image_bytes": found.image_bytes,
        "installed": found.granted,
        "capabilities": [
            {
                "capability": each.key,
                "asked": each.asked,
                "answer": each.answer,
                "gets": each.gets,
                "without": each.without,
                "held_by": each.held_by,
            }
            for each in found.answers
        ],
        "refused": [
            {"path": each.path, "expected": each.expected, "got": each.got, "azure_error": each.error_id}
            for each in found.refusals
        ],
        "always": found.always,
    }


def _key_row(answer: KeyAnswer, engine: str) -> Mapping[str, Any]:
    compiled: Compiled = answer.held_by.get(engine, {})
    return {
        "capability": answer.key,
        "answer": answer.answer,
        "asked": answer.asked,
        "by": ", ".join(compiled) or "nothing",
    }


def _because(refusal: Refusal) -> str:
    error = "" if refusal.error_id is None else f" (Azure Sphere error {refusal.error_id})"
    return f"expected {refusal.expected}, got {refusal.got}{error}"
