from __future__ import annotations

import os
from pathlib import Path

import pytest

from sokhoe.errors import Invalid, SignIn
from sokhoe.sync import NodeKey, load_key, make_key
from sokhoe.sync.keys import read_signed, signature_fits


def test_the_key_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    make_key(tmp_path / "data")
    file = tmp_path / "data" / "node.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in file.parent.iterdir()] == ["node.key"]


def test_the_key_file_is_never_readable_by_others_even_under_a_loose_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_key(tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / "node.key").stat().st_mode & 0o777 == 0o600


def test_a_key_that_is_there_is_kept(tmp_path: Path) -> None:
    first = make_key(tmp_path)
    assert make_key(tmp_path).public == first.public
    found = load_key(tmp_path)
    assert found is not None
    assert found.public == first.public


def test_without_enrolment_there_is_no_key(tmp_path: Path) -> None:
    assert load_key(tmp_path) is None


def test_a_damaged_key_file_says_which_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "node.key").write_text("-----BEGIN nothing")
    with pytest.raises(Invalid) as caught:
        load_key(tmp_path)
    assert "node.key" in caught.value.message
    assert "enrol" in caught.value.hint


def test_a_signature_covers_node_method_path_time_and_body() -> None:
    key = NodeKey.draw()

    def fits(node: str = "n", method: str = "POST", path: str = "/p", body: bytes = b"b") -> bool:
        sent = {k.lower(): v for k, v in key.headers("n", "POST", "/p", b"b", 7).items()}
        signed = read_signed({**sent, "x-node": node})
        return signature_fits(key.public, signed, method, path, body)

    assert fits()
    assert not fits(node="m")
    assert not fits(method="GET")
    assert not fits(path="/q")
    assert not fits(body=b"c")
    late = {k.lower(): v for k, v in key.headers("n", "POST", "/p", b"b", 7).items()}
    signed = read_signed({**late, "x-time": "8"})
    assert not signature_fits(key.public, signed, "POST", "/p", b"b")
    good = read_signed(late)
    assert not signature_fits(NodeKey.draw().public, good, "POST", "/p", b"b")
    assert not signature_fits("not base64", good, "POST", "/p", b"b")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-node": "n", "x-time": "1"},
        {"x-node": "n", "x-time": "soon", "x-signature": "aaaa"},
        {"x-node": "n", "x-time": "1", "x-signature": "a b"},
    ],
)
def test_headers_that_do_not_sign_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(SignIn):
        read_signed(headers)
