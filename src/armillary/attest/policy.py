# SPDX-License-Identifier: Apache-2.0
"""The appraisal policy of a catalog (RFC 9334 §8.5, "Appraisal Policy for Evidence"): what its owner demands on top.

A policy only adds demands: no policy makes a boot good that the steps before it found bad. Minimum security versions
never fall, whoever asks (:func:`revised`): a lower one would bring back a release with known holes.

What a policy says of a boot depends on the tier, the chip and the releases that the components make up, and on the
time in one way only: from some second on it is too old. :class:`PolicyInForce` works that out once for each such
combination; a check-in costs one look-up and one comparison.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, cast

from armillary.attest.judgement import Judgement
from armillary.attest.reference import FOREVER, ReferenceValues, Verdict, utc
from armillary.errors import ConflictError, InvalidArgumentError
from armillary.identity.issue import TRUST_TIERS
from armillary.wire.attestation.evidence import ENFORCED, MISSING_PREFIX
from armillary.wire.attestation.mechanisms import MECHANISMS
from armillary.wire.encoding.cbor_fields import MAX_TIME
from armillary.wire.image.section import SECURITY_VERSION_LIMIT

if TYPE_CHECKING:
    from armillary.attest.firmware_reference import FirmwareReference

MAX_CHIPS: Final = 64  # more than there are profiles
MAX_SECURITY_VERSIONS: Final = 64  # image types; a chain has ten
MAX_IMAGE_TYPE: Final = 0xFFFF
MAX_AGE_DAYS: Final = 3660
DAY_S: Final = 86_400
# Combinations of tier, chip and release cached per catalog; a catalog with more works the oldest out again.
MAX_KNOWN: Final = 256

_REMEDY: Final = "docs/concepts/appraisal.md explains each demand and its allowed range."


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationPolicy:
    """What the owner of a catalog demands of its devices. The default demands nothing.

    Attributes:
        minimum_tier: Lowest trust tier, one of :data:`TRUST_TIERS`.
        chips: Accepted chip profiles; empty accepts all.
        minimum_security_versions: Image type to the lowest accepted security version of this kind of component.
        older_releases_until: Unix seconds UTC until which a release is good although its chip has a newer one;
            None: as long as nothing else ends it.
        maximum_release_age_days: Days after its publication for which a release is good; None: no limit.
        firmware_log: Whether the log of the machine's firmware has to be sent; without the demand it may be.
        mechanisms: What has to contain the device's applications, by its own attested self-test; names of
            :data:`MECHANISMS`.
    """

    minimum_tier: str = TRUST_TIERS[0]
    chips: tuple[str, ...] = ()
    minimum_security_versions: Mapping[int, int] = field(default_factory=dict)
    older_releases_until: int | None = None
    maximum_release_age_days: int | None = None
    firmware_log: bool = False
    mechanisms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.minimum_tier not in TRUST_TIERS:
            raise _invalid("minimum_tier", f"one of {', '.join(TRUST_TIERS)}", self.minimum_tier)
        if len(self.chips) > MAX_CHIPS or list(self.chips) != sorted(set(self.chips)):
            raise _invalid("chips", f"at most {MAX_CHIPS} names, sorted, each once", list(self.chips))
        if len(self.minimum_security_versions) > MAX_SECURITY_VERSIONS:
            raise _invalid("minimum_security_versions", f"at most {MAX_SECURITY_VERSIONS}", "more")
        for image_type, version in self.minimum_security_versions.items():
            _check_number("image type", image_type, 0, MAX_IMAGE_TYPE)
            _check_number(f"minimum security version of image type {image_type}", version, 0, SECURITY_VERSION_LIMIT)
        if self.older_releases_until is not None:
            _check_number("older_releases_until", self.older_releases_until, 0, MAX_TIME)
        if self.maximum_release_age_days is not None:
            _check_number("maximum_release_age_days", self.maximum_release_age_days, 1, MAX_AGE_DAYS)
        if type(self.firmware_log) is not bool:
            raise _invalid("firmware_log", "true or false", self.firmware_log)
        _check_mechanisms(self.mechanisms)

    @property
    def demands_nothing(self) -> bool:
        """Whether it is the default, so that no check-in has to be compared with it."""
        return self == AttestationPolicy()


def to_json(policy: AttestationPolicy) -> dict[str, Any]:
    """The policy as a JSON object; image types become text keys, in numeric order."""
    return {
        "minimum_tier": policy.minimum_tier,
        "chips": list(policy.chips),
        "minimum_security_versions": {
            str(kind): policy.minimum_security_versions[kind] for kind in sorted(policy.minimum_security_versions)
        },
        "older_releases_until": policy.older_releases_until,
        "maximum_release_age_days": policy.maximum_release_age_days,
        "firmware_log": policy.firmware_log,
        "mechanisms": list(policy.mechanisms),
    }


def from_json(document: Mapping[str, Any]) -> AttestationPolicy:
    """The policy in a JSON object of :func:`to_json`'s form; absent fields take their defaults.

    Raises:
        InvalidArgumentError: unknown field, wrong type or value out of range.
    """
    return _changed(AttestationPolicy(), document)


def revised(policy: AttestationPolicy, change: Mapping[str, Any]) -> AttestationPolicy:
    """The policy with the fields of ``change`` in place of its own; security versions are added to those it has.

    Raises:
        InvalidArgumentError: unknown field, wrong type or value out of range.
        ConflictError: a minimum security version would fall.
    """
    made = _changed(policy, change)
    for image_type, holds in policy.minimum_security_versions.items():
        asked = made.minimum_security_versions.get(image_type, holds)
        if asked < holds:
            raise ConflictError(
                f"the minimum security version of image type {image_type} is {holds}; {asked} would lower it",
                remedy="Minimum security versions only rise: a lower one would let releases with known holes back in.",
            )
    versions = {**policy.minimum_security_versions, **made.minimum_security_versions}
    return replace(made, minimum_security_versions=versions)


class PolicyInForce:
    """A policy with what it says of the boots seen so far. Belongs to one event loop or thread: it takes no lock.

    Attributes:
        firmware: The catalog's reference values for the machine's firmware; None where none are stated.
    """

    __slots__ = ("_known", "_reference", "_while", "firmware", "policy")

    def __init__(self, policy: AttestationPolicy, firmware: FirmwareReference | None = None) -> None:
        self.policy = policy
        self.firmware = firmware
        self._known: dict[tuple[str, str, tuple[str, ...]], Verdict] = {}
        self._reference: ReferenceValues | None = None
        self._while = range(0)  # seconds in which what is known holds

    def fault(self, tier: str, chip: str, judgement: Judgement, reference: ReferenceValues, now: int) -> str:
        """What a boot lacks of what the catalog demands, in words; empty if nothing.

        Args:
            tier: From the enrolment record.
            chip: From the enrolment record.
            judgement: Of the event log. Where no release was found only tier and chip are compared.
            reference: What the log was judged with.
            now: Unix seconds UTC.
        """
        if reference is not self._reference or now not in self._while:  # releases came, went or ended
            self._known.clear()
            self._reference, self._while = reference, reference.unchanged(now)
        key = (tier, chip, judgement.releases)
        verdict = self._known.get(key)
        if verdict is None:
            verdict = judge(self.policy, tier, chip, judgement, reference, now)
            if len(self._known) >= MAX_KNOWN:
                self._known.pop(next(iter(self._known)))
            self._known[key] = verdict
        return verdict.at(now)


def judge(
    policy: AttestationPolicy, tier: str, chip: str, judgement: Judgement, reference: ReferenceValues, now: int
) -> Verdict:
    """What ``policy`` says of a boot, for all times in which no release ends (``reference.unchanged(now)``)."""
    faults = [_tier_fault(policy, tier), _chip_fault(policy, chip)]
    if not judgement.releases:
        return Verdict(" ".join(filter(None, faults)), FOREVER, "")
    faults.append(_version_fault(policy, judgement.security_versions))
    deadline, late = min(_deadlines(policy, chip, judgement.releases, reference, now), default=(FOREVER, ""))
    return Verdict(" ".join(filter(None, faults)), deadline, late)


def containment_fault(policy: AttestationPolicy, enforcement: Iterable[tuple[str, str]]) -> str:
    """Which demanded mechanisms do not contain the device's applications, by its evidence; empty if none."""
    if not policy.mechanisms:
        return ""
    said = dict(enforcement)
    lacking = [
        f"{name} ({said.get(name, 'its self-test knows none').removeprefix(MISSING_PREFIX)})"
        for name in policy.mechanisms
        if said.get(name) != ENFORCED
    ]
    return f"This catalog demands mechanisms that do not hold on this device: {', '.join(lacking)}." if lacking else ""


def _tier_fault(policy: AttestationPolicy, tier: str) -> str:
    if TRUST_TIERS.index(tier) >= TRUST_TIERS.index(policy.minimum_tier):
        return ""
    return f"This catalog demands tier {policy.minimum_tier}; this device proves tier {tier} (its enrolment record)."


def _chip_fault(policy: AttestationPolicy, chip: str) -> str:
    if not policy.chips or chip in policy.chips:
        return ""
    return f"This catalog accepts the chips {', '.join(policy.chips)}; this device is enrolled as a {chip}."


def _version_fault(policy: AttestationPolicy, versions: Mapping[int, int]) -> str:
    for image_type, version in versions.items():
        minimum = policy.minimum_security_versions.get(image_type, 0)
        if version < minimum:
            return (
                f"This catalog demands security version {minimum} of image type {image_type}; this boot has {version}."
            )
    return ""


def _deadlines(
    policy: AttestationPolicy, chip: str, releases: tuple[str, ...], reference: ReferenceValues, now: int
) -> list[tuple[int, str]]:
    """From when on a boot of ``releases`` is too old, and why; the strictest of releases that are equal to the byte."""
    found: list[tuple[int, str]] = []
    for version in releases:
        newer = reference.newer(chip, version, now)
        if policy.older_releases_until is not None and newer:
            until = policy.older_releases_until
            text = f"This catalog accepted releases older than {newer} until {utc(until)}; this boot is {version}."
            found.append((until, text))
        standing = reference.standing(chip, version)
        if policy.maximum_release_age_days is not None and standing is not None:
            days = policy.maximum_release_age_days
            published = utc(standing.published_at)
            text = f"This catalog accepts releases for {days} days; {version} was published on {published}."
            found.append((standing.published_at + days * DAY_S, text))
    return found


def _changed(policy: AttestationPolicy, document: Mapping[str, Any]) -> AttestationPolicy:
    values: dict[str, Any] = {}
    for name, value in document.items():
        if name == "chips":
            values[name] = _names(value, name, "a list of chip names")
        elif name == "mechanisms":
            values[name] = _names(value, name, "a list of names of mechanisms")
        elif name == "minimum_security_versions":
            values[name] = _versions(value)
        elif name == "minimum_tier":
            if not isinstance(value, str):
                raise _invalid(name, f"one of {', '.join(TRUST_TIERS)}", value)
            values[name] = value
        elif name in ("older_releases_until", "maximum_release_age_days", "firmware_log"):
            values[name] = value
        else:
            raise InvalidArgumentError(f"unknown policy field {name!r:.60}", remedy=_REMEDY)
    return replace(policy, **values)


def _names(value: object, name: str, expected: str) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or any(not isinstance(one, str) for one in value):
        raise _invalid(name, expected, value)
    return tuple(sorted(set(cast("list[str]", value))))


def _versions(value: object) -> dict[int, int]:
    if not isinstance(value, Mapping):
        raise _invalid("minimum_security_versions", "an object of image type to version", value)
    found: dict[int, int] = {}
    for kind, version in value.items():
        if not str(kind).isascii() or not str(kind).isdecimal() or len(str(kind)) > 5:
            raise _invalid("image type", f"0 to {MAX_IMAGE_TYPE}", kind)
        found[int(kind)] = version
    return found


def _check_mechanisms(names: tuple[str, ...]) -> None:
    for name in names:
        if name not in MECHANISMS:
            raise _invalid("mechanisms", f"names of {', '.join(MECHANISMS)}", name)
    if list(names) != sorted(set(names)):
        raise _invalid("mechanisms", "names, sorted, each once", list(names))


def _check_number(name: str, value: object, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise _invalid(name, f"{low} to {high}", value)


def _invalid(name: str, expected: str, got: object) -> InvalidArgumentError:
    return InvalidArgumentError(f"{name}: expected {expected}, got {got!r:.80}", remedy=_REMEDY)
