"""What bounds the looking at pictures."""

from __future__ import annotations

from typing import Final

from folkmoot.protocol.limits import KIB, MIB

QUALITY_MIN: Final = 50  # below which a hash says too little to be looked up
HASHES_TOLD: Final = 8 * KIB  # of one file: some two hundred for each of five frames, eight for the others
ALIKE_BITS: Final = 8  # of 256: frames that differ in no more look alike
ANSWER_BYTES: Final = 1 * MIB
QUESTION_BYTES: Final = 1 * KIB
MEMORY_BYTES: Final = 1_024 * MIB  # of address space, which libraries take more of than they use
MODEL_BYTES: Final = 1_024 * MIB  # … and a model besides
PROCESSOR_S: Final = 8  # for one file
FILM_PROCESSOR_S: Final = 6  # … after which nothing more of a film is looked at
FILM_PIXELS: Final = 4_096 * 2_304  # of a frame: decoders keep up to twenty at once
FILM_PIXELS_DECODED: Final = 1_200_000_000  # of all frames together: 30 s of 1280 × 720, and as much again
FILM_S: Final = 600  # how long it may last
FILM_PACKETS: Final = 200_000  # of pictures and sound
FILM_TRACKS: Final = 4  # of pictures
WAITING: Final = 64  # files that are waiting to be looked at; above it the answer is `busy`
WAITING_OF_ONE: Final = 4  # … of one account
