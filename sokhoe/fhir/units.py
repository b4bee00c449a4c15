"""UCUM units brought to one form, so that 4 g and 4000 mg are the same (ucum.org/ucum).

    unit("mg/dL")   factor 1/100 over the bases g·m⁻³ … as exact fractions
    unit("Cel")     the same as K but with an offset

The tables hold UCUM's prefixes, base units and the units of clinical use; arbitrary units such as
`[iU]` are bases of their own. An unknown unit is None: then only equal spellings are comparable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache

import msgspec

LONGEST = 100  # characters
_LARGEST_EXPONENT = 30

_PREFIXES = {
    name: Fraction(10) ** power
    for name, power in (
        ("Y", 24), ("Z", 21), ("E", 18), ("P", 15), ("T", 12), ("G", 9), ("M", 6), ("k", 3),
        ("h", 2), ("da", 1), ("d", -1), ("c", -2), ("m", -3), ("u", -6), ("n", -9), ("p", -12),
        ("f", -15), ("a", -18), ("z", -21), ("y", -24),
    )
}  # fmt: skip
_PREFIXES |= {"Ki": Fraction(2**10), "Mi": Fraction(2**20), "Gi": Fraction(2**30)}

# Base units, and units that UCUM calls arbitrary: convertible only to themselves.
_BASES = ("m", "s", "g", "rad", "K", "C", "cd")
_ARBITRARY = """
    [iU] [IU] [arb'U] [USP'U] [GPL'U] [MPL'U] [APL'U] [beth'U] [anti'Xa'U] [todd'U] [dye'U]
    [smgy'U] [bdsk'U] [ka'U] [knk'U] [mclg'U] [tb'U] [CCID_50] [TCID_50] [EID_50] [PFU] [FFU]
    [CFU] [IR] [BAU] [AU] [Amb'a'1'U] [PNU] [Lf] [D'ag'U] [FEU] [ELU] [EU] [hp_X] [hp_C] [hp_M]
    [hp_Q] bit_s [pH]
""".split()
# "name value unit", with + after a name that takes prefixes; from the tables of ucum-essence.
_DERIVED = """
    10* 10 1; 10^ 10 1; [pi] 3.1415926535897932384626433832795 1; % 0.01 1; [ppth] 0.001 1;
    [ppm] 0.000001 1; [ppb] 0.000000001 1; [pptr] 0.000000000001 1;
    mol+ 602213670000000000000000 1; sr+ 1 rad2; Hz+ 1 s-1; N+ 1000 g.m/s2; Pa+ 1 N/m2; J+ 1 N.m;
    W+ 1 J/s; A+ 1 C/s; V+ 1 J/C; F+ 1 C/V; Ohm+ 1 V/A; S+ 1 A/V; Wb+ 1 V.s; T+ 1 Wb/m2;
    H+ 1 Wb/A; lm+ 1 cd.sr; lx+ 1 lm/m2; Bq+ 1 s-1; Gy+ 1 J/kg; Sv+ 1 J/kg; l+ 0.001 m3; L+ 1 l;
    ar+ 100 m2; min 60 s; h 60 min; d 24 h; wk 7 d; a_t 365.24219 d; a_j 365.25 d;
    a_g 365.2425 d; a 1 a_j; mo_j 30.4375 d; mo 1 mo_j; mo_s 29.53059 d; mo_g 30.436875 d;
    t+ 1000 kg; bar+ 100000 Pa; u+ 1.6605402e-24 g; eV+ 1.60217733e-19 J; AU 149597870691 m;
    gf+ 9.80665 g.m/s2; [g]+ 9.80665 m/s2; [c]+ 299792458 m/s; erg+ 0.0000001 J; dyn+ 1 g.cm/s2;
    P+ 1 dyn.s/cm2; G+ 0.0001 T; Ci+ 37000000000 Bq; R+ 0.000258 C/kg; RAD+ 100 erg/g;
    REM+ 1 RAD; deg 0.017453292519943295769236907684886 rad; ' 0.0166666666666666666667 deg;
    '' 0.0166666666666666666667 '; gon+ 0.9 deg; [in_i] 2.54 cm; [ft_i] 12 [in_i];
    [yd_i] 3 [ft_i]; [mi_i] 5280 [ft_i]; [nmi_i] 1852 m; [kn_i] 1 [nmi_i]/h;
    [in_us] 2.54000508001016 cm; [ft_us] 12 [in_us]; [sft_i] 1 [ft_i]2; [cin_i] 1 [in_i]3;
    [sin_i] 1 [in_i]2; [cft_i] 1 [ft_i]3; [acr_us] 4046.872609874252 m2; [gal_us] 231 [in_i]3;
    [qt_us] 0.25 [gal_us]; [pt_us] 0.5 [qt_us]; [gil_us] 0.25 [pt_us]; [foz_us] 0.25 [gil_us];
    [fdr_us] 0.125 [foz_us]; [min_us] 1 [fdr_us]/60; [cup_us] 16 [tbs_us]; [tbs_us] 0.5 [foz_us];
    [tsp_us] 1 [tbs_us]/3; [cup_m] 240 mL; [tsp_m] 5 mL; [tbs_m] 15 mL; [foz_m] 30 mL;
    [gr] 64.79891 mg; [lb_av] 7000 [gr]; [oz_av] 1 [lb_av]/16; [dr_av] 1 [oz_av]/16;
    [stone_av] 14 [lb_av]; [ston_av] 2000 [lb_av]; [oz_tr] 480 [gr]; [lb_tr] 12 [oz_tr];
    [oz_ap] 480 [gr]; [dr_ap] 60 [gr]; [sc_ap] 20 [gr]; [lbf_av] 1 [lb_av].[g];
    m[H2O]+ 9806.65 Pa; m[Hg]+ 133322 Pa; atm 101325 Pa; att 1 kgf/cm2; [psi] 1 [lbf_av]/[in_i]2;
    [in_i'Hg] 1 m[Hg].[in_i]/m; [in_i'H2O] 1 m[H2O].[in_i]/m; cal+ 4.184 J; cal_th+ 4.184 J;
    cal_IT+ 4.1868 J; [Cal] 1 kcal_th; [Btu] 1.05587 kJ; [HP] 550 [ft_i].[lbf_av]/s;
    [diop] 1 m-1; [p'diop] 1 rad; [MET] 3.5 mL/min/kg; eq+ 1 mol; osm+ 1 mol; g%+ 1 g/dL;
    kat+ 1 mol/s; U+ 1 umol/min; [S] 0.0000000000001 s; [HPF] 1 1; [LPF] 100 1; [drp] 0.05 mL;
    [Ch] 1 mm/3; bit+ 1 1; By+ 8 bit; Bd+ 1 s-1; b+ 1e-28 m2; st+ 1 m3; Ao 0.1 nm; mho+ 1 S;
    sph 12.566370614359172953850573533118 sr; [rpm] 1 min-1; [car_m] 0.2 g; [car_Au] 1 1;
    [mesh_i] 1 [in_i]-1
"""
# Degrees: value in K = (value + offset) * factor.
_OFFSETS = {
    "Cel": (Fraction(1), Fraction("273.15")),
    "[degF]": (Fraction(5, 9), Fraction("459.67")),
    "[degRe]": (Fraction(5, 4), Fraction("218.52")),
}

_ATOM = re.compile(
    r"(?P<annotation>\{[^{}]*\})|(?P<sign>[./()])"
    r"|(?P<power>10[*^][+-]?[0-9]{1,3})"
    r"|(?P<atom>(?:\[[^\]\s]*\]|[^][0-9./(){}\s+-])+(?:_[0-9]+)?)(?P<exponent>[+-]?[0-9]{1,2})?"
    r"|(?P<number>[0-9]+)"
)


class Unit(msgspec.Struct, frozen=True):
    """One unit is `factor` of the product of `bases` to their powers; `offset` for degrees."""

    factor: Fraction
    bases: tuple[tuple[str, int], ...]
    offset: Fraction = Fraction(0)

    def canonical(self, value: Decimal | int) -> Fraction:
        """A value of this unit, exactly, in the product of bases."""
        return (Fraction(value) + self.offset) * self.factor


class _Unknown(Exception):
    pass


@lru_cache(maxsize=2048)
def unit(code: str) -> Unit | None:
    """The unit of a UCUM code (case sensitive), or None if it is not known."""
    if len(code) > LONGEST:
        return None
    if code in _OFFSETS:
        factor, offset = _OFFSETS[code]
        return Unit(factor, (("K", 1),), offset)
    try:
        reader = _Reader(code)
        factor, powers = reader.term()
        if reader.at != len(code):
            return None
    except (_Unknown, ZeroDivisionError):
        return None
    return Unit(factor, tuple(sorted((base, n) for base, n in powers.items() if n)))


def same_kind(left: str, right: str) -> bool:
    """Whether values of both units can be compared: grams and milligrams, not grams and metres."""
    if left == right:
        return True
    one, other = unit(left), unit(right)
    return one is not None and other is not None and one.bases == other.bases


def converted(value: Decimal | int, source: str, target: str) -> Decimal | None:
    """A value in another unit of the same kind, with up to 28 digits; None if there is no way."""
    if source == target:
        return Decimal(value)
    one, other = unit(source), unit(target)
    if one is None or other is None or one.bases != other.bases:
        return None
    exact = one.canonical(value) / other.factor - other.offset
    with localcontext() as context:
        context.prec = 28
        return Decimal(exact.numerator) / Decimal(exact.denominator)


class _Reader:
    """`term = ['/'] component {('.' | '/') component}`, from left to right."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.at = 0
        self.depth = 0

    def term(self) -> tuple[Fraction, dict[str, int]]:
        self.depth += 1
        if self.depth > 10:
            raise _Unknown
        factor, powers = Fraction(1), dict[str, int]()
        direction = 1
        if self._sees("/"):
            direction = -1
        while True:
            found, some = self.component()
            factor *= found**direction
            for base, power in some.items():
                powers[base] = powers.get(base, 0) + direction * power
            if any(abs(power) > _LARGEST_EXPONENT for power in powers.values()):
                raise _Unknown
            if self._sees("."):
                direction = 1
            elif self._sees("/"):
                direction = -1
            else:
                self.depth -= 1
                return factor, powers

    def _sees(self, sign: str) -> bool:
        if self.code[self.at : self.at + 1] == sign:
            self.at += 1
            return True
        return False

    def component(self) -> tuple[Fraction, Mapping[str, int]]:
        if self._sees("("):
            inside = self.term()
            if not self._sees(")"):
                raise _Unknown
            return inside
        match = _ATOM.match(self.code, self.at)
        if match is None or match["sign"]:
            raise _Unknown
        self.at = match.end()
        if match["annotation"]:
            return Fraction(1), {}
        if match["power"]:
            return Fraction(10) ** int(match["power"][3:]), {}
        if match["number"]:
            return Fraction(int(match["number"])), {}
        factor, powers = _atom(match["atom"])
        exponent = int(match["exponent"] or 1)
        annotation = _ATOM.match(self.code, self.at)
        if annotation is not None and annotation["annotation"]:
            self.at = annotation.end()
        if abs(exponent) > _LARGEST_EXPONENT:
            raise _Unknown
        return factor**exponent, {base: power * exponent for base, power in powers.items()}


_atoms: dict[str, tuple[Fraction, Mapping[str, int]]] = {}
_metric = {*_BASES, "[iU]", "[IU]"}
_values: dict[str, tuple[Fraction, str]] = {}
for _row in _DERIVED.split(";"):
    _name, _value, _of = _row.split()
    if _name.endswith("+"):
        _name = _name[:-1]
        _metric.add(_name)
    _values[_name] = (Fraction(_value), _of)


def _atom(name: str) -> tuple[Fraction, Mapping[str, int]]:
    if name in _atoms:
        return _atoms[name]
    found = _plain_atom(name)
    if found is None:
        for cut in (2, 1):
            if name[:cut] in _PREFIXES and name[cut:] in _metric:
                factor, powers = _atom(name[cut:])
                found = factor * _PREFIXES[name[:cut]], powers
                break
        else:
            raise _Unknown
    if len(_atoms) < 4096:
        _atoms[name] = found
    return found


def _plain_atom(name: str) -> tuple[Fraction, Mapping[str, int]] | None:
    if name in _BASES:
        return Fraction(1), {name: 1}
    if name in _ARBITRARY:
        return Fraction(1), {"[iU]" if name == "[IU]" else name: 1}
    if name in _OFFSETS:  # in a product a degree is a difference
        return _OFFSETS[name][0], {"K": 1}
    if name not in _values:
        return None
    value, of = _values[name]
    if of == "1":
        return value, {}
    made = unit(of)
    if made is None:
        raise _Unknown
    return value * made.factor, dict(made.bases)
