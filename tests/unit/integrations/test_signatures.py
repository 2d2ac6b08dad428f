"""Signatures: what the senders' own libraries sign is taken, and nothing else is."""

from __future__ import annotations

import base64
import hmac
import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.signature import SignatureVerifier
from standardwebhooks.webhooks import Webhook as StandardWebhook

from integrations import providers, signatures
from integrations.signatures import SignatureScheme

BODY = b'{"zen": "Keep it logically awesome.", "n": 1}'
SECRET = "It's a Secret to Everybody"
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
AT = 1_700_000_000.0

each_scheme = pytest.mark.parametrize("scheme", list(SignatureScheme))


def signed(scheme: str, body: bytes = BODY, *, at: float = AT, secret: str = "", **options: Any) -> dict[str, str]:
    """Return the headers of a sender, by names in lower case."""
    headers = signatures.sign(body, secret or secret_of(scheme), scheme, at=at, delivery_id="msg_1", **options)
    return {name.lower(): value for name, value in headers.items()}


def secret_of(scheme: str) -> str:
    return KEY if scheme == SignatureScheme.STANDARD else SECRET


def is_good(scheme: str, headers: dict[str, str], body: bytes = BODY, *, at: float = AT, secret: Any = None) -> bool:
    return signatures.verify(body, headers, secret or secret_of(scheme), scheme, at=at)


class TestEachScheme:
    @each_scheme
    def test_takes_what_was_signed(self, scheme):
        assert is_good(scheme, signed(scheme))

    @each_scheme
    @given(position=st.integers(0, len(BODY) - 1), bit=st.integers(0, 7))
    def test_refuses_a_body_of_which_a_bit_was_changed(self, scheme, position, bit):
        changed = bytearray(BODY)
        changed[position] ^= 1 << bit

        assert not is_good(scheme, signed(scheme), bytes(changed))

    @each_scheme
    def test_refuses_the_same_data_written_anew(self, scheme):
        assert not is_good(scheme, signed(scheme), json.dumps(json.loads(BODY), separators=(",", ":")).encode())

    @each_scheme
    def test_refuses_another_secret(self, scheme):
        other = "whsec_" + base64.b64encode(b"x" * 32).decode() if scheme == SignatureScheme.STANDARD else "x" * 32

        assert not is_good(scheme, signed(scheme, secret=other))

    @each_scheme
    def test_refuses_no_headers_and_empty_ones(self, scheme):
        headers = signed(scheme)

        assert not is_good(scheme, {})
        for name in headers:
            if name not in ("x-github-delivery", "x-webhook-id"):
                assert not is_good(scheme, headers | {name: ""})
                assert not is_good(scheme, {other: value for other, value in headers.items() if other != name})

    @each_scheme
    def test_takes_either_of_two_secrets(self, scheme):
        other = KEY[:-4] + "AAAA" if scheme == SignatureScheme.STANDARD else "the one before, as long"

        assert is_good(scheme, signed(scheme), secret=[other, secret_of(scheme)])
        assert is_good(scheme, signed(scheme), secret=[secret_of(scheme), other])
        assert not is_good(scheme, signed(scheme), secret=[other])

    @each_scheme
    @given(text=st.text(max_size=200))
    def test_takes_no_text_for_a_signature(self, scheme, text):
        header = signatures.SCHEMES[SignatureScheme(scheme)].header

        assert not is_good(scheme, signed(scheme) | {header: text})

    @pytest.mark.parametrize("scheme", ["standard-webhooks", "stripe", "slack", "generic"])
    @pytest.mark.parametrize(("off_s", "taken"), [(0, True), (299, True), (-299, True), (360, False), (-360, False)])
    def test_tolerates_five_minutes_where_a_time_is_signed(self, scheme, off_s, taken):
        options = {"has_time": True} if scheme == "generic" else {}

        assert is_good(scheme, signed(scheme, at=AT + off_s, **options)) is taken

    @pytest.mark.parametrize("scheme", ["standard-webhooks", "stripe", "slack", "generic"])
    def test_refuses_a_time_that_was_not_signed(self, scheme):
        options = {"has_time": True} if scheme == "generic" else {}
        headers = {
            name: value.replace(f"{AT:.0f}", f"{AT + 1:.0f}") for name, value in signed(scheme, **options).items()
        }

        assert not is_good(scheme, headers)

    @pytest.mark.parametrize("time", ["", "soon", "-1", "1e9", "٣", "9" * 400, "NaN", " 1700000000"])
    def test_refuses_what_is_no_time_though_it_is_signed(self, time):
        digest = hmac.digest(SECRET.encode(), f"{time}.".encode() + BODY, "sha256").hex()

        assert not is_good("stripe", {"stripe-signature": f"t={time},v1={digest}"})
        assert not is_good("generic", {"x-webhook-timestamp": time, "x-webhook-signature": digest})


class TestGeneric:
    def test_takes_hex_with_and_without_its_prefix(self):
        digest = hmac.digest(SECRET.encode(), BODY, "sha256").hex()

        assert is_good("generic", {"x-webhook-signature": digest})
        assert is_good("generic", {"x-webhook-signature": f"sha256={digest}"})
        assert is_good("generic", {"x-webhook-signature": digest.upper()})
        assert not is_good("generic", {"x-webhook-signature": f"sha1={digest}"})
        assert not is_good("generic", {"x-webhook-signature": f"{digest},{digest}"})


class TestStandard:
    def test_takes_what_its_own_library_signs(self):
        at = datetime.now(tz=UTC)
        signature = StandardWebhook(KEY).sign("msg_1", at, BODY.decode())
        headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}

        assert is_good("standard-webhooks", headers, at=at.timestamp())
        assert not is_good("standard-webhooks", headers | {"webhook-id": "msg_2"}, at=at.timestamp())

    def test_signs_what_its_own_library_takes(self):
        assert StandardWebhook(KEY).verify(BODY, signed("standard-webhooks", at=time.time())) == json.loads(BODY)

    def test_takes_one_good_signature_of_several(self):
        headers = signed("standard-webhooks")
        good = headers["webhook-signature"]

        assert is_good("standard-webhooks", headers | {"webhook-signature": f"v1,AAAA {good}"})
        assert not is_good("standard-webhooks", headers | {"webhook-signature": good.replace("v1,", "v2,")})
        assert not is_good("standard-webhooks", headers | {"webhook-signature": "v1,"})
        assert not is_good("standard-webhooks", headers | {"webhook-signature": " ".join(["v1,AAAA"] * 50 + [good])})


class TestGithub:
    def test_takes_the_example_of_its_documentation(self):
        given = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

        assert is_good("github", {"x-hub-signature-256": given}, b"Hello, World!")

    def test_refuses_the_old_algorithm(self):
        digest = hmac.digest(SECRET.encode(), BODY, "sha1").hex()

        assert not is_good("github", {"x-hub-signature": f"sha1={digest}"})
        assert not is_good("github", {"x-hub-signature-256": f"sha1={digest}"})


class TestStripe:
    def test_signs_what_its_own_library_takes(self):
        headers = signed("stripe", at=time.time())

        assert stripe.WebhookSignature.verify_header(BODY.decode(), headers["stripe-signature"], SECRET, tolerance=300)

    def test_takes_one_good_signature_of_several_and_one_time(self):
        given = signed("stripe")["stripe-signature"]
        time_, good = given.split(",")

        assert is_good("stripe", {"stripe-signature": f"{time_},v1={'0' * 64},{good},v0=old"})
        assert not is_good("stripe", {"stripe-signature": f"{time_},{time_},{good}"})
        assert not is_good("stripe", {"stripe-signature": f"{time_},{good.replace('v1', 'v0')}"})


class TestSlack:
    def test_takes_what_its_own_library_signs(self):
        verifier, at = SignatureVerifier(SECRET), str(int(AT))
        signature = verifier.generate_signature(timestamp=at, body=BODY)

        assert is_good("slack", {"x-slack-request-timestamp": at, "x-slack-signature": signature})
        assert signed("slack")["x-slack-signature"] == signature


def test_every_provider_signs_by_a_scheme_that_is_known():
    known = {"", *SignatureScheme}

    assert [one.name for one in providers.ALL if one.signature_scheme not in known] == []


@each_scheme
def test_a_new_secret_is_one(scheme):
    made = signatures.new_secret(scheme)

    assert made != signatures.new_secret(scheme) or scheme in ("stripe", "slack")
    assert made == "" or signatures.is_secret(made, scheme)


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("short", "generic"),
        ("ä" * 20, "github"),
        ("x" * 501, "slack"),
        ("whsec_not base64!", "standard-webhooks"),
        ("", "stripe"),
    ],
)
def test_what_can_be_guessed_or_not_be_sent_is_no_secret(text, scheme):
    assert not signatures.is_secret(text, scheme)
