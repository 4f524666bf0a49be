# SPDX-License-Identifier: Apache-2.0
"""The folder of a machine in QEMU, and that of the image it is made of: what has to be in them before a start."""
