"""The manifests in deploy/ and compose.yaml are valid, and as safe as they say."""

from __future__ import annotations

import asyncio
import ipaddress

import kubernetes_validate
import pytest
import yaml
from django.conf import settings
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from agentplatform.local.paths import ROOT

KUBERNETES = "1.34"
#: The default of AGENTPLATFORM_SOFT_SHUTDOWN_S, and what docs/operations.md says it takes beyond that.
WORKER_STOPS_WITHIN_S = settings.AGENTPLATFORM_SOFT_SHUTDOWN_S + 10
MANIFESTS = [
    pytest.param(document, id=f"{path.name}-{document['kind']}")
    for path in sorted((ROOT / "deploy").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]
DEPLOYMENTS = [param for param in MANIFESTS if param.values[0]["kind"] == "Deployment"]
CONFIG = next(param.values[0]["data"] for param in MANIFESTS if param.values[0]["kind"] == "ConfigMap")
COMPOSE_ENV = dict(
    line.split("=", 1) for line in (ROOT / "deploy" / "example.env").read_text().splitlines() if line[:1].isupper()
)
#: Whose X-Forwarded-For the web believes.
FORWARDERS = [values["FORWARDED_ALLOW_IPS"] for values in (CONFIG, COMPOSE_ENV)]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_is_what_kubernetes_expects(manifest):
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_runs_without_privileges(deployment):
    pod = deployment["spec"]["template"]["spec"]

    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("deployment", [param for param in DEPLOYMENTS if "beat" not in param.id])
def test_is_probed(deployment):
    (container,) = deployment["spec"]["template"]["spec"]["containers"]

    assert {"startupProbe", "livenessProbe"} <= set(container)


@pytest.mark.parametrize("deployment", [param for param in DEPLOYMENTS if "worker" in param.id])
def test_workers_are_given_the_time_they_need_to_hand_on_what_runs(deployment):
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= WORKER_STOPS_WITHIN_S


@pytest.mark.parametrize("name", ["worker", "worker-cpu"])
def test_compose_gives_workers_the_same_time(name):
    assert int(COMPOSE["services"][name]["stop_grace_period"].removesuffix("s")) >= WORKER_STOPS_WITHIN_S


def test_nothing_makes_a_cold_stop_of_sigterm():
    assert "REMAP_SIGTERM" not in (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize("trusted", FORWARDERS)
@pytest.mark.parametrize("told", ["203.0.113.9, 198.51.100.7", "198.51.100.7"])
def test_a_client_is_told_from_its_proxy_and_can_claim_no_other_address(trusted, told):
    seen = []

    async def application(scope, receive, send):
        seen.append(scope["client"][0])

    proxy = str(next(ipaddress.ip_network(trusted).hosts()))
    scope = {"type": "http", "scheme": "http", "client": (proxy, 1), "headers": [(b"x-forwarded-for", told.encode())]}
    asyncio.run(ProxyHeadersMiddleware(application, trusted)(scope, None, None))

    assert seen == ["198.51.100.7"]


def test_only_the_ingress_connects_to_the_web():
    (policy,) = [param.values[0] for param in MANIFESTS if param.values[0]["kind"] == "NetworkPolicy"]
    (web,) = [param.values[0] for param in DEPLOYMENTS if param.values[0]["metadata"]["name"] == "web"]

    assert policy["spec"]["podSelector"]["matchLabels"].items() <= web["spec"]["template"]["metadata"]["labels"].items()
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    assert all(rule["from"] for rule in policy["spec"]["ingress"])


def test_compose_runs_the_same_processes_as_kubernetes():
    of_kubernetes = {param.values[0]["metadata"]["name"] for param in DEPLOYMENTS}

    assert of_kubernetes <= set(COMPOSE["services"])


@pytest.mark.parametrize("name", ["web", "worker", "worker-cpu", "beat"])
def test_compose_runs_without_privileges(name):
    service = COMPOSE["services"][name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
