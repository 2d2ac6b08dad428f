"""Providers are found where they are, and each description makes sense."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from agentplatform.lib.credential_hosts import hosts_of, is_entry
from blocks.sdk.testing import KnownCredentials
from integrations import providers
from integrations.providers import AuthKind, Provider, ProviderInvalid, ProviderName, ProviderUnknown
from integrations.providers.found import ENTRY_POINTS, checked, installed

FOLDER = Path(providers.__file__).parent
NOT_PROVIDERS = {"__init__", "errors", "found", "names", "provider"}

ACME = Provider(name="acme", title="Acme", kinds=(AuthKind.API_KEY,))

each_provider = pytest.mark.parametrize("provider", providers.ALL, ids=lambda provider: provider.name)


def test_every_file_is_a_provider() -> None:
    modules = [path.stem for path in FOLDER.glob("*.py") if path.stem not in NOT_PROVIDERS]

    assert sorted(provider.name for provider in providers.ALL) == sorted(modules)


def test_every_name_has_a_provider() -> None:
    assert {provider.name for provider in providers.ALL} >= set(ProviderName)


def test_every_provider_is_in_the_docs() -> None:
    page = (FOLDER.parents[1] / "docs" / "credentials.md").read_text(encoding="utf-8")

    missing = [provider.name for provider in providers.ALL if f"| `{provider.name}` |" not in page]

    assert not missing, "Add a line to the table in docs/credentials.md"


@pytest.mark.parametrize("name", ["", "OPENAI", "open ai", "constructor"])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(ProviderUnknown):
        providers.get(name)


class TestInstalled:
    def test_is_one_that_a_package_registers(self) -> None:
        (at,) = installed([EntryPoint("acme", f"{__name__}:ACME", ENTRY_POINTS)])

        assert checked([at]) == (ACME,)

    @pytest.mark.parametrize("value", ["no.such.module:ACME", f"{__name__}:NOTHING"])
    def test_is_refused_if_it_is_not_there(self, value: str) -> None:
        with pytest.raises(ProviderInvalid, match="can not be loaded"):
            list(installed([EntryPoint("acme", value, ENTRY_POINTS)]))

    @pytest.mark.parametrize(
        ("others", "message"),
        [
            (["acme"], "is not a Provider"),
            ([replace(ACME, name="Acme Ltd")], "small letters"),
            ([ACME, replace(ACME, title="Another")], "belongs to another"),
        ],
    )
    def test_is_refused_if_it_is_none(self, others: list[object], message: str) -> None:
        with pytest.raises(ProviderInvalid, match=message):
            checked([("acme.provider", other) for other in others])


class TestEach:
    @each_provider
    def test_has_a_way_to_prove_who_asks(self, provider: Provider) -> None:
        assert provider.kinds

    @each_provider
    def test_sends_its_keys_to_its_own_address_only(self, provider: Provider) -> None:
        assert all(is_entry(host) for host in provider.hosts)
        assert set(hosts_of(provider.base_url)) <= set(provider.hosts)
        assert bool(provider.hosts) == bool(provider.base_url)

    @each_provider
    def test_speaks_https(self, provider: Provider) -> None:
        addresses = [provider.base_url]
        if provider.oauth:
            addresses += [provider.oauth.authorize_url, provider.oauth.token_url]

        assert [url for url in addresses if url and not url.startswith("https://")] == []

    @each_provider
    def test_says_where_permission_is_asked_if_it_takes_it(self, provider: Provider) -> None:
        own_server = not provider.base_url

        assert provider.oauth is not None or own_server or AuthKind.OAUTH2 not in provider.kinds


class TestHeaders:
    @pytest.mark.parametrize(
        ("provider", "credential", "headers"),
        [
            ("openai", KnownCredentials("k"), {"Authorization": "Bearer k"}),
            ("openai", KnownCredentials(""), {}),
            ("anthropic", KnownCredentials("k"), {"x-api-key": "k", "anthropic-version": "2023-06-01"}),
            ("github", KnownCredentials("", kind="oauth2", access_token="t"), {"Authorization": "Bearer t"}),
            (
                "http",
                KnownCredentials("", kind="user_password", username="ann", password="é:"),
                {"Authorization": "Basic YW5uOsOpOg=="},
            ),
            ("http", KnownCredentials("", kind="host_headers", headers={"X-Key": "k"}), {"X-Key": "k"}),
        ],
    )
    def test_carry_the_credential(self, provider: str, credential: KnownCredentials, headers: dict[str, str]) -> None:
        assert providers.get(provider).headers_for(credential) == headers


class TestHosts:
    @pytest.mark.parametrize(
        ("provider", "base_url", "hosts"),
        [
            ("openai", "", ("api.openai.com",)),
            ("openai", "http://llm.internal:8080/v1", ("llm.internal:8080",)),
            ("openai", "https://llm.example.com/v1", ("llm.example.com",)),
            ("search", "", ()),
            ("smtp", "smtps://mail.example.com", ("mail.example.com:465",)),
        ],
    )
    def test_of_a_credential_that_names_none(self, provider: str, base_url: str, hosts: tuple[str, ...]) -> None:
        assert providers.get(provider).hosts_for(base_url) == hosts
