# SPDX-License-Identifier: Apache-2.0
"""Explains a manifest on a chip and board: what the application gets, by which mechanism, and what is refused and why.

Pure, and from the same rules as an installation: :func:`grant.grant` decides, :mod:`compiled` says what the kernel is
told. An installation stops at the first fault; here each asked value is tried alone, then all together beside the board
and the other applications, so that all faults are found at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from armillary.capability.application_limits import CORE_LIMITS
from armillary.capability.board import Board, board_platform
from armillary.capability.compiled import ENGINES, Compiled, added, always
from armillary.capability.grant import Grant, Peripheral, PlatformLimits, board_grant, grant
from armillary.capability.image_checks import (
    ImageFault,
    architecture_fault,
    firmware_fault,
    sandbox_faults,
    size_fault,
)
from armillary.capability.key_rules import KEY_RULES, REAL_TIME_RULES, KeyRule
from armillary.errors import ManifestError
from armillary.wire.image.app_manifest import CAPABILITY_KEYS, AppManifest, Capabilities
from armillary.wire.image.asxipfs import Filesystem
from armillary.wire.image.board_configuration import BoardConfiguration

GRANTED, RECORDED, REFUSED = "granted", "recorded", "refused"
# A manifest that asks for more than any chip has is read all the same: the refusal is what is explained.
ANY_STORAGE_KB = 2**32


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason why the application would not be installed."""

    path: str  # JSON path, e.g. ``Capabilities.Gpio``
    expected: str
    got: str
    error_id: int | None  # Azure Sphere's device error code for the same fault, where it has one


@dataclass(frozen=True, slots=True)
class Image:
    """What an application's image holds, its bytes as a package, and the sandbox that would start it."""

    filesystem: Filesystem
    size: int
    engine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAnswer:
    """What becomes of one manifest key."""

    key: str
    asked: str  # the values, for people
    answer: str  # GRANTED, REFUSED, or RECORDED where nothing of it is carried out yet
    gets: str
    without: str  # what an application meets that did not ask for it
    held_by: Mapping[str, Compiled]  # engine -> mechanism -> values


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What becomes of one manifest on one platform."""

    name: str
    component_id: UUID
    application_type: str
    platform: str
    board: str | None  # name of the board, or of what a board keeps
    answers: tuple[KeyAnswer, ...]  # of the keys that were asked for, in the order of the manifest's reference
    refusals: tuple[Refusal, ...]  # none: it would be installed
    always: Mapping[str, Compiled]  # engine -> what every application has and keeps to
    image_bytes: int | None  # of the image that was looked at; None: the manifest was judged alone

    @property
    def granted(self) -> bool:
        """Whether it would be installed."""
        return not self.refusals


def explain(
    manifest: AppManifest,
    platform: PlatformLimits,
    *,
    wiring: Board | None = None,
    board: BoardConfiguration | None = None,
    others: Iterable[Grant] = (),
    image: Image | None = None,
) -> Explanation:
    """Explain a manifest without ``$NAME`` peripherals, on a chip, beside what its board keeps and other applications.

    ``wiring`` is the board that the device is told at its start: which peripherals there are, and what each is on the
    host. Without its ``image`` an application is judged by its manifest alone.

    Raises ManifestError if the wiring or the ``board`` is of another chip.
    """
    if wiring is not None:
        platform = board_platform(platform, wiring)
    beside = [*([] if board is None else [board_grant(board, platform)]), *others]
    answers: list[KeyAnswer] = []
    refusals: list[Refusal] = []
    for key, (attribute, _, _) in CAPABILITY_KEYS.items():
        if getattr(manifest.capabilities, attribute) == getattr(Capabilities(), attribute):
            continue
        faults = tuple(_faults_of(manifest, key, platform, beside))
        refusals += faults
        answers.append(_answer(manifest, key, platform, faults, wiring))
    refusals += _refusal(manifest, platform, beside)
    if image is not None:
        refusals += (
            Refusal(each.what, each.expected, each.got, None) for each in _image_faults(manifest, image, platform)
        )
    limits = CORE_LIMITS if manifest.application_type == "RealTimeCapable" else platform.application
    return Explanation(
        name=manifest.name,
        component_id=manifest.component_id,
        application_type=manifest.application_type,
        platform=platform.name,
        board=wiring.name if wiring is not None else None if board is None else board.name,
        answers=tuple(answers),
        refusals=tuple(dict.fromkeys(refusals)),
        always={engine: always(engine, limits) for engine in ENGINES},
        image_bytes=None if image is None else image.size,
    )


def _image_faults(manifest: AppManifest, image: Image, platform: PlatformLimits) -> Iterator[ImageFault]:
    """What is wrong with an image on a chip, in the order of a device's admission and start."""
    found = (
        size_fault(image.size, platform),
        architecture_fault(manifest, image.filesystem, platform),
        firmware_fault(manifest, image.filesystem),
    )
    yield from (each for each in found if each is not None)
    yield from sandbox_faults(manifest, image.filesystem, image.engine)


def _faults_of(manifest: AppManifest, key: str, platform: PlatformLimits, beside: list[Grant]) -> Iterator[Refusal]:
    """The faults of each value of one key, asked for alone."""
    attribute = CAPABILITY_KEYS[key][0]
    value = getattr(manifest.capabilities, attribute)
    for one in [(each,) for each in value] if isinstance(value, tuple) else [value]:
        yield from _refusal(_asking(manifest, attribute, one), platform, beside)


def _refusal(manifest: AppManifest, platform: PlatformLimits, beside: list[Grant]) -> list[Refusal]:
    """Why a manifest is refused, or nothing."""
    try:
        grant(manifest, platform, others=beside)
    except ManifestError as error:
        return [Refusal(error.path, error.expected, error.got, error.error_id)]
    return []


def _answer(
    manifest: AppManifest, key: str, platform: PlatformLimits, faults: tuple[Refusal, ...], wiring: Board | None
) -> KeyAnswer:
    real_time = manifest.application_type == "RealTimeCapable"
    rule = REAL_TIME_RULES.get(key, KEY_RULES[key]) if real_time else KEY_RULES[key]
    attribute = CAPABILITY_KEYS[key][0]
    held_by: dict[str, Compiled] = {}
    if not faults:
        alone = _asking(manifest, attribute, getattr(manifest.capabilities, attribute))
        held_by = _held_by(alone, platform, rule, wiring)
    answer = REFUSED if faults else GRANTED if any(held_by.values()) else RECORDED
    return KeyAnswer(
        key=key,
        asked=_shown(getattr(manifest.capabilities, attribute), key),
        answer=answer,
        gets="nothing: the application is not installed" if faults else rule.gets,
        without=rule.without,
        held_by=held_by,
    )


def _held_by(alone: AppManifest, platform: PlatformLimits, rule: KeyRule, wiring: Board | None) -> dict[str, Compiled]:
    """By engine, what one key adds to an application of nothing; empty where the values clash with one another."""
    try:
        granted = grant(alone, platform)
    except ManifestError:
        return {}
    of_device = [rule.device] if rule.device else []
    if granted.real_time:  # nothing of it reaches the sandbox of its core
        return {engine: {"device": tuple(of_device)} if of_device else {} for engine in ENGINES}
    if wiring is not None:
        of_device += [f"{each.name}: {wiring.describe(each)}" for each in _in_order(granted)]
    device: Compiled = {"device": tuple(of_device)} if of_device else {}
    return {engine: {**added(granted, engine), **device} for engine in ENGINES}


def _in_order(granted: Grant) -> list[Peripheral]:
    """Its peripherals, pins by their numbers."""
    return sorted(granted.peripherals, key=lambda each: (each.kind, len(each.name), each.name))


def _asking(manifest: AppManifest, attribute: str, value: object) -> AppManifest:
    """The manifest as if it asked for this alone."""
    return dataclasses.replace(manifest, capabilities=Capabilities(**{attribute: value}))  # type: ignore[arg-type]


def _shown(value: object, key: str) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if value is True:
        return "true"
    return f"{value} KiB" if key == "MutableStorage" else str(value)
