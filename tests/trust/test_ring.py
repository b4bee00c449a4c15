"""The ring opens by its master key alone, survives its changes, and says what is wrong."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from sokhoe.errors import Invalid, NotFound, Unavailable
from sokhoe.settings import DEMO_MASTER_KEY, DEMO_PASSWORD, SETTINGS, Settings, load
from sokhoe.store import Keys
from sokhoe.trust import keys
from sokhoe.trust.keys import master, ring

SECRETS = [one.name for one in SETTINGS if one.secret]


def settings_for(folder: Path, **more: object) -> Settings:
    return load({"data": str(folder / "data"), **more}, {})


@pytest.fixture
def opener(tmp_path: Path) -> bytes:
    """A server with a ring and its master key in a file."""
    made = master.draw()
    (tmp_path / "data").mkdir()
    master.write(tmp_path / "master.key", made, tmp_path / "data")
    ring.save(tmp_path / "data", ring.new(made))
    return made


def test_what_is_sealed_is_opened_and_nothing_else(tmp_path: Path, opener: bytes) -> None:
    found = keys.unlock(settings_for(tmp_path, master_key_file=str(tmp_path / "master.key")))
    assert found is not None
    sealed = found.seal(b"012345678901")
    assert b"012345678901" not in sealed and found.open(sealed) == b"012345678901"
    assert found.open(b'{"plain":1}') == b'{"plain":1}'
    for at in range(len(sealed)):
        changed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        if at >= 4:
            with pytest.raises(Unavailable):
                found.open(changed)


def test_without_a_ring_nothing_is_encrypted(tmp_path: Path) -> None:
    assert keys.unlock(settings_for(tmp_path)) is None


def test_without_the_master_key_nothing_opens(tmp_path: Path, opener: bytes) -> None:
    with pytest.raises(NotFound, match="locked"):
        keys.unlock(settings_for(tmp_path))
    with pytest.raises(Invalid, match="does not open"):
        keys.unlock(settings_for(tmp_path, master_key=master.draw().hex()))


def test_the_file_of_a_ring_holds_no_key(tmp_path: Path, opener: bytes) -> None:
    raw = ring.path_of(tmp_path / "data").read_bytes()
    held = ring.existing(tmp_path / "data").held(opener)
    for key in (opener, held.blind, *held.files, *held.data.values()):
        assert key not in raw and key.hex().encode() not in raw
    assert ring.path_of(tmp_path / "data").stat().st_mode & 0o077 == 0


def test_wrapped_keys_cannot_be_exchanged(opener: bytes, tmp_path: Path) -> None:
    found = ring.existing(tmp_path / "data").grown("data", [opener])
    first, second = found.of("data")[::-1]
    swapped = replace(first, wrapped=second.wrapped)
    rest = tuple(one for one in found.keys if one != first)
    with pytest.raises(Invalid, match="damaged"):
        replace(found, keys=(swapped, *rest)).held(opener)


def test_a_master_key_that_others_may_read_is_refused(tmp_path: Path, opener: bytes) -> None:
    path = tmp_path / "master.key"
    path.chmod(0o640)
    with pytest.raises(Invalid, match="Others") as refused:
        keys.unlock(settings_for(tmp_path, master_key_file=str(path)))
    assert "chmod 600" in refused.value.hint


def test_a_master_key_in_the_data_folder_is_refused(tmp_path: Path, opener: bytes) -> None:
    inside = tmp_path / "data" / "etc" / "master.key"
    inside.parent.mkdir()
    os.link(tmp_path / "master.key", inside)
    with pytest.raises(Invalid, match="may not lie in the data folder"):
        keys.unlock(settings_for(tmp_path, master_key_file=str(inside)))
    (tmp_path / "way").symlink_to(inside)
    with pytest.raises(Invalid, match="may not lie in the data folder"):
        keys.unlock(settings_for(tmp_path, master_key_file=str(tmp_path / "way")))


def test_a_passphrase_opens_and_another_does_not(tmp_path: Path) -> None:
    salt = "00" * 16
    made = ring.new(master.from_passphrase("năm từ rút thăm từ danh sách", salt), salt)
    (tmp_path / "data").mkdir()
    ring.save(tmp_path / "data", made)
    right = settings_for(tmp_path, master_passphrase="năm từ rút thăm từ danh sách ")
    assert keys.unlock(right) is not None
    with pytest.raises(Invalid, match="does not open"):
        keys.unlock(settings_for(tmp_path, master_passphrase="sáu từ rút thăm từ danh sách"))


def test_a_short_passphrase_is_refused() -> None:
    for weak in ("short", "aaaaaaaaaaaaaaaaaaaaaaaa"):
        with pytest.raises(Invalid):
            master.check_passphrase(weak)
    master.check_passphrase("correct horse battery")


def test_running_servers_notice_a_new_data_key(tmp_path: Path, opener: bytes) -> None:
    settings = settings_for(tmp_path, master_key_file=str(tmp_path / "master.key"))
    first, second = keys.unlock(settings), keys.unlock(settings)
    assert first is not None and second is not None
    old = first.seal(b"before")
    ring.save(tmp_path / "data", ring.existing(tmp_path / "data").grown("data", [opener]))
    first.refresh()
    new = first.seal(b"after")
    assert (first.held.current, new[:6]) == (2, b"\xe1sk1\x00\x02")
    assert second.open(new) == b"after"  # looks at the ring because it does not know key 2
    assert second.open(old) == b"before"


def test_changing_the_master_key_survives_a_stop_at_each_step(
    tmp_path: Path, opener: bytes
) -> None:
    fresh = master.draw()
    standing = ring.existing(tmp_path / "data")
    before = standing.held(opener)
    both = standing.also_under(opener, fresh)
    assert both.held(opener) == both.held(fresh) == before
    after = both.only_under(fresh)
    assert after.held(fresh) == before
    with pytest.raises(Invalid):
        after.held(opener)


def test_two_sheets_give_the_master_key_back(tmp_path: Path, opener: bytes) -> None:
    found = ring.existing(tmp_path / "data")
    a, b, c = keys.sheets(found, opener)
    for two in ([a, b], [b, c], [c, a]):
        assert keys.joined(found, two) == opener
    with pytest.raises(Invalid, match="2 different"):
        keys.joined(found, [a, a])
    other = keys.sheets(found, opener)
    with pytest.raises(Invalid, match="do not open"):
        keys.joined(found, [a, other[1]])  # of another printing
    stranger = keys.sheets(ring.new(opener), opener)
    with pytest.raises(Invalid, match="ring"):
        keys.joined(found, stranger)


def test_a_ring_of_rubbish_is_refused(tmp_path: Path, opener: bytes) -> None:
    for raw in (b"", b"{}", b"[]", b'{"format": 9}', b'{"format": 1, "keys": [{}]}'):
        ring.path_of(tmp_path / "data").write_bytes(raw)
        with pytest.raises(Invalid, match="not a ring"):
            ring.load(tmp_path / "data")


def test_a_missing_data_key_is_named(opener: bytes, tmp_path: Path) -> None:
    found = ring.existing(tmp_path / "data").grown("data", [opener])
    sealed = Keys(found.held(opener)).seal(b"x")
    old = Keys(ring.existing(tmp_path / "data").held(opener))
    with pytest.raises(Unavailable, match="Data key 2"):
        old.open(sealed)


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_has_a_default(name: str) -> None:
    assert load({}, {}).values[name] == ""


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("secret", [DEMO_PASSWORD, DEMO_MASTER_KEY, "demo-Xy7", " Sokhoe-Demo\n"])
def test_the_demo_s_secrets_are_refused_outside_the_demo(name: str, secret: str) -> None:
    with pytest.raises(Invalid, match="secret of the demo"):
        load({}, {f"SOKHOE_{name.upper()}": secret})
    assert load({"demo": True}, {f"SOKHOE_{name.upper()}": secret}).values[name] == secret


def test_the_demo_s_master_key_is_refused_in_a_file_too(tmp_path: Path, opener: bytes) -> None:
    path = tmp_path / "demo.key"
    path.touch(mode=0o600)
    path.write_text(DEMO_MASTER_KEY)
    with pytest.raises(Invalid, match="secret of the demo"):
        keys.unlock(settings_for(tmp_path, master_key_file=str(path)))
    with pytest.raises(Invalid, match="does not open"):
        keys.unlock(settings_for(tmp_path, master_key_file=str(path), demo=True))
