# SPDX-License-Identifier: Apache-2.0
"""Simulated equipment: a coffee machine, a dispenser and a sensing cable that speak their real protocols and say so.

A machine is a model that lets time pass; what lays its values out for Modbus or for frames is its profile, the same one
that the guardian reads it with, so there is no second table of addresses. Servers put that onto a TCP port or a
pseudo-terminal and can be told to fail as real equipment does. Each says that it is simulated in its protocol: the
device identification of Modbus, a flag of each frame, and the point ``simulated``.

What it is not: a test double of a guardian or of a link; those are the real ones. Nor does it protect itself: like
much old equipment it does whatever it is told, so that what a guard prevents can be shown.

Specification: ``docs/reference/simulated-equipment.md``; the shipped profiles in ``content/equipment/``.
"""
