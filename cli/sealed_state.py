"""What there is to say of sealed media: how many wait to be handed over, and whether anybody can do so."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from folkmoot.protocol.errors import FolkmootError

LIST = "folkmoot media sealed ls"
GRANT = "folkmoot role grant ACCOUNT expert"


def sealed_told(figures: dict[str, Any]) -> dict[str, Any] | None:
    """What a node tells operators of what is sealed there; None when it does not."""
    told: dict[str, Any] | None = (figures.get("media") or {}).get("sealed")
    return told


def sealed_warnings(figures: dict[str, Any]) -> list[str]:
    """What an operator should see to at the node that answers, a sentence each."""
    told = sealed_told(figures)
    if told is None:
        return []
    warnings = []
    if told["sealed"]:
        warnings.append(f"{told['sealed']} sealed media wait to be handed over: {LIST}")
    if not told["experts"] and (told["sealed"] or told["lists"]):
        warnings.append(f"nobody has the role expert, so nobody could deal with what is sealed: {GRANT}")
    if told["lost"]:
        warnings.append(f"the bytes of {told['lost']} sealed media are not on its disk any more: {LIST}")
    if told["refused"]:
        warnings.append(
            f"{told['refused']} uploads were erased because there was no room to seal them: raise "
            "screening.sealed_cap, or erase what was handed over"
        )
    return warnings


def sealed_in(directory: Path) -> tuple[str, str, str]:
    """State, sentence and next step of what is sealed in a data directory, whether its node runs or not."""
    # Imported here so that a command's help need not wait for stores.
    from folkmoot.storage.media.files import OsFiles
    from folkmoot.storage.media.layout import Area
    from folkmoot.storage.media.remains import FOLDER
    from folkmoot.storage.media.sealed import lies_in, records_in

    files, area = OsFiles(), directory / FOLDER / Area.SEALED.value
    try:
        found = Counter(
            custody.state(is_here=lies_in(files, area, name)) for name, custody in records_in(files, area)
        )
    except (OSError, FolkmootError) as error:
        return "watch", f"what is sealed cannot be read: {error}", "look at its owner and permissions"
    if found["sealed"] or found["lost"]:
        waiting = f"{found['sealed']} sealed media wait to be handed over"
        lost = f", the bytes of {found['lost']} are gone" if found["lost"] else ""
        return "watch", waiting + lost, LIST
    return "well", f"no sealed media wait; {found['handed_over']} were handed over and are kept", ""
