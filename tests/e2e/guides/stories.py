# SPDX-License-Identifier: Apache-2.0
"""Which test runs which page: the stories, and the blocks that other tests take from the pages.

Pages of one story are followed one after the other by one person, in one folder, at one service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

GUIDES = "docs/guides/"


class Part(NamedTuple):
    """A page of a story, or one section of it."""

    page: str
    section: str = ""


# Name of the story -> its pages, in the order in which they are followed.
STORIES: Mapping[str, Sequence[Part]] = {
    "the first minutes": (Part("README.md"),),
    "a device and the Saturday": (
        Part(f"{GUIDES}first-device.md"),
        Part(f"{GUIDES}grafana.md"),
        Part(f"{GUIDES}rules.md"),
        Part(f"{GUIDES}azure-iot-clients.md"),
        Part(f"{GUIDES}move-from-hawkbit.md"),
        Part(f"{GUIDES}move-from-azure-sphere.md"),
        Part(f"{GUIDES}people.md"),
        Part(f"{GUIDES}exploited-vulnerability.md"),
        Part(f"{GUIDES}cra-reporting.md"),
        Part(f"{GUIDES}trace.md"),
        Part(f"{GUIDES}vulnerability-reports.md"),
        Part(f"{GUIDES}notifications.md"),
        Part(f"{GUIDES}update-a-fleet.md"),
        Part(f"{GUIDES}operate.md"),
        Part(f"{GUIDES}life-of-a-device.md"),
        Part(f"{GUIDES}release-keys.md"),
    ),
    "a program of one's own": (
        Part(f"{GUIDES}first-device.md", "1. Start the service"),
        Part(f"{GUIDES}application-in-c.md"),
        Part(f"{GUIDES}application-in-any-language.md"),
    ),
    "an application": (
        Part(f"{GUIDES}jobs-and-exports.md"),
        Part(f"{GUIDES}application-as-files.md"),
        Part(f"{GUIDES}templates.md"),
        Part(f"{GUIDES}dashboards.md"),
    ),
    "a product's keys": (Part(f"{GUIDES}product-from-the-image.md"),),
    "a machine": (
        Part(f"{GUIDES}connect-a-machine.md"),
        Part(f"{GUIDES}watch-guardians.md"),
        Part(f"{GUIDES}guardian-coffee.md"),
        Part(f"{GUIDES}guardian-cable.md"),
        Part(f"{GUIDES}guardian-dispenser.md"),
    ),
}
DEMOS = "tests/e2e/test_guardian_demos.py::test_a_story_is_played_to_its_end_and_leaves_nothing_running"
SPHERE = "tests/conformance/test_azure_mgmt_sphere.py::test_the_guides_program_runs_as_it_stands"
# (page, file that the page says to save a block as, or the first command of one) -> the test that takes it from there.
ELSEWHERE: Mapping[tuple[str, str], str] = {
    (f"{GUIDES}azure-iot-clients.md", "both.js"): (
        "tests/conformance/test_node_clients.py::test_the_guides_script_runs_as_it_stands"
    ),
    (f"{GUIDES}grafana.md", "armillary.yml"): (
        "tests/api/prometheus/test_grafana_guide.py::test_the_data_source_of_the_page_asks_and_is_answered"
    ),
    (f"{GUIDES}guardian-coffee.md", "armillary guardian demo coffee"): DEMOS,
    (f"{GUIDES}guardian-cable.md", "armillary guardian demo cable"): DEMOS,
    (f"{GUIDES}guardian-dispenser.md", "armillary guardian demo dispenser"): DEMOS,
    (f"{GUIDES}move-from-azure-sphere.md", "list_devices.py"): SPHERE,
    (f"{GUIDES}move-from-azure-sphere.md", "ARMILLARY_TOKEN=arm_… python list_devices.py"): SPHERE,
    (f"{GUIDES}release-keys.md", "armillary.conf"): (
        "tests/conformance/test_nginx_repository.py::test_an_unmodified_client_installs_from_an_unmodified_web_server"
    ),
    (f"{GUIDES}device-image.md", "armillary image attack --list --only PK"): (
        "tests/cli/device_image/test_image_attack.py::test_the_guides_list_is_what_is_printed"
    ),
    (f"{GUIDES}device-workers.md", "armillary up --device-workers 2"): (
        "tests/e2e/test_device_workers.py::test_status_shows_the_workers_and_a_kill_of_the_service_ends_them_at_once"
    ),
}
# Pages whose blocks all say why they are not run, or are run elsewhere; and pages without any.
WITHOUT_STORY = frozenset(
    f"{GUIDES}{name}.md"
    for name in ("command-line", "device-image", "device-workers", "flash-the-device-image", "power-cut")
)
