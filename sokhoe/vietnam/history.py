"""Invented visits of an invented person: coherent by age, sex and season, the same each time.

`visits(person, today)` gives the last two years before `today`, oldest first: acute episodes by
dice, chronic illnesses by their rhythm, pregnancies from the children's birthdays, vaccinations
from the schedule. Figures are a likeness for demonstration and load, not epidemiology.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from zlib import crc32

from sokhoe.vietnam import places
from sokhoe.vietnam.code_lists import LabIndex, diseases, lab, medicines, services, vaccines
from sokhoe.vietnam.illnesses import Illness, band, episodes, illnesses, lasting
from sokhoe.vietnam.population import Person
from sokhoe.vietnam.province import province
from sokhoe.vietnam.visit import (
    Diagnosis,
    Done,
    LabResult,
    Note,
    Prescribed,
    Shot,
    Visit,
    Vitals,
)

DAYS = 730
_PER_YEAR = (3.2, 2.7, 1.2, 0.95, 1.2, 1.6)  # acute episodes by age band
_ANTENATAL_WEEKS = (12, 16, 22, 28, 32, 36)
_EXAM = {"tinh": "KB.HANG1", "khu_vuc": "KB.HANG2", "phong_kham": "KB.PK", "tram": "KB.TRAM"}
_PENICILLINS = frozenset({"T013", "T014", "T015"})
_FINDINGS = {
    "18.0119.0028": ("Tim phổi trong giới hạn bình thường", "Tăng đậm nhánh phế huyết quản"),
    "18.0072.0028": ("Khe khớp gối bình thường", "Hẹp khe khớp, gai xương mâm chày"),
    "18.0093.0028": ("Cột sống thắt lưng bình thường", "Thoái hóa cột sống thắt lưng"),
    "18.0113.0028": ("Không thấy gãy xương", "Gãy đầu dưới xương quay, di lệch ít"),
    "18.0015.0001": ("Chưa ghi nhận bất thường trên siêu âm bụng", "Gan tăng sáng, ít dịch ổ bụng"),
    "18.0020.0001": ("Một thai sống trong tử cung, tim thai đều", "Thai phát triển theo tuổi"),
    "18.0052.0004": ("Chức năng tâm thu thất trái bảo tồn", "Dày thất trái, hở van hai lá nhẹ"),
    "18.0149.0041": ("Không thấy xuất huyết nội sọ", "Giảm đậm độ bán cầu, nghĩ nhồi máu"),
    "02.0085.1778": ("Nhịp xoang đều, trục trung gian", "Nhịp xoang, dày thất trái"),
    "02.0024.1791": ("Chức năng hô hấp bình thường", "Rối loạn thông khí tắc nghẽn mức độ vừa"),
    "02.0304.0134": ("Niêm mạc dạ dày bình thường", "Viêm sung huyết hang vị"),
}


def visits(person: Person, today: date, *, folder: str = "vinh_long") -> tuple[Visit, ...]:
    """All visits of this person in the two years up to `today`, oldest first."""
    seed = crc32(f"{person.name}{person.birth}".encode()) ^ (person.number * 2_654_435_761)
    rng = Random(seed)  # noqa: S311 (invented people, no secret)
    writer = _Writer(person, rng, folder, today)
    planned = sorted(_plan(person, rng, today), key=lambda one: (one[0], one[1].key))
    return tuple(
        writer.visit(place, day, illness, shots)
        for place, (day, illness, shots) in enumerate(planned, start=1)
    )


_Plan = tuple[date, Illness, tuple[str, ...]]


def _born(person: Person) -> date:
    birth = person.birth
    return date.fromisoformat(birth) if len(birth) == 10 else date(int(birth[:4]), 7, 1)


def _plan(person: Person, rng: Random, today: date) -> Iterator[_Plan]:
    """(day, picture, vaccine codes) of everything that brings this person to a facility."""
    born = _born(person)
    first = max(today - timedelta(days=DAYS), born)
    span = (today - first).days
    if span <= 0:
        return
    at_end = band((today - born).days / 365.25)
    for _ in range(_poisson(rng, _PER_YEAR[at_end] * span / 365)):
        day = first + timedelta(days=int(rng.random() * span))
        pictures, upto = episodes(band((day - born).days / 365.25), person.sex, day.month)
        if pictures:
            yield _workday(day, today), pictures[bisect(upto, rng.random() * upto[-1])], ()
    for illness, share in lasting(at_end, person.sex):
        if rng.random() < share:
            day = first + timedelta(days=int(rng.random() * illness.every))
            while day < today:
                yield _workday(day, today), illness, ()
                day += timedelta(days=int(illness.every * (0.85 + 0.5 * rng.random())))
    yield from _pregnancies(person, rng, first, today)
    yield from _vaccinations(born, first, today)


def _pregnancies(person: Person, rng: Random, first: date, today: date) -> Iterator[_Plan]:
    for text in person.births:
        birth = date.fromisoformat(text)
        begun = birth - timedelta(weeks=39)
        for week in _ANTENATAL_WEEKS:
            day = begun + timedelta(weeks=week, days=int(rng.random() * 6))
            if first <= day < min(birth, today):
                yield _workday(day, today), illnesses()["antenatal"], ()
        if first <= birth < today:
            how = "caesarean" if rng.random() < 0.33 else "birth"
            yield birth, illnesses()[how], ()


def _vaccinations(born: date, first: date, today: date) -> Iterator[_Plan]:
    if (today - born).days > 4 * 365:
        return
    due: dict[date, list[str]] = {}
    for vaccine in vaccines().values():
        for week in vaccine.weeks:
            day = born + timedelta(weeks=week, days=0 if week == 0 else 5)
            if first <= day < today:
                due.setdefault(_workday(day, today), []).append(vaccine.code)
    for day, codes in due.items():
        yield day, illnesses()["vaccination"], tuple(codes)


def _workday(day: date, today: date) -> date:
    """Sundays move to Monday, never past today."""
    return day + timedelta(days=1) if day.weekday() == 6 and day < today else day


def _poisson(rng: Random, rate: float) -> int:
    limit, product, count = math.exp(-rate), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count


class _Writer:
    """Fills in a planned visit for one person."""

    def __init__(self, person: Person, rng: Random, folder: str, today: date) -> None:
        self.person = person
        self.rng = rng
        self.folder = folder
        self.today = today
        self.born = _born(person)
        self.doses: dict[str, int] = {}

    def visit(self, place: int, day: date, illness: Illness, shots: tuple[str, ...]) -> Visit:
        rng, person = self.rng, self.person
        facility = places.chosen(rng, self.folder, person.commune, illness.place)
        level = province(self.folder).facilities[facility].level
        admitted = rng.random() < illness.inpatient and level in {"tinh", "khu_vuc"}
        start = _at(day, 7) + timedelta(minutes=int(rng.random() * 540))
        if admitted:
            low, high = illness.stay
            stay = low + int(rng.random() * (high - low + 1))
            end = _at(day, 9) + timedelta(days=stay)
        else:
            stay = 0
            end = start + timedelta(minutes=25 + int(rng.random() * 130))
        age = (day - self.born).days / 365.25
        staff = places.doctors(facility, self.folder)
        given = self.shots(shots)
        referred = ""
        if level in {"tram", "phong_kham"} and not given and rng.random() < 0.03:
            referred = places.nearest(self.folder, person.commune, "area")
        results = self.labs(illness, start, level)
        return Visit(
            id=f"{person.number:07d}{place:03d}",
            person=person.number,
            facility=facility,
            patient_number=places.patient_number(facility, person.number),
            kind="03" if admitted else illness.kind or ("05" if illness.every else "01"),
            department=(illness.department or ("K18" if age < 16 else "K03"))
            if admitted
            else "K01",
            start=start,
            end=end,
            reason=_one(rng, illness.reason),
            diagnoses=self.diagnoses(illness),
            vitals=self.vitals(illness, age),
            labs=results,
            services=self.services(illness, start, level, results, stay),
            medicines=self.medicines(illness, age),
            shots=given,
            notes=self.notes(illness, start, stay),
            treatment=illness.treatment,
            result="3" if referred else illness.result,
            discharge="2" if referred else "1",
            referred_to=referred,
            follow_up=(end.date() + timedelta(days=illness.follow_up))
            if illness.follow_up
            else None,
            doctor=staff[int(rng.random() * len(staff))],
        )

    def diagnoses(self, illness: Illness) -> tuple[Diagnosis, ...]:
        known = diseases()
        found = [Diagnosis(illness.icd, known[illness.icd].name, main=True)]
        for code in illness.also:
            needed = known[code].sex
            if self.rng.random() < 0.34 and (not needed or needed == self.person.sex[0]):
                found.append(Diagnosis(code, known[code].name, main=False))
        return tuple(found)

    def vitals(self, illness: Illness, age: float) -> Vitals:
        random, signs = self.rng.random, illness.signs
        weight, height = _body(age, self.person.sex, self.person.number)

        def sign(name: str, low: float, high: float) -> float:
            low, high = signs.get(name, (low, high))
            return low + random() * (high - low)

        systolic = diastolic = None
        if age >= 6:
            usual = 88 + min(age, 80) * 0.55
            systolic = round(sign("systolic", usual, usual + 24))
            diastolic = min(round(systolic * (0.56 + random() * 0.1)), systolic - 20)
        rapid = 45 if age < 1 else 25 if age < 6 else 0
        return Vitals(
            systolic=systolic,
            diastolic=diastolic,
            pulse=round(sign("pulse", 66, 90)) + rapid,
            temperature=_decimal(sign("temperature", 36.4, 37.1), 1),
            breaths=round(sign("breaths", 16, 20)) + rapid // 3,
            spo2=round(sign("spo2", 96, 99)),
            weight=_decimal(weight * (0.98 + random() * 0.04), 1),
            height=_decimal(height, 0),
        )

    def labs(self, illness: Illness, start: datetime, level: str) -> tuple[LabResult, ...]:
        """Not at a station (it has a glucose meter only), and not each time."""
        if not illness.labs or self.rng.random() > illness.lab_share:
            return ()
        asked: Sequence[str] = illness.labs
        if level == "tram":
            asked = [code for code in asked if code in {"GLU", "UPRO", "NS1"}]
        at = start + timedelta(minutes=20)
        return tuple(self.result(lab()[code], illness, at) for code in asked)

    def result(self, index: LabIndex, illness: Illness, at: datetime) -> LabResult:
        random = self.rng.random
        if index.code in {"ABO", "RH"}:
            blood = self.person.blood or "O+"
            word = (
                blood[:-1]
                if index.code == "ABO"
                else "Dương tính"
                if blood[-1] == "+"
                else "Âm tính"
            )
            return LabResult(index.code, word, "", None, at)
        low, high = index.range(self.person.sex)
        odd = random() < 0.8
        if low is None or high is None:
            word = illness.words.get(index.code, "Âm tính") if odd else "Âm tính"
            return LabResult(index.code, word, "" if word == "Âm tính" else "A", None, at)
        if odd and index.code in illness.abnormal:
            least, most = illness.abnormal[index.code]
            value = least + random() * (most - least)
        else:
            value = float(low) + (0.1 + 0.8 * random()) * float(high - low)
        number = _decimal(value, index.decimals)
        flag = "H" if number > high else "L" if number < low else ""
        return LabResult(index.code, str(number), flag, (low, high), at)

    def services(
        self,
        illness: Illness,
        start: datetime,
        level: str,
        results: tuple[LabResult, ...],
        stay: int,
    ) -> tuple[Done, ...]:
        found = [Done(_EXAM[level], 1, start)]
        at = start + timedelta(minutes=8)
        tests = dict.fromkeys(lab()[one.code].service for one in results)
        found += [Done(code, 1, at) for code in tests]
        for code in illness.services:
            kind = services()[code].kind
            if self.rng.random() > illness.service_share and not stay:
                continue
            if level == "tram" and kind != "procedure":
                continue
            words = _FINDINGS.get(code, ("", ""))
            found.append(Done(code, 1, at, words[1 if self.rng.random() < 0.7 else 0]))
        if stay:
            bed = "G.NGOAI" if illness.department in {"K19", "K24"} else "G.NOI"
            found.append(Done(bed, stay, start))
        return tuple(found)

    def medicines(self, illness: Illness, age: float) -> tuple[Prescribed, ...]:
        rows = (
            illness.child_medicines if age < 12 and illness.child_medicines else illness.medicines
        )
        known = medicines()
        found: dict[str, Prescribed] = {}
        for code, quantity in rows:
            if code in _PENICILLINS and "Penicillin" in self.person.allergies:
                code, quantity = "T019", 3
            days = 28 if illness.every else max(3, min(10, quantity // 2))
            found.setdefault(code, Prescribed(code, quantity, known[code].dose, days))
        return tuple(found.values())

    def notes(self, illness: Illness, start: datetime, stay: int) -> tuple[Note, ...]:
        first = Note(
            start + timedelta(minutes=15),
            f"{_one(self.rng, illness.reason)}. Khám: tỉnh, tiếp xúc tốt.",
        )
        if not stay:
            return (first,) if self.rng.random() < 0.3 else ()
        later = [
            Note(
                start.replace(hour=8, minute=0) + timedelta(days=day),
                "Bệnh tỉnh, sinh hiệu ổn, tiếp tục điều trị."
                if day < stay
                else "Bệnh ổn, cho ra viện, dặn tái khám.",
            )
            for day in range(1, min(stay, 8) + 1)
        ]
        return (first, *later)

    def shots(self, codes: tuple[str, ...]) -> tuple[Shot, ...]:
        """The dose number follows from how many of this series were due before."""
        found = []
        for code in codes:
            self.doses[code] = dose = self.doses.get(code, 0) + 1
            found.append(
                Shot(
                    code, dose, f"{code}{self.today.year % 100}{int(self.rng.random() * 900) + 100}"
                )
            )
        return tuple(found)


def _at(day: date, hour: int) -> datetime:
    """An hour of a day, local and without zone, as all times of a Visit are."""
    return datetime.combine(day, time(hour))


def _one(rng: Random, items: tuple[str, ...]) -> str:
    return items[int(rng.random() * len(items))]


def _decimal(value: float, places_: int) -> Decimal:
    return Decimal(f"{value:.{places_}f}")


def _body(age: float, sex: str, number: int) -> tuple[float, float]:
    """Rough weight (kg) and height (cm) for an age; the same person keeps to one line of growth."""
    build = 0.9 + (number * 37 % 100) / 450
    tall = 0.97 + (number * 61 % 100) / 1600
    grown = (54.0, 157.0) if sex == "female" else (61.0, 167.0)
    if age < 1:
        return (3.3 + 6.2 * age) * build, (50 + 25 * age) * tall
    if age < 17:
        share = (age - 1) / 16
        return (9.5 + (grown[0] - 9.5) * share**1.25) * build, (
            75 + (grown[1] - 75) * share**0.85
        ) * tall
    return grown[0] * build, grown[1] * tall
