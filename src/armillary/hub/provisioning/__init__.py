# SPDX-License-Identifier: Apache-2.0
"""Devices that register themselves, over MQTT and HTTPS, as the Device Provisioning Service has it.

Not here: which devices may (``armillary.service.hub_access``).
Specification: the public reference of the Device Provisioning Service, version 2019-03-31.
"""
