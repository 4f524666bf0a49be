# SPDX-License-Identifier: Apache-2.0
"""Control groups: what one application uses of the machine is bounded, counted and ended as a whole.

``hierarchies`` finds what the host has, ``controllers`` knows the kernel's files and ``device_program`` what version 2
takes instead of one, ``groups`` makes the groups of applications, and ``leftovers`` removes those of devices that were
killed.
"""
