# SPDX-License-Identifier: Apache-2.0
"""Makes the device image's own kernel: fragments of configuration, the source, the compile, the checker's verdict.

What it is: the part of the image's maker that turns ``image/kernel/*.config`` and Debian's ``linux-source-6.12`` into a
kernel, the same bytes of the same input, and stops where the kernel would not have what the fragments say.
What it is not: the rest of the image, which takes a kernel as a file.
Specification: docs/reference/kernel.md.
"""
