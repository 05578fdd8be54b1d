"""Lists of hashes: what they may say, and that searching them finds what counting all bits finds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("numpy", reason="needs the extra [media]")

from folkmoot.node.moderation.media import lists
from folkmoot.node.moderation.media.index import DISTANCE_MAX, HashIndex
from folkmoot.node.moderation.media.lists import HashListError, find_in, read_list


def flipped(one: bytes, bits: int, random: Random) -> bytes:
    number = int.from_bytes(one)
    for bit in random.sample(range(256), bits):
        number ^= 1 << bit
    return number.to_bytes(32)


def slowly(hashes: list[bytes], asked: list[bytes], most: int) -> int | None:
    found = min((int.from_bytes(a) ^ int.from_bytes(b)).bit_count() for a in hashes for b in asked)
    return found if found <= most else None


@pytest.mark.parametrize("seed", range(4))
def test_the_index_finds_what_counting_all_bits_finds(seed: int) -> None:
    random = Random(seed)
    hashes = [random.randbytes(32) for _ in range(400)]
    index = HashIndex(b"".join(hashes))
    for bits in (0, 1, 15, 16, 17, 30, 31, 32, 33):
        asked = [random.randbytes(32), flipped(random.choice(hashes), bits, random)]
        for most in (0, 16, DISTANCE_MAX):
            found = index.nearest(asked, most)
            assert (found and found.distance) == slowly(hashes, asked, most)
            if found is not None:
                assert slowly([hashes[found.row]], [asked[found.asked]], most) == found.distance


def test_bits_that_are_spread_worst_for_the_index_are_found() -> None:
    one = bytes(32)
    spread = sum(3 << 16 * band for band in range(15)) | 1 << 240  # two in each band, one in the last
    index = HashIndex(one + Random(1).randbytes(32 * 50))
    found = index.nearest([spread.to_bytes(32)], DISTANCE_MAX)
    assert found is not None and found[:2] == (31, 0)


def test_many_that_are_alike_are_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("folkmoot.node.moderation.media.index._AT_ONCE", 64)
    hashes = b"".join(bytes(30) + number.to_bytes(2) for number in range(500))
    found = HashIndex(hashes).nearest([bytes(30) + (499).to_bytes(2)], 5)
    assert found is not None and found[:2] == (0, 499)


def test_real_hashes_are_found_where_they_lie(shared_data: Callable[[str], Path]) -> None:
    haystack = read_list(shared_data("images/pdq_index/haystack.txt"), "haystack")
    words = shared_data("images/pdq_index/needles.txt").read_text().split()
    hashes = [haystack.hashes[at : at + 32] for at in range(0, len(haystack.hashes), 32)]
    needles = [bytes.fromhex(word) for word in words][:20]
    for needle in needles:
        found = haystack.find([needle])
        assert (found and found.distance) == slowly(hashes, [needle], DISTANCE_MAX)


def test_nothing_is_found_in_nothing_and_for_nothing(tmp_path: Path) -> None:
    file = tmp_path / "empty.txt"
    file.write_text("# nothing yet\n\n")
    nothing = read_list(file, "empty")
    assert nothing.find([bytes(32)]) is None
    assert HashIndex(bytes(32)).nearest([], 31) is None


def test_a_line_is_a_hash_perhaps_a_category_and_perhaps_a_comment(tmp_path: Path) -> None:
    one, two, three = ("ab" * 32, "CD" * 32, "01" * 32)
    file = tmp_path / "list.txt"
    file.write_text(f"# known\n{one}\n\n  {two} spam  # seen twice\r\n{three},terror\n{one} later")
    known = read_list(file, "known", distance=3)
    assert len(known.index) == 3
    assert known.find([bytes.fromhex(two)]) == ("known", "spam", 0, bytes.fromhex(two), False)
    assert known.find([bytes.fromhex(one)[:-1] + b"\xaa"]) == ("known", "", 1, bytes.fromhex(one), False)
    assert known.find([bytes.fromhex(three)[:-1] + b"\xfe"]) is None, "more bits than this list allows"


def test_all_that_is_wrong_is_told_with_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes(b"ab" * 31 + b"\n" + b"ab" * 32 + b"\nhello\n" + b"ab" * 32 + b" Not-Small\n\xff\xfe\n")
    with pytest.raises(HashListError) as told:
        read_list(file, "broken")
    assert [each.removeprefix(str(file)).split(" ")[0] for each in told.value.problems] == [
        ":1:",
        ":3:",
        ":4:",
        ":5:",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"ab" * 5000 + b"\n", ":1: the line has more than 1024 bytes"),
        (b"x\n" * 500, ":20: no PDQ hash"),
        (b"".join(b"%064x\n" % number for number in range(12)), ":11: a node takes"),
        (b"".join(b"%064x c%d\n" % (number, number) for number in range(6)), ":4: there are more than 4"),
    ],
)
def test_what_would_be_without_end_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str
) -> None:
    monkeypatch.setattr(lists, "CATEGORIES_MAX", 4)
    file = tmp_path / "list.txt"
    file.write_bytes(content)
    with pytest.raises(HashListError) as told:
        read_list(file, "too-much", room=10)
    assert len(told.value.problems) <= lists.PROBLEMS_TOLD
    assert any(said in each for each in told.value.problems)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(HashListError, match=r"nowhere\.txt: cannot be read"):
        read_list(tmp_path / "nowhere.txt", "nowhere")


def test_a_sealed_list_speaks_first(tmp_path: Path) -> None:
    for name, line in (("near", "00" * 32), ("sealed", "00" * 31 + "07")):
        (tmp_path / name).write_text(line)
    both = [read_list(tmp_path / "near", "near"), read_list(tmp_path / "sealed", "sealed", sealed=True)]
    found = find_in(both, [bytes(32)])
    assert found is not None and (found.list, found.distance, found.sealed) == ("sealed", 3, True)
    assert find_in(both, [b"\xff" * 32]) is None
