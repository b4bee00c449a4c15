"""`sokhoe accounts`: the first account of a new server, and the way back in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sokhoe.ops.cli import run
from sokhoe.store import open_store
from tests.worlds import a_gate


def test_the_first_account_is_made_listed_closed_and_reset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    open_store(f"sqlite:///{tmp_path / 'sokhoe.db'}").close()
    here = ["--data", str(tmp_path)]
    assert run(["accounts", *here]) == 0
    assert "There are no accounts" in capsys.readouterr().out
    about = ["--role", "head", "--name", "Chị Hoa", "--facility", "86307"]
    assert run(["accounts", "--add", "hoa", *about, *here]) == 0
    said = capsys.readouterr().out
    password = re.search(r"password ([0-9A-Z-]{14}) ", said)
    assert password
    assert run(["accounts", "--add", "hoa", *about, *here]) == 1
    assert run(["accounts", "--close", "hoa", *here]) == 0
    assert run(["accounts", *here]) == 0
    assert re.search(r"hoa +head +Chị Hoa .* closed, password on paper", capsys.readouterr().out)
    assert run(["accounts", "--open", "hoa", *here]) == 0
    assert run(["accounts", "--reset", "hoa", *here]) == 0
    assert run(["accounts", "--reset", "nobody", *here]) == 1
    with a_gate(tmp_path) as gate:
        account = gate.accounts.find("hoa")
        assert account is not None
        assert (account.place, account.active, account.once) == ("Organization/86307", True, True)
        assert not gate.accounts.fits("hoa", password[1])
