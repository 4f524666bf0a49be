# SPDX-License-Identifier: Apache-2.0
"""Application packages: an image package of type 10 whose payload is a file system with a manifest.

Turns a folder into a package, for ``armillary image-package pack-application`` and the demo, and reads packages for
devices and the service. The package is in ``wire/image/package.py``, its file system in ``wire/image/asxipfs.py``, the
manifest in ``wire/image/app_manifest.py``.

As the Azure Sphere SDK packs: the manifest's ``$NAME`` peripherals become values, and a high-level application gets
``TargetApplicationRuntimeVersion`` in its manifest and the same version as its ABI Depends; a real-time capable one
gets an empty ABI Depends list. An application that works on some versions of the OS only says so in the same section:
one entry of kind OSRuntime is the lowest ABI number of the OS, a second one the highest.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from armillary.errors import ManifestError, WireError
from armillary.wire.image import (
    app_manifest,
    asxipfs,
    hardware_definition,
    manifest_field as field,
    package as image_package,
)
from armillary.wire.image.app_manifest import AppManifest
from armillary.wire.image.asxipfs import Filesystem
from armillary.wire.image.hardware_definition import DefinitionSet
from armillary.wire.image.package import ImagePackage, UnverifiedImagePackage
from armillary.wire.image.section import (
    APPLICATION_RUNTIME,
    APPLICATIONS,
    OS_RUNTIME,
    UNDER_DEVELOPMENT,
    Abi,
    AbiDepends,
    Compression,
)

FORMAT = "application-package"

MANIFEST_PATH = "app_manifest.json"
# The ABI of applications of the 22.x SDKs, and the default of packages.
RUNTIME_VERSION = 12
# The largest mutable storage any chip profile may allow, KiB. A chip's own limit is checked on the device and at
# deployment, because a package does not say for which chip it is.
MUTABLE_STORAGE_CEILING_KB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Application:
    """What a verified package holds."""

    package: ImagePackage
    manifest: AppManifest  # values only, no names
    filesystem: Filesystem  # all files, the manifest among them


@dataclass(frozen=True, slots=True)
class UnverifiedApplication:
    """The content of a package that is not verified: for showing it, never for running it."""

    package: UnverifiedImagePackage
    manifest: AppManifest
    filesystem: Filesystem


@dataclass(frozen=True, slots=True)
class OsRange:
    """ABI numbers of the OS that an application works on: from ``lowest`` to ``highest``, None for no end."""

    lowest: int
    highest: int | None = None

    def __contains__(self, abi: int) -> bool:
        return self.lowest <= abi and (self.highest is None or abi <= self.highest)

    def __str__(self) -> str:
        return f"{self.lowest} or later" if self.highest is None else f"{self.lowest} to {self.highest}"


def pack(
    files: Mapping[str, bytes],
    *,
    image_id: UUID,
    built: int,
    key: ec.EllipticCurvePrivateKey,
    certificate: x509.Certificate,
    executables: Collection[str] = (),
    definitions: Iterable[DefinitionSet] = (),
    component_id: UUID | None = None,
    runtime_version: int = RUNTIME_VERSION,
    temporary_flags: int = UNDER_DEVELOPMENT,
    os_range: OsRange | None = None,
) -> bytes:
    """Turn a folder into a signed package. The same arguments give the same bytes.

    Args:
        files: Path without a leading slash -> content; ``app_manifest.json`` is the source manifest.
        image_id: New for each build.
        built: Unix seconds.
        key: Signs; P-256 or P-384.
        certificate: Of ``key``.
        executables: Paths that may be run, beside the entry point which always may.
        definitions: Hardware definitions for the manifest's names.
        component_id: Replaces the manifest's.
        runtime_version: ABI version of a high-level application.
        temporary_flags: ``TEMPORARY_FLAGS`` of ``section.py``; the SDK writes UnderDevelopment.
        os_range: The OS that it works on; None for any.

    Raises:
        ManifestError: the manifest is missing or not valid, a name is unknown, or the entry point is not there.
        WireError: a path or size that the formats refuse.
        SignatureError: the certificate is not of this key.
    """
    if MANIFEST_PATH not in files:
        raise ManifestError(MANIFEST_PATH, expected="a file", got="nothing", error_id=field.error_code(25))
    source = app_manifest.parse(
        files[MANIFEST_PATH], resolved=False, mutable_storage_limit_kb=MUTABLE_STORAGE_CEILING_KB
    )
    high_level = source.application_type == "Default"
    manifest = hardware_definition.resolve(
        dataclasses.replace(
            source,
            component_id=component_id or source.component_id,
            target_application_runtime_version=runtime_version if high_level else None,
        ),
        definitions,
        mutable_storage_limit_kb=MUTABLE_STORAGE_CEILING_KB,
    )
    entry_point = manifest.entry_point[1:]
    if entry_point not in files:
        raise ManifestError(
            "EntryPoint", expected="a file of the package", got=manifest.entry_point, error_id=field.error_code(22)
        )
    payload = asxipfs.build({**files, MANIFEST_PATH: app_manifest.encode(manifest)}, {*executables, entry_point})
    return image_package.build(
        payload,
        sections=image_package.standard_sections(
            image_type=APPLICATIONS,
            component_id=manifest.component_id,
            image_id=image_id,
            name=manifest.name,
            built=built,
            temporary_flags=temporary_flags,
            abi_depends=[
                *([Abi(runtime_version, APPLICATION_RUNTIME)] if high_level else []),
                *(Abi(number, OS_RUNTIME) for number in _os_numbers(os_range)),
            ],
        ),
        key=key,
        certificate=certificate,
    )


def open_application(package: ImagePackage) -> Application:
    """Read what a verified package holds.

    Raises:
        WireError: not an application, compressed, a file system that is not valid, or a manifest that names another
            component or ABI than the package.
        ManifestError: no manifest, one that is not valid, or no entry point.
    """
    manifest, filesystem = _open(package)
    return Application(package, manifest, filesystem)


def open_unverified(package: UnverifiedImagePackage) -> UnverifiedApplication:
    """As :func:`open_application`, for a package that is not verified: to show it or to decide on an upload."""
    manifest, filesystem = _open(package)
    return UnverifiedApplication(package, manifest, filesystem)


def needed_os(package: ImagePackage | UnverifiedImagePackage) -> OsRange | None:
    """The ABI numbers of the OS that an application works on, None for any.

    WireError if it names more than two, or a highest one below the lowest.
    """
    depends = package.section(AbiDepends)
    numbers = [abi.version for abi in (depends.abis if depends else ()) if abi.kind == OS_RUNTIME]
    if not numbers:
        return None
    if len(numbers) > 2 or sorted(numbers) != numbers:
        raise WireError(FORMAT, expected="a lowest and a highest OS ABI in ABI Depends", got=repr(numbers))
    return OsRange(*numbers)


def _os_numbers(os_range: OsRange | None) -> tuple[int, ...]:
    if os_range is None:
        return ()
    return (os_range.lowest,) if os_range.highest is None else (os_range.lowest, os_range.highest)


def _open(package: ImagePackage | UnverifiedImagePackage) -> tuple[AppManifest, Filesystem]:
    if package.image_type != APPLICATIONS:
        raise WireError(FORMAT, expected=f"image type {APPLICATIONS}", got=str(package.image_type))
    if package.section(Compression) is not None:
        raise WireError(FORMAT, expected="an uncompressed application", got="a compressed one")
    filesystem = asxipfs.read(package.payload)
    document = filesystem.files.get(MANIFEST_PATH)
    if document is None:
        raise ManifestError(MANIFEST_PATH, expected="a file of the image", got="nothing", error_id=field.error_code(25))
    manifest = app_manifest.parse(document.content, mutable_storage_limit_kb=MUTABLE_STORAGE_CEILING_KB)
    entry_point = filesystem.files.get(manifest.entry_point[1:])
    if entry_point is None or not entry_point.executable:
        raise ManifestError(
            "EntryPoint",
            expected="an executable file of the image",
            got=manifest.entry_point,
            error_id=field.error_code(22 if entry_point is None else 16),
        )
    if manifest.component_id != package.component_id:
        raise WireError(
            FORMAT, expected=f"component {package.component_id} in the manifest", got=str(manifest.component_id)
        )
    _check_runtime(manifest, package.section(AbiDepends))
    return manifest, filesystem


def _check_runtime(manifest: AppManifest, depends: AbiDepends | None) -> None:
    target = manifest.target_application_runtime_version
    if target is None:
        return
    versions = [abi.version for abi in (depends.abis if depends else ()) if abi.kind == APPLICATION_RUNTIME]
    if versions != [target]:
        raise WireError(
            FORMAT,
            expected=f"application runtime {target} as in the manifest",
            got=", ".join(map(str, versions)) or "none in ABI Depends",
        )
