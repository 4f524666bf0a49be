# SPDX-License-Identifier: Apache-2.0
"""What is another on another architecture of device images: names, compilers, files of firmware, the virtual machine.

What it is not: what is in an image (``image/image.toml``).
"""
