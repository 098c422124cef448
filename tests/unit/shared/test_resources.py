"""JSON without loss, and the server's own elements."""

import pytest

from functions.shared.errors import FhirError
from functions.shared.resources import parse, serialise, stamp


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1.10}',
        '{"a":0.000000}',
        '{"a":-0.0}',
        '{"a":100}',
        '{"a":123456789012345678901234567890.123456789012345678901234567890}',
        '{"a":12345678901234567890123}',
        '{"a":[true,null,"ü\\\\😀"]}',
    ],
)
def test_json_comes_back_as_it_was(text: str) -> None:
    assert serialise(parse(text.encode())).decode() == text


def test_exponents_keep_value_and_precision() -> None:
    """Text below 1e-6 is written with an exponent, which R4 takes for the same number."""
    text = b'{"a":1.50e-7,"b":0.000000150,"c":1e400}'
    assert serialise(parse(text)) == b'{"a":1.50E-7,"b":1.50E-7,"c":1E+400}'


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'"x"', b"1", b'{"a":NaN}', b'{"a":1,}', b'{"a":01}',
        b'{"a":"\xff"}', b"\xff\xfe{}", b'{"a":"\\ud800"}', b'{"a":"\x00"}',
        b'{"a":1' + b"0" * 5000 + b"}", b'{"a":1e99999999999999999999}',
        b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    ],
)  # fmt: skip
def test_what_is_no_json_object_is_400(body: bytes) -> None:
    with pytest.raises(FhirError) as refused:
        parse(body)
    assert refused.value.status == 400
    assert refused.value.issues[0].code == "structure"


def test_the_server_has_its_elements_and_the_client_the_others() -> None:
    sent = {
        "text": 1,
        "id": "mine",
        "meta": {"versionId": "9", "tag": [{"code": "x"}]},
        "resourceType": "Patient",
    }
    stamped = stamp(sent, "new", 3, "2026-01-31T12:00:00.000Z")

    assert list(stamped) == ["resourceType", "id", "meta", "text"]
    assert stamped["meta"] == {
        "versionId": "3",
        "tag": [{"code": "x"}],
        "lastUpdated": "2026-01-31T12:00:00.000Z",
    }
    assert sent["meta"] == {"versionId": "9", "tag": [{"code": "x"}]}
