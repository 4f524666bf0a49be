# SPDX-License-Identifier: Apache-2.0
"""The operator's HTTP API, version 1.

What it is: one FastAPI application over the security service and the hub. Catalogs, products, device
groups, devices, images, deployments and certificates are served in the shape of the public Azure Sphere
management API, api-version 2024-04-01 (``api/azure/mount.py`` and its neighbours). What Azure Sphere lacks is served
under ``/api/v1/`` (``native*.py``) with OpenAPI 3.1 and RFC 9457 problems. ``views*.py`` are plain functions
from rows to JSON-able dicts; the console calls the same functions, so both show the same data.

What it is not: a place for rules or state. Handlers translate; the service decides.

Where things are decided: which role a route needs in ``api/http/auth.py``, which HTTP status an error becomes in
``api/http/problems.py``, how large a body may be in ``api/http/routes.py``.
"""
