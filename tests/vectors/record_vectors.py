"""Records that every implementation must read, and records that every one must refuse."""

from __future__ import annotations

import hashlib
from typing import Any

from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.identity import KeyPair, account_to_text
from folkmoot.protocol.limits import POST_TEXT_CODE_POINTS, RECORD_BYTES, STAMP_MAX
from folkmoot.protocol.record import SIGNED_PREFIX, Record

from tests.vectors.spelling import Fields, bin8, nested, spell, spell_fields, spell_map

ALICE, ALICE_LAPTOP, BOB = (KeyPair(bytes([number]) * 32) for number in (1, 2, 3))
TIME_MS = 1_700_000_000_000
POST = make_uuid7(TIME_MS, 42)
LIKE = POST + ALICE.account
LIST = bytes(range(16))
STAMP = TIME_MS * 1000
HASH = hashlib.sha256(b"a picture").digest()
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493

BASE: Fields = {
    "author": bin8(ALICE.account),
    "body": spell({"text": "hello"}),
    "item": bin8(POST),
    "kind": spell("post"),
    "stamp": spell(STAMP),
    "version": spell(1),
}


def record_vectors() -> dict[str, Any]:
    """The whole file, ready to be written as JSON."""
    return {
        "about": "Records, section 3 of the contract. `payload` and `signature` are hex, as is every `hex` "
        "inside `body`, which stands for binary. `seed` is the Ed25519 seed of the signing key. Valid "
        "ones must be accepted with this id and these fields; invalid ones refused with this error.",
        "valid": [
            _valid(name, record, seed)
            for name, (record, seed) in (_valid_records() | _valid_social()).items()
        ],
        "invalid": [
            {"name": name, "payload": payload.hex(), "signature": signature.hex(), "error": error}
            for error, cases in (
                ("not_canonical", _signed(_not_canonical())),
                ("bad_request", {**_signed(_bad_request() | _bad_edges() | _bad_erasing()), **_bad_frames()}),
                ("too_large", _signed(_too_large())),
                ("bad_signature", _bad_signatures()),
            )
            for name, (payload, signature) in cases.items()
        ],
    }


def _valid(name: str, record: Record, seed: bytes) -> dict[str, Any]:
    return {
        "name": name,
        "seed": seed.hex(),
        "payload": record.payload.hex(),
        "signature": record.signature.hex(),
        "id": record.id.hex(),
        "author": account_to_text(record.author),
        "place": account_to_text(record.place),
        "device": account_to_text(record.device),
        "kind": record.kind,
        "item": record.item.hex(),
        "stamp": record.stamp,
        "seen": {account_to_text(device): stamp for device, stamp in sorted(record.seen.items())},
        "body": as_json(record.body),
        "deleted": record.deleted,
    }


def as_json(value: Any) -> Any:
    """`value` with binary as `{"hex": …}`."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, dict):
        return {name: as_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return value


def _valid_records() -> dict[str, tuple[Record, bytes]]:
    ref = {"author": BOB.account, "item": POST}
    full = {
        "text": "A post with everything: ünïcödé, 漢字, 🜂",
        "lang": "en",
        "reply_to": ref,
        "root": {**ref, "id": HASH},
        "quote": ref,
        "tags": ["moot", "folk"],
        "media": [{"hash": HASH, "mime": "image/png", "size": 70_000, "alt": "a picture"}],
        "warning": "food",
    }
    made: dict[str, tuple[Record, bytes]] = {}

    def make(name: str, device: KeyPair, kind: str, item: bytes, body: dict[str, Any], **more: Any) -> None:
        record = Record.sign(device, **{"kind": kind, "item": item, "body": body, "stamp": STAMP, **more})
        made[name] = (record, device.seed)

    other_device = {"author": ALICE.account, "seen": {ALICE.account: STAMP - 1}}
    make("a post", ALICE, "post", POST, {"text": "hello"})
    make("a post with every optional key", ALICE, "post", POST, full)
    make("an empty post", ALICE, "post", POST, {"text": ""})
    make("the longest text", ALICE, "post", POST, {"text": "x" * POST_TEXT_CODE_POINTS})
    make("the longest text, counted in code points", ALICE, "post", POST, {"text": "🜂" * 3000})
    make("a deletion", ALICE, "post", POST, {"deleted": True})
    make("an edit from a second device", ALICE_LAPTOP, "post", POST, {"text": "edited"}, **other_device)
    make("a second device that saw nothing", ALICE_LAPTOP, "post", POST, {"text": "x"}, author=ALICE.account)
    make("a profile field", ALICE, "profile", b"name", {"value": "Alice"})
    make("a follow", ALICE, "follow", BOB.account, {"on": True})
    make("an unfollow", ALICE, "follow", BOB.account, {"on": False})
    make("a mute", ALICE, "mute", BOB.account, {"on": True})
    make("a block", ALICE, "block", BOB.account, {"on": True})
    make("a bookmark", ALICE, "bookmark", BOB.account + POST, {"on": True})
    make("a like of another's post", ALICE, "like", LIKE, {"on": True}, place=BOB.account)
    make("a like of one's own post", ALICE, "like", LIKE, {"on": True})
    make("a repost", ALICE, "repost", LIKE, {"on": True}, place=BOB.account)
    make("a report", ALICE, "report", LIKE, {"reason": "spam"}, place=BOB.account)
    make("the smallest stamp", ALICE, "post", POST, {"text": "x"}, stamp=0)
    make("the greatest stamp", ALICE, "post", POST, {"text": "x"}, stamp=STAMP_MAX)
    beyond_ascii = {"text": "x", "é": 1, "z": 2, "🜂": 3, "\uffff": 4}
    make("body keys that are not ASCII", ALICE, "post", POST, beyond_ascii)
    make("a key of a later version in the body", ALICE, "post", POST, {"text": "x", "poll": [1, -33, 2**63]})
    later = spell_fields({**BASE, "nonce": spell(7)})
    made["a key of a later version in the payload"] = (Record(later, _sign(ALICE, later)), ALICE.seed)
    deepest = _with(body=spell_map([(spell("deep"), nested(14)), (spell("text"), spell("x"))]))
    made["a payload nested sixteen deep"] = (Record(deepest, _sign(ALICE, deepest)), ALICE.seed)
    make("the largest payload", ALICE, "profile", b"name", {"value": _filling(0)})
    return made | _erasing_records()


def _erasing_records() -> dict[str, tuple[Record, bytes]]:
    emptied, off = {"erase": True, "value": ""}, {"erase": True, "on": False}
    newest: dict[str, Any] = {"author": ALICE.account, "seen": {ALICE.account: STAMP - 1}}
    made = {
        "a profile field emptied, and its history erased": Record.sign(
            ALICE, kind="profile", item=b"name", body=emptied, stamp=STAMP
        ),
        "an unfollow that erases what two devices said": Record.sign(
            ALICE_LAPTOP, kind="follow", item=BOB.account, body=off, stamp=STAMP, **newest
        ),
        "a post with a key that means nothing in it": Record.sign(
            ALICE, kind="post", item=POST, body={"erase": True, "text": "x"}, stamp=STAMP
        ),
    }
    seeds = {ALICE.account: ALICE.seed, ALICE_LAPTOP.account: ALICE_LAPTOP.seed}
    return {name: (record, seeds[record.device]) for name, record in made.items()}


def _valid_social() -> dict[str, tuple[Record, bytes]]:
    """What an author says of a post, mutes and lists."""
    word = "Wörter, 漢字"
    controls = {"mentions": [BOB.account], "reply_from": "mentioned", "quote_from": "nobody"}
    labelled = {"text": "A post for few", "labels": ["food", "spoiler"], **controls}
    said: list[tuple[str, str, bytes, dict[str, Any]]] = [
        ("a post that says who may answer it", "post", POST, labelled),
        ("a muted account, for a while", "mute", BOB.account, {"on": True, "until": STAMP + 1}),
        ("muted reposts", "mute", BOB.account, {"on": True, "reposts": True}),
        ("a muted thread", "mute", BOB.account + POST, {"on": True, "until": STAMP + 1}),
        ("a muted word", "mute", _word_item(word), {"on": True, "word": word}),
        ("a word muted no more", "mute", _word_item(word), {"on": False}),
        ("a list", "list", LIST, {"name": "Neighbours", "about": "Our street."}),
        ("a list that is no more", "list", LIST, {"deleted": True}),
        ("a list member", "listed", LIST + BOB.account, {"on": True}),
        ("whose notices are wanted", "preference", b"notifications", {"mention": "known", "like": "nobody"}),
        ("a read mark", "preference", b"notifications.read", {"until": STAMP}),
        ("a preference of a later version", "preference", b"theme", {"dark": True}),
    ]
    return {
        name: (Record.sign(ALICE, kind=kind, item=item, body=body, stamp=STAMP), ALICE.seed)
        for name, kind, item, body in said
    }


def _word_item(word: str) -> bytes:
    return b"word:" + hashlib.sha256(word.encode()).digest()


def _value(text: str) -> bytes:
    return spell({"value": text})


def _filling(excess: int) -> str:
    """The value that makes a profile field's payload as large as may be, and `excess` bytes larger."""
    header_growth = 2
    empty = _with(kind=spell("profile"), item=bin8(b"name"), body=_value(""))
    return "x" * (RECORD_BYTES - len(empty) - header_growth + excess)


def _sign(device: KeyPair, payload: bytes) -> bytes:
    return device.sign(SIGNED_PREFIX + payload)


def _signed(payloads: dict[str, bytes]) -> dict[str, tuple[bytes, bytes]]:
    return {name: (payload, _sign(ALICE, payload)) for name, payload in payloads.items()}


def _with(**fields: bytes) -> bytes:
    return spell_fields({**BASE, **fields})


def _not_canonical() -> dict[str, bytes]:
    pairs = [(spell(name), value) for name, value in sorted(BASE.items())]
    text, hello = spell("text"), spell("hello")
    post = spell_fields(BASE)
    return {
        "keys descending": spell_map(pairs[::-1]),
        "two keys swapped": spell_map([pairs[1], pairs[0], *pairs[2:]]),
        "a key twice": spell_map([pairs[0], *pairs]),
        "a key twice in the body": _with(body=spell_map([(text, hello), (text, hello)])),
        "body keys descending": _with(body=spell_map([(text, hello), (spell("lang"), spell("en"))])),
        "body keys in UTF-16 order": _with(
            body=spell_map([(text, hello), (spell("🜂"), spell(1)), (spell("\uffff"), spell(2))])
        ),
        "a map16 where a fixmap would do": spell_map(pairs, b"\xde\x00\x06"),
        "a map32 where a fixmap would do": spell_map(pairs, b"\xdf\x00\x00\x00\x06"),
        "a uint8 where a fixint would do": _with(version=b"\xcc\x01"),
        "a signed int where an unsigned would do": _with(stamp=b"\xd3" + STAMP.to_bytes(8, "big")),
        "a str8 where a fixstr would do": _with(kind=b"\xd9\x04post"),
        "a str16 where a fixstr would do": _with(kind=b"\xda\x00\x04post"),
        "a str8 key": _with(body=spell_map([(b"\xd9\x04text", hello)])),
        "a bin16 where a bin8 would do": _with(item=b"\xc5\x00\x10" + POST),
        "an array16 where a fixarray would do": _with(
            body=spell_map([(spell("tags"), b"\xdc\x00\x00"), (text, hello)])
        ),
        "nil in the body": _with(body=spell({"lang": None, "text": "x"})),
        "nil for an absent key": _with(place=b"\xc0"),
        "a float64": _with(body=spell({"score": 1.5, "text": "x"})),
        "a float32": _with(body=spell_map([(spell("score"), b"\xca\x3f\x80\x00\x00"), (text, hello)])),
        "a float for an integer": _with(stamp=b"\xcb\x00\x00\x00\x00\x00\x00\x00\x00"),
        "an extension type": _with(body=spell_map([(spell("extra"), b"\xd4\x05\x00"), (text, hello)])),
        "the timestamp extension": _with(
            body=spell_map([(spell("extra"), b"\xd6\xff\x00\x00\x00\x00"), (text, hello)])
        ),
        "an integer key in the body": _with(body=spell_map([(b"\x01", b"\x01"), (text, hello)])),
        "a binary key in the body": _with(body=spell_map([(text, hello), (b"\xc4\x01z", b"\x01")])),
        "text that is not UTF-8": _with(body=spell_map([(text, b"\xa2\xff\xfe")])),
        "text with a surrogate": _with(body=spell_map([(text, b"\xa3\xed\xa0\x80")])),
        "the byte that is never used": _with(body=spell_map([(text, b"\xc1")])),
        "a byte after the end": post + b"\x00",
        "a second value after the end": post + b"\xc0",
        "cut short": post[:-1],
        "empty": b"",
        "place spelled out though it is the author": _with(place=bin8(ALICE.account)),
        "signer spelled out though it is the first key": _with(signer=bin8(ALICE.account)),
        "seen spelled out though it is empty": _with(seen=b"\x80"),
        "nested seventeen deep": _with(body=spell_map([(spell("deep"), nested(15)), (text, hello)])),
        "nested without end": _with(body=b"\x91" * 4000),
    }


def _bad_request() -> dict[str, bytes]:
    uuid4 = POST[:6] + bytes((0x40 | POST[6] & 15,)) + POST[7:]
    laptop = ALICE_LAPTOP.account.hex()
    return {
        **{f"without {name}": spell_fields({key: BASE[key] for key in BASE if key != name}) for name in BASE},
        "an array": spell([1, 2, 3]),
        "a number": spell(1),
        "a version to come": _with(version=spell(2)),
        "an author of 33 bytes": _with(author=bin8(ALICE.account[:-1])),
        "an author that is a secp256k1 key": _with(author=bin8(b"\xe7\x01" + ALICE.public)),
        "an author as text": _with(author=spell(account_to_text(ALICE.account))),
        "a signer of 33 bytes": _with(signer=bin8(ALICE_LAPTOP.account[:-1])),
        "an empty item": _with(kind=spell("profile"), body=_value("x"), item=b"\xc4\x00"),
        "an item of 129 bytes": _with(kind=spell("profile"), body=_value("x"), item=bin8(b"x" * 129)),
        "an item as text": _with(kind=spell("profile"), body=_value("x"), item=spell("name")),
        "a kind nobody knows": _with(kind=spell("poem")),
        "a kind that only nodes write": _with(kind=spell("held")),
        "a negative stamp": _with(stamp=spell(-1)),
        "a stamp of 64 bits": _with(stamp=spell(2**63)),
        "a stamp that is a truth value": _with(stamp=b"\xc3"),
        "a post whose item is a UUIDv4": _with(item=bin8(uuid4)),
        "a post whose item is too short": _with(item=bin8(POST[:-1])),
        "a post under another's place": _with(place=bin8(BOB.account)),
        "a post without text": _with(body=spell({"lang": "en"})),
        "a post whose text is binary": _with(body=spell({"text": b"hello"})),
        "a deletion that says more": _with(body=spell({"deleted": True, "text": "x"})),
        "a deletion that says no": _with(body=spell({"deleted": False})),
        "a reply to no account": _with(body=spell({"reply_to": {"author": b"x", "item": POST}, "text": "x"})),
        "a medium of negative size": _with(
            body=spell({"media": [{"alt": "", "hash": HASH, "mime": "image/png", "size": -1}], "text": "x"})
        ),
        "a medium whose hash is cut short": _with(
            body=spell({"media": [{"alt": "", "hash": b"x", "mime": "image/png", "size": 1}], "text": "x"})
        ),
        "an empty self-label": _with(body=spell({"labels": [""], "text": "x"})),
        "mentions that are no accounts": _with(body=spell({"mentions": [POST], "text": "x"})),
        "replies from nobody knows whom": _with(body=spell({"reply_from": "friends", "text": "x"})),
        "quotes from true": _with(body=spell({"quote_from": True, "text": "x"})),
        "tags that are not text": _with(body=spell({"tags": [b"moot"], "text": "x"})),
        "a body that is a list": _with(body=spell([])),
        "seen names the own device": _with(seen=spell({ALICE.account.hex(): 1})),
        "seen in upper case": _with(seen=spell({laptop.upper(): 1})),
        "seen by text id": _with(seen=spell({account_to_text(ALICE_LAPTOP.account): 1})),
        "seen with a negative stamp": _with(seen=spell({laptop: -1})),
        "seen with a stamp of 64 bits": _with(seen=spell({laptop: 2**63})),
    }


def _bad_erasing() -> dict[str, bytes]:
    laptop = ALICE_LAPTOP.account.hex()
    return {
        "a record that erases what is as new as itself": _with(
            kind=spell("profile"),
            item=bin8(b"name"),
            body=spell({"erase": True, "value": ""}),
            seen=spell({laptop: STAMP}),
        ),
        "erase that is not true": _with(
            kind=spell("profile"), item=bin8(b"name"), body=spell({"erase": False, "value": ""})
        ),
        "erase as a number": _with(
            kind=spell("follow"), item=bin8(BOB.account), body=spell({"erase": 1, "on": False})
        ),
    }


def _bad_edges() -> dict[str, bytes]:
    like: Fields = {**BASE, "kind": spell("like"), "body": spell({"on": True}), "item": bin8(LIKE)}
    follow: Fields = {**like, "kind": spell("follow"), "item": bin8(BOB.account)}
    mute: Fields = {**follow, "kind": spell("mute")}
    listed: Fields = {**follow, "kind": spell("listed")}
    preference: Fields = {**follow, "kind": spell("preference"), "item": bin8(b"notifications.read")}
    return {
        "a follow of no account": spell_fields({**follow, "item": bin8(POST)}),
        "a follow that says neither": spell_fields({**follow, "body": b"\x80"}),
        "a follow that says 1": spell_fields({**follow, "body": spell({"on": 1})}),
        "a follow of oneself": spell_fields({**follow, "item": bin8(ALICE.account)}),
        "a mute of oneself": spell_fields({**mute, "item": bin8(ALICE.account)}),
        "a block of oneself": spell_fields({**follow, "kind": spell("block"), "item": bin8(ALICE.account)}),
        "a mute until before time": spell_fields({**mute, "body": spell({"on": True, "until": -1})}),
        "a mute of a thread of no account": spell_fields({**mute, "item": bin8(POST + BOB.account)}),
        "a muted word that is not said": spell_fields({**mute, "item": bin8(_word_item("x"))}),
        "a muted word under the digest of another": spell_fields(
            {**mute, "item": bin8(_word_item("X")), "body": spell({"on": True, "word": "x"})}
        ),
        "whose notices are wanted, in no word for it": spell_fields(
            {**preference, "item": bin8(b"notifications"), "body": spell({"like": "friends"})}
        ),
        "a read mark of later than it was made": spell_fields(
            {**preference, "body": spell({"until": STAMP + 1})}
        ),
        "a read mark of nothing": spell_fields({**preference, "body": b"\x80"}),
        "a list without a name": spell_fields({**listed, "kind": spell("list"), "item": bin8(LIST)}),
        "a list member that is no account": spell_fields({**listed, "item": bin8(LIST + POST)}),
        "a list member without a list": spell_fields({**listed, "item": bin8(BOB.account)}),
        "a like that ends with another account": spell_fields({**like, "item": bin8(POST + BOB.account)}),
        "a like of nothing": spell_fields({**like, "item": bin8(ALICE.account)}),
        "a place of 33 bytes": spell_fields({**like, "place": bin8(BOB.account[:-1])}),
    }


def _too_large() -> dict[str, bytes]:
    devices = sorted(KeyPair(bytes([number]) * 32).account.hex() for number in range(10, 26))
    return {
        "a text of 3,001 code points": _with(body=spell({"text": "x" * (POST_TEXT_CODE_POINTS + 1)})),
        "a payload of 16,385 bytes": _with(
            kind=spell("profile"), item=bin8(b"name"), body=_value(_filling(1))
        ),
        "seen names sixteen other devices": _with(seen=spell(dict.fromkeys(devices, 1))),
    }


def _bad_frames() -> dict[str, tuple[bytes, bytes]]:
    payload = spell_fields(BASE)
    signature = _sign(ALICE, payload)
    return {
        "a signature of 63 bytes": (payload, signature[:-1]),
        "a signature of 65 bytes": (payload, signature + b"\x00"),
        "no signature": (payload, b""),
    }


def _bad_signatures() -> dict[str, tuple[bytes, bytes]]:
    payload = spell_fields(BASE)
    signature = _sign(ALICE, payload)
    malleated = int.from_bytes(signature[32:], "little") + GROUP_ORDER
    return {
        "signed by another key": (payload, _sign(BOB, payload)),
        "signed by the first key though another is named": (
            _with(signer=bin8(ALICE_LAPTOP.account)),
            _sign(ALICE, _with(signer=bin8(ALICE_LAPTOP.account))),
        ),
        "a bit of R flipped": (payload, bytes((signature[0] ^ 1,)) + signature[1:]),
        "a bit of S flipped": (payload, signature[:32] + bytes((signature[32] ^ 1,)) + signature[33:]),
        "S plus the order of the group": (payload, signature[:32] + malleated.to_bytes(32, "little")),
        "signed without the prefix": (payload, ALICE.sign(payload)),
        "signed under another purpose": (payload, ALICE.sign(b"folkmoot-auth-v1\x00" + payload)),
        "the signature of another payload": (_with(stamp=spell(1)), signature),
        "all zero": (payload, bytes(64)),
    }
