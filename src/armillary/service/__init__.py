# SPDX-License-Identifier: Apache-2.0
"""The security service: knows every device, lets in only those that prove what they run, keeps them up to date.

One package per concern: registry (catalogs to devices, audit log, tokens), authority (certificates), updates (images,
deployments, roll-outs), verifier (check-ins, OS releases), watch (findings), factory (manufacture, enrolment),
hub_access (who may use the hub), endpoint and workers (serve devices). ``assemble.py`` is the single place where they
are built; :class:`armillary.service.assemble.SecurityService` is what the API, the console and the command line hold.

Not here: SQL (``engines/records``), rules about evidence, certificates or roll-outs (``attest``, ``identity``,
``rollout``), operator HTTP (``api``).

Specification: ``docs/reference/device-protocol.md`` for what devices see, ``docs/concepts/trust.md`` for why.
"""
