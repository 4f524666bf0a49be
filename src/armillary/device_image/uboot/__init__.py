# SPDX-License-Identifier: Apache-2.0
"""U-Boot for device images whose chip has no UEFI: its build, its key, and the one signed file that it starts.

What is in U-Boot is ``image/uboot``: a fragment of its configuration with a reason per line, its built-in environment,
what the TPM adds to the device tree. What it is not: the chip's own first loader, Trusted Firmware-A, fuses.
Specification: docs/concepts/device-image.md.
"""
