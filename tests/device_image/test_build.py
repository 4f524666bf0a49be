# SPDX-License-Identifier: Apache-2.0
"""The build hands each step what the steps before made: it is run whole, of small packages, kernel and root."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import zstandard
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from tests.device_image.made_keys import END, put_pairs
from tests.fixtures.boot_partitions import pe_program

from armillary.boot import profile
from armillary.content import chip_document
from armillary.device_image import build as building, debian, disk, root_tree, tools, unified
from armillary.device_image.architecture.table import ARCHITECTURES, IMX8MP, X86_64
from armillary.device_image.build import Plan, build
from armillary.device_image.debian import Origin, PackedFile
from armillary.device_image.kernel import Kernel
from armillary.device_image.own_kernel.build import KernelBuild
from armillary.device_image.package_sources.fetching import Places
from armillary.device_image.packages import write_packages
from armillary.device_image.recipe import Pin, pins_file, read_pins, recipe_folder
from armillary.device_image.reference.document import key_variables
from armillary.device_image.root_image import RootImage
from armillary.device_image.uboot import image as uboot_image
from armillary.device_image.uboot.boards import BOARDS, EMMC_TREE, SD_TREE, Board
from armillary.device_image.uboot.building import UBoot
from armillary.device_image.uboot.hand_over import with_hand_over
from armillary.errors import InvalidArgumentError
from armillary.wire.device_image import boot_measurements
from armillary.wire.device_image.command_line import DEVELOPMENT, VerifiedRoot, root_of, slot_of
from armillary.wire.device_image.flattened_tree import properties_of
from armillary.wire.disk.gpt import SECTOR_BYTES
from armillary.wire.disk.gpt_writing import Layout

SMALL = {"STARTED_BYTES": 20, "ROOT_BYTES": 1, "DATA_BYTES": 8, "UBOOT_DATA_BYTES": 8}
ROOT = VerifiedRoot("0123456789abcdef" * 4, "ab" * 32, 1)
AT = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
PLACES = Places(archive="http://127.0.0.1:9")
STUB = Path("/", X86_64.stub)
# U-Boot says its version in its program, which is what it measures of itself.
PROGRAM = b"the program\0U-Boot 2025.01 (Jan 01 2026 - 00:00:00 +0000)\0"
Built = Callable[..., Path]


class Brought:
    """Packages that were asked for: none is fetched."""

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[Pin, ...], str, object]] = []
        self.uboot: list[tuple[Path, object]] = []

    def fetch(self, pins: list[Pin], store: Path, *, architecture: str, places: object) -> dict[str, Path]:
        self.asked.append((tuple(pins), architecture, places))
        return {pin.name: store / pin.name for pin in pins}


@pytest.fixture
def brought(monkeypatch: pytest.MonkeyPatch) -> Brought:
    made = Brought()
    monkeypatch.setattr(building, "fetch", made.fetch)
    monkeypatch.setattr(building, "fetch_uboot", lambda cache, places: made.uboot.append((cache, places)))
    return made


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, brought: Brought) -> Built:
    """Builds; returns the folder with the image. Skips an architecture whose tools are missing."""

    def make(
        architecture: str, *, development: bool = False, version: str | None = None, keys: Path | None = None
    ) -> Path:
        if lacking := tools.missing(tools.BUILD, tools.BUILD_FOR[architecture]):
            pytest.skip(f"sudo apt-get install {' '.join(lacking)}")
        if architecture == "x86_64" and not STUB.exists():
            pytest.skip("no systemd stub, which stands for a kernel; to enable: sudo apt-get install systemd-boot-efi")
        packed = [PackedFile(ARCHITECTURES[architecture].stub, stub(architecture), 0o644)]
        monkeypatch.setattr(debian, "files_of", lambda package: packed if package.name == "systemd-boot-efi" else [])
        monkeypatch.setattr(debian, "origin_of", lambda package: Origin("all", package.name, "1", ()))
        monkeypatch.setattr(building, "_root", small_root)
        monkeypatch.setattr(building, "_kernel", lambda *_: Kernel("6.12", kernel(architecture), {}))
        monkeypatch.setattr(root_tree, "own_files", lambda *_: {})
        monkeypatch.setattr(tools, "lower_priority", lambda: None)
        for name, mebibytes in SMALL.items():
            monkeypatch.setattr(disk, name, mebibytes << 20)
        place = tmp_path / (architecture if version is None else version)
        plan = Plan(
            recipe_folder=recipe_folder(),
            output=place,
            architecture=architecture,
            development=development,
            version=version,
            keys=keys,
            places=PLACES,
        )
        assert build(plan, at=AT) == json.loads((place / "image.json").read_bytes())
        return place

    return make


def small_root(plan: Plan, *_: object) -> RootImage:
    """What stands for the root partition's content."""
    (plan.output / "root.img").write_bytes(b"root" * 1024)
    return RootImage(plan.output / "root.img", ROOT, {"system": 4096})


def kernel(architecture: str) -> bytes:
    """A program for the firmware, that stands for a kernel."""
    return STUB.read_bytes() if architecture == "x86_64" else pe_program()


def stub(architecture: str) -> bytes:
    """Systemd's stub as a package has it: another than this host's."""
    return kernel(architecture).replace(b"LoaderInfo: systemd-stub", b"LoaderInfo: SYSTEMD-STUB") + b"stub"


def certificate(place: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((place / "keys" / f"{name}.pem").read_bytes())


def in_started(place: Path, name: str) -> bytes:
    """A file of the first partition."""
    tools.run(["mcopy", "-n", "-i", place / disk.STARTED_FILE, f"::EFI/BOOT/{name}", place / "found"])
    return (place / "found").read_bytes()


def in_slots(place: Path, layout: Layout, name: str) -> list[bytes]:
    """The begin of a component's partition in each slot, as long as a file of the image."""
    size, found = (place / name).stat().st_size, []
    with (place / "disk.img").open("rb") as file:
        for slot in "ab":
            file.seek(layout.partition(f"{disk.STARTED}-{slot}").first_lba * SECTOR_BYTES)
            found.append(file.read(size))
    return found


def test_a_build_states_what_its_own_signed_image_and_keys_measure(built: Built, brought: Brought) -> None:
    place = built("x86_64")
    signed, keys = (place / "unified.efi").read_bytes(), key_variables(place / "variables.fd")
    stated = json.loads((place / "reference-values.json").read_bytes())
    digests = {(each["pcr"], each["digest"]) for each in stated["values"]}
    measured = (
        *boot_measurements.boot_loader(signed),
        *boot_measurements.secure_boot(
            platform=keys["PK"], exchange=keys["KEK"], allowed=keys["db"], forbidden=keys.get("dbx", b"")
        ),
    )
    assert {(each.pcr, each.digest.hex()) for each in measured} <= digests
    assert stated["chip"] == "gateway-x86-64"
    for variable, name in (("PK", "platform"), ("KEK", "exchange"), ("db", "signing")):
        der = certificate(place, name).public_bytes(Encoding.DER)
        assert keys[variable].endswith(der)
        assert (place / f"secure-boot/{variable}.cer").read_bytes() == der
        assert (place / f"secure-boot/{variable}.auth").read_bytes().endswith(der)
    assert der in signed, "it carries the certificate of the key that signed it"
    assert in_started(place, "BOOTX64.EFI") == signed
    assert in_slots(place, disk.layout(), disk.STARTED_FILE) == [(place / disk.STARTED_FILE).read_bytes()] * 2
    assert DEVELOPMENT.encode() not in signed
    assert b"LoaderInfo: SYSTEMD-STUB" in signed
    bill = json.loads((place / "bill.cdx.json").read_bytes())
    assert {"libc6", "glibc", "systemd-boot-efi"} <= {each["name"] for each in bill["components"]}
    ((_, architecture, places),) = brought.asked
    assert (architecture, places) == ("amd64", PLACES)


def test_a_build_of_an_image_above_its_budget_fails(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "read_budget", lambda *_: {"total": 0.1})
    with pytest.raises(InvalidArgumentError, match=r"total has [\d,]+ bytes, expected at most 0.1 MB"):
        built("x86_64")
    assert not (tmp_path / "x86_64/image.json").exists(), "it is no image that was built"


def described(place: Path) -> dict[str, Any]:
    """What an image says of itself, once all files were seen to be named there, with their digests."""
    about: dict[str, Any] = json.loads((place / "image.json").read_bytes())
    files = {str(file.relative_to(place)) for file in place.rglob("*") if file.is_file()}
    kept = {"image.json", *(name for name in files if name.startswith("keys/"))}
    assert about["sha256"] == {name: tools.digest_of(place / name) for name in files - kept}
    return about


def test_an_image_names_the_digest_of_every_file_of_it_and_that_test_keys_signed_it(built: Built) -> None:
    place = built("x86_64")
    about = described(place)
    assert about["test_keys"] is True
    named = about["sha256"].keys()
    assert {"reference-values.json", "sizes.json", "secure-boot/PK.auth", "secure-boot/db.cer"} <= named
    assert not any(name.startswith("keys/") for name in named)


def test_an_image_that_a_makers_keys_signed_says_that_no_test_keys_did(built: Built, tmp_path: Path) -> None:
    put_pairs(tmp_path / "own", 3072)
    place = built("x86_64", keys=tmp_path / "own")
    assert described(place)["test_keys"] is False


@pytest.mark.parametrize("named", [True, False])
def test_keys_of_another_size_are_refused_before_anything_is_made(
    tmp_path: Path, brought: Brought, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    """Those that are named before anything is fetched."""
    monkeypatch.setattr(tools, "require", lambda *_: None)
    monkeypatch.setattr(tools, "lower_priority", lambda: None)
    output = tmp_path / "imx8mp"
    folder = tmp_path / "own" if named else output / "keys"
    folder.parent.mkdir(exist_ok=True)
    put_pairs(folder, 3072)
    plan = Plan(
        recipe_folder=recipe_folder(),
        output=output,
        architecture="imx8mp",
        keys=folder if named else None,
        places=PLACES,
    )
    with pytest.raises(InvalidArgumentError, match=r"signing\.key: expected RSA with 2048 bits"):
        build(plan, at=AT)
    assert [*output.rglob("*.json"), *output.rglob("*.img")] == []
    assert (brought.asked == [], output.exists()) == (named, not named)


def test_a_certificate_that_is_over_is_said_by_the_build(
    tmp_path: Path, brought: Brought, monkeypatch: pytest.MonkeyPatch
) -> None:
    class BegunError(Exception):
        """The keys were taken."""

    def begin(*_: object) -> None:
        raise BegunError

    told: list[str] = []
    monkeypatch.setattr(tools, "require", lambda *_: None)
    monkeypatch.setattr(tools, "lower_priority", lambda: None)
    monkeypatch.setattr(building.distributions, "locked", begin)
    put_pairs(tmp_path / "own")
    plan = Plan(
        recipe_folder=recipe_folder(),
        output=tmp_path / "x86_64",
        keys=tmp_path / "own",
        places=PLACES,
        progress=told.append,
    )
    for at, lines in ((END, 0), (END + dt.timedelta(days=1), 3)):
        told.clear()
        with pytest.raises(BegunError):
            build(plan, at=at)
        assert sum(line.startswith("Attention: ") for line in told) == lines, told


def test_the_next_version_is_signed_with_the_keys_of_the_image_before(built: Built) -> None:
    first = built("x86_64")
    later = built("x86_64", version="26.13", keys=first / "keys")
    assert not (later / "keys").exists()
    assert json.loads((later / "image.json").read_bytes())["version"] == "26.13"
    signed = (later / "unified.efi").read_bytes()
    assert b"VERSION_ID=26.13\n" in signed
    assert certificate(first, "signing").public_bytes(Encoding.DER) in signed
    for name in ("PK", "KEK", "db"):
        assert (later / f"secure-boot/{name}.cer").read_bytes() == (first / f"secure-boot/{name}.cer").read_bytes()


def test_a_development_image_is_one_in_all_that_is_built(built: Built, tmp_path: Path, brought: Brought) -> None:
    place = built("x86_64", development=True)
    signed = (place / "unified.efi").read_bytes()
    assert DEVELOPMENT.encode() in signed
    assert b'NAME="Armillary OS DEVELOPMENT"' in signed
    (name,) = certificate(place, "signing").subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == "Armillary DEVELOPMENT signing key (never for products)"
    assert json.loads((place / "image.json").read_bytes())["development"] is True
    assert "busybox-static" in {pin.name for pin in brought.asked[0][0]}
    chip = profile.parse(chip_document("gateway-x86-64"))
    with pytest.raises(InvalidArgumentError, match="a development image is no release"):
        write_packages(place, chip, security_version=1)


def test_an_image_for_arm64_is_made_of_its_own_packages_compiler_stub_and_name(
    built: Built, brought: Brought, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined: list[dict[str, Any]] = []

    def join(kernel: Kernel, initial: bytes, line: str, _release: str, **named: Any) -> bytes:
        joined.append({"initial": initial, "line": line, **named})
        return kernel.image

    target = ARCHITECTURES["arm64"]
    monkeypatch.setattr(unified, "join", join)
    monkeypatch.setattr(boot_measurements, "STUB_SECTIONS", (".a",))
    monkeypatch.setattr(unified, "sign", lambda image, _key: image)
    place = built("arm64")
    assert in_started(place, "BOOTAA64.EFI") == (place / "unified.efi").read_bytes()
    (given,) = joined
    assert (given["architecture"], given["stub"]) == (target, stub("arm64"))
    assert root_of(given["line"]) == ROOT
    files = zstandard.ZstdDecompressor().decompress(given["initial"], max_output_size=1 << 24)
    program = files[files.index(b"\x7fELF") :]
    assert int.from_bytes(program[18:20], "little") == 183
    ((pins, architecture, _),) = brought.asked
    assert architecture == "arm64"
    assert {pin.name: pin for pin in pins}.items() <= read_pins(pins_file(recipe_folder(), "arm64")).items()
    assert json.loads((place / "reference-values.json").read_bytes())["chip"] == "gateway-arm64"


def test_an_image_for_u_boot_has_a_tree_for_each_slot_and_the_key_in_its_u_boot(
    built: Built, tmp_path: Path, brought: Brought, monkeypatch: pytest.MonkeyPatch
) -> None:
    if tools.missing({"dtc": "device-tree-compiler"}):
        pytest.skip("sudo apt-get install device-tree-compiler")
    (tmp_path / "base.dts").write_text("/dts-v1/; / { __symbols__ { }; chosen { }; aliases { }; };")
    (tmp_path / "empty.dts").write_text("/dts-v1/; /plugin/; / { };")
    folder = tmp_path / "kernel/arm64"
    folder.mkdir(parents=True)
    tools.run(["dtc", "-q", "-O", "dtb", "-o", folder / IMX8MP.tree, tmp_path / "base.dts"])
    base = (folder / IMX8MP.tree).read_bytes()
    monkeypatch.setattr(uboot_image, "build_uboot", lambda *_: UBoot(PROGRAM, base))
    nothing_over_it = dataclasses.replace(BOARDS["imx8mp"], name=str(tmp_path / "empty"))
    monkeypatch.setitem(cast("dict[str, Board]", BOARDS), "imx8mp", nothing_over_it)
    place = built("imx8mp")
    signed, program = (place / uboot_image.FILE).read_bytes(), (place / uboot_image.PROGRAM).read_bytes()
    for slot in "ab":
        at, size = properties_of(signed)[f"/images/tree-{slot}/data"]
        tree = signed[at : at + size]
        at, size = properties_of(tree)["/chosen/bootargs"]
        line = tree[at : at + size].rstrip(b"\0").decode()
        assert (slot_of(line), root_of(line)) == (slot, ROOT)
    assert program == PROGRAM
    for name in (EMMC_TREE, SD_TREE):
        tree = (place / name).read_bytes()
        at, size = properties_of(tree)["/signature/key-armillary/required"]
        assert tree[at : at + size] == b"conf\0"
        at, size = properties_of(tree)["/signature/key-armillary/rsa,modulus"]
        modulus = int.from_bytes(tree[at : at + size], "big")
        assert modulus == certificate(place, "signing").public_key().public_numbers().n
    at, size = properties_of(tree)["/aliases/mmc2"]
    assert tree[at : at + size].endswith(b"/mmc@30b50000\0"), "the third medium is the SD card to U-Boot"
    assert (place / uboot_image.BOOT).read_bytes() == with_hand_over(program + (place / EMMC_TREE).read_bytes())
    assert (place / disk.STARTED_FILE).read_bytes().startswith(signed)
    assert described(place)["test_keys"] is True
    assert json.loads((place / "reference-values.json").read_bytes())["chip"] == "gateway-imx8mp"
    layout = disk.layout(has_uboot=True)
    assert in_slots(place, layout, uboot_image.FILE) == [signed] * 2
    assert brought.uboot == [(tmp_path / "cache/uboot", PLACES)]


def test_what_a_start_loads_is_asked_of_packages_that_there_are_for_this_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[set[str], str]] = []

    def install(requirements: dict[str, str], *_: object, architecture: str, **__: object) -> Path:
        asked.append((set(requirements), architecture))
        return tmp_path

    monkeypatch.setattr(building, "own_architecture", lambda: "x86_64")
    monkeypatch.setattr(building.distributions, "locked", lambda _, names: dict.fromkeys(names, ""))
    monkeypatch.setattr(building.distributions, "install", install)
    monkeypatch.setattr(building, "record", lambda **_: None)
    plan = Plan(recipe_folder=recipe_folder(), output=tmp_path, architecture="armhf")
    recipe = building._recipe(plan)
    building._started(plan, recipe)
    lacking = set(recipe.python.lacking["armhf"])
    assert not lacking & set(recipe.python.distributions)
    assert asked == [(set(recipe.python.distributions) | lacking, "x86_64")]


@pytest.mark.parametrize(
    ("others", "said"), [("ab" * 32, "the same bytes as in"), ("cd" * 32, "NOT THE SAME BYTES as in"), (None, "has no")]
)
def test_a_build_says_whether_its_own_kernel_is_the_one_that_was_built_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, others: str | None, said: str
) -> None:
    (tmp_path / "bzImage").write_bytes(b"kernel")
    made = KernelBuild(tmp_path / "bzImage", tmp_path / "config", (), "6.12.118", "ab" * 32, "6.12.118-1", others)
    monkeypatch.setattr(building, "build_kernel", lambda *_given, **_named: made)
    told: list[str] = []
    plan = Plan(recipe_folder=recipe_folder(), output=tmp_path / "x86_64", own_kernel=True, progress=told.append)
    assert building._kernel(plan, building._recipe(plan), {}).image == b"kernel"
    assert told[0].startswith("own kernel: ")
    assert said in told[0]
