"""The keys by which this server's files are unreadable for whoever takes the disk.

init      make the keys; the master key goes into --master-key-file, outside the data folder
status    what keys there are, and what is encrypted with them
split     print the master key on three sheets, any two of which bring it back
recover   type or scan two sheets: the master key is written to --master-key-file
encrypt   a station, with the server stopped: the database file; --off: into the clear
          a hub (PostgreSQL), also beside the server: seal old records with the newest data key
rotate    a new data key for all that is written from now on; --master: a new master key;
          --file: another key for the database file, with the server stopped

First steps:  sokhoe keys init --data DIR --master-key-file /etc/sokhoe/master.key
              sokhoe keys split --data DIR --master-key-file /etc/sokhoe/master.key --out SHEETS
"""

from __future__ import annotations

import argparse
import getpass
import secrets
import sys
from pathlib import Path

from sokhoe import clock
from sokhoe.errors import Conflict, Invalid, NotFound, Unsupported
from sokhoe.ops.cli import add_settings, settings_from
from sokhoe.settings import Settings, refuse_demo
from sokhoe.store import Held, Keys, is_plain, key_for, seal_anew, swap
from sokhoe.trust import keys

master = keys.master
paper = keys.paper
printing = keys.printing
ring = keys.ring


SHOWN_EVERY = 50_000  # rows


def add(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = __doc__
    parser.add_argument("deed", choices=("init", "status", "split", "recover", "encrypt", "rotate"))
    parser.add_argument("--passphrase", action="store_true", help="init: ask for a passphrase")
    parser.add_argument("--master", action="store_true", help="rotate: the master key")
    parser.add_argument("--file", action="store_true", help="rotate: the key of the file")
    parser.add_argument("--off", action="store_true", help="encrypt: into the clear")
    parser.add_argument("--out", default="", help="split: a new folder for the three pages")
    parser.add_argument("--sheet", action="append", default=[], help="recover: groups of a sheet")
    add_settings(parser, ["data", "database"])


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    match arguments.deed:
        case "init":
            return init(settings, arguments.passphrase)
        case "status":
            return status(settings)
        case "split":
            return split(settings, Path(arguments.out or "sokhoe-sheets"))
        case "recover":
            return recover(settings, arguments.sheet)
        case "encrypt":
            return encrypt(settings, on=not arguments.off)
    if arguments.file:
        return rotate_file(settings)
    return rotate_master(settings) if arguments.master else rotate(settings)


def init(settings: Settings, ask: bool) -> int:
    """Make a ring. Conflict if there is one."""
    settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ring.changing(settings.folder):
        if ring.load(settings.folder) is not None:
            raise Conflict(f"{ring.path_of(settings.folder)} is there already.", slug="keys")
        opener, salt = _first_master(settings, ask)
        ring.save(settings.folder, ring.new(opener, salt))
    print(f"The keys are in {ring.path_of(settings.folder)}, locked with the master key.")
    print("Now print the three sheets; without master key and sheets all records are lost:")
    print(f"  sokhoe keys split --data {settings.folder} --out SHEETS")
    return 0


def _first_master(settings: Settings, ask: bool) -> tuple[bytes, str]:
    if ask or settings.master_passphrase:
        phrase = settings.master_passphrase or _asked_twice(settings)
        master.check_passphrase(phrase)
        salt = secrets.token_hex(16)
        return master.from_passphrase(phrase, salt), salt
    if not settings.master_key and not settings.master_key_file:
        raise Invalid(
            "Say where the master key is to lie.",
            hint="--master-key-file /etc/sokhoe/master.key, or --passphrase",
            slug="master-key",
        )
    path = Path(settings.master_key_file)
    if settings.master_key_file and not path.exists():
        master.write(path, master.draw(), settings.folder)
        print(f"The master key is in {path}. Start the server with SOKHOE_MASTER_KEY_FILE={path}")
    return master.find(settings, ""), ""


def status(settings: Settings) -> int:
    found = ring.existing(settings.folder)
    print(f"Ring {found.ring}; the sheets of it say {found.mark.hex()}.")
    for kind, what in (("file", "database file"), ("data", "records and journals")):
        for one in found.of(kind):
            now = kind == "data" and one.number == found.current
            seals = " (seals what is written now)" if now else ""
            print(f"  {kind:<5} key {one.number:<4} of {one.made[:10]}  {what}{seals}")
    if len(found.masters) > 1:
        print("The master key is being changed. Finish it: sokhoe keys rotate --master")
    opener = master.find(settings, found.salt)
    found.held(opener)
    print("The master key opens all of them.")
    return 0


def split(settings: Settings, folder: Path) -> int:
    found = ring.existing(settings.folder)
    opener = master.find(settings, found.salt)
    found.held(opener)
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise Conflict(f"{folder} is there already.", hint="Name a new folder: --out") from None
    day = f"{clock.local(clock.now()):%d/%m/%Y}"
    server = f"{settings.facility or settings.role} ({settings.folder.resolve().name})"
    for sheet in keys.sheets(found, opener):
        page = folder / f"sheet-{sheet.number}.html"
        page.touch(mode=0o600)
        page.write_text(printing.page(sheet, server, day, keys.NEEDED, keys.SHARES), "utf-8")
    print(f"Three pages are in {folder}. Print each, then delete the folder:")
    print(f"  shred -u {folder}/*; rmdir {folder}")
    print("Try at once that two of them work: sokhoe keys recover --master-key-file /tmp/try")
    return 0


def recover(settings: Settings, given: list[str]) -> int:
    """The master key from two sheets, into the file of the settings."""
    if not settings.master_key_file:
        raise Invalid(
            "Say where the master key is to be written.",
            hint="--master-key-file /etc/sokhoe/master.key",
            slug="master-key",
        )
    found = [paper.read(text) for text in given]
    while len(found) < keys.NEEDED:
        found.append(paper.read(_typed(f"Sheet {len(found) + 1} of {keys.NEEDED}, all groups: ")))
    held = ring.load(settings.folder)
    opener = keys.joined(held, found)
    master.write(Path(settings.master_key_file), opener, settings.folder)
    print(f"The master key is in {settings.master_key_file}.")
    if held is None:
        print(f"There is no {ring.FILE} in {settings.folder}, so it could not be tried.")
    return 0


def rotate(settings: Settings) -> int:
    """A new data key seals from now on; running servers take it within a second."""
    with ring.changing(settings.folder):
        found = ring.existing(settings.folder)
        opener = master.find(settings, found.salt)
        found.held(opener)
        found = found.grown("data", _both(found, opener))
        ring.save(settings.folder, found)
    print(f"Data key {found.current} seals from now on; old keys open what they sealed.")
    if not settings.database_url.startswith("sqlite:///"):
        print("To seal old records with it too, beside the server: sokhoe keys encrypt")
    return 0


def encrypt(settings: Settings, *, on: bool) -> int:
    """The database file under its key, or in the clear. Conflict while the server runs."""
    if not settings.database_url.startswith("sqlite:///"):
        return encrypt_hub(settings)
    with ring.changing(settings.folder):
        held = _held(settings)
        file = _file(settings)
        standing = key_for(file, Keys(held))
        wanted = held.files[0] if on else None
        if standing != wanted:
            swap(file, standing, wanted)
    print(f"{file} is {'encrypted' if on else 'in the clear'}.")
    if on:
        for left in sorted(Path(file).parent.glob(f"{Path(file).name}.before-*")):
            if is_plain(left):
                print(f"  → {left} is an older copy in the clear. Delete it: shred -u {left}")
    return 0


def encrypt_hub(settings: Settings) -> int:
    """Every row sealed with the newest data key, and the index made blind."""
    held = keys.unlock(settings)
    if held is None:
        ring.existing(settings.folder)
    assert held is not None
    store = keys.open_memory(settings)  # which makes the index anew if it is not blind yet
    store.close()
    total = 0
    for table, rows in seal_anew(settings.database_url, held):
        if rows - total >= SHOWN_EVERY:
            total = rows
            print(f"  {rows:,} rows sealed, at work on {table}")
    print(f"Everything is sealed with data key {held.current}.")
    return 0


def rotate_file(settings: Settings) -> int:
    """Another key for the database file. Killed at any moment, the same command finishes it."""
    with ring.changing(settings.folder):
        found = ring.existing(settings.folder)
        opener = master.find(settings, found.salt)
        file = _file(settings)
        standing = key_for(file, Keys(found.held(opener)))
        if standing is None:
            raise Conflict(f"{file} is in the clear.", hint="Run: sokhoe keys encrypt", slug="keys")
        if standing == found.held(opener).files[0]:  # else an earlier run was broken off here
            found = found.grown("file", _both(found, opener))
            ring.save(settings.folder, found)
        swap(file, standing, found.held(opener).files[0])
        old = {one.number for one in found.of("file")[1:]}
        ring.save(settings.folder, found.without("file", old))
    print(f"{file} is encrypted with another key. Older backups need the keys beside them.")
    return 0


def _held(settings: Settings) -> Held:
    found = ring.existing(settings.folder)
    return found.held(master.find(settings, found.salt))


def _file(settings: Settings) -> str:
    """The database file. Unsupported for PostgreSQL."""
    url = settings.database_url
    file = str(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite:///"):
        raise Unsupported("This server keeps its records in PostgreSQL, which has no such file.")
    if not Path(file).exists():
        raise NotFound(f"There is no memory {file}.", hint="Name the data folder: --data DIR")
    return file


def rotate_master(settings: Settings) -> int:
    """Another master key. Killed at any moment, the same command finishes it."""
    with ring.changing(settings.folder):
        found = ring.existing(settings.folder)
        opener = master.find(settings, found.salt)
        if len(found.masters) > 1:
            ring.save(settings.folder, found.only_under(opener))
            print("The change of the master key that was broken off is finished.")
            return 0
        found.held(opener)
        if found.salt:
            phrase = _asked_twice(settings)
            master.check_passphrase(phrase)
            salt = secrets.token_hex(16)
            fresh = master.from_passphrase(phrase, salt)
            # the salt is replaced together with the last wrapping, in one step
            both = found.also_under(opener, fresh, salt)
            ring.save(settings.folder, both.only_under(fresh))
        elif settings.master_key_file:
            fresh = master.draw()
            both = found.also_under(opener, fresh)
            ring.save(settings.folder, both)
            master.replace(Path(settings.master_key_file), fresh)
            ring.save(settings.folder, both.only_under(fresh))
        else:
            raise Invalid(
                "A master key from the environment cannot be changed here.",
                hint="Bring it into a file first: --master-key-file, without SOKHOE_MASTER_KEY",
                slug="master-key",
            )
    print("The master key is another one. The old sheets open nothing: print new ones.")
    return 0


def _both(found: ring.Ring, opener: bytes) -> list[bytes]:
    if len(found.masters) > 1:
        raise Conflict(
            "The master key is being changed.", hint="Finish it: sokhoe keys rotate --master"
        )
    return [opener]


def _asked_twice(settings: Settings) -> str:
    phrase = _hidden("New passphrase: ")
    if phrase != _hidden("The same again: "):
        raise Invalid("The two differ; nothing was changed.", slug="master-key")
    refuse_demo(phrase, "This passphrase", demo=settings.is_demo)
    return phrase


def _hidden(prompt: str) -> str:
    return getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")


def _typed(prompt: str) -> str:
    if sys.stdin.isatty():
        return input(prompt)
    return sys.stdin.readline()
