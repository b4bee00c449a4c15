"""Invented names as people in the Mekong delta bear them: Kinh, Khmer and Hoa.

Vietnamese order is family name, middle names, given name; the given name tells people apart, the
family name hardly does (38 % are Nguyễn). `Thị` and `Văn` are sex marks of older generations
rather than names; the young carry double given names. Any likeness to a living person is chance.
"""

from __future__ import annotations

from bisect import bisect
from itertools import accumulate
from random import Random
from typing import Literal

People = Literal["kinh", "khmer", "hoa"]


class Choice:
    """A weighted choice, prepared once: `pick` takes a number in [0, 1) to an item."""

    __slots__ = ("_items", "_upto")

    def __init__(self, weighted: dict[str, float]) -> None:
        total = sum(weighted.values())
        self._items = tuple(weighted)
        self._upto = tuple(accumulate(value / total for value in weighted.values()))[:-1]

    def pick(self, number: float) -> str:
        return self._items[bisect(self._upto, number)]


def _words(text: str) -> tuple[str, ...]:
    """Names split at spaces; an underscore stands for the space inside a double name."""
    return tuple(word.replace("_", " ") for word in text.split())


SURNAMES: dict[str, Choice] = {
    "kinh": Choice(
        {
            "Nguyễn": 38.0, "Trần": 11.0, "Lê": 9.0, "Phạm": 6.5, "Huỳnh": 5.2, "Võ": 4.4,
            "Phan": 4.2, "Trương": 2.4, "Đặng": 2.2, "Bùi": 2.0, "Đỗ": 1.5, "Ngô": 1.4, "Hồ": 1.5,
            "Dương": 1.2, "Lý": 0.6, "Mai": 0.9, "Cao": 0.8, "Đoàn": 0.9, "Trịnh": 0.5,
            "Đinh": 0.6, "Hà": 0.5, "Tô": 0.5, "Thái": 0.5, "Tạ": 0.3, "Lưu": 0.5, "Lương": 0.4,
            "Châu": 0.4, "Hứa": 0.2, "Phùng": 0.3, "Vũ": 0.4, "Hoàng": 0.4, "Nguyễn Ngọc": 0.2,
        }
    ),
    "khmer": Choice(
        {
            "Thạch": 34.0, "Sơn": 14.0, "Kim": 16.0, "Lâm": 8.0, "Danh": 5.0, "Châu": 6.0,
            "Kiên": 6.0, "Trầm": 3.0, "Liêu": 2.0, "Diệp": 2.0, "Nguyễn": 2.5, "Trần": 1.5,
        }
    ),
    "hoa": Choice(
        {
            "Trần": 16.0, "Lâm": 15.0, "Lý": 9.0, "Huỳnh": 8.0, "Quách": 6.0, "Mã": 4.0,
            "Tăng": 6.0, "Vương": 6.0, "Trịnh": 5.0, "Ngô": 6.0, "Hứa": 5.0, "Quan": 3.0, "La": 4.0,
        }
    ),
}  # fmt: skip

_OLD = {
    "male": _words(
        "Hùng Dũng Tùng Thành Sơn Hải Long Phước Lộc Thọ Nghĩa Tâm Hiền Bình Minh Đức Trung Tuấn "
        "Hòa Hiếu Tài Thắng Lợi Út Bé Năm Sáu Bảy Tám Chín Mười Đực Cường Phong Quang Khánh An "
        "Liêm Tiến Xuân Đông Kiệt Hậu Sang Giàu Hoàng Vinh Toàn Thiện Phúc Ngọc"
    ),
    "female": _words(
        "Lan Huệ Hồng Cúc Mai Đào Thu Hương Hoa Nga Hạnh Phượng Loan Thủy Tuyết Nguyệt Hằng Yến "
        "Oanh Dung Thanh Tâm Bé Út Năm Sáu Bảy Tám Chín Lài Sen Liễu Lệ Kim_Anh Ánh Nhung Thắm Hà "
        "Diễm Phương Vân Trinh Bích Xuân Điệp Gái Mận Cẩm Thúy Hòa"
    ),
}
_YOUNG = {
    "male": _words(
        "Gia_Bảo Minh_Khôi Thiên_Ân Hoàng_Phúc Tuấn_Kiệt Đăng_Khoa Minh_Quân Gia_Huy Nhật_Minh "
        "Quốc_Bảo Khánh_Duy Anh_Tuấn Trọng_Nhân Phúc_An Hữu_Nghĩa Thanh_Tùng Hải_Đăng Bảo_Long "
        "Chí_Thiện Minh_Triết Đức_Anh Gia_Khang Thành_Đạt Phú_Quý Duy_Khang Hoàng_Nam Quang_Vinh "
        "Trường_Giang Tấn_Phát Kiến_Văn"
    ),
    "female": _words(
        "Bảo_Ngọc Khánh_Vy Ngọc_Hân Gia_Hân Thanh_Trúc Phương_Anh Quỳnh_Như Thảo_Nguyên Tường_Vy "
        "Bảo_Trân Kim_Ngân Minh_Thư Ngọc_Diệp Cát_Tiên Như_Ý Mỹ_Duyên Yến_Nhi Hồng_Nhung Ánh_Dương "
        "Tú_Anh Trà_My Linh_Đan Thiên_Kim Hà_My Thùy_Dương Diễm_My Huỳnh_Như An_Nhiên Phương_Thảo "
        "Anh_Thư"
    ),
}
_MIDDLE = {
    "male": _words("Văn Hữu Minh Thanh Quốc Hoàng Đức Ngọc Công Thành Tấn Trọng Phước Xuân"),
    "female": _words("Thị Ngọc Thanh Kim Mỹ Hồng Thúy Bích Thu Cẩm Tuyết Diễm"),
}
_KHMER = {
    "male": _words(
        "Sa_Rươl Chanh_Đa Sô_Phia Rích Sa_Vành Khưm Sa_Bươl Đa_Ra Vi_Rất Sóc_Kha Sâm_Bô Chanh_Na "
        "Rươne Sa_Vuth Thươne Phi_Rum Bun_Thone Sô_Vanh Hên Rây"
    ),
    "female": _words(
        "Sa_Rinh Chanh_Thi Ni Sóc_Khone Sa_Ly Bô_Pha Đa_Vy Na_Ry Sô_Phi Tha_Ry Ma_Ly Rane Phone "
        "Sa_Mon Khêm Chi_Na Srây_Pich Sô_Rinh Lang Vanh_Na"
    ),
}
_HOA = {
    "male": _words("Chí_Cường Vĩnh_Phát Siêu Quốc_Cường Diệu Hán_Minh Khải_Hòa Bửu Kiến_Quốc Hên"),
    "female": _words("Mỹ_Linh Xén Muối Tú_Trinh Ái_Liên Mỹ_Phụng Bội_Ngọc Kiều Lệ_Quyên Ngọc_Muội"),
}


def surname(rng: Random, people: People) -> str:
    """A family name of this people."""
    return SURNAMES[people].pick(rng.random())


def given(rng: Random, people: People, sex: str, year: int) -> str:
    """Middle and given names in written order, as fits people, sex (FHIR's word) and birth year."""
    random = rng.random
    if people == "khmer":
        name = _pick(_KHMER[sex], random())
        return f"Thị {name}" if sex == "female" and random() < 0.45 else name
    if people == "hoa":
        return _pick(_HOA[sex], random())
    if random() < (year - 1985) / 40:
        return _pick(_YOUNG[sex], random())
    mark = 0.62 if year < 1975 else 0.40
    if random() < mark:
        middle = _MIDDLE[sex][0]
    else:
        middle = _pick(_MIDDLE[sex], random())
        if sex == "female" and random() < 0.35:
            middle = f"Thị {middle}"
    return f"{middle} {_pick(_OLD[sex], random())}"


def _pick(items: tuple[str, ...], number: float) -> str:
    return items[int(number * len(items))]
