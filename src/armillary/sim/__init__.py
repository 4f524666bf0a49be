# SPDX-License-Identifier: Apache-2.0
"""Simulators of devices and attackers that ship with the product; each says that it is a simulator.

``attacker`` plays someone who has taken over a device's operating system or its flash; ``prover`` is a device reduced
to its proof and ``wire_device`` one reduced to its connection, for load. They use the same rules, formats and wire
as real devices.

What they are not: test doubles. The service that they talk to is always the real one. Specification: each module's
docstring; the attacks are those of SECURITY.md.
"""
