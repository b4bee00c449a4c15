"""`sokhoe subscriptions`: the operator sees what stands, and lets refused events be sent again."""

from __future__ import annotations

from pathlib import Path

import pytest

from sokhoe.exchange.subscriptions import posting
from sokhoe.ops import run
from tests.exchange.subscriptions.asking import an_observation, plain, settle, subscribe
from tests.exchange.subscriptions.receiver import Receiver
from tests.testland import Pack
from tests.worlds import Hub


def test_the_operator_sees_and_sends_again(
    tmp_path: Path,
    receiver: Receiver,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(posting, "FIRST_PAUSE", 0.001)
    data = ["--data", str(tmp_path / "hub")]
    with Hub(tmp_path / "hub", Pack(), subscription_hosts="127.0.0.1") as hub:
        assert run(["subscriptions", *data]) == 0
        assert "no Subscriptions" in capsys.readouterr().out
        id = subscribe(hub, hub.software(), plain(receiver))
        receiver.answers = [422, 422, 422, 200]
        hub.put(an_observation("bad-name"), an_observation("good"))
        for _ in range(20):
            settle(hub)
        assert run(["subscriptions", *data]) == 0
        text = capsys.readouterr().out
        assert f"{id}  active" in text
        assert "2 events, 0 waiting, 1 refused" in text
        assert f"--resend {id}" in text
        assert "bad-name" not in text
        receiver.got.clear()
        assert run(["subscriptions", "--resend", id, *data]) == 0
        settle(hub)
        assert receiver.refs == ["Observation/bad-name"]
        assert run(["subscriptions", "--resend", "none", *data]) == 1
        assert "no Subscription none" in capsys.readouterr().err
