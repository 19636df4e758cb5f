from __future__ import annotations

import asyncio

import pytest

from corntriton.runtime.remote.addresses import (
    VARIABLE,
    AddressesError,
    Endpoint,
    endpoints_from_environment,
    parse,
    resolve,
)


def test_each_role_has_its_endpoints() -> None:
    assert parse(" large=host1:8001;host2:8001, small = [::1]:9000 ") == {
        "large": (Endpoint("host1", 8001), Endpoint("host2", 8001)),
        "small": (Endpoint("::1", 9000),),
    }
    assert parse("") == parse("  ") == {}


def test_an_endpoint_that_is_named_twice_is_one() -> None:
    assert parse("a=h:1;h:1") == {"a": (Endpoint("h", 1),)}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("host1:8001", "does not say which role has which addresses"),
        ("=host1:8001", "does not say which role"),
        ("a=h:1,a=h:2", "the role a is named twice"),
        ("a=", "'', of the role a, is no host:port"),
        ("a=h", "'h', of the role a, is no host:port"),
        ("a=h:0", "is no host:port"),
        ("a=h:65536", "is no host:port"),
        ("a=http://h:1", "is no host:port"),
        ("a=h:1;;h:2", "'', of the role a"),
    ],
)
def test_a_value_of_another_form_is_explained(text: str, what: str) -> None:
    with pytest.raises(AddressesError) as caught:
        parse(text)
    assert what in str(caught.value)
    assert f'To fix: give it the form {VARIABLE}="large=host1:8001;host2:8001,' in str(caught.value)


def test_the_environment_says_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert endpoints_from_environment() == {}
    monkeypatch.setenv(VARIABLE, "a=h:1")
    assert endpoints_from_environment() == {"a": (Endpoint("h", 1),)}


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("127.0.0.1", ("127.0.0.1:7",)),
        ("::1", ("[::1]:7",)),
        ("localhost", ("127.0.0.1:7",)),
        ("nobody.invalid", ()),
    ],
)
def test_names_become_addresses(host: str, addresses: tuple[str, ...]) -> None:
    assert asyncio.run(resolve(Endpoint(host, 7))) == addresses
