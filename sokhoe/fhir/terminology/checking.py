"""`$validate-code`: is this code right, and is it in this value set? Each no says why.

Rules: hl7.org/fhir/R4/valueset-operation-validate-code.html; the shape of the answer (`issues`
beside `message`) and the codes of the issues follow HL7's terminology ecosystem guide, so that
validators written for it can read them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from unicodedata import normalize

from sokhoe.fhir.terminology.grammars import GRAMMARS, is_code
from sokhoe.fhir.terminology.sets import Members, Part
from sokhoe.fhir.terminology.systems import System, speaks

ISSUE_TYPE = "http://hl7.org/fhir/tools/CodeSystem/tx-issue-type"
MOST_NAMES = 5  # right names that a message lists


@dataclass(frozen=True, slots=True)
class Coding:
    """What is to be checked; `at` is where it stands: `CodeableConcept.coding[1].`, or ""."""

    code: str
    system: str = ""
    version: str = ""
    display: str = ""
    at: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """How to check. `abstract` False: abstract codes are wrong here. `infer`: a missing code
    system is taken from the value set. `lenient`: a wrong display is only a warning."""

    abstract: bool = True
    active: bool = False
    infer: bool = False
    lenient: bool = False
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    severity: str  # error, warning, information
    code: str  # OperationOutcome.issue.code
    kind: str  # code of ISSUE_TYPE
    text: str
    at: str = ""


@dataclass(slots=True)
class Verdict:
    """What came out. `good`: in the value set, and nothing is wrong with it."""

    good: bool
    coding: Coding | None = None
    display: str = ""
    version: str = ""
    problems: list[Problem] = field(default_factory=list)

    @property
    def message(self) -> str:
        wrong = [one.text for one in self.problems if one.severity == "error"]
        return "; ".join(wrong or [one.text for one in self.problems if one.severity == "warning"])

    def parameters(self) -> dict[str, Any]:
        """As the operation answers."""
        found: list[dict[str, Any]] = [{"name": "result", "valueBoolean": self.good}]
        if self.message:
            found.append({"name": "message", "valueString": self.message})
        if self.display:
            found.append({"name": "display", "valueString": self.display})
        if self.coding is not None:
            found.append({"name": "code", "valueCode": self.coding.code})
            if self.coding.system:
                found.append({"name": "system", "valueUri": self.coding.system})
        if self.version:
            found.append({"name": "version", "valueString": self.version})
        if self.problems:
            outcome = {
                "resourceType": "OperationOutcome",
                "issue": [_issue(one) for one in self.problems],
            }
            found.append({"name": "issues", "resource": outcome})
        return {"resourceType": "Parameters", "parameter": found}


def _issue(one: Problem) -> dict[str, Any]:
    issue: dict[str, Any] = {
        "severity": one.severity,
        "code": one.code,
        "details": {"coding": [{"system": ISSUE_TYPE, "code": one.kind}], "text": one.text},
    }
    if one.at:
        issue["expression"] = [one.at]
    return issue


@dataclass(frozen=True, slots=True)
class Check:
    """A value set (or a whole code system, `whole`) in front of which codes are held.

    `systems`: the code system of a URL and version as it is here, None where it is not.
    """

    members: Members
    systems: Mapping[tuple[str, str], System | None]
    terms: Terms = Terms()
    whole: bool = False

    def codings(self, codings: Sequence[Coding], *, several: bool) -> Verdict:
        """Check one coding, or those of a CodeableConcept (`several`): one must be in the value
        set, and none may be wrong."""
        verdicts = [self._one(one, several) for one in codings]
        problems = [problem for one in verdicts for problem in one.problems]
        best = next((one for one in verdicts if one.good), verdicts[0] if verdicts else None)
        inside = best is not None and best.good
        if several and not inside:
            text = f"None of the codings is in {self._name}."
            if not codings:
                text = "There is no coding."
            problems.insert(0, Problem("error", "code-invalid", "not-in-vs", text))
        wrong = any(one.severity == "error" for one in problems)
        if best is None:
            return Verdict(False, problems=problems)
        return Verdict(inside and not wrong, best.coding, best.display, best.version, problems)

    @property
    def _name(self) -> str:
        if self.whole:
            return f"the code system {self.members.canonical}"
        return f"the value set {self.members.canonical or 'that was sent'}"

    def _one(self, coding: Coding, several: bool) -> Verdict:
        if not coding.code:
            text = "There is no code to check."
            return _no(
                coding, Problem("error", "invalid", "invalid-data", text, f"{coding.at}code")
            )
        if not coding.system:
            found = self.members.infer(coding.code) if self.terms.infer else []
            systems = {part.system.url for part in found}
            if len(systems) != 1:
                return _no(coding, *self._without_system(coding, sorted(systems)))
            url = systems.pop()
            coding = Coding(coding.code, url, coding.version, coding.display, coding.at)
        part = self.members.find(coding.system, coding.code, coding.version)
        if part is None or self._left_out(part, coding.code):
            return self._outside(coding, several)
        return self._inside(coding, part)

    def _left_out(self, part: Part, code: str) -> bool:
        row = part.row(code)
        return self.terms.active and row is not None and part.system.inactive(row)

    def _without_system(self, coding: Coding, systems: Sequence[str]) -> Iterator[Problem]:
        at = f"{coding.at}system" if coding.at else "system"
        if systems:
            text = f"The code '{coding.code}' is in several code systems of {self._name}"
            yield Problem(
                "error", "not-found", "cannot-infer", f"{text}: {', '.join(systems)}.", at
            )
        elif self.terms.infer:
            text = f"No code '{coding.code}' was found in {self._name}."
            yield Problem("error", "code-invalid", "not-in-vs", text, f"{coding.at}code")
        else:
            text = "A code without its code system has no meaning: give the system."
            yield Problem("error", "invalid", "invalid-data", text, at)

    def _outside(self, coding: Coding, several: bool) -> Verdict:
        """Why a code is not in the value set."""
        at = f"{coding.at}code"
        system = self.systems.get((coding.system, coding.version))
        known = self.systems.get((coding.system, ""))
        shown = f"{coding.system}#{coding.code}"
        if system is None and known is None:
            return _no(coding, *self._unknown_system(coding, shown))
        problems: list[Problem] = []
        if system is None:
            assert known is not None
            text = (
                f"Version '{coding.version}' of the code system {coding.system} is not known here; "
                f"known is '{known.version or 'one without a version'}'."
            )
            problems.append(Problem("error", "not-found", "not-found", text, f"{coding.at}system"))
            return _no(coding, *problems)
        row = system.row(coding.code)
        if row is None:
            if not system.whole and self._takes_all_of(system):
                text = (
                    f"The code '{coding.code}' is not in the part of the code system "
                    f"{system.canonical} that is here ({system.content}); it may be right."
                )
                problem = Problem("warning", "code-invalid", "invalid-code", text, at)
                return Verdict(True, coding, "", system.version, [problem])
            text = f"There is no code '{coding.code}' in the code system {system.canonical}."
            problems.append(Problem("error", "code-invalid", "invalid-code", text, at))
            if not self.whole and not several:
                text = f"The code '{shown}' is not in {self._name}."
                problems.append(Problem("error", "code-invalid", "not-in-vs", text, at))
            return _no(coding, *problems)
        text = f"The code '{shown}' is not in {self._name}."
        if self._left_out_as_inactive(coding):
            text = f"The code '{shown}' is no longer in use, and {self._name} takes active ones."
        if several:
            problems.append(Problem("information", "code-invalid", "this-code-not-in-vs", text, at))
        else:
            problems.append(Problem("error", "code-invalid", "not-in-vs", text, at))
        problems += self._display(coding, Part.of(system, (row,)), row)
        return Verdict(False, coding, system.display(row), system.version, problems)

    def _takes_all_of(self, system: System) -> bool:
        return any(
            part.system.url == system.url and part.tree and len(part.rows) == len(part.system)
            for part in self.members.parts
        )

    def _left_out_as_inactive(self, coding: Coding) -> bool:
        return any(
            part.system.url == coding.system and part.row(coding.code) is not None
            for part in self.members.parts
        )

    def _unknown_system(self, coding: Coding, shown: str) -> Iterator[Problem]:
        if coding.system in GRAMMARS:
            good = is_code(coding.system, coding.code)
            text = (
                f"The code '{shown}' is not in {self._name}."
                if good
                else f"'{coding.code}' is not written as a code of {coding.system} is."
            )
            kind = "not-in-vs" if good else "invalid-code"
            yield Problem("error", "code-invalid", kind, text, f"{coding.at}code")
            return
        text = f"The code system {coding.system} is not known here, so the code cannot be checked."
        yield Problem("error", "not-found", "not-found", text, f"{coding.at}system")
        if not any(one.partition("|")[0] == coding.system for one in self.members.missing):
            text = f"The code '{shown}' is not in {self._name}."
            yield Problem("error", "code-invalid", "not-in-vs", text, f"{coding.at}code")

    def _inside(self, coding: Coding, part: Part) -> Verdict:
        row = part.row(coding.code)
        if row is None:  # a code by rule has no name
            return Verdict(True, coding)
        system = part.system
        problems: list[Problem] = []
        at = f"{coding.at}code"
        if not part.known:
            text = (
                f"The code system {coding.system} is not known here; "
                "only the list of the value set was looked at."
            )
            problems.append(
                Problem("warning", "not-found", "not-found", text, f"{coding.at}system")
            )
        if coding.code != system.codes[row]:
            text = f"The code '{coding.code}' is written '{system.codes[row]}' in {system.url}."
            problems.append(Problem("information", "business-rule", "code-rule", text, at))
        if system.abstract(row) and not self.terms.abstract:
            text = f"The code '{coding.code}' is abstract: choose one below it."
            problems.append(Problem("error", "business-rule", "code-rule", text, at))
        if system.inactive(row):
            text = f"The code '{coding.code}' of {system.url} is no longer in use."
            problems.append(Problem("warning", "business-rule", "code-comment", text, at))
        problems += self._display(coding, part, row)
        wrong = any(one.severity == "error" for one in problems)
        shown = part.display(row, self.terms.languages)
        return Verdict(not wrong, coding, shown, system.version, problems)

    def _display(self, coding: Coding, part: Part, row: int) -> Iterator[Problem]:
        """A display must be one of the names that the concept has."""
        if not coding.display:
            return
        names = [part.display(row), part.system.displays[row]]
        names += [one.value for one in part.designations(row)]
        if _plain(coding.display) in {_plain(one) for one in names}:
            return
        wished = self.terms.languages
        fitting = [
            one.value
            for one in part.designations(row)
            if any(speaks(one.language, tag) for tag in wished)
        ]
        good = list(dict.fromkeys([part.display(row, wished), *(fitting or names)]))[:MOST_NAMES]
        text = (
            f"'{coding.display}' is not a name of {part.system.url}#{part.system.codes[row]}; "
            f"right is {' or '.join(repr(one) for one in good)}."
        )
        severity = "warning" if self.terms.lenient else "error"
        yield Problem(severity, "invalid", "invalid-display", text, f"{coding.at}display")


def _plain(text: str) -> str:
    """Letter case, spaces and the Unicode form of a name do not matter; accents do."""
    return normalize("NFC", " ".join(text.split())).casefold()


def _no(coding: Coding, *problems: Problem) -> Verdict:
    return Verdict(False, coding, "", "", list(problems))
