# SPDX-License-Identifier: Apache-2.0
"""Completes the reference values of a CoRIM for the chip that they are for.

Appraisal looks a component up by chip, component id and digest (``attest/reference.py``), and a chip's profile fixes
the component ids of its boot chain. So the digest has to come from the file, the component comes from the profile at
that place, and whatever else the file states of it has to agree.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import NAMESPACE_OID, UUID, uuid5

from armillary.engines.records.schema.rows import OsComponent
from armillary.errors import InvalidArgumentError

if TYPE_CHECKING:
    from armillary.boot.profile import BootComponent, ChipProfile
    from armillary.service.context.chips import Chips
    from armillary.wire.attestation.corim import Corim
    from armillary.wire.attestation.corim_fields import ReferenceClaim

# Things passed over that an answer and an audit line name: files of makers have some ten, 16 KiB could hold thousands.
MAX_NAMED: Final = 50


class Completed(NamedTuple):
    """The reference values of a release; components in boot order.

    ``passed_over`` is what the file says and a release does not keep; ``derived`` what the file does not say, and where
    it was taken from.
    """

    chip: str
    version: str
    components: tuple[OsComponent, ...]
    passed_over: tuple[str, ...]
    derived: tuple[str, ...]


def complete(value: Corim, chips: Chips, *, chip: str | None, version: str | None, security_version: int) -> Completed:
    """Reference values as a release needs them.

    ``chip`` and ``version`` are the caller's, None to take the file's. ``security_version`` is for components of which
    the file says none; a device that reports another is not admitted, so 0 admits only packages of security version 0.

    Raises:
        InvalidArgumentError: neither says the chip or the version, or the file has not the chip's boot chain.
        NotFoundError: no such chip.
    """
    passed, derived = list(value.passed_over), Counter[str]()
    name = _chosen("chip", "model", value.chip, chip, passed)
    if value.chip in chips.names and value.chip != name:
        raise InvalidArgumentError(
            f"the CoRIM is for {value.chip}, and {name} was asked for", remedy="Leave the chip out, or correct it."
        )
    os_version = _chosen("os_version", "version", value.os_version, version, passed)
    profile = chips.get(name)
    claims = _in_boot_order(value.components, profile, derived)
    components = tuple(
        _component(claim, boot, chips, passed, derived, security_version)
        for claim, boot in zip(claims, profile.boot_components, strict=True)
    )
    return Completed(name, os_version, components, _counted(Counter(passed)), _counted(derived))


def _chosen(option: str, field: str, said: str | None, given: str | None, passed: list[str]) -> str:
    if given is None and said is None:
        raise InvalidArgumentError(
            f"the CoRIM has no {field}, so it does not say its {option}",
            remedy=f"Say it: --{option.replace('_', '-')}.",
        )
    if said is not None and given not in (None, said):
        passed.append(f"{field} {said}")
    return str(said if given is None else given)


def _in_boot_order(
    claims: tuple[ReferenceClaim, ...], profile: ChipProfile, derived: Counter[str]
) -> tuple[ReferenceClaim, ...]:
    boots = profile.boot_components
    if len(claims) != len(boots):
        raise InvalidArgumentError(
            f"{profile.name} boots {len(boots)} components ({', '.join(each.name for each in boots)}), the CoRIM has "
            f"reference values of {len(claims)}",
            remedy="A release names every boot component of its chip, in boot order.",
        )
    wanted = [each.image_type for each in boots]
    found = [claim.image_type for claim in claims]
    if any(one not in (None, other) for one, other in zip(found, wanted, strict=True)):
        raise InvalidArgumentError(
            f"{profile.name} boots image types {wanted} in this order, the CoRIM has {found}",
            remedy="A release names every boot component of its chip, in boot order.",
        )
    layers = {claim.layer for claim in claims}
    if None in layers or len(layers) != len(claims):
        derived["the boot order: as the file has them"] += 1
    return claims


def _component(
    claim: ReferenceClaim,
    boot: BootComponent,
    chips: Chips,
    passed: list[str],
    derived: Counter[str],
    security_version: int,
) -> OsComponent:
    stated = claim.component_id or (claim.element if isinstance(claim.element, UUID) else None)
    if stated is not None and stated != boot.component_id:
        known = chips.boot_component(stated)
        if known is not None:
            raise InvalidArgumentError(
                f"the CoRIM has {known} where {boot.name} boots", remedy="Put its triples into boot order."
            )
        passed.append(f"component {stated}")
    if stated != boot.component_id:
        derived["component id: the chip's at that place"] += 1
    if claim.image_type is None:
        derived["image type: the chip's at that place"] += 1
    if claim.security_version is None:
        derived[f"security version: {security_version}"] += 1
    if claim.image_id is None:
        derived["image id: from component id and digest"] += 1
    name = claim.name or (claim.element if isinstance(claim.element, str) else None)
    if name is None:
        derived["name: the chip's at that place"] += 1
    return OsComponent(
        name=name or boot.name,
        image_type=boot.image_type,
        component_id=boot.component_id,
        image_id=claim.image_id or uuid5(NAMESPACE_OID, f"{boot.component_id}/{claim.digest.hex()}"),
        digest=claim.digest,
        security_version=security_version if claim.security_version is None else claim.security_version,
        size=0,  # its packages are not here
    )


def _counted(named: Counter[str]) -> tuple[str, ...]:
    """Each text once, with its count if above one; beyond ``MAX_NAMED`` texts only how many more there are."""
    parts = [text if count == 1 else f"{text} ({count} times)" for text, count in named.items()]
    more = len(parts) - MAX_NAMED
    return (*parts[:MAX_NAMED], f"and {more} more") if more > 0 else tuple(parts)
