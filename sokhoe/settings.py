"""Every setting in one tuple: name, type, default, and one sentence of meaning.

A value comes from, in this order: the command line, the environment (`SOKHOE_NAME`), the file
`sokhoe.toml` in the data folder, the default. `sokhoe settings` prints each with its source.
A name that nobody knows stops the start with the nearest known name: a misspelt
`SOKHOE_AUDIT_DAYS` must not be silently without effect.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from sokhoe.errors import Invalid

PREFIX = "SOKHOE_"
# Read by the tests and by start scripts, not by the program.
FOREIGN = frozenset({"SOKHOE_SHARED", "SOKHOE_CI", "SOKHOE_CHROMIUM", "SOKHOE_KILLS"})


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    default: str | int | bool
    meaning: str
    secret: bool = False


SETTINGS: tuple[Setting, ...] = (
    Setting("role", "station", "station or hub: which part of the system this process is"),
    Setting("demo", False, "this server belongs to a demo: invented accounts, test e-ID"),
    Setting("host", "127.0.0.1", "address to listen on; 0.0.0.0 opens the LAN"),
    Setting("port", 8600, "port to listen on"),
    Setting(
        "web_processes",
        0,
        "processes that answer requests; 0: one, on PostgreSQL one for each core (at most 4)",
    ),
    Setting("data", "sokhoe-data", "folder of this server's files"),
    Setting("database", "", "postgresql://… or sqlite:///…; empty: sokhoe.db in the data folder"),
    Setting(
        "upgrade_database",
        False,
        "PostgreSQL: upgrade the tables of an older version at start (copy it with pg_dump first)",
    ),
    Setting("country", "vietnam", "country pack (entry point group sokhoe.country); none: no pack"),
    Setting("province", "vinh_long", "data folder of the province inside the country pack"),
    Setting("facility", "", "code of the facility this station belongs to"),
    Setting("language", "vi", "language of the screens when the user has not chosen: vi, en, km"),
    Setting("utc_offset", 420, "local time in minutes east of UTC; partial dates are read in it"),
    Setting("public_url", "", "the address users type, where it differs from host and port"),
    Setting(
        "trusted_proxies",
        "",
        "proxies whose X-Forwarded-… and Forwarded headers are believed: addresses, networks",
    ),
    Setting("cors_origins", "", "origins whose pages may use /fhir, by comma; *: any; empty: none"),
    Setting("hub_url", "", "station: address of the hub; empty: this station stands alone"),
    Setting("sync_seconds", 5, "station: seconds between looks for something to send"),
    Setting("idle_minutes", 15, "minutes after which an unused sign-in of staff ends"),
    Setting("citizen_idle_minutes", 15, "minutes after which an unused sign-in of a citizen ends"),
    Setting("session_hours", 12, "hours after which every sign-in ends"),
    Setting("shared_idle_minutes", 10, "the same on a computer that several of the staff use"),
    Setting("password_least", 10, "least characters of a chosen password (never under 8)"),
    Setting("account_idle_days", 45, "days without a sign-in after which an account is closed"),
    Setting(
        "second_factor_roles",
        "head,operator,auditor",
        "roles that sign in with a second factor, by comma; in the demo nobody must",
    ),
    Setting("pin_hours", 12, "hours after a whole sign-in in which a PIN is enough on that device"),
    Setting("token_minutes", 60, "life of an access token for software, in minutes"),
    Setting("refresh_days", 90, "days for which an app may renew its access without asking again"),
    Setting(
        "key_hosts",
        "",
        "hosts where clients may publish their keys (jwks_uri), by comma; *: any public",
    ),
    Setting("gateway_token_seconds", 10800, "life of a gateway token, in seconds"),
    Setting("max_body_bytes", 52_428_800, "largest request body that is read"),
    Setting("conditional_delete", "single", "FHIR DELETE Type?query: no, single or multiple"),
    Setting("job_hours", 24, "hours for which a finished job and its files are kept"),
    Setting("jobs_per_client", 3, "jobs (exports, imports) that a client may have open at once"),
    Setting("import_inbox", "", "folder whose NDJSON files $import may load; empty: none"),
    Setting("import_megabytes", 2000, "how much one $import may upload"),
    Setting("job_processes", 1, "processes that read an import beside the server; 0: none"),
    Setting("job_gigabytes", 20, "how much of the disk the files of all jobs may take"),
    Setting("oidc_issuer", "", "e-ID provider for citizens (OpenID Connect issuer address)"),
    Setting("oidc_client_id", "sokhoe-book", "our client name at the e-ID provider"),
    Setting("oidc_client_secret", "", "our client secret at the e-ID provider", secret=True),
    Setting("oidc_citizen_claim", "citizen_id", "claim that carries the citizen's number"),
    Setting("master_key_file", "", "file with the master key, outside the data folder, mode 0600"),
    Setting("master_key", "", "the master key itself, 64 hexadecimal digits", secret=True),
    Setting("master_passphrase", "", "passphrase that the master key is made of", secret=True),
    Setting(
        "subscription_hosts", "", "hosts that Subscriptions may send to, by comma; *: any public"
    ),
    Setting("signing_key", "", "what signs: pkcs11:… (token), https://… (service), file:… (demo)"),
    Setting("signing_service_token", "", "our token at the signing service", secret=True),
    Setting("trust_anchors", "", "folder of authorities' certificates; empty: anchors/ in data"),
    Setting("timestamp_url", "", "time-stamping service (RFC 3161)"),
    Setting("warehouse_minutes", 1, "minutes between loads of the warehouse"),
    Setting("population", "", "CSV file (area,population) in place of the country's own figures"),
    Setting("mask_below", 5, "numbers of people under this are shown as '< 5'"),
)
KNOWN = {one.name: one for one in SETTINGS}
# What the demo prints on its pages, and its master key; what else it draws begins with DEMO_MARK.
# None of them opens anything anywhere else.
DEMO_MARK = "demo-"
DEMO_PASSWORD = "sokhoe-demo"  # noqa: S105
DEMO_MASTER_KEY = sha256(DEMO_PASSWORD.encode()).hexdigest()


@dataclass(frozen=True)
class Settings:
    """Values by name with the source of each; read as attributes: `settings.port`."""

    values: Mapping[str, Any]
    sources: Mapping[str, str] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        if name not in KNOWN:  # one that is being unpickled has no `values` yet
            raise AttributeError(name)
        return self.values[name]

    @property
    def folder(self) -> Path:
        return Path(self.values["data"])

    @property
    def database_url(self) -> str:
        return self.values["database"] or f"sqlite:///{self.folder / 'sokhoe.db'}"

    @property
    def journals(self) -> Path:
        """Where audit lines of reads wait, some tenths of a second, to be sealed in the store."""
        return self.folder / "audit"

    @property
    def url(self) -> str:
        """The address of this server as its users type it, without a slash at the end."""
        public = self.values["public_url"] or f"http://{self.values['host']}:{self.values['port']}"
        return str(public).rstrip("/")

    @property
    def is_demo(self) -> bool:
        return bool(self.values["demo"])


def refuse_demo(secret: str, name: str, *, demo: bool) -> None:
    """Raises Invalid for a secret of the demo on a server that belongs to none."""
    known = secret.strip().lower()
    if not demo and (known in (DEMO_PASSWORD, DEMO_MASTER_KEY) or known.startswith(DEMO_MARK)):
        raise Invalid(
            f"{name} is a secret of the demo, which everybody knows.",
            hint="Draw one of your own: openssl rand -hex 32",
            slug="demo-secret",
            location=name,
        )


def _typed(setting: Setting, raw: Any, source: str) -> Any:
    if isinstance(setting.default, bool):
        if str(raw).lower() in {"1", "true", "yes", "on"}:
            return True
        if str(raw).lower() in {"0", "false", "no", "off", ""}:
            return False
        raise Invalid(
            f"Setting {setting.name} from {source} must be yes or no, not {raw!r}.",
            slug="setting-type",
            location=setting.name,
        )
    if isinstance(setting.default, int):
        try:
            return int(raw)
        except (TypeError, ValueError):
            raise Invalid(
                f"Setting {setting.name} from {source} must be a whole number, not {raw!r}.",
                slug="setting-type",
                location=setting.name,
            ) from None
    return str(raw)


def _unknown(name: str, source: str) -> Invalid:
    near = difflib.get_close_matches(name, KNOWN, n=1, cutoff=0.5)
    way = f"Did you mean {near[0]}? " if near else ""
    return Invalid(
        f"Unknown setting {name} in {source}. {way}Run: sokhoe settings",
        slug="unknown-setting",
        location=name,
    )


def load(
    arguments: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Put the settings together from arguments, environment, file and defaults.

    Raises Invalid for an unknown name or a value of the wrong type, naming its source.
    """
    values: dict[str, Any] = {one.name: one.default for one in SETTINGS}
    sources = {one.name: "default" for one in SETTINGS}

    def take(name: str, raw: Any, source: str) -> None:
        if name not in KNOWN:
            raise _unknown(name, source)
        values[name] = _typed(KNOWN[name], raw, source)
        sources[name] = source

    arguments = {k: v for k, v in (arguments or {}).items() if v is not None}
    from_environment = {
        key.removeprefix(PREFIX).lower(): value
        for key, value in (environment or {}).items()
        if key.startswith(PREFIX) and key not in FOREIGN
    }
    folder = arguments.get("data") or from_environment.get("data") or values["data"]
    file = Path(folder) / "sokhoe.toml"
    if file.is_file():
        try:
            content = tomllib.loads(file.read_text("utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise Invalid(f"{file} is not valid TOML: {error}", slug="settings-file") from None
        for name, raw in content.items():
            take(name, raw, str(file))
    for name, raw in from_environment.items():
        take(name, raw, f"{PREFIX}{name.upper()}")
    for name, raw in arguments.items():
        take(name, raw, "command line")
    for one in SETTINGS:
        if one.secret:
            refuse_demo(str(values[one.name]), one.name, demo=values["demo"])
    return Settings(values, sources)
