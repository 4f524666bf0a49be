# SPDX-License-Identifier: Apache-2.0
"""How the device's own connections leave its host: directly, or through its proxy.

What it is not: what is kept of the proxy (``armillary.device.state.network_configuration``), what is asked of the
service (``armillary.device.checkin``), connections of applications (``armillary.engines.sandbox.network``).
Specification: ``docs/reference/device-rest.md``.
"""
