# SPDX-License-Identifier: Apache-2.0
"""What stands on the disk of a device image and in its firmware's variables.

Partition table, boot entries of UEFI, environment of U-Boot.

Not here: which slot is to start (``device/boot``), and the disk itself (``engines/flash``).
"""
