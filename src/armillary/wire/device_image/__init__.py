# SPDX-License-Identifier: Apache-2.0
"""Formats of the device image: initial file system, command line, what programs need, the first address.

What it is not: what is in an image and how it is built (``armillary.device_image``), the formats of its disk
(``wire/disk``) and those of image packages (``wire/image``). Specification: the Linux kernel's
``Documentation/driver-api/early-userspace/buffer-format.rst`` (newc), System V ABI (ELF), RFC 2131 (DHCP).
"""
