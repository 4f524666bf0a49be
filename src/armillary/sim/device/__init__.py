# SPDX-License-Identifier: Apache-2.0
"""Devices without a device: a prover, a device on the wire, an attacker, a service to play against. Simulators, all.

Not here: the device process (``armillary.device``).
"""
