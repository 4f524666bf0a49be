# SPDX-License-Identifier: Apache-2.0
"""The operator's HTTP API, version 1: one FastAPI application over the security service and the hub.

It has several shapes, each a package: ``azure`` (Azure Sphere's management API, api-version 2024-04-01), ``iot_hub``,
``central`` (IoT Central's REST API) and ``native``, our own under ``/api/v1/`` with OpenAPI 3.1 and RFC 9457 problems.
What they share is in ``http``. ``views`` are plain functions from rows to JSON-able dicts; the console calls the same
functions, so both show the same data.

What it is not: a place for rules or state. Handlers translate; the service decides.

Where things are decided: what a route is, who may call it and how large its body may be in its row
(``api/http/route.py``), which HTTP status an error becomes in ``api/http/problems.py``.
Specification: ``docs/reference/api.md``.
"""
