# SPDX-License-Identifier: Apache-2.0
"""Entry point of the ``armillary`` command: finds the noun, loads only that noun's module, prints errors."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import click
import typer
from typer.core import TyperGroup
from typer.main import get_command

from armillary import __version__
from armillary.cli.output import print_error
from armillary.errors import ArmillaryError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# noun or top-level verb -> (module, attribute, one line for the overview). Loaded only when used: importing
# every noun would cost half a second on each call.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("armillary.cli.demo", "Play the main story: boot, attest, certify, update, contain, attack, defend."),
    "up": ("armillary.cli.up", "Run the whole service in one process."),
    "status": ("armillary.cli.status", "Show the health of a running service."),
    "login": ("armillary.cli.login", "Remember a service's address and token."),
    "catalog": ("armillary.cli.catalog", "Catalogs: who owns devices."),
    "product": ("armillary.cli.product", "Products of a catalog."),
    "device-group": ("armillary.cli.device_group", "Device groups of a product."),
    "device": ("armillary.cli.device", "Devices: on this host and in the service."),
    "image": ("armillary.cli.image", "Images of a catalog."),
    "deployment": ("armillary.cli.deployment", "Deployments of a device group."),
    "ca-certificate": ("armillary.cli.ca_certificate", "Certificates of a catalog's certificate authority."),
    "rollout": ("armillary.cli.rollout", "Staged roll-outs: watch, halt, resume, roll back."),
    "finding": ("armillary.cli.finding", "What the watch has found."),
    "release": ("armillary.cli.release", "OS releases and their reference values."),
    "audit": ("armillary.cli.audit", "The audit log: list and verify."),
    "token": ("armillary.cli.token", "Operator tokens."),
    "image-package": ("armillary.cli.image_package", "Pack and show image packages."),
    "hardware-definition": ("armillary.cli.hardware_definition", "Test and generate hardware definition headers."),
    "fleet": ("armillary.cli.fleet", "Many simulated devices."),
    "bench": ("armillary.cli.bench", "Measure this machine against limits and peers."),
}


class LazyCommands(TyperGroup):
    """A command group that imports a noun's module when the noun is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002, D102 - click's interface
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002, D102
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command = get_command(module.app)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002, D102
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _version(value: bool) -> None:  # noqa: FBT001 - Typer's callback signature
    if value:
        print(f"armillary {__version__}")  # noqa: T201
        raise typer.Exit


def build() -> click.Command:
    """The root command."""
    app = typer.Typer(cls=LazyCommands, no_args_is_help=True, add_completion=False, rich_markup_mode=None)

    @app.callback()
    def root(
        version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),  # noqa: ARG001, FBT001
    ) -> None:
        """Armillary: the open successor to Azure Sphere."""

    return get_command(app)


def run(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with 0, 1 or 2."""
    command: Callable[..., object] = build()
    try:
        command(args=list(arguments) if arguments is not None else None, prog_name="armillary")
    except ArmillaryError as error:
        print_error(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)  # the reader (head, less) has seen enough
