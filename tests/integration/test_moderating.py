"""Review as people do it: the commands, against a process that is killed once all is decided."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from folkmoot.cli import exit_codes

from tests.integration.processes import lay_out, node
from tests.integration.test_timelines import Town
from tests.node.test_gate import POLICY
from tests.waiting import until_blocking

pytestmark = pytest.mark.cluster


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """One node with a policy that holds "rubbish", and its operator's key."""
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY.format(name="first", doubtful="rubbish"))
    town = Town(tmp_path)
    town.laid = lay_out(tmp_path / "gated", nodes=1, gate__policy=str(policy))
    with node(town.laid.config_file("eu-1")) as process:
        town.running = process
        yield town


def assert_refused(town: Town, ann: str) -> None:
    code, refused = town.ends("post", "my password is 1234", "--key", ann)
    assert code == exit_codes.FAILED and "Ask the town clerk. (rule no-secrets" in refused["error"]["hint"]
    assert "characters 1 to 19 of text" in refused["error"]["hint"]


def test_what_waits_is_looked_at_decided_and_explained(town: Town) -> None:
    ann, chief = town.key("ann"), str(town.laid.operator_key_file)
    fine, doubtful, worse = (
        town.says("post", text, "--key", ann)["post"] for text in ("Tea?", "Utter rubbish", "rubbish again")
    )
    held = town.says("moderate", "held", "--key", chief)["held"]
    assert {each["post"]: each["waiting"]["body"]["text"] for each in held} == {
        doubtful: "Utter rubbish",
        worse: "rubbish again",
    }
    [why] = next(each for each in held if each["post"] == doubtful)["why"]
    assert (why["rule"], why["matched"], why["automated"]) == ("look-twice", "rubbish", True)
    assert len(why["policy"]) == 64 and why["reason"] == "Somebody should look at this."

    sold = town.says("post", "Tea! Buy now!", "--key", ann)["post"]
    assert_refused(town, ann)

    decide = ("moderate", "decide")
    code, refused = town.ends(*decide, doubtful, "--release", "--reason", "x", "--key", ann)
    assert code == exit_codes.FAILED and "no role" in refused["error"]["message"]
    said = town.says(*decide, doubtful, "--release", "--reason", "A quote.", "--key", chief)
    assert said["status"] == "stored" and said["released"]["status"] in ("stored", "duplicate")
    town.says(*decide, worse, "--reject", "--reason", "Twice.", "--rule", "look-twice", "--key", chief)
    assert town.says("moderate", "held", "--key", chief)["held"] == []
    town.says(*decide, fine, "--remove", "--reason", "Ask @ann.", "--category", "self_harm", "--key", chief)

    assert town.running is not None
    town.running.kill()
    with node(town.laid.config_file("eu-1")) as process:
        town.running = process
        texts = [each["body"]["text"] for each in town.says("feed", ann)["items"]]
        assert sorted(texts) == ["Tea! Buy now!", "Utter rubbish"]
        shown = town.says("moderate", "show", worse, "--key", ann)
        assert [each["action"] for each in shown["decisions"]] == ["reject"] and not shown["waits"]
        assert shown["decisions"][0]["policy"] == why["policy"] and shown["decisions"][0]["settled"]
        assert shown["appeal"] == {"who": "the author", "how": "Ask the town clerk."}

        assert_stated(town, sold, why["policy"], "--key", ann)

        audited = town.says("audit", "bias", "--since", "1h", "--key", chief)
        assert audited["missing"] == [] and audited["audits"]["posts by language"]["too_few"] == ["und"]
        code, refused = town.ends("audit", "bias", "--key", ann)
        assert code == exit_codes.FAILED and "no role" in refused["error"]["message"]

        def told() -> bool:
            items = town.says("notifications", "show", "--key", ann)["items"]
            return sorted(each["sort"] for each in items) == [*["decision"] * 3, "label"]

        until_blocking(told, what="the author to be told of all three", within_s=20.0)


def assert_stated(town: Town, sold: str, policy: str, *author: str) -> None:
    """Assert that what people and the gate did is stated, to the author and for the public."""
    [labelled] = town.says("moderate", "show", sold, *author)["labelled"]
    assert (labelled["rule"], labelled["matched"]) == ("no-adverts", "Buy now") and labelled["automated"]
    assert (labelled["labels"], labelled["policy"]) == (["advert"], policy)

    chief = str(town.laid.operator_key_file)
    made = town.says("moderate", "statements", "--since", "1h", "--key", chief)["statements"]
    removed = next(each for each in made if "SELF_HARM" in each["category"])
    by_machine = [each for each in made if each["automated_decision"] == "AUTOMATED_DECISION_FULLY"]
    assert sorted(each["decision_visibility"][0].rpartition("_")[2] for each in by_machine) == [
        *("DISABLED", "DISABLED", "LABELLED", "REMOVED"),
    ]
    assert all(policy in each["incompatible_content_ground"] for each in by_machine)
    assert all(each["automated_detection"] == "Yes" for each in by_machine)
    assert len(made) == 6 and removed["decision_visibility"] == ["DECISION_VISIBILITY_CONTENT_REMOVED"]
    assert removed["decision_facts"] == "Ask […]."
    assert removed["automated_decision"] == "AUTOMATED_DECISION_NOT_AUTOMATED"
