"""`sokhoe doctor`: look at an installation, say what is wrong and the exact way out.

Each check is a small function that returns a Finding; docs/runbooks/ has one page for each. The
exit code is 0 when all is well, 1 for warnings, 2 for faults. No personal data is printed, so the
output can be sent to whoever helps.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum

import httpx

from sokhoe import clock, country
from sokhoe.errors import SokhoeError
from sokhoe.ops.audit import open_existing
from sokhoe.ops.cli import add_settings, settings_from
from sokhoe.ops.jobs import stuck
from sokhoe.settings import SETTINGS, Settings
from sokhoe.store import Store, is_plain
from sokhoe.trust import Gate, Jobs, keys


class Health(StrEnum):
    OK = "OK"
    WARNING = "WARNING"
    FAULT = "FAULT"


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    health: Health
    words: str
    way_out: str = ""


Check = Callable[[Settings, Store], Finding]
LEAST_FREE = 1_000_000_000  # bytes
BEHIND = 5_000  # versions a follower may lag before we speak of it
SKEW_SECONDS = 120
STUCK_MINUTES = 30


def disk(settings: Settings, store: Store) -> Finding:
    usage = shutil.disk_usage(settings.folder)
    free = usage.free / 1e9
    if usage.free < LEAST_FREE:
        return Finding(
            "disk",
            Health.FAULT,
            f"Only {free:.1f} GB are free in {settings.folder}.",
            "Delete what is not needed, or move the data folder to a larger disk.",
        )
    if usage.free < usage.total * 0.1:
        return Finding("disk", Health.WARNING, f"{free:.1f} GB free, less than a tenth.", "Plan.")
    return Finding("disk", Health.OK, f"{free:.0f} GB free")


def folder(settings: Settings, store: Store) -> Finding:
    mode = settings.folder.stat().st_mode & 0o077
    if mode & 0o007:
        return Finding(
            "folder",
            Health.WARNING,
            "Every user of this machine can read the data folder.",
            f"chmod o-rwx {settings.folder}",
        )
    if not os.access(settings.folder, os.W_OK):
        return Finding("folder", Health.FAULT, "The data folder cannot be written.", "Fix rights.")
    return Finding("folder", Health.OK, "only its owner can read it")


def chains(settings: Settings, store: Store) -> Finding:
    fault = next(iter(store.verify()), None)
    if fault is not None:
        return Finding(
            "chains",
            Health.FAULT,
            f"{fault.where}: {fault.message}",
            "Stop the server, keep the folder as evidence, restore the last backup.",
        )
    return Finding("chains", Health.OK, "audit and commits are as they were written")


def followers(settings: Settings, store: Store) -> Finding:
    head = store.head()
    late = {
        name: head - int(seq)
        for name, seq in store.all_kept("mark").items()
        if head - int(seq) > BEHIND
    }
    if late:
        words = ", ".join(f"{name} {lag} behind" for name, lag in sorted(late.items()))
        return Finding(
            "followers",
            Health.WARNING,
            words,
            "Is the server running? If so, look for 'follower … failed' in its log.",
        )
    return Finding("followers", Health.OK, "all are near the newest change")


def pack(settings: Settings, store: Store) -> Finding:
    try:
        found = country.load(settings.country, settings.province)
    except SokhoeError as error:
        return Finding("country", Health.FAULT, error.message, error.hint)
    return Finding("country", Health.OK, found.name)


def line(settings: Settings, store: Store) -> Finding:
    if not settings.hub_url:
        return Finding("line", Health.OK, "this server has no hub above it")
    try:
        answer = httpx.get(f"{settings.hub_url}/health", timeout=5)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        return Finding(
            "line",
            Health.WARNING,
            f"The hub at {settings.hub_url} does not answer ({type(error).__name__}).",
            "Work goes on; what is saved here is sent by itself. Check cable, router, address.",
        )
    skew = _skew(answer)
    if abs(skew) > SKEW_SECONDS:
        return Finding(
            "line",
            Health.WARNING,
            f"This machine's clock is {skew:+.0f} s from the hub's.",
            "Set the clock, or switch on network time: timedatectl set-ntp true",
        )
    return Finding("line", Health.OK, "the hub answers")


def _skew(answer: httpx.Response) -> float:
    date = answer.headers.get("date")
    if not date:
        return 0.0
    return clock.now() / 1_000_000 - parsedate_to_datetime(date).timestamp()


def sign_ins(settings: Settings, store: Store) -> Finding:
    accounts = store.all_kept("account")
    if not accounts:
        return Finding("accounts", Health.WARNING, "Nobody can sign in yet.", "Add an account.")
    active = sum(1 for one in accounts.values() if one["active"])
    return Finding("accounts", Health.OK, f"{active} active accounts")


def jobs(settings: Settings, store: Store) -> Finding:
    every = Jobs(Gate(store, settings), hours=settings.job_hours, most=1).all()
    still = stuck(every, clock.now(), STUCK_MINUTES * 60_000_000)
    if still:
        return Finding(
            "jobs",
            Health.WARNING,
            f"{len(still)} jobs have stood still for {STUCK_MINUTES} minutes.",
            "Is the server running? See: sokhoe jobs list",
        )
    return Finding("jobs", Health.OK, f"{sum(one.open for one in every)} open")


def encrypted(settings: Settings, store: Store) -> Finding:
    ring = keys.ring.load(settings.folder)
    if ring is None:
        if settings.is_demo:
            return Finding("keys", Health.OK, "a demo: what it holds is invented")
        words = "Whoever takes this disk can read every record."
        return Finding("keys", Health.WARNING, words, "sokhoe keys init, then sokhoe keys encrypt")
    url = settings.database_url
    if url.startswith("sqlite:///") and is_plain(url.removeprefix("sqlite:///")):
        return Finding(
            "keys",
            Health.WARNING,
            "There are keys, but the database file stands in the clear.",
            "Stop the server, then: sokhoe keys encrypt",
        )
    return Finding("keys", Health.OK, f"encrypted; data key {ring.current} seals")


CHECKS: tuple[Check, ...] = (disk, folder, encrypted, pack, chains, followers, jobs, line, sign_ins)


def add(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, [one.name for one in SETTINGS if not one.secret])


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    store = open_existing(settings)
    try:
        found = [check(settings, store) for check in CHECKS]
    finally:
        store.close()
    for one in found:
        print(f"{one.health:<8} {one.check:<10} {one.words}")
        if one.way_out:
            print(f"{'':<8} {'':<10} → {one.way_out}")
    if any(one.health is Health.FAULT for one in found):
        return 2
    return 1 if any(one.health is Health.WARNING for one in found) else 0
