# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian recipe``: sign recipes, have equipment take one, go back, show what stands."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.guardian.command import call, fresh
from armillary.cli.guardian.device_arguments import DeviceArgument, EquipmentArgument
from armillary.cli.terminal.files import read_file, write_file
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, note, noun, record
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.content.equipment import read_yaml
from armillary.errors import InvalidArgumentError
from armillary.wire.equipment.files.recipe_file import RecipeFile, read_recipe
from armillary.wire.equipment.files.signing import read_private_key, sign
from armillary.wire.equipment.signed_file import MAX_ENVELOPE_BYTES, RECIPE, read_envelope

app = noun("Recipes of equipment: sign, push, roll back, show.")

MEMBERS = ("profile", "name", "version", "slot", "values")
KEY_LIMIT_BYTES = 16 * 1024
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", show_default=False, help="Signed recipe (.dsse).")]


@app.command("sign")
def sign_recipe(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", show_default=False, help="Recipe: profile, name, version, slot, values.")
    ],
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="Private key that guardians trust, PEM.")],
    out: Annotated[Path, typer.Option("--output-file", "-o", metavar="FILE", help="Signed file to write.")],
    as_json: JsonOption = False,
) -> None:
    """Sign a recipe that is written in YAML.

    Whether the equipment may have it is decided by its guard: each value has a range in the profile.
    """
    document, _ = read_yaml(read_file(file, limit=MAX_ENVELOPE_BYTES), file.name)
    if not isinstance(document, dict) or document.keys() != set(MEMBERS):
        raise InvalidArgumentError(
            f"{file}: expected {', '.join(MEMBERS)}, got another thing", remedy="Write these members and no others."
        )
    payload = RecipeFile(**document).payload
    recipe = read_recipe(payload)
    write_file(out, sign(RECIPE, payload, read_private_key(read_file(key, limit=KEY_LIMIT_BYTES))))
    record({"file": str(out), "profile": recipe.profile, "version": recipe.version, "slot": recipe.slot}).show(
        as_json=as_json
    )


@remote_command(app, "push")
def push(remote: RemoteService, device: DeviceArgument, equipment: EquipmentArgument, file: FileArgument) -> Shown:
    """Have equipment take a recipe when it is ready for it.

    It is written, read back and started; what stood there stays known, for rollback.
    """
    wanted = desired_recipe(read_file(file, limit=MAX_ENVELOPE_BYTES))
    remote.patch(f"/devices/{segment(device)}/twin", {"desired": {"recipe": wanted}}, module=equipment)
    note("The guardian takes it when the equipment is ready: armillary guardian recipe show.")
    return record({"equipment": equipment, "version": wanted["version"], "sha256": wanted["sha256"]})


@remote_command(app, "rollback")
def rollback(remote: RemoteService, device: DeviceArgument, equipment: EquipmentArgument) -> Shown:
    """Go back to the recipe before."""
    return record(call(remote, device, equipment, "rollbackRecipe", fresh()))


@remote_command(app, "show")
def show(
    remote: RemoteService,
    device: DeviceArgument,
    equipment: EquipmentArgument,
    slot: Annotated[int | None, typer.Option("--slot", min=0, metavar="N", help="Read this slot now.")] = None,
) -> Shown:
    """Show which recipe equipment has and should have."""
    found = outcome_of(remote, device, equipment, "recipe")
    if slot is not None:
        found |= {"slot": slot, "values": call(remote, device, equipment, "readRecipe", {"slot": slot})["values"]}
    return record(found)


def outcome_of(remote: RemoteService, device: str, equipment: str, name: str) -> dict[str, Any]:
    """The version of a desired property that is wanted and the one that is told of, with code and words of the outcome.

    Whatever operators and the device wrote there: what has another form is None.
    """
    twin = remote.get(f"/devices/{segment(device)}/twin", module=equipment)["properties"]
    wanted, told = _object(twin["desired"].get(name)), _object(twin["reported"].get(name))
    return {
        "wanted": wanted.get("version"),
        "reported": _object(told.get("value")).get("version"),
        "code": told.get("ac"),
        "outcome": told.get("ad"),
    }


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def desired_recipe(envelope: bytes) -> dict[str, Any]:
    """The desired property ``recipe`` of a signed file; its signature is the guardian's to check.

    Raises:
        SignatureError, ProfileError: it is no signed recipe.
    """
    payload = read_envelope(envelope).payload
    recipe = read_recipe(payload)
    return {
        "version": recipe.version,
        "sha256": hashlib.sha256(payload).hexdigest(),
        "envelope": envelope.decode("ascii"),
    }
