# SPDX-License-Identifier: Apache-2.0
"""Looks at a native application in the moment of its crash: registers, modules, call stack.

What it is: a tracer (ptrace(2)) in a thread of the device's process, and readers of the memory that it stops.
What it is not: a decision about what is reported or sent (``device/applications``), nor a debugger: it changes nothing.
Specification: ptrace(2), proc_pid_maps(5), System V gABI, LSB Core 5.0 §10.6, DWARF 5 §6.4.
"""
