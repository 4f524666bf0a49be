# SPDX-License-Identifier: Apache-2.0
"""Builds the image that plays a story of Wi-Fi: the release's, and beside it hostapd, files of the test, a Python hook.

Nothing of that is in a release: this is another recipe, made of the checkout's. The hook is ``sitecustomize``, which
Python imports by itself where there is one.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import tomllib
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.fixtures.certificates import private_pem

from armillary.device_image.architecture.table import Architecture
from armillary.device_image.build import Plan, build
from armillary.device_image.recipe import pins_file, recipe_folder

HERE: Final = Path(__file__).parent
FILES: Final = "usr/lib/story"
RADIOS: Final = 6  # the device's, and one for each access point
CLIENT: Final = "device.armillary.example"
# hostapd as Debian has it now; what it needs is in the release's recipe already.
PINS: Final = {
    "x86_64": "hostapd 2:2.10-24 d9c659fa9818a36bb378f5593e1f181084efe02e9d54ce77d879fcd86743a69a",
    "arm64": "hostapd 2:2.10-24 0e36fa2d6fe79ae7fc9718ad5f6531eb4e710418fa337543f17315154dc8ab64",
}
_PACKAGE: Final = '\n[[packages]]\nname = "hostapd" # the access points\nfiles = ["usr/sbin/hostapd"]\n'
_DAYS: Final = 3650


def story_image(image: Path, architecture: Architecture, session: str) -> Path:
    """The story's image beside another one, of the same packages; it is built with the own kernel.

    It is built once in a session of tests, whichever of its processes comes first.
    """
    output = image.absolute().with_name(f"{architecture.name}-wifi")
    output.mkdir(parents=True, exist_ok=True)
    with (output / "session").open("a+") as built:
        fcntl.flock(built, fcntl.LOCK_EX)
        built.seek(0)
        if built.read() != session:
            _build(output, architecture)
            built.truncate(0)
            built.write(session)
    return output


def _build(output: Path, architecture: Architecture) -> None:
    folder = _recipe(output / "project", architecture)
    build(
        Plan(
            recipe_folder=folder,
            output=output,
            architecture=architecture.name,
            own_kernel=True,
            simulated_radios=RADIOS,
        ),
        at=dt.datetime.now(dt.UTC),
    )


def files_of(story: Path) -> dict[str, str]:
    """The story's certificates and keys, by their names in its image."""
    told = tomllib.loads((story / "project/image/image.toml").read_text())["text"]
    return {place.rpartition("/")[2]: text for place, text in told.items() if place.startswith(f"{FILES}/")}


def _recipe(project: Path, architecture: Architecture) -> Path:
    """A recipe's folder in a project of its own, all of which but the recipe is the checkout's."""
    checkout = recipe_folder().parent
    folder = project / "image"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("src", "uv.lock", "pyproject.toml", "README.md", ".uv"):
        _link(project / name, checkout / name)
    for each in recipe_folder().iterdir():
        if each.name not in ("image.toml", pins_file(recipe_folder(), architecture.name).name):
            _link(folder / each.name, each)
    pins = pins_file(recipe_folder(), architecture.name)
    (folder / pins.name).write_text(f"{pins.read_text()}{PINS[architecture.name]}\n")
    head, found, rest = (recipe_folder() / "image.toml").read_text().partition("[[packages]]\n")
    texts = "".join(f"{json.dumps(place)} = {json.dumps(text)}\n" for place, text in _files().items())
    table = "[text]\n"
    assert table in head
    (folder / "image.toml").write_text(head.replace(table, f"{table}{texts}") + found + rest + _PACKAGE)
    return folder


def _link(place: Path, target: Path) -> None:
    place.unlink(missing_ok=True)
    place.symlink_to(target)


def _files() -> dict[str, str]:
    """Path in the image -> text."""
    root, other = Authority("root of the story"), Authority("somebody else")
    server, client = root.issued("access point", server=True), root.issued(CLIENT, server=False)
    return {
        "usr/lib/python3/dist-packages/sitecustomize.py": (HERE / "sitecustomize.py").read_text(),
        f"{FILES}/story.py": (HERE / "story.py").read_text(),
        f"{FILES}/users": "* TLS\n",
        f"{FILES}/root.pem": root.pem,
        f"{FILES}/other.pem": other.pem,
        f"{FILES}/server.pem": server[0],
        f"{FILES}/server.key": server[1],
        f"{FILES}/client.pem": client[0],
        f"{FILES}/client.key": client[1],
    }


class Authority:
    """An authority of the story."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = _begun(self._name, self._name, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), True
        )
        self.pem = made.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()

    def issued(self, name: str, *, server: bool) -> tuple[str, str]:
        """A certificate and its key, PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        use = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = _begun(subject, self._name, key).add_extension(x509.ExtendedKeyUsage([use]), False)
        pem = made.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
        return pem, private_pem(key).decode()


def _begun(subject: x509.Name, issuer: x509.Name, key: Any) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=_DAYS))
        .not_valid_after(now + dt.timedelta(days=_DAYS))
    )
