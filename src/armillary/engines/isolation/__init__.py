# SPDX-License-Identifier: Apache-2.0
"""Holds a guardian's two sides apart on a Linux host: nftables rules, fixed addresses and the time for the equipment.

``keeping`` is the top: it looks at the interfaces, sets the rules, starts what serves the equipment and watches all of
it until it is stopped. The rules stay when it ends: without the guardian the equipment reaches nobody.

Not here: what the rules and the configuration say (``armillary.guard.isolation``), the
time's format (``armillary.wire.equipment.sntp``). Needs root, nftables, and dnsmasq for addresses.

Specification: ``docs/reference/guardian-isolation.md``.
"""
