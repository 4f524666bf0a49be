# SPDX-License-Identifier: Apache-2.0
"""The computer's side of a machine's service link: how QEMU is told of it, and the door that tools come in by.

The link is a network of its own with the machine at one end. QEMU takes connections for it at a port of this host's
loopback, where every user of the host could come; so the machine lets in only connections that begin with a secret,
and the door, which knows whose a connection is, says it for those of the user who runs the machine, and of root.
"""
