# SPDX-License-Identifier: Apache-2.0
"""Sandbox: run an application so that it can do what it was granted and nothing else.

What it is: ``port`` (the contract), the engines ``linux``, ``crun``, ``reduced`` and ``process``, the launcher that
runs in the sandbox, the broker that makes the declared connections outside it, and a self-test of probes.
What it is not: a policy. ``capability`` decides what an application gets; an engine enforces it and reports which
mechanisms hold on this host.
Specification: bwrap(1), crun(1), seccomp_unotify(2), landlock(7), user_namespaces(7); docs/reference/sandbox.md.
"""
