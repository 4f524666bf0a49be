# SPDX-License-Identifier: Apache-2.0
"""Capability: what an application asked for, what this device gives it, and what that means to the kernel.

What it is: pure rules. ``grant`` turns an app manifest and a platform's limits into a Grant (nothing by
default, one owner for each peripheral); ``network`` decides about one connection; ``seccomp`` compiles the
system-call policy to BPF; ``confine`` turns a Grant into resource limits, Landlock rules and a user, ``layout``
into places, of which ``bubblewrap`` and ``oci`` make arguments and a bundle, all as values; ``explain`` says
what becomes of a manifest, for people.

What it is not: enforcement. Nothing here opens a file or starts a process; ``engines/sandbox`` does, and
reports which mechanism really held.

Specification: Azure Sphere app manifest (learn.microsoft.com, app-manifest); seccomp(2) and the classic BPF
of linux/filter.h; landlock(7); the manual page bwrap(1).
"""
