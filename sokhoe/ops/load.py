"""`sokhoe load PATH… --to URL`: send files and folders, whatever they hold. With `--bulk`: see
bulk.py.

What a file is, is decided by its content: a FHIR Bundle goes to /fhir, NDJSON and single resources
too, an exchange file to the province's gateway if the country pack has a sender for it. One bad
file does not stop the others; the summary names each with its reason, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from sokhoe import country
from sokhoe.errors import Invalid, NotFound, SignIn, SokhoeError, Unavailable
from sokhoe.fhir import decode, encode
from sokhoe.ops import bulk
from sokhoe.ops.cli import add_settings, settings_from

SUFFIXES = {".json", ".ndjson", ".xml"}
CHUNK = 500  # NDJSON lines sent as one batch


@dataclass
class Summary:
    files: Counter[str] = field(default_factory=Counter)
    resources: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH", help="files and folders")
    parser.add_argument("--to", metavar="URL", help="address of the hub or station")
    parser.add_argument(
        "--bulk",
        action="store_true",
        help="NDJSON straight into the memory in --data or --database, many at once",
    )
    parser.add_argument(
        "--processes", type=int, help="with --bulk: how many read and check (all cores)"
    )
    add_settings(parser, ["data", "database"])
    parser.add_argument("--client", metavar="ID:SECRET", help="FHIR: client and its secret")
    parser.add_argument("--gateway", metavar="USER:PASSWORD", help="exchange files: the account")
    parser.add_argument("--doors", metavar="FILE", help="take both from a demo's doors.json")
    parser.add_argument("--country", help="country pack whose files are read")


def files_of(paths: list[str]) -> list[Path]:
    """Every file meant, in a stable order. Raises NotFound for a path that is not there."""
    found: list[Path] = []
    for name in paths:
        path = Path(name)
        if path.is_dir():
            found += sorted(
                one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES and one.is_file()
            )
        elif path.is_file():
            found.append(path)
        else:
            raise NotFound(f"There is no file or folder {name}.", slug="no-file")
    if not found:
        raise NotFound("No .json, .ndjson or .xml file was found there.", slug="no-file")
    return found


def run(arguments: argparse.Namespace) -> int:
    if arguments.bulk:
        return bulk.run(arguments)
    if not arguments.to:
        raise Invalid("Say where to send it.", hint="--to URL, or --bulk --data FOLDER")
    files = files_of(arguments.paths)
    client, gateway = _credentials(arguments)
    pack = country.load(*_pack(arguments))
    console = Console(stderr=True)
    summary = Summary()
    started = time.monotonic()
    with (
        httpx.Client(base_url=arguments.to.rstrip("/"), timeout=120) as http,
        Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        ) as progress,
    ):
        sender = Sender(http, client, gateway, pack.seam("exchange.sender"))
        task = progress.add_task("Sending", total=len(files))
        for file in files:
            try:
                kind, resources = sender.send(file)
                summary.files[kind] += 1
                summary.resources += resources
            except SokhoeError as error:
                summary.failures.append((str(file), f"{error.message} {error.hint}".strip()))
            progress.advance(task)
        for name, reason in sender.settle():
            summary.failures.append((name, reason))
    _report(summary, time.monotonic() - started)
    return 1 if summary.failures else 0


def _credentials(arguments: argparse.Namespace) -> tuple[str, str]:
    client, gateway = arguments.client or "", arguments.gateway or ""
    doors = Path(arguments.doors or "demo-data/doors.json")
    if (not client or not gateway) and doors.is_file():
        known = decode(doors.read_bytes())
        if arguments.doors or arguments.to.rstrip("/") in _addresses(known):
            one = known["clients"][0]
            client = client or f"{one['client_id']}:{one['client_secret']}"
            account = known["gateway"]
            gateway = gateway or f"{account['username']}:{account['password']}"
    return client, gateway


def _addresses(doors: dict[str, Any]) -> set[str]:
    return {doors["hub"]["url"], *(one["url"] for one in doors["stations"])}


def _pack(arguments: argparse.Namespace) -> tuple[str, str]:
    settings = settings_from(arguments)
    return settings.country, settings.province


class Sender:
    """Sends one file after another over one connection; asks for tokens when first needed."""

    def __init__(self, http: httpx.Client, client: str, gateway: str, files: Any) -> None:
        self._http = http
        self._client = client
        self._gateway = gateway
        self._files = files
        self._bearer = ""
        self._open: list[tuple[str, Any]] = []

    def send(self, file: Path) -> tuple[str, int]:
        """Send a file; returns what it was and how many resources it held."""
        content = file.read_bytes()
        start = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
        if start == b"{":
            return self._send_json(file, content)
        if start == b"<":
            return self._send_foreign(file, content)
        raise Invalid("This is neither JSON nor XML.", slug="unknown-file")

    def settle(self) -> Iterator[tuple[str, str]]:
        """Wait for the translation of the foreign files; yields those that were refused."""
        for name, ticket in self._open:
            reason = self._files.outcome(self._http, ticket)
            if reason:
                yield name, reason

    def _send_foreign(self, file: Path, content: bytes) -> tuple[str, int]:
        if self._files is None or not self._files.recognises(content):
            raise Invalid("No country pack here knows this kind of XML file.", slug="unknown-file")
        if not self._gateway:
            raise SignIn("Exchange files need a gateway account.", hint="--gateway USER:PASSWORD")
        self._open.append((str(file), self._files.send(self._http, self._gateway, content)))
        return str(self._files.name), 0

    def _send_json(self, file: Path, content: bytes) -> tuple[str, int]:
        if file.suffix.lower() == ".ndjson":
            lines = [line for line in content.splitlines() if line.strip()]
            for at in range(0, len(lines), CHUNK):
                self._post("/fhir", _as_batch([decode(line) for line in lines[at : at + CHUNK]]))
            return "NDJSON", len(lines)
        resource = decode(content)
        kind = resource.get("resourceType")
        if kind is None:
            raise Invalid(
                "This JSON is not a FHIR resource (no resourceType).", slug="unknown-file"
            )
        if kind == "Bundle" and resource.get("type") in {"transaction", "batch"}:
            self._post("/fhir", content)
            return "FHIR bundle", len(resource.get("entry", []))
        if kind == "Bundle":
            inner = [one["resource"] for one in resource.get("entry", []) if "resource" in one]
            self._post("/fhir", _as_batch(inner))
            return "FHIR bundle", len(inner)
        self._post("/fhir", _as_batch([resource]))
        return "FHIR resource", 1

    def _post(self, path: str, body: bytes) -> None:
        headers = {"Content-Type": "application/fhir+json", "Authorization": self._token()}
        try:
            answer = self._http.post(path, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise Unavailable(
                f"The server does not answer ({type(error).__name__}).",
                hint="Is it running, and is the address right?",
            ) from None
        if answer.status_code >= 300:
            raise Invalid(_reason(answer))
        refused = [
            _first_issue(entry["response"]["outcome"])
            for entry in decode(answer.content).get("entry", [])
            if "outcome" in entry.get("response", {})
        ]
        if refused:
            raise Invalid(f"{len(refused)} entries were refused, the first: {refused[0]}")

    def _token(self) -> str:
        if not self._bearer:
            if not self._client:
                raise SignIn("FHIR files need a client.", hint="--client ID:SECRET")
            name, _, secret = self._client.partition(":")
            form = {
                "grant_type": "client_credentials",
                "client_id": name,
                "client_secret": secret,
            }
            try:
                answer = self._http.post("/oauth/token", data=form)
            except httpx.HTTPError as error:
                raise Unavailable(
                    f"The server does not answer ({type(error).__name__}).",
                    hint="Is it running, and is the address right?",
                ) from None
            if answer.status_code != 200:
                raise SignIn(f"The server refused the client: {answer.text[:200]}")
            self._bearer = f"Bearer {answer.json()['access_token']}"
        return self._bearer


def _as_batch(resources: list[dict[str, Any]]) -> bytes:
    entries = [
        {
            "resource": one,
            "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}
            if "id" in one
            else {"method": "POST", "url": one["resourceType"]},
        }
        for one in resources
    ]
    return encode({"resourceType": "Bundle", "type": "batch", "entry": entries})


def _first_issue(outcome: dict[str, Any]) -> str:
    issue = outcome["issue"][0]
    place = f"{issue['expression'][0]}: " if issue.get("expression") else ""
    return f"{place}{issue['diagnostics']}"


def _reason(answer: httpx.Response) -> str:
    try:
        return f"{answer.status_code} {_first_issue(answer.json())}"
    except (ValueError, KeyError, IndexError):
        return f"The server answered {answer.status_code}."


def _report(summary: Summary, seconds: float) -> None:
    for kind, count in sorted(summary.files.items()):
        print(f"{count} × {kind}")
    rate = f", {summary.resources / seconds:,.0f} per second" if seconds else ""
    print(f"{summary.resources} resources in {seconds:.1f} s{rate}")
    for name, reason in summary.failures[:50]:
        print(f"REFUSED {name}: {reason}")
    if len(summary.failures) > 50:
        print(f"… and {len(summary.failures) - 50} more")
    print(f"{len(summary.failures)} refused")


__all__ = ["Sender", "Summary", "add", "files_of", "run"]
