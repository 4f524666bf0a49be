# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the real-time cores of a chip, beside a machine in QEMU: Cortex-M4s in QEMU, one for each channel.

What it is not: silicon, and what guards anything of the device: who may talk to whom is decided in the device. Its
protocol: ``wire/device/core_channel.py``; specification: ``docs/reference/real-time.md``.
"""
