# SPDX-License-Identifier: Apache-2.0
"""Every error of the tree has a status, and the nearest ancestor decides."""

from __future__ import annotations

import inspect
import json

import pytest

from armillary import errors
from armillary.api.app import SHAPES
from armillary.api.azure.problems import azure_problem, word_of
from armillary.api.central.shape import central_problem
from armillary.api.http import problems
from armillary.api.iot_hub.shape import iot_hub_problem

LEAVES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.ArmillaryError)]


def _made(kind: type[errors.ArmillaryError]) -> errors.ArmillaryError:
    if issubclass(kind, errors.WireError):
        return kind("format", expected="a", got="b")
    if issubclass(kind, errors.ManifestError):
        return kind("path", expected="a", got="b")
    if issubclass(kind, errors.ModelError):
        return kind([("where", "what")])
    if issubclass(kind, errors.RateLimitedError):
        return kind("slow down", retry_after_s=7)
    return kind("message")


@pytest.mark.parametrize(
    ("message", "said"),
    [("it is taken", "it is taken. Do."), ("Is it?", "Is it? Do."), ("It is.", "It is. Do."), ("", "Do.")],
)
def test_a_message_and_its_remedy_are_two_sentences(message: str, said: str) -> None:
    assert problems.sentences(message, "Do.") == said
    answer = central_problem(problems.Problem("/api/devices", 400, "c", message, "Do."))
    assert json.loads(answer.body)["error"]["message"] == said


@pytest.mark.parametrize("kind", LEAVES, ids=lambda kind: kind.__name__)
def test_every_error_has_a_status(kind: type[errors.ArmillaryError]) -> None:
    problem = problems.explained("/", _made(kind))
    assert 400 <= problem.status <= 504
    assert word_of(problem).isalpha()


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.NotFoundError, 404),
        (errors.ConflictError, 409),
        (errors.UnauthenticatedError, 401),
        (errors.PermissionDeniedError, 403),
        (errors.InvalidArgumentError, 400),
        (errors.SignatureError, 400),
        (errors.UnknownDeviceError, 404),
        (errors.UnclaimedDeviceError, 409),
        (errors.RevokedDeviceError, 409),
        (errors.RateLimitedError, 429),
        (errors.PortInUseError, 503),
    ],
)
def test_statuses_that_clients_rely_on(kind: type[errors.ArmillaryError], status: int) -> None:
    assert problems.status_of(_made(kind)) == status


def test_the_problem_body_follows_rfc_9457() -> None:
    problem = problems.Problem("/api/v1/devices/x", 404, "request.not-found", "no device x", "List them.")
    assert problems.problem_body(problem) == {
        "type": "urn:armillary:error:request.not-found",
        "title": "Not Found",
        "status": 404,
        "detail": "no device x",
        "instance": "/api/v1/devices/x",
        "code": "request.not-found",
        "remedy": "List them.",
    }


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/subscriptions/a/x", azure_problem),
        ("/SUBSCRIPTIONS/a", azure_problem),
        ("/providers/Microsoft.AzureSphere/operations", azure_problem),
        ("/iothub/devices", iot_hub_problem),
        ("/api/devices/a", central_problem),
        ("/api/v1/devices", problems.problem_details),
        ("/", problems.problem_details),
    ],
)
def test_the_path_decides_the_form(path: str, form: problems.Form) -> None:
    assert SHAPES.form(path) is form
