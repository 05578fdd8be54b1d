"""Policies that are another one in each region: put together, checked in all of them, and compared."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from folkmoot.node.moderation.policy_file import PolicyFiles
from folkmoot.node.moderation.policy_layers import gathered, layers_of, parse_document
from folkmoot.protocol.moderation.bounds import POLICY_LAYERS, POLICY_REGIONS
from folkmoot.protocol.moderation.bundle import pack_bundle
from folkmoot.protocol.moderation.comparison import added_anywhere, changed_elsewhere
from folkmoot.protocol.moderation.policy import EMPTY, PolicyError, Regional

from tests.moderation.documents import HEAD, rule, word_list
from tests.moderation.layered import BASE, TOP, bundle, files_of, own, written

NODE = Path("3f1c9a0be2d4")


def regional(base: str = BASE, community: str = "", **regions: str) -> Regional:
    return parse_document(NODE, bundle(base, community, **regions))


def rules(policy: Regional, region: str) -> list[str]:
    return [each.id for each in policy.within(region).rules]


def problems(files: Mapping[str, bytes]) -> list[str]:
    with pytest.raises(PolicyError) as refused:
        parse_document(NODE, pack_bundle(TOP, files))
    return list(refused.value.problems)


def test_each_region_has_the_base_its_own_layer_and_the_communitys() -> None:
    policy = regional(community=own("all"), eu=own("eu"), us=own("us"))
    assert rules(policy, "eu") == ["base", "eu", "all"]
    assert rules(policy, "us") == ["base", "us", "all"]
    assert rules(policy, "ap") == ["base", "all"]
    assert [len(policy.within(each).layers) for each in ("eu", "ap")] == [3, 2]


def test_a_policy_has_one_name_in_all_regions() -> None:
    data = bundle(eu=own("eu"))
    policy = parse_document(NODE, data)
    name = hashlib.sha256(data).hexdigest()
    assert {policy.within(each).hash for each in ("eu", "us")} == {name}


def test_a_document_alone_is_what_it_was() -> None:
    data = (HEAD + BASE).encode()
    policy = parse_document(NODE, data)
    assert policy.everywhere.hash == hashlib.sha256(data).hexdigest() and not policy.regions
    assert layers_of(data) == {"": data}


def test_a_layer_may_stand_between_a_regions_and_the_base() -> None:
    files = files_of(eu=own("eu"), no=own("no"), named={"eu": "eu.toml", "no": "no.toml"})
    files["no.toml"] = files["no.toml"].replace(b"base.toml", b"eu.toml")
    policy = parse_document(NODE, pack_bundle(TOP, files))
    assert rules(policy, "no") == ["base", "eu", "no"]
    assert list(layers_of(pack_bundle(TOP, files), "no")) == ["base.toml", "eu.toml", "no.toml", TOP]


def test_regions_may_share_a_layer_and_need_no_base() -> None:
    files = files_of(eu=own("eu"), named={"eu": "eu.toml", "no": "eu.toml"})
    for name in ("eu.toml", TOP):
        files[name] = files[name].replace(b'extends = "base.toml"\n', b"")
    del files["base.toml"]
    policy = parse_document(NODE, pack_bundle(TOP, files))
    assert rules(policy, "no") == rules(policy, "eu") == ["eu"] and rules(policy, "us") == []
    assert list(policy.different()) == ["", "eu"]


LOOSER = rule("base", ["base"], "accept")


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (files_of(eu=LOOSER), "eu.toml:9:1: then is 'accept' and below it is 'label'"),
        (files_of(community=LOOSER, eu=own("eu")), "community.toml:11:1: then is 'accept'"),
        (
            files_of(community=rule("eu", ["base"], "label", label="x"), eu=own("eu")),
            "community.toml:10:1: when lacks eu, which below is enough",
        ),
        (files_of(eu='[[lists]]\nid = "eu"\n'), "eu.toml:6:1: words is missing"),
    ],
)
def test_what_a_layer_must_not_say_is_told_with_its_line(files: dict[str, bytes], problem: str) -> None:
    assert any(each.startswith(problem) for each in problems(files)), problems(files)


def test_a_regions_problem_names_the_region_and_others_are_told_once() -> None:
    assert all(each.endswith("(in region eu)") for each in problems(files_of(eu=LOOSER, us=own("us"))))
    told = problems(files_of(community=LOOSER, eu=own("eu"), us=own("us")))
    assert len(told) == 2 and not any("region" in each for each in told)


def test_what_only_one_region_cannot_have_is_found() -> None:
    """The community's rule is new everywhere, but for the region that has one of that name."""
    clash = rule("eu", ["base"], "hold")
    told = problems(files_of(community=clash, eu=own("eu"), us=own("us")))
    assert [each.rpartition(" (")[2] for each in told] == ["in region eu)"]


def _in(files: dict[str, bytes], name: str, old: str, new: str) -> dict[str, bytes]:
    assert old.encode() in files[name]
    return {**files, name: files[name].replace(old.encode(), new.encode())}


ONE = files_of(eu=own("eu"))
MANY = {f"r{number}": "eu.toml" for number in range(POLICY_REGIONS + 1)}
CHAIN = {
    f"{number}.toml": (f'extends = "{number + 1}.toml"\n{HEAD}').encode() for number in range(POLICY_LAYERS)
}


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (
            {name: ONE[name] for name in ("base.toml", TOP)},
            "community.toml:7:1: eu.toml is not among the layers",
        ),
        (
            {name: ONE[name] for name in ("eu.toml", TOP)},
            "community.toml:1:1: base.toml is not among the layers",
        ),
        ({**ONE, "idle.toml": b""}, "idle.toml: is among the layers of this policy, and none names it"),
        (
            _in(ONE, "eu.toml", 'extends = "base.toml"', ""),
            "community.toml:7:1: eu.toml has to extend base.toml",
        ),
        (_in(ONE, "eu.toml", "base.toml", TOP), "community.toml:7:1: eu.toml has to extend base.toml"),
        (
            _in(ONE, "base.toml", HEAD, f'extends = "eu.toml"\n{HEAD}'),
            "eu.toml:1:1: base.toml is here already",
        ),
        (_in(ONE, "base.toml", HEAD, f'extends = "base.toml"\n{HEAD}'), "base.toml is here already"),
        (_in(ONE, TOP, "eu.toml", "../eu.toml"), "community.toml:7:1: a layer is named as a file"),
        (_in(ONE, TOP, "eu.toml", "base.toml"), "community.toml:7:1: base.toml has to extend base.toml"),
        (_in(ONE, TOP, "eu.toml", TOP), "community.toml:7:1: community.toml has to extend base.toml"),
        (_in(ONE, TOP, "eu =", "'E U' ="), "community.toml:7:1: the region 'E U' is not 1 to 63"),
        (_in(ONE, TOP, "[regions]\neu", "regions"), "community.toml:6:1: regions is a table"),
        (_in(ONE, TOP, '"eu.toml"', "7"), "community.toml:7:1: a layer is named as a file"),
        (files_of(named=MANY, eu=own("eu")), f"regions is a table of at most {POLICY_REGIONS}"),
        (_in(ONE, "eu.toml", HEAD, HEAD + '[regions]\nus = "eu.toml"\n'), "eu.toml:6:1: only the narrowest"),
        (_in(ONE, "eu.toml", "version = 1", "version = \xff"), "eu.toml:2"),
        ({**ONE, "eu.toml": b"\xff"}, "eu.toml:1: not UTF-8"),
        ({**ONE, "eu.toml": b"a = " + b"[" * 100_000}, "eu.toml:1"),
        (_in({**ONE, **CHAIN}, TOP, "base.toml", "0.toml"), "one layer more than 8"),
        (_in({**ONE, **CHAIN, "8.toml": b""}, "eu.toml", "base.toml", "1.toml"), "one layer more than 8"),
    ],
)
def test_hostile_layers_are_refused(files: dict[str, bytes], problem: str) -> None:
    told = problems(files)
    assert any(problem in each for each in told), told


def test_layers_that_are_all_of_one_chain_fit() -> None:
    names = [f"{number}.toml" for number in range(POLICY_LAYERS - 2)]
    files = {name: CHAIN[name] for name in names}
    files[names[-1]] = HEAD.encode()
    files |= {"eu.toml": f'extends = "0.toml"\n{HEAD}'.encode()}
    files |= {TOP: f'extends = "0.toml"\n{HEAD}[regions]\neu = "eu.toml"\n'.encode()}
    policy = parse_document(NODE, pack_bundle(TOP, files))
    assert len(policy.within("eu").layers) == POLICY_LAYERS


def test_files_are_gathered_as_nodes_will_have_them(tmp_path: Path) -> None:
    files = files_of(community=own("all"), eu=own("eu"))
    file = written(tmp_path, {**files, "idle.toml": b"never read"})
    found = gathered(file)
    assert found.data == pack_bundle(TOP, files)
    assert found.read() == parse_document(NODE, found.data)
    assert layers_of(found.data, "us") == {"base.toml": files["base.toml"], TOP: files[TOP]}
    alone = gathered(tmp_path / "base.toml")
    assert alone.data == files["base.toml"]


def test_problems_of_gathered_files_are_at_their_paths(tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as refused:
        gathered(written(tmp_path, files_of(eu=LOOSER))).read()
    assert str(refused.value).startswith(f"{tmp_path / 'eu.toml'}:9:1: then is 'accept'")


def test_the_example_is_one() -> None:
    found = gathered(Path(__file__).parents[2] / "configs/policies/layered/community.toml")
    policy = found.read()
    assert rules(policy, "eu") == ["spam", "betting"] and rules(policy, "us") == ["spam"]
    assert parse_document(NODE, found.data) == policy


def test_a_nodes_own_file_is_that_of_its_region(tmp_path: Path) -> None:
    file = written(tmp_path, files_of(eu=own("eu"), us=own("us")))
    for region, verdict in (("eu", ["eu"]), ("us", []), ("", [])):
        files = PolicyFiles(file, region=region)
        assert list(files.load().judge("eu").labels and ["eu"]) == verdict
        assert {path.name for path, _state in files.signature} == {"base.toml", "eu.toml", "us.toml", TOP}


def test_rules_that_refuse_in_one_region_are_found() -> None:
    plain = Regional(parse_document(NODE, (HEAD + BASE).encode()).everywhere)
    strict = regional(eu=own("eu", "refuse"), us=own("us", "refuse"))
    assert added_anywhere(plain, strict) == ["eu", "us"]
    assert added_anywhere(strict, plain) == []
    assert added_anywhere(strict, regional(eu=own("eu", "refuse"))) == []
    assert added_anywhere(Regional(EMPTY), strict) == ["eu", "us"]
    assert added_anywhere(strict, regional(community=own("all", "refuse"))) == ["all"]


PLAIN = parse_document(NODE, (HEAD + BASE).encode())
REGIONS = ["ap", "eu", "sa", "us"]


@pytest.mark.parametrize(
    ("before", "after", "here", "expected"),
    [
        (None, PLAIN, "eu", []),
        (PLAIN, parse_document(NODE, (HEAD + BASE + own("more")).encode()), "eu", []),
        (None, regional(eu=own("eu")), "eu", [["ap", "sa", "us"]]),
        (regional(), regional(eu=own("eu")), "eu", []),
        (regional(), regional(eu=own("eu")), "us", [["eu"]]),
        (regional(eu=own("eu")), regional(), "us", [["eu"]]),
        (regional(eu=own("eu")), regional(eu=own("eu"), us=own("us")), "ap", [["us"]]),
        (regional(), regional(eu=own("x"), us=own("x")), "ap", [["eu", "us"]]),
        (regional(eu=own("eu")), regional(community=own("all"), eu=own("eu")), "eu", [["ap", "sa", "us"]]),
        (regional(eu=own("eu")), regional(community=own("all"), eu=own("eu")), "ap", [["eu"]]),
    ],
)
def test_where_something_else_changes(
    before: Regional | None, after: Regional, here: str, expected: list[list[str]]
) -> None:
    assert changed_elsewhere(before, after, here, REGIONS) == expected


def test_more_problems_than_are_told_are_counted() -> None:
    many = word_list("bad", [""] * 5_000)
    told = problems(files_of(eu=many, us=many))
    assert len(told) == 101 and told[-1] == "… and 9900 more problems"
