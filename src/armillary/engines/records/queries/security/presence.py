# SPDX-License-Identifier: Apache-2.0
"""Whether there is any of what few services have: the questions that are asked where nobody has one."""

from __future__ import annotations

from sqlalchemy import Connection, select

from armillary.engines.records.schema import schema

_case, _product = schema.reported_case, schema.product
_policy, _report = schema.disclosure_policy, schema.vulnerability_report


def has_open_case(connection: Connection) -> bool:
    """Whether a case is open."""
    return connection.execute(select(_case.c.number).where(_case.c.closed_at.is_(None)).limit(1)).first() is not None


def has_declared_support(connection: Connection) -> bool:
    """Whether it is declared of a product until when it is supported."""
    query = select(_product.c.product_id).where(_product.c.support_ends.is_not(None)).limit(1)
    return connection.execute(query).first() is not None


def has_disclosure(connection: Connection) -> bool:
    """Whether it is said how strangers report vulnerabilities, or a report is not closed."""
    if connection.execute(select(_policy.c.policy_id).limit(1)).first() is not None:
        return True
    waiting = select(_report.c.number).where(_report.c.state != "closed").limit(1)
    return connection.execute(waiting).first() is not None


def has_device_logs(connection: Connection) -> bool:
    """Whether any device was asked for its log, or has sent it, as far as that is kept."""
    kept = (schema.device_log.c.device_number, schema.device_log_request.c.device_number)
    return any(connection.execute(select(each).limit(1)).first() is not None for each in kept)


def has_dump_keys(connection: Connection) -> bool:
    """Whether any group has a key for crash dumps; it has one as long as it has dumps."""
    return connection.execute(select(schema.crash_dump_key.c.key_id).limit(1)).first() is not None
