"""What can go wrong, in one small tree; every room raises these and no others.

    SokhoeError
    ├── NotFound      404  there is no such thing (or it may not be known that there is)
    ├── Gone          410  it was there and was deleted
    ├── Invalid       400/422  the input is wrong; `issues` names every place
    ├── Forbidden     403  signed in, but not allowed
    │   └── SignIn    401  not signed in, or no longer
    ├── Conflict      409/412  somebody was faster, or the same name says something else
    ├── Unsupported   400/405/415  known to the standard, not to this server
    ├── Busy          429/503  try again in a moment
    └── Unavailable   503  a part that is needed does not answer

Each carries a stable slug (for machines and tests), one sentence for the user, a hint for the
operator, the HTTP status, and the OperationOutcome issue type
(hl7.org/fhir/R4/codesystem-issue-type.html).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Issue:
    """One problem at one place; `location` is a FHIRPath (`Patient.name[0].family`) or a field."""

    message: str
    location: str = ""
    code: str = "invalid"
    severity: str = "error"
    rule: str = ""  # the rule that is broken, with its key: "per-1: start <= end"


class SokhoeError(Exception):
    """The root. `message` is for the user, `hint` says the way out; `wait`: seconds after which
    it is worth trying again (0: that is not known)."""

    slug = "error"
    status = 500
    code = "exception"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        slug: str | None = None,
        status: int | None = None,
        code: str | None = None,
        location: str = "",
        issues: tuple[Issue, ...] = (),
        wait: int = 0,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.slug = slug or type(self).slug
        self.status = status or type(self).status
        self.code = code or type(self).code
        self.wait = wait
        self.issues = issues or (Issue(message, location, self.code),)

    def outcome(self) -> dict[str, Any]:
        """The error as an OperationOutcome resource."""
        issues: list[dict[str, Any]] = []
        for one in self.issues:
            issue: dict[str, Any] = {
                "severity": one.severity,
                "code": one.code,
                "details": {"coding": [{"code": self.slug}], "text": one.message},
                "diagnostics": one.rule or f"{one.message} {self.hint}".strip(),
            }
            if one.location:
                issue["expression"] = [one.location]
            issues.append(issue)
        return {"resourceType": "OperationOutcome", "issue": issues}


class NotFound(SokhoeError):
    slug, status, code = "not-found", 404, "not-found"


class Gone(SokhoeError):
    slug, status, code = "gone", 410, "deleted"


class Invalid(SokhoeError):
    slug, status, code = "invalid", 400, "invalid"


class Forbidden(SokhoeError):
    slug, status, code = "forbidden", 403, "forbidden"


class SignIn(Forbidden):
    slug, status, code = "sign-in", 401, "login"


class Conflict(SokhoeError):
    slug, status, code = "conflict", 409, "conflict"


class Unsupported(SokhoeError):
    slug, status, code = "unsupported", 400, "not-supported"


class Busy(SokhoeError):
    slug, status, code = "busy", 503, "throttled"
    seconds = 10  # after which it is worth trying again


class Unavailable(SokhoeError):
    slug, status, code = "unavailable", 503, "transient"
