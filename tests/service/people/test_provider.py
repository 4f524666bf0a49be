# SPDX-License-Identifier: Apache-2.0
"""The client of a sign-in provider against one that fails, lies or hangs: a real TLS server whose answers tests choose."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwk, jws
from tests.fixtures.certificates import self_signed

from armillary.errors import InvalidArgumentError
from armillary.service.people.provider import AGAIN_S, FAILED_S, SignInProvider
from armillary.settings import Settings
from armillary.wire.sign_in.faults import ProviderError, SignInRefusedError
from armillary.wire.sign_in.metadata import MAX_KEY_SET_BYTES

NOW = 1_800_000_000
ADDRESS = "https://console.example"


@dataclass
class Scripted:
    """A provider: what it answers, and what it was asked."""

    issuer: str = ""
    certificate: Path = Path()
    keys: dict[str, Any] = field(default_factory=lambda: {"one": jwk.ECKey.generate_key("P-256")})
    metadata: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=lambda: {"sub": "ann", "name": "Ann"})
    signer: str = "one"
    nonce: str = ""
    asked: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    now: float = NOW

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        self.asked.append(path)
        if path in self.answers:
            return self.answers[path]
        return 200, json.dumps(self._document(path, body)).encode()

    def _document(self, path: str, body: bytes) -> Mapping[str, Any]:
        if path.endswith("openid-configuration"):
            names = {"authorization_endpoint": "auth", "token_endpoint": "token", "jwks_uri": "jwks"}
            places = {name: f"{self.issuer}/{place}" for name, place in names.items()}
            return {"issuer": self.issuer, **places, "userinfo_endpoint": f"{self.issuer}/me", **self.metadata}
        if path == "/jwks":
            return {"keys": [{**key.as_dict(private=False), "kid": name} for name, key in self.keys.items()]}
        if path == "/me":
            return self.info
        self.forms.append({name: found[0] for name, found in parse_qs(body.decode()).items()})
        claims = {
            "nonce": self.nonce,
            "iss": self.issuer,
            "aud": "armillary",
            "sub": "ann",
            "iat": NOW,
            "exp": NOW + 60,
            **self.claims,
        }
        header = {"alg": "ES256", "kid": self.signer}
        key = self.keys.get(self.signer) or jwk.ECKey.generate_key("P-256")
        return {"id_token": jws.serialize_compact(header, json.dumps(claims), key), "access_token": "access"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, list[Scripted]]]:
    folder, playing = tmp_path_factory.mktemp("scripted"), list[Scripted]()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, answer = playing[-1].answer(urlsplit(self.path).path, body)
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.send_header("location", "https://elsewhere.example/")
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET  # noqa: N815 - the library's name

        def log_message(self, *_: Any) -> None:
            pass

    certificate = self_signed(folder, "localhost", hosts=("localhost", "127.0.0.1"))[0]
    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    serving.socket = context.wrap_socket(serving.socket, server_side=True)
    thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"https://localhost:{serving.server_port}", certificate, playing
    serving.shutdown()
    thread.join()
    serving.server_close()


@pytest.fixture
def scripted(server: tuple[str, Path, list[Scripted]]) -> Scripted:
    found = Scripted(server[0], server[1])
    server[2].append(found)
    return found


def client(scripted: Scripted, **changes: Any) -> SignInProvider:
    values = {"oidc_issuer": scripted.issuer, "oidc_client_id": "armillary", "oidc_ca_file": str(scripted.certificate)}
    return SignInProvider(Settings(**{**values, **changes}), lambda: ADDRESS, lambda: scripted.now)


def finish(
    scripted: Scripted, provider: SignInProvider, change: Callable[[dict[str, str]], object] | None = None
) -> Any:
    """A whole sign-in, as a browser goes through it; ``change`` changes what the provider leads it back with."""
    begun = provider.begin("/fleet")
    query = {name: found[0] for name, found in parse_qs(urlsplit(begun.address).query).items()}
    scripted.nonce = query["nonce"]
    answer = {"state": query["state"], "code": "code"}
    if change is not None:
        change(answer)
    return provider.finish(begun.cookie, answer)


def test_a_sign_in_sends_what_the_standards_ask_and_gives_a_profile(scripted: Scripted) -> None:
    provider = client(scripted)
    address = urlsplit(provider.begin("/fleet").address)
    query = {name: found[0] for name, found in parse_qs(address.query).items()}
    assert (query["response_type"], query["code_challenge_method"]) == ("code", "S256")
    assert query["redirect_uri"] == f"{ADDRESS}/sign-in/callback"
    profile, back = finish(scripted, provider)
    assert (profile.subject, profile.name, profile.email, back) == ("ann", "Ann", "", "/fleet")
    assert scripted.forms[0]["client_id"] == "armillary"
    assert len(scripted.forms[0]["code_verifier"]) == 43
    assert "client_secret" not in scripted.forms[0]
    finish(scripted, client(scripted))
    assert [scripted.forms[1][name] for name in ("code", "grant_type")] == ["code", "authorization_code"]


def test_metadata_and_keys_are_fetched_once_and_again_for_an_unknown_key_once_a_minute(scripted: Scripted) -> None:
    provider = client(scripted)
    finish(scripted, provider)
    scripted.keys["two"] = jwk.ECKey.generate_key("P-256")
    scripted.signer = "two"
    with pytest.raises(SignInRefusedError, match="step 3"):  # the set is not a minute old
        finish(scripted, provider)
    scripted.now += AGAIN_S
    assert finish(scripted, provider)[0].subject == "ann"  # the provider has rotated its keys
    scripted.signer = "three"
    for _ in range(3):
        with pytest.raises(SignInRefusedError, match="step 3"):
            finish(scripted, provider)
    assert scripted.asked.count("/jwks") == 2
    assert scripted.asked.count("/.well-known/openid-configuration") == 1


@pytest.mark.parametrize(
    "claims",
    [{"iss": "https://evil.example"}, {"aud": "another"}, {"exp": NOW - 9999}, {"nonce": "another"}, {"sub": ""}],
)
def test_an_id_token_of_another_kind_is_refused(scripted: Scripted, claims: dict[str, Any]) -> None:
    assert finish(scripted, client(scripted))[0].subject == "ann"
    scripted.claims = claims
    with pytest.raises(SignInRefusedError, match="ID token"):
        finish(scripted, client(scripted))


def test_an_error_is_told_in_our_words_and_a_mixed_up_issuer_is_refused(scripted: Scripted) -> None:
    provider = client(scripted)
    with pytest.raises(SignInRefusedError) as refused:
        finish(scripted, provider, lambda answer: answer.update(error="evil", error_description="Call 555"))
    assert "555" not in str(refused.value)
    with pytest.raises(SignInRefusedError, match="9207"):
        finish(scripted, provider, lambda answer: answer.update(iss="https://evil.example"))
    assert finish(scripted, provider, lambda answer: answer.update(iss=scripted.issuer))[0].subject == "ann"


def test_an_address_that_the_token_does_not_call_verified_is_asked_about(scripted: Scripted) -> None:
    scripted.claims |= {"name": "Ann", "email": "ann@x.example"}
    scripted.info |= {"email": "ann@x.example", "email_verified": True}
    profile, _ = finish(scripted, client(scripted))
    assert profile.email == "ann@x.example"


def test_what_is_said_of_somebody_else_is_not_taken(scripted: Scripted) -> None:
    scripted.info["sub"] = "bob"
    with pytest.raises(SignInRefusedError, match="somebody else"):
        finish(scripted, client(scripted))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"issuer": "https://evil.example"}, "of the issuer"),
        ({"token_endpoint": "http://localhost/token"}, "https"),
        ({"jwks_uri": None}, "jwks_uri"),
        ({"code_challenge_methods_supported": ["plain"]}, "S256"),
    ],
)
def test_metadata_that_is_not_the_issuers_or_not_enough_is_refused(
    scripted: Scripted, changed: dict[str, Any], words: str
) -> None:
    scripted.metadata = changed
    with pytest.raises(ProviderError, match=words):
        client(scripted).begin("/")


@pytest.mark.parametrize(
    "answer",
    [(500, b"{}"), (302, b"{}"), (200, b"no json"), (200, b'{"keys": 1}'), (200, b" " * (MAX_KEY_SET_BYTES + 1))],
)
def test_a_failing_answer_is_one_clear_error_and_nobody_waits_for_it_again_soon(
    scripted: Scripted, answer: tuple[int, bytes]
) -> None:
    scripted.answers["/jwks"] = answer
    provider = client(scripted)
    for _ in range(2):
        with pytest.raises(ProviderError):
            finish(scripted, provider)
    assert scripted.asked.count("/jwks") == 1
    scripted.answers.clear()
    scripted.now += FAILED_S
    assert finish(scripted, provider)[0].subject == "ann"


def test_it_is_called_at_its_own_host_and_at_public_ones_alone(scripted: Scripted) -> None:
    scripted.metadata = {"token_endpoint": scripted.issuer.replace("localhost", "127.0.0.1") + "/token"}
    with pytest.raises(ProviderError, match="neither the issuer's nor a public one"):
        finish(scripted, client(scripted))
    assert "/token" not in scripted.asked


def test_a_provider_that_is_not_there_or_shows_another_certificate_is_one_clear_error(scripted: Scripted) -> None:
    with pytest.raises(ProviderError, match="cannot be reached"):
        client(scripted, oidc_ca_file="").begin("/")
    with pytest.raises(ProviderError, match="cannot be reached"):
        client(scripted, oidc_issuer="https://localhost:1").begin("/")


def test_the_secret_is_a_file_of_the_owner_alone(scripted: Scripted, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    for content, mode, words in ((b"s", 0o644, "by others"), (b"", 0o600, "1 to"), (b"\xff", 0o600, "ASCII")):
        file.write_bytes(content)
        file.chmod(mode)
        with pytest.raises(InvalidArgumentError, match=words):
            client(scripted, oidc_client_secret_file=str(file))
    with pytest.raises(InvalidArgumentError, match="cannot be read"):
        client(scripted, oidc_client_secret_file=str(tmp_path / "absent"))
    file.write_bytes(b"of-armillary\n")
    finish(scripted, client(scripted, oidc_client_secret_file=str(file)))
    assert "client_secret" not in scripted.forms[-1], "it goes in the header"
    scripted.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    finish(scripted, client(scripted, oidc_client_secret_file=str(file)))
    assert scripted.forms[-1]["client_secret"] == "of-armillary"
