# SPDX-License-Identifier: Apache-2.0
"""How a guardian keeps its equipment off every network: its two sides, and the texts by which a host holds them apart.

A guardian has two interfaces: the equipment's side, where it is the only peer, and the uplink, over which it dials out.
Nothing is forwarded between any two interfaces, and each side reaches only what is listed here:

===========  ======================================================================================================
from         may
===========  ======================================================================================================
equipment    ask for its fixed address (DHCP), ask for the time (SNTP), answer what the guardian asked
uplink       answer what the guardian asked; IPv6 neighbours and routers, without which IPv6 does not work
elsewhere    answer what the guardian asked (a third interface is neither side)
guardian     send to the equipment from its address there and to that network; to the uplink all but that network
===========  ======================================================================================================

Not here: what sets and watches them (``armillary.engines.isolation``). Pure.

Specification: ``docs/reference/guardian-isolation.md``.
"""
