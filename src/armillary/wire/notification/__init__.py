# SPDX-License-Identifier: Apache-2.0
"""Events that people and their tools are told of, and the forms in which they go out.

Not here: who is told (``service/notifications``), and how bytes reach them (``engines/outbound``). Specification:
CloudEvents 1.0.2, RFC 5424 (syslog), OTLP 1.x logs, OCSF 1.x.
"""
