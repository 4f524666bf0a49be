# SPDX-License-Identifier: Apache-2.0
"""``python -m docs.generate``: write the reference pages that come from the code; ``--check`` only compares.

Pages: ``cli.md`` (every command's help), ``errors.md`` (every error code), ``settings.md`` (every setting).
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from armillary import errors, settings
from armillary.cli.main import COMMANDS, overview

REFERENCE = Path(__file__).resolve().parent / "reference"
NOTICE = "<!-- Written by `make docs` from the code; change it there. -->\n"


def error_page() -> str:
    """Every error class with its code, meaning and remedy."""
    lines = ["# Error codes", NOTICE]
    lines.append("Each error says what was wrong, what was expected and what to do; scripts may rely on its code.\n")
    lines += ["| code | meaning | what to do |", "|---|---|---|"]
    for kind in subclasses(errors.ArmillaryError):
        if "code" in kind.__dict__ and not kind.__subclasses__():
            meaning = (inspect.getdoc(kind) or "").split("\n", maxsplit=1)[0]
            lines.append(f"| `{kind.code}` | {meaning} | {kind.remedy or 'The message says.'} |")
    return "\n".join(lines) + "\n"


def subclasses(kind: type[errors.ArmillaryError]) -> Iterator[type[errors.ArmillaryError]]:
    """All errors defined in errors.py below ``kind``, depth first."""
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
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
        meaning = " ".join(documented[field.name].split())
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
    for name, (module, _) in COMMANDS.items():
        command = importlib.import_module("typer.main").get_command(importlib.import_module(module).app)
        for path, text in help_texts(command, f"armillary {name}"):
            lines += [f"\n## {path}\n", "```text", text.rstrip(), "```"]
    return "\n".join(lines) + "\n"


def help_texts(command: object, path: str) -> Iterator[tuple[str, str]]:
    """Help of a command and of all below it."""
    context = command.make_context(path, [], resilient_parsing=True, terminal_width=100)  # type: ignore[attr-defined]
    context.info_name = path
    yield path, command.get_help(context)  # type: ignore[attr-defined]
    for name, child in getattr(command, "commands", {}).items():
        yield from help_texts(child, f"{path} {name}")


PAGES = {"errors.md": error_page, "settings.md": settings_page, "cli.md": command_page}


def main(arguments: list[str]) -> int:
    """Write the pages, or with ``--check`` tell which are out of date."""
    stale = []
    for name, page in PAGES.items():
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
