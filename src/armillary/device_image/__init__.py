# SPDX-License-Identifier: Apache-2.0
"""The maker of device images: root file system, unified image, disk, and a machine in QEMU that boots them.

What it is: a process that runs on the maker's host. It takes what ``image/`` at the top of the repository names (a
recipe, pinned packages, the first program), builds the same bytes of the same input, and says what is missing.
What it is not: anything that runs on a device (``armillary.device.machine`` is the device as a whole machine), and not
the image packages that a service deploys (``wire/image``).
Specification: docs/concepts/device-image.md; formats in ``wire/device_image``.
"""
