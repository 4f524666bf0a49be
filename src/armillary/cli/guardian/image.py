# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian image``: make the image of a guardian for the equipment that a file names.

The file is YAML, with the members of ``guardian.json`` (``guardian/configuration.py``) and these::

    name: coffee-corner           name of the application
    catalog: 0a1b...              catalog whose client certificate it uses (its tenantId)
    hub: hub.example              host name of the hub
    component: 6b1f...            ComponentId; by default one that follows from the name
    storage_kb: 20480             mutable storage; by default what the queue needs
    profile_keys: [profile.pem]   files with public keys, beside the key that signs here
    equipment:
      - name: espresso1
        profile: guard/coffee     a shipped profile, a YAML file (signed here), or a .dsse file that was signed
        link: {host: 10.9.0.2}
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.guardian.profile_file import SHIPPED, read_profile_file
from armillary.cli.release.development_key import signing_pair
from armillary.cli.release.package_folder import build_time, read_file, write_folder
from armillary.cli.terminal.files import write_file
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import note, noun, record
from armillary.content import equipment as shipped_profiles, guardian_image
from armillary.content.guardian_libraries import libraries_of
from armillary.errors import InvalidArgumentError, SignatureError
from armillary.guard.compiling import compile_profile
from armillary.guardian.configuration import VERSION, EquipmentEntry, read_configuration
from armillary.guardian.placing import placed
from armillary.wire.equipment.files.signing import (
    PrivateKey,
    PublicKey,
    public_key,
    read_private_key,
    read_public_key,
    sign,
)
from armillary.wire.equipment.profile import Profile
from armillary.wire.equipment.profile_reader import canonical, profile_document, read_json, read_profile
from armillary.wire.equipment.signed_file import PROFILE, verify
from armillary.wire.image import app_manifest, application as application_package
from armillary.wire.image.application import MANIFEST_PATH

verbs = noun()

OWN_MEMBERS = ("name", "catalog", "hub", "component", "storage_kb")
COMPONENTS = uuid.UUID("6b1f1f0e-6f43-4c3f-9b1a-0d2f4e7a1c13")  # Name space of guardians' component ids
# A write-ahead log grows beside the queue, to its size at the most; profiles and recipes are small.
STORAGE_FACTOR = 2
STORAGE_BESIDE_KB = 1024
KIB = 1024
ENVELOPE_SUFFIX = ".dsse"


@dataclass(frozen=True, slots=True)
class Made:
    """What the file becomes."""

    files: dict[str, bytes]
    connections: list[str]
    serial_ports: list[str]


@verbs.command("image")
def image(
    *,
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="The guardian's equipment, YAML.")],
    out: Annotated[
        Path | None, typer.Option("--output-directory", metavar="DIR", help="New folder to write the image's files to.")
    ] = None,
    package: Annotated[Path | None, typer.Option("--package", metavar="FILE", help="Image package to write.")] = None,
    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="FILE", help="Private key that signs profiles which are not signed yet, PEM."),
    ] = None,
    image_id: Annotated[
        uuid.UUID | None, typer.Option("--image-id", metavar="ID", help="Image id; a new one by default.")
    ] = None,
    signing_key: Annotated[
        Path | None, typer.Option("--signing-key", metavar="FILE", help="Signs the package, PEM; else this user's key.")
    ] = None,
    signing_certificate: Annotated[
        Path | None, typer.Option("--signing-certificate", metavar="FILE", help="Its certificate, PEM.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make the image of a guardian for named equipment.

    It has the program, signed profiles, and grants for just the equipment that the file names.
    """
    if (out is None) == (package is None):
        raise InvalidArgumentError(
            "expected --output-directory or --package, got both or none", remedy="Name one of the two."
        )
    made = build(read_file(config), config, key)
    shown: dict[str, Any] = {"files": len(made.files), "connections": made.connections, "uart": made.serial_ports}
    if out is not None:
        write_folder(out, made.files, option="--output-directory")
        shown = {"folder": str(out), **shown}
    if package is not None:
        pair = signing_pair(signing_key, signing_certificate)
        data = application_package.pack(
            made.files, image_id=image_id or uuid.uuid4(), built=build_time(), key=pair[0], certificate=pair[1]
        )
        write_file(package, data)
        shown = {"package": str(package), "bytes": len(data), **shown}
    record(shown).show(as_json=as_json)
    note(f"It runs on devices with {guardian_image.native_note()}.")


def build(text: bytes, config: Path, key: Path | None) -> Made:
    """The files of the image that a file describes; paths in it are relative to it.

    Raises:
        InvalidArgumentError: a member is missing or wrong, or a file cannot be read.
        ConfigurationError, ProfileError, ManifestError: what it describes breaks a rule.
    """
    document, _ = shipped_profiles.read_yaml(text, config.name)
    if not isinstance(document, dict):
        raise InvalidArgumentError(f"{config}: expected a mapping, got another thing", remedy="See --help.")
    own = {name: document.pop(name) for name in OWN_MEMBERS if name in document}
    for name in ("name", "catalog", "hub"):
        if not isinstance(own.get(name), str):
            raise InvalidArgumentError(f"{config}: expected {name!r} to be a text", remedy="Add it to the file.")
    files_of_keys = document.pop("profile_keys", [])
    if not isinstance(files_of_keys, list) or not all(isinstance(each, str) for each in files_of_keys):
        raise InvalidArgumentError(
            f"{config}: expected 'profile_keys' to be a list of files", remedy="Write profile_keys: [profile.pem]."
        )
    signer = _signer(key)
    trusted = [*(read_public_key(read_file(config.parent / each)) for each in files_of_keys), public_key(signer)]
    envelopes = _envelopes(document, config.parent, signer)
    configuration = json.dumps(
        {"format": VERSION, **document, "profile_keys": [each.pem.decode() for each in trusted]}, separators=(",", ":")
    ).encode()
    checked = read_configuration(configuration)
    profiles = [_profile(entry, envelopes[entry.profile], trusted) for entry in checked.equipment]
    _check_places(checked.equipment, profiles)
    grants = [compile_profile(profile).grants for profile in profiles]
    connections = sorted({str(own["hub"]), *(host for each in grants for host in each.hosts)})
    ports = sorted({port for each in grants for port in each.serial_ports})
    storage_kb = own.get("storage_kb", STORAGE_FACTOR * checked.queue_bytes // KIB + STORAGE_BESIDE_KB)
    capabilities = {
        "AllowedConnections": connections,
        "Uart": ports,
        "MutableStorage": {"SizeKB": storage_kb},
        "DeviceAuthentication": own["catalog"],
    }
    libraries = libraries_of(profile.link for profile in profiles)
    files = guardian_image.files(configuration, envelopes, libraries=libraries)
    component = own.get("component") or str(uuid.uuid5(COMPONENTS, str(own["name"])))
    manifest = guardian_image.manifest(str(own["name"]), capabilities, component_id=str(component))
    app_manifest.parse(manifest, mutable_storage_limit_kb=application_package.MUTABLE_STORAGE_CEILING_KB)
    files[MANIFEST_PATH] = manifest
    return Made(files, connections, ports)


def _signer(key: Path | None) -> PrivateKey:
    """The key that signs profiles here: the one named, else this user's development key."""
    if key is not None:
        return read_private_key(read_file(key))
    pair = signing_pair(None, None)
    note("Profiles that are not signed are signed with this user's development key; --key names another.")
    return pair[0]


def _envelopes(document: dict[str, Any], folder: Path, signer: PrivateKey) -> dict[str, bytes]:
    """Path in the image -> signed profile; the equipment's entries name these paths afterwards."""
    found: dict[str, bytes] = {}
    paths: dict[str, str] = {}  # By what an entry names
    entries = document.get("equipment")
    if not isinstance(entries, list):
        raise InvalidArgumentError("equipment: expected a list, got another thing", remedy="Name the equipment.")
    for entry in entries:
        named = entry.get("profile") if isinstance(entry, dict) else None
        if not isinstance(named, str):
            raise InvalidArgumentError(
                "equipment: expected each to name a profile", remedy="Add profile: guard/coffee."
            )
        if named not in paths:
            paths[named] = path = _free_path(Path(named).stem, found)
            found[path] = _envelope(named, folder, signer)
        entry["profile"] = paths[named]
    return found


def _free_path(stem: str, taken: Collection[str]) -> str:
    """A path for a profile in the image that none of those ``taken`` has."""
    stems = chain((stem,), (f"{stem}-{number}" for number in count(2)))
    paths = (f"{guardian_image.PROFILE_FOLDER}/{each}{ENVELOPE_SUFFIX}" for each in stems)
    return next(path for path in paths if path not in taken)


def _envelope(named: str, folder: Path, signer: PrivateKey) -> bytes:
    if named.endswith(ENVELOPE_SUFFIX):
        return read_file(folder / named)
    profile = read_profile_file(named if named.startswith(SHIPPED) else str(folder / named))
    return sign(PROFILE, canonical(profile_document(profile)), signer)


def _profile(entry: EquipmentEntry, envelope: bytes, trusted: Sequence[PublicKey]) -> Profile:
    """What this equipment is, where it is; signed by a key of the image, as its guardian will demand."""
    try:
        payload = verify(envelope, trusted, PROFILE).payload
    except SignatureError as error:
        raise InvalidArgumentError(
            f"the profile of {entry.name}: {error.message}",
            remedy="Sign it with --key, or name its signer's public key under profile_keys.",
        ) from error
    return placed(read_profile(read_json(payload)), entry.link)


def _check_places(entries: Sequence[EquipmentEntry], profiles: Sequence[Profile]) -> None:
    """One machine has one guard: two would each allow its commands at their rate, and remember nothing of each other.

    Raises:
        InvalidArgumentError: two entries have the same profile at the same place.
    """
    found: dict[tuple[object, ...], str] = {}
    for entry, profile in zip(entries, profiles, strict=True):
        place = tuple(getattr(profile.link, name, None) for name in ("host", "port", "unit", "url", "device"))
        first = found.setdefault((profile.name, *place), entry.name)
        if first != entry.name:
            raise InvalidArgumentError(
                f"equipment {entry.name}: expected another place than that of {first}, got the same link",
                remedy="Name each machine once; give another link: {host: ...}, {port: ...} or {unit: ...}.",
            )
