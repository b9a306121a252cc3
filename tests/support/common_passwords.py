"""Decides which passwords are common: a published list, what is made of its words everywhere, and what people here choose.

Writes ``idp/authenticators/common_passwords.bin``. The published list is the one Django ships (BSD-3-Clause; see NOTICE); a file given by
``--list`` (one password a line) is added to it, so an installation may know more.
"""

import argparse
import gzip
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import product
from pathlib import Path

from django.contrib.auth.password_validation import CommonPasswordValidator

from idp.authenticators.rules.password_policy import LONGEST, SHORTEST, fold
from idp.authenticators.services.common_passwords import FILE, write_hashes

SUFFIXES = (
    "1",
    "2",
    "12",
    "01",
    "11",
    "123",
    "1234",
    "12345",
    "123456",
    "321",
    "520",
    "666",
    "888",
    "1314",
    "!",
    "123!",
    "@123",
    "2024",
    "2025",
)
RUNS = (
    *("123", "1234", "12345", "123456", "1234567", "12345678", "123456789", "1234567890", "654321", "87654321", "987654321", "0123456789"),
    *("520", "521", "1314", "5201314", "1314520", "520520", "521521", "666", "888", "666666", "888888", "88888888", "168", "168168"),
    *("111111", "000000", "123123", "112233", "123321", "456789", "147258", "147258369", "789456123", "159357", "110110", "119119"),
)
SURNAMES = tuple(
    (  # noqa: SIM905 - words are read more easily so
        "wang li zhang liu chen yang huang zhao wu zhou xu sun ma zhu hu guo he lin gao luo zheng liang xie song tang han feng deng "
        "cao peng zeng xiao tian dong yuan pan jiang cai yu du ye cheng su wei lv ding ren lu yao shen zhong cui tan fan wan shi jin "
        "jia xia fu fang zou xiong bai meng qin qiu hou yin lei long duan hao kong shao mao chang hong gong dai qian yan mo kang qiao "
        "lai pang"
    ).split()
)
WORDS = tuple(
    (  # noqa: SIM905
        "a aa aaa b c d q w z x s abc abcd qq qwe qwer asd asdf zxc zxcv qaz wsx wo ni ai woaini woaini5 iloveu iloveyou woai wode "
        "mima admin root test user guest pass password passwd mimamima wodemima zhongguo beijing shanghai guangzhou shenzhen hangzhou "
        "nanjing chongqing tianjin wuhan chengdu xian baobao baobei laopo laogong mama baba gege jiejie meimei didi xiaoming xiaohong "
        "xiaohua xiaoyu xiaoxiao tiantian feifei lele huanhuan yangyang pingan jiankang xingfu kuaile facai gongxi hello love china "
        "long tiger dragon"
    ).split()
)
WALKS = (
    *(
        "1234567890",
        "qwertyuiop",
        "asdfghjkl",
        "zxcvbnm",
        "qwertyuiopasdfghjklzxcvbnm",
        "qazwsxedcrfvtgbyhnujm",
        "1qaz2wsx3edc4rfv5tgb6yhn",
    ),
    *("q1w2e3r4t5y6u7i8o9p0", "1q2w3e4r5t6y7u8i9o0p", "a1s2d3f4g5h6j7k8l9", "z1x2c3v4b5n6m7", "!@#$%^&*()", "qwe123asd456zxc789"),
    *("147258369", "741852963", "789456123", "159753", "abcdefghijklmnopqrstuvwxyz", "a1b2c3d4e5f6g7h8", "1a2b3c4d5e6f7g8h", "qweasdzxc"),
)
FIRST_DAY, LAST_DAY = date(1935, 1, 1), date(2030, 12, 31)
FIRST_YEAR, LAST_YEAR = 1950, 2026


def read_published() -> list[str]:
    """Return the published list, most common first."""
    with gzip.open(str(CommonPasswordValidator().DEFAULT_PASSWORD_LIST_PATH), "rt", encoding="utf-8") as lines:
        return [line.strip() for line in lines if line.strip()]


def list_days() -> Iterator[str]:
    """Yield every day as people write a birthday: year first and year last."""
    for number in range((LAST_DAY - FIRST_DAY).days + 1):
        day = FIRST_DAY + timedelta(days=number)
        yield f"{day:%Y%m%d}"
        yield f"{day:%d%m%Y}"


def list_local() -> Iterator[str]:
    """Yield surnames, words and single letters with the runs of digits and the years that follow or precede them."""
    years = [str(year) for year in range(FIRST_YEAR, LAST_YEAR + 1)]
    for word, digits in product((*SURNAMES, *WORDS), (*RUNS, *years)):
        yield word + digits
        yield digits + word
    for run, letters in product(RUNS, ("abc", "qwe", "asd", "aa", "ab", "qq", "zz", "wq")):
        yield run + letters


def list_made_of(published: list[str]) -> Iterator[str]:
    """Yield what is made of the published words: with the usual ends, a capital's case aside, and written twice."""
    for word in published:
        if word.isalpha() and len(word) >= 4:
            for end in SUFFIXES:
                yield word + end
        if 4 <= len(word) <= 8:
            yield word * 2


def list_walks() -> Iterator[str]:
    """Yield walks over the keyboard in both directions, whole or in part, alone and twice."""
    for walk in WALKS:
        for way in (walk, walk[::-1]):
            for size in range(4, len(way) + 1):
                for start in range(len(way) - size + 1):
                    part = way[start : start + size]
                    yield part
                    yield part * 2
    for unit in (*RUNS, *WORDS, "1212", "1122", "12", "21", "abab", "a1", "q1", "1q", "xyz", "xixi", "haha", "hehe", "lala"):
        for times in range(2, 9):
            yield unit * times


def build(more: list[Path]) -> bytes:
    """Return the file's bytes. What is derived counts only when it is long enough to be chosen at all."""
    published = read_published()
    spellings = {fold(word) for word in published}
    for path in more:
        spellings |= {fold(line.strip()) for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()}
    for source in (list_days(), list_local(), list_made_of(published), list_walks()):
        spellings |= {fold(word) for word in source if SHORTEST <= len(word) <= LONGEST}
    return write_hashes(spellings)


def main() -> int:
    """Write the file, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", type=Path, action="append", default=[], help="one more list, one password a line")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the file is not what it would be")
    given = parser.parse_args()
    built = build(given.list)
    if given.check:
        return 0 if FILE.read_bytes() == built else 1
    FILE.write_bytes(built)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
