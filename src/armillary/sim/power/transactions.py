# SPDX-License-Identifier: Apache-2.0
"""The transactions that are cut, as a table: what was there before, what is wanted, what has to be there in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from armillary.sim.power.supply import FOREIGN, NEXT_SIGNER, Bundle

Regions = dict[str, bytes]
Spoil = Callable[[Regions], None]


def _rot(prefix: str) -> Spoil:
    """Changes bytes in the middle of the first region whose name begins so."""

    def spoil(regions: Regions) -> None:
        region = min(name for name in regions if name.startswith(prefix))
        half = len(regions[region]) // 2
        regions[region] = regions[region][:half] + b"rot" + regions[region][half + 3 :]

    return spoil


def _lose_a_record(regions: Regions) -> None:
    """Change bytes of the copy of the install record that is not in force: the one with the lower sequence number."""
    region = min((name for name in regions if name.startswith("install/")), key=lambda name: regions[name][5:13])
    regions[region] = regions[region][:-3] + b"rot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One row of :data:`TRANSACTIONS`.

    Attributes:
        before: Bundles that the device has installed, one after the other.
        wanted: The bundle that is offered while the power is cut; None for no offer.
        crashing: Applications of it that do not stay up.
        hanging: Applications of it that keep the device from settling until it is switched off and on.
        os_hangs: Its OS boots and then does nothing.
        os_unattested: The service does not attest its OS.
        switched: The device has switched to the wanted bundle already and has not started again.
        booted: It has started again once, and lost its power before it did anything more.
        spoil: What happens to the flash then; without the application that was spoilt it may run until it is whole.
        worn: Beginning of the names of regions that the medium never stores right any more.
        also: Other bundles that may run on the way.
        root: The service's root that the device is to pin (``Supply.configuration``).
        recovered: The OS that a person recovers the device with, by hand.
        dead: No OS boots before that.
        stays: Whether the wanted bundle runs in the end; None where it or the one before may.
        outcome: What the service has to be told of the images that were offered and not there; empty for nothing.
    """

    name: str
    about: str
    before: tuple[Bundle, ...] = ()
    wanted: Bundle | None = None
    crashing: frozenset[int] = frozenset()
    hanging: frozenset[int] = frozenset()
    os_hangs: bool = False
    os_unattested: bool = False
    switched: bool = False
    booted: bool = False
    spoil: Spoil | None = None
    worn: str = ""
    also: tuple[Bundle, ...] = ()
    root: int | None = None
    recovered: Bundle | None = None
    dead: bool = False
    stays: bool | None = True
    outcome: str = "confirmed"


_OLD: Final[Mapping[int, int]] = {0: 1, 1: 1}
_NEW: Final[Mapping[int, int]] = {0: 2, 2: 1}  # changes one, removes one, adds one
_BEFORE: Final = (Bundle(applications=_OLD),)

APPLICATIONS: Final = (
    Transaction(
        name="first-install",
        about="The first applications of a device that was just manufactured; its first boot is confirmed.",
        wanted=Bundle(applications=_OLD),
    ),
    Transaction(
        name="install",
        about="Applications are replaced, added and removed in one switch.",
        before=_BEFORE,
        wanted=Bundle(applications=_NEW),
    ),
    Transaction(
        name="third-install",
        about="An installation that overwrites the slots of the one before the last.",
        before=(*_BEFORE, Bundle(applications=_NEW)),
        wanted=Bundle(applications={0: 3, 1: 2, 2: 2}),
    ),
    Transaction(
        name="revert",
        about="A new application does not stay up: the set is reverted.",
        before=_BEFORE,
        wanted=Bundle(applications=_NEW),
        crashing=frozenset({2}),
        stays=False,
        outcome="reverted",
    ),
    Transaction(
        name="hang",
        about="A new application keeps the device from settling until its starts are used up.",
        before=_BEFORE,
        wanted=Bundle(applications=_NEW),
        hanging=frozenset({0}),
        stays=False,
        outcome="reverted",
    ),
    Transaction(
        name="remove",
        about="Every application is removed.",
        before=_BEFORE,
        wanted=Bundle(),
    ),
    Transaction(
        name="refuse",
        about="Applications that a foreign key signed are refused.",
        before=_BEFORE,
        wanted=Bundle(applications=_NEW, signed=False),
        stays=False,
        outcome="failed",
    ),
    Transaction(
        name="repair",
        about="An application that is damaged in flash is fetched again.",
        before=_BEFORE,
        wanted=Bundle(applications=_OLD),
        spoil=_rot("applications/"),
        outcome="",
    ),
    Transaction(
        name="one-record",
        about="An installation on a device that has only one readable copy of its install record.",
        before=_BEFORE,
        wanted=Bundle(applications=_NEW),
        spoil=_lose_a_record,
    ),
    Transaction(
        name="worn-out",
        about="The flash stores no package any more: nothing is switched to, what runs goes on running.",
        before=_BEFORE,
        wanted=Bundle(applications=_NEW),
        worn="fetched/",
        stays=False,
        outcome="",
    ),
    Transaction(
        name="roots",
        about="The service's roots are renewed: the device's configuration is replaced.",
        before=_BEFORE,
        root=4,
    ),
)

OS: Final = (
    Transaction(
        name="os",
        about="A new OS: the device starts again, is measured anew, and the anti-rollback counter rises once it stays.",
        before=_BEFORE,
        wanted=Bundle(os=4, applications=_OLD),
    ),
    Transaction(
        name="os-and-applications",
        about="OS and applications in one switch.",
        before=_BEFORE,
        wanted=Bundle(os=2, applications=_NEW),
    ),
    Transaction(
        name="os-again",
        about="A new OS goes over the copies of the one before the last, which were the way back.",
        before=(Bundle(os=2, applications=_OLD), Bundle(os=3, applications=_OLD)),
        wanted=Bundle(os=4, applications=_OLD),
    ),
    Transaction(
        name="os-unattested",
        about="The service does not attest the new OS: it is reverted, applications with it.",
        before=_BEFORE,
        wanted=Bundle(os=4, applications=_NEW),
        os_unattested=True,
        stays=False,
        outcome="reverted",
    ),
    Transaction(
        name="os-hangs",
        about="The new OS boots and does nothing, until its starts are used up.",
        before=_BEFORE,
        wanted=Bundle(os=4, applications=_OLD),
        os_hangs=True,
        stays=False,
        outcome="reverted",
    ),
    Transaction(
        name="os-breaks-application",
        about="An application does not stay up on the new OS: both are reverted, and the counter has not risen.",
        before=_BEFORE,
        wanted=Bundle(os=4, applications=_OLD),
        crashing=frozenset({1}),
        stays=False,
        outcome="reverted",
    ),
    Transaction(
        name="os-damaged-on-trial",
        about="The new OS is damaged before its first boot: the boot refuses it and starts the one before at once. "
        "(If the power goes in that start, it looks like a boot, and the OS may come again.)",
        before=_BEFORE,
        wanted=Bundle(os=4, applications=_NEW),
        switched=True,
        spoil=_rot("boot.b/"),
        stays=None,
        outcome="reverted",
    ),
    Transaction(
        name="os-damaged-later",
        about="The new OS is damaged after it booted on trial: the one before starts at once, and it is fetched again. "
        "(If the power goes twice, in the two starts that its trial has left, it is not tried again.)",
        before=_BEFORE,
        wanted=Bundle(os=4, applications=_NEW),
        switched=True,
        booted=True,
        spoil=_rot("boot.b/"),
    ),
    Transaction(
        name="os-way-back",
        about="The OS is damaged long after it was kept: the one before boots, and the wanted one is fetched again.",
        before=(Bundle(os=2, applications=_OLD), Bundle(os=3, applications=_OLD)),
        wanted=Bundle(os=3, applications=_OLD),
        spoil=_rot("boot/"),
        also=(Bundle(os=2, applications=_OLD),),
        outcome="",
    ),
    Transaction(
        name="os-foreign",
        about="An OS that a foreign key signed is refused, and the applications with it.",
        before=_BEFORE,
        wanted=Bundle(os=2, applications=_NEW, signer=FOREIGN),
        stays=False,
        outcome="failed",
    ),
    Transaction(
        name="os-below-counter",
        about="A genuine OS below the anti-rollback counter is refused.",
        before=(Bundle(os=4, applications=_OLD),),
        wanted=Bundle(os=2, applications=_NEW),
        stays=False,
        outcome="failed",
    ),
    Transaction(
        name="os-abi",
        about="Applications that work on a newer OS only are refused beside this one.",
        before=_BEFORE,
        wanted=Bundle(os=2, applications=_NEW, needs_abi=3),
        stays=False,
        outcome="failed",
    ),
    Transaction(
        name="key-store",
        about="A trusted key store, and in the same bundle an OS that only its new key signed.",
        before=_BEFORE,
        wanted=Bundle(os=4, applications=_NEW, key_store=True, signer=NEXT_SIGNER),
    ),
    Transaction(
        name="key-store-revert",
        about="A bundle with a trusted key store is reverted: the device trusts whom it trusted before.",
        before=_BEFORE,
        wanted=Bundle(os=2, applications=_NEW, key_store=True, signer=NEXT_SIGNER),
        crashing=frozenset({0}),
        stays=False,
        outcome="reverted",
    ),
)

RECOVERY: Final = (
    Transaction(
        name="recover",
        about="A person recovers a device that runs: another OS comes into slot a, in place of one that came over the "
        "air.",
        before=(Bundle(os=2, applications=_OLD),),
        recovered=Bundle(os=4),
        outcome="",
    ),
    Transaction(
        name="recover-dead",
        about="The OS is damaged and there is none before it: nothing boots until a person has recovered the device.",
        before=_BEFORE,
        spoil=_rot("boot/"),
        recovered=Bundle(os=2),
        dead=True,
        outcome="",
    ),
    Transaction(
        name="recover-on-trial",
        about="A person recovers a device whose new OS hangs on trial: the trial is reverted, and its OS not tried "
        "again.",
        before=_BEFORE,
        wanted=Bundle(os=4, applications=_OLD),
        os_hangs=True,
        switched=True,
        recovered=Bundle(os=3),
        stays=False,
        outcome="reverted",
    ),
    Transaction(
        name="recover-new-key",
        about="The release that a device is recovered with has another signer: its certificate comes with the OS.",
        before=_BEFORE,
        recovered=Bundle(os=4, signer=NEXT_SIGNER),
        outcome="",
    ),
)

TRANSACTIONS: Final = APPLICATIONS + OS + RECOVERY
