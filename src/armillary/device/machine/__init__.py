# SPDX-License-Identifier: Apache-2.0
"""The device as a whole machine: process 1 of the device image, its network, its watchdog, its first enrolment.

What it is: the little that stands between the kernel and the device process where no other system is. ``first`` is
process 1, ``program`` the device process.
What it is not: the boot before it (``image/init/init.c``), the device itself (``armillary.device``), and what builds
the image (``armillary.device_image``). Specification: docs/concepts/device-image.md.
"""
