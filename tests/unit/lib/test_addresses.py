"""Which addresses are public, and how the list of allowed private ones reads."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from agentplatform.lib.addresses import AllowedHosts, is_inside_name, is_public, parse_literal


class TestIsPublic:
    @pytest.mark.parametrize(
        "text", ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
    )
    def test_takes_addresses_of_the_internet(self, text: str) -> None:
        assert is_public(ip_address(text))

    @pytest.mark.parametrize(
        "text",
        [
            *("0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.168.1.1"),
            *("168.63.129.16", "192.0.0.192", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
            *("::", "::1", "::127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1"),
            *("2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "fc00::1", "fe80::1", "fec0::1", "ff02::1"),
        ],
    )
    def test_refuses_every_other_kind(self, text: str) -> None:
        assert not is_public(ip_address(text))


class TestParseLiteral:
    @pytest.mark.parametrize("text", ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "0x7f000001"])
    def test_reads_every_way_to_write_an_address(self, text: str) -> None:
        assert parse_literal(text) == ip_address("127.0.0.1")

    def test_leaves_the_zone_of_an_address_out(self) -> None:
        assert parse_literal("fe80::1%eth0") == ip_address("fe80::1")

    @pytest.mark.parametrize("text", ["example.com", "1.2.3.4.5", "cafe", "0x.example", ""])
    def test_takes_a_name_for_a_name(self, text: str) -> None:
        assert parse_literal(text) is None


@pytest.mark.parametrize(
    ("name", "is_inside"),
    [
        ("localhost", True),
        ("db", True),
        ("metadata.google.internal", True),
        ("printer.local.", True),
        ("example.com", False),
        ("internal.example.com", False),
    ],
)
def test_knows_names_that_mean_inside(name: str, is_inside: bool) -> None:
    assert is_inside_name(name) == is_inside


class TestAllowedHosts:
    @pytest.mark.parametrize(
        ("entry", "host", "port", "is_allowed"),
        [
            ("llm.internal", "llm.internal", 8080, True),
            ("llm.internal", "LLM.internal.", 80, True),
            ("llm.internal", "x.llm.internal", 80, False),
            ("127.0.0.1:8080", "127.0.0.1", 8080, True),
            ("127.0.0.1:8080", "127.0.0.1", 8081, False),
            ("127.0.0.1:8080", "localhost", 8080, False),
            ("[::1]:8080", "::1", 8080, True),
            ("::1", "::1", 9, True),
        ],
    )
    def test_allows_exactly_what_is_named(self, entry: str, host: str, port: int, is_allowed: bool) -> None:
        allowed = AllowedHosts.parse([entry])

        assert ((host, port) in allowed) == is_allowed

    @pytest.mark.parametrize("entry", ["http://llm", "llm:port", ":80"])
    def test_refuses_an_entry_that_names_no_host(self, entry: str) -> None:
        with pytest.raises(ValueError, match="is not a host"):
            AllowedHosts.parse([entry])
