# SPDX-License-Identifier: Apache-2.0
"""``python -m docs.generate``: write the reference pages that come from the code; ``--check`` only compares.

Pages: ``cli.md`` (every command's help), ``errors.md`` (every error code), ``settings.md`` (every setting), ``api.md``
(every route of the operator API), ``iot-central.md`` (every operation in IoT Central's shape), ``states.md`` (state
machines), ``power-cut.md`` (flash media and transactions that are cut), ``update-reasons.md`` (why a device lacks what
it should have), ``chips.md`` (chip profiles). Also the JSON Schema that is shipped with the profiles of equipment. The
same text on every machine: help has its own width and no colours.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from armillary import content, errors, settings
from armillary.cli.main import COMMANDS, command_of, overview
from armillary.content import guardian_content
from armillary.content.equipment import load as load_profile
from armillary.guard.interface import dtdl_interface
from armillary.wire.device.update_reason import NEXT_CHECK_INS, REASONS
from armillary.wire.equipment import faults
from armillary.wire.equipment.profile_schema import profile_schema
from armillary.wire.sign_in import faults as sign_in_faults
from docs.api_page import api_page
from docs.central_page import central_page
from docs.chips_page import chips_page
from docs.power_page import power_page
from docs.states_page import states_page

SOURCE = Path(errors.__file__).resolve().parent
REFERENCE = Path(__file__).resolve().parent / "reference"
HELP_COLUMNS = 100  # of the page; a terminal's own width decides what a person sees
NOTICE = "<!-- Written by `make docs` from the code; change it there. -->\n"


def error_page() -> str:
    """Every error class with its code, meaning and remedy, then the codes that single places give."""
    lines = ["# Error codes", NOTICE]
    lines.append("Each error says what was wrong, what was expected and what to do; scripts may rely on its code.\n")
    lines += ["| code | meaning | what to do |", "|---|---|---|"]
    for kind in subclasses(errors.ArmillaryError):
        if "." in kind.__dict__.get("code", ""):
            meaning = (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ").replace("``", "`")
            lines.append(f"| `{kind.code}` | {meaning} | {kind.remedy or 'The message says.'} |")
    lines += ["", "These say more than their class does; their message tells the rest.\n"]
    lines += ["| code | a case of | raised in |", "|---|---|---|"]
    lines += [f"| `{code}` | `{family}` | `{place}` |" for code, family, place in exact_codes()]
    lines += ["", "`service.bug` is the operator API's answer to a fault of its own; the log has the reason."]
    return "\n".join(lines) + "\n"


def exact_codes() -> list[tuple[str, str, str]]:
    """(code, code of its class, file) of every error that is raised with a code of its own."""
    kinds = {kind.__name__: kind.code for kind in subclasses(errors.ArmillaryError)}
    found = set()
    for file in sorted(SOURCE.rglob("*.py")):
        text = file.read_text("utf-8")
        if "code=" not in text:
            continue
        for call in ast.walk(ast.parse(text)):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in kinds:
                for keyword in call.keywords:
                    if keyword.arg == "code" and isinstance(keyword.value, ast.Constant):
                        place = file.relative_to(SOURCE.parents[1]).as_posix()
                        found.add((str(keyword.value.value), kinds[call.func.id], place))
    return sorted(found)


def subclasses(kind: type[errors.ArmillaryError]) -> Iterator[type[errors.ArmillaryError]]:
    """All errors of the one tree (``errors.py`` and ``faults.py`` of two formats) below ``kind``, depth first."""
    for child in kind.__subclasses__():
        if child.__module__ in (errors.__name__, faults.__name__, sign_in_faults.__name__):
            yield child
            yield from subclasses(child)


def settings_page() -> str:
    """Every setting with its default and meaning."""
    documented = dict(re.findall(r"^    (\w+): (.+?)(?=\n    \w+: |\n*\Z)", _attributes(), re.DOTALL | re.MULTILINE))
    defaults = settings.Settings()
    lines = ["# Settings of `armillary up`", NOTICE]
    lines.append(
        "Order, later wins: default, key in the TOML file given with `--config`, environment variable, option.\n"
        "An unknown key is refused.\n"
    )
    lines += ["| setting | environment | default | meaning |", "|---|---|---|---|"]
    for field in dataclasses.fields(settings.Settings):
        meaning = " ".join(documented[field.name].split()).replace("``", "`")
        default = getattr(defaults, field.name)
        lines.append(
            f"| `{field.name}` | `{settings.ENVIRONMENT_PREFIX}{field.name.upper()}` | `{default}` | {meaning} |"
        )
    return "\n".join(lines) + "\n"


def _attributes() -> str:
    docstring = inspect.getdoc(settings.Settings) or ""
    return docstring.partition("Attributes:\n")[2]


def command_page() -> str:
    """The help text of every command, as the command prints it."""
    lines = ["# Commands", NOTICE, "```text", overview().rstrip(), "```"]
    for name in COMMANDS:
        for path, text in help_texts(command_of(name), f"armillary {name}"):
            lines += [f"\n## {path}\n", "```text", text.rstrip(), "```"]
    return "\n".join(lines) + "\n"


def help_texts(command: object, path: str) -> Iterator[tuple[str, str]]:
    """Help of a command and of all below it."""
    context = command.make_context(path, [], resilient_parsing=True, terminal_width=HELP_COLUMNS)  # type: ignore[attr-defined]
    context.info_name = path
    yield path, command.get_help(context)  # type: ignore[attr-defined]
    for name, child in getattr(command, "commands", {}).items():
        yield from help_texts(child, f"{path} {name}")


def reasons_page() -> str:
    """Every reason why a device does not have yet what it should have."""
    lines = ["# Why a device does not have yet what it should have", NOTICE]
    lines.append(
        "`armillary device update-status` and the console say one of these for each device. A code never changes its\n"
        "meaning; scripts may rely on it. A newer device may give one that is not here.\n"
    )
    lines += ["| code | found by | meaning | what to do |", "|---|---|---|---|"]
    lines += [f"| `{each.code}` | {each.found_by} | {each.meaning} | {each.remedy} |" for each in REASONS]
    lines += ["", "## When it checks in next", ""]
    lines.append("`check_in_after` is one of these; `check_in_by` is when it checks in at the latest, if it is on.\n")
    lines += ["| code | meaning |", "|---|---|"]
    lines += [f"| `{each.code}` | {each.meaning} |" for each in NEXT_CHECK_INS]
    return "\n".join(lines) + "\n"


def profile_schema_file() -> str:
    """The JSON Schema of profiles of equipment, made of their reader's tables."""
    return json.dumps(profile_schema(), indent=1, ensure_ascii=False) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "update-reasons.md": reasons_page,
    "errors.md": error_page,
    "settings.md": settings_page,
    "cli.md": command_page,
    "api.md": lambda: api_page(NOTICE),
    "iot-central.md": lambda: central_page(NOTICE),
    "states.md": lambda: states_page(NOTICE),
    "power-cut.md": lambda: power_page(NOTICE),
    "chips.md": lambda: chips_page(NOTICE),
    # Beside the profiles that editors check with it.
    "../../src/armillary/content/equipment/profile.schema.json": profile_schema_file,
}


def guardian_models() -> dict[str, Callable[[], str]]:
    """Files that are made of the shipped profiles: the DTDL models of the hub's content for guardians."""
    found = {}
    for name in guardian_content.names():
        head = tomllib.loads((content.folder(guardian_content.FOLDER) / name / "content.toml").read_text("utf-8"))
        for template in head["template"]:
            place = f"../../src/armillary/content/{guardian_content.FOLDER}/{name}/models/{template['id']}.json"
            found[place] = partial(guardian_model, head["profile"])
    return found


def guardian_model(profile: str) -> str:
    """What a shipped profile says of itself, as a DTDL document."""
    return json.dumps(dtdl_interface(load_profile(profile)), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write the pages, or with ``--check`` tell which are out of date."""
    stale = []
    for name, page in {**PAGES, **guardian_models()}.items():
        text = page()
        target = REFERENCE / name
        if "--check" in arguments:
            if not target.is_file() or target.read_text("utf-8") != text:
                stale.append(name)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, "utf-8")
    if stale:
        print(f"out of date: {', '.join(stale)}; run make docs", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
