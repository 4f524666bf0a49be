# SPDX-License-Identifier: Apache-2.0
"""Installs bundles on a device: OS components, trust stores and applications, in slots in flash.

What it is: the install record and the slots on flash (``installer``), the checks of OS components before anything is
written (``os_components``), and whom the device trusts while a trust store is on trial (``trust_stores``).
What it is not: the rules (``armillary.update.install``), one installation from offer to switch
(``device/installation.py``), the boot (``armillary.device.boot``), applications (``armillary.device.applications``).
Specification: docs/reference/device-update.md.
"""
