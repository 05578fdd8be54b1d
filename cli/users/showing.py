"""An account and its history, for people and for programs."""

from __future__ import annotations

from typing import Any, Final

from folkmoot.cli.output import table, utc_text
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.accounts.history import Account, DeviceKey
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.identity import account_to_text

FIRST: Final = "first key"
KEY_COLUMNS: Final = ("key", "name", "state")
HISTORY_COLUMNS: Final = ("number", "time", "action", "about", "by")


def described(state: Account) -> dict[str, Any]:
    """An account as `--json` prints it."""
    return {
        "account": account_to_text(state.id),
        "handle": state.handle,
        "state": standing(state),
        "number": state.number,
        "head": None if state.head is None else state.head.hex(),
        "recoverable": state.recovery is not None,
        "devices": [device(each) for each in state.keys.values()],
    }


def device(key: DeviceKey) -> dict[str, Any]:
    """One key, the same way."""
    return {
        "key": account_to_text(key.key),
        "name": key.title,
        "added": key.added,
        "revoked": key.revoked,
    }


def standing(state: Account) -> str:
    """Whether an account can be used."""
    if state.closed:
        return "closed"
    return "suspended" if state.suspended else "active"


def account_lines(state: Account) -> list[str]:
    """An account in words."""
    recovery = "has a recovery key" if state.recovery is not None else "no recovery key: cannot be recovered"
    named = f"@{state.handle}" if state.handle else "no handle"
    changes = f"{state.number} operation" + ("" if state.number == 1 else "s")
    return [
        account_to_text(state.id),
        f"{named}; {standing(state)}; {recovery}; {changes}",
        *key_lines(state),
    ]


def key_lines(state: Account) -> list[str]:
    """An account's keys as a table."""
    rows = [
        {
            "key": account_to_text(each.key),
            "name": each.title or (FIRST if each.key == state.id else None),
            "state": "may sign" if each.revoked is None else f"revoked by operation {each.revoked}",
        }
        for each in state.keys.values()
    ]
    return table(rows, KEY_COLUMNS)


def history(chain: Chain) -> list[dict[str, Any]]:
    """The operations on an account, in order."""
    told = []
    before = Account.plain(chain.account)
    for entry in chain.entries:
        operation = entry.operation
        told.append(
            {
                "number": operation.number,
                "time": utc_text(entry.decided_us),
                "action": operation.action.name,
                "body": _plain(operation.action.to_body()),
                "by": _signer(before, operation),
                "signer": account_to_text(operation.signer),
            }
        )
        before = before.after(operation)
    return told


def history_lines(chain: Chain) -> list[str]:
    """The same as a table."""
    rows = []
    for told in history(chain):
        about = ", ".join(f"{name} {value}" for name, value in told["body"].items())
        rows.append({**told, "about": about or None})
    return table(rows, HISTORY_COLUMNS)


def _signer(before: Account, operation: Operation) -> str:
    """Who signed an operation, in words: the device's name, or what else the key is."""
    key = operation.signer
    held = before.keys.get(key)
    if held is not None:
        return held.title or (FIRST if key == before.id else account_to_text(key))
    return "recovery key" if key == before.recovery else "operator"


def _plain(body: dict[str, Any]) -> dict[str, Any]:
    """An operation's body with its keys as people write them."""

    def told(value: Any) -> Any:
        match value:
            case bytes():
                return account_to_text(value)
            case list():
                return [told(each) for each in value]
        return value

    return {name: told(value) for name, value in body.items()}
