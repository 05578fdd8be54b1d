"""The process that looks at pictures and films: `python -m folkmoot.node.moderation.media.worker`.

It reads files that strangers made, so it is given nothing but them: no path, no socket, an environment of two
words, and limits that it sets itself before it reads the first: so much memory, so much processor time a
file, and where the kernel can (`confinement`) no file, no network, no other process. Whatever happens to it
happens to one picture; the node starts another (`decoders`).
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from typing import Any, BinaryIO, Final

import msgspec
from folkmoot.node.moderation.media.bounds import MEMORY_BYTES, MODEL_BYTES, PROCESSOR_S, QUESTION_BYTES
from folkmoot.node.moderation.media.confinement import confine
from folkmoot.node.moderation.media.judged import LENGTH, Judged, Question
from folkmoot.protocol import codec

Model = Callable[[Any], float]
Look = Callable[[bytes, Question], Judged]

MODEL: Final = "--nsfw"


def main(arguments: list[str]) -> None:
    """Answer questions until there are no more.

    Args:
        arguments: the most pixels a picture may have, and `--nsfw` for a model besides.
    """
    questions, answers = _own_streams()
    look = _looker(int(arguments[0]), with_model=MODEL in arguments)
    _limit(MEMORY_BYTES + (MODEL_BYTES if MODEL in arguments else 0))
    confine()
    while (head := questions.read(LENGTH.size)) and len(head) == LENGTH.size:
        (length,) = LENGTH.unpack(head)
        if length > QUESTION_BYTES:
            return
        question = codec.shaped(codec.unpack(questions.read(length)), Question, "a question")
        data = questions.read(question.size)
        if len(data) < question.size:
            return
        _limit_processor()
        answer = codec.pack(msgspec.to_builtins(look(data, question), builtin_types=(bytes,)))
        answers.write(LENGTH.pack(len(answer)) + answer)
        answers.flush()


def _own_streams() -> tuple[BinaryIO, BinaryIO]:
    """Where questions come from and answers go, which no library may print to."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return sys.stdin.buffer, answers


def _limit(memory_bytes: int) -> None:
    """Take away what is not needed; what cannot be undone any more.

    The number of processes is not limited: threads, which decoders start, would count as such.
    """
    for what, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def _limit_processor() -> None:
    """End this process when it has worked for too long on what comes now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    most = int(used.ru_utime + used.ru_stime) + 1 + PROCESSOR_S
    resource.setrlimit(resource.RLIMIT_CPU, (most if hard < 0 else min(most, hard), hard))


def _looker(pixels_max: int, *, with_model: bool) -> Look:
    """What looks at files, and needs nothing more for it. Where a library is missing, nothing is seen."""
    try:
        from folkmoot.node.moderation.media.looking import Looker
    except ImportError:
        return lambda data, question: Judged(unjudged="no_decoder")
    model = _model() if with_model else None
    try:
        from folkmoot.node.moderation.media import films
    except ImportError:
        looker = Looker(pixels_max, model)
        looker.practise()
    else:
        looker = Looker(pixels_max, model, films.frames)
        looker.practise(*films.examples())
    return looker.look


def _model() -> Model | None:
    try:
        from folkmoot.node.moderation.media.nudity import model
    except ImportError:
        return None
    return model()


if __name__ == "__main__":
    main(sys.argv[1:])
