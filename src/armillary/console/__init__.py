# SPDX-License-Identifier: Apache-2.0
"""The console: server-rendered pages in which people see a fleet, judge a device and stop a roll-out.

What it is: a Starlette application, mounted at ``/`` beside the operator API. It asks the API's own view
functions in process, so a page never shows what the public API does not give. ``page_*.py`` turn those answers
into view models (pure functions: sentences, states, ages); templates only lay them out.

What it is not: a second API, a place for rules, or a script application. Every page reads without script; htmx and
server-sent events only keep it fresh. Nothing is loaded from another host.

Specification: the permitted content is the strict policy in ``console/frame/guard.py`` (Content Security Policy level
3); forms follow OWASP's signed double-submit pattern; live values are ``text/event-stream`` (HTML, server-sent events).
"""
