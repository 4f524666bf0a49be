# SPDX-License-Identifier: Apache-2.0
"""Formats of equipment behind a guardian: profiles, readings, and the requests and frames of its links.

Equipment is the machine that must never be on a network; a guardian is the device that speaks to it. A profile says
what one kind of equipment is, what may be read of it and what may be asked of it. Everything here turns bytes or plain
values into frozen values and back; each reader gives one error that names the place.

Not here: what is allowed (``armillary.guard``), how bytes reach a machine (``armillary.engines.equipment``), the
process that polls and sends (``armillary.guardian``).

Specifications: Modbus Application Protocol 1.1b3 and Modbus over Serial Line 1.02; DSSE 1.0 (signed files); the profile
in ``docs/reference/equipment-profile.md``.
"""
