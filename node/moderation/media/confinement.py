"""Takes from a process what it will not need: files, network, other processes, new code.

On Linux a filter of system calls (seccomp) is put in place, which nothing undoes: of all there are, this
process may make those of `_ALLOWED`, and every other fails as not permitted. What is allowed is memory,
threads, clocks, and reading and writing what is open already. So whoever takes over the process through a
picture can answer nonsense to whoever started it, and do nothing else.

Source: the kernel's documentation of "Seccomp BPF"; S. McCanne, V. Jacobson, "The BSD Packet Filter" (1993).
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
import sys
from typing import Final, NamedTuple

_PR_GET_SECCOMP: Final = 21
_PR_SET_SECCOMP: Final = 22
_PR_SET_NO_NEW_PRIVS: Final = 38
_MODE_FILTER: Final = 2

_LOAD: Final = 0x20  # of a word of what is asked for
_IS_EQUAL: Final = 0x15
_HAS_BIT: Final = 0x45
_ANSWER: Final = 0x06
_ALLOW: Final = 0x7FFF0000
_KILL: Final = 0x80000000  # the whole process
_FAIL: Final = 0x00050000  # with the error number in the lowest bits

_NUMBER_AT: Final = 0  # in the kernel's `struct seccomp_data`
_MACHINE_AT: Final = 4
_ARGUMENTS_AT: Final = 16  # each of 8 bytes, the lower half first

_CLONE_THREAD: Final = 0x00010000
_PROT_EXEC: Final = 0x4

_ALLOWED: Final = {
    # name: numbers on x86_64 and aarch64
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "fstat": (5, 80),
    "lseek": (8, 62),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "readv": (19, 65),
    "writev": (20, 66),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "nanosleep": (35, 101),
    "getpid": (39, 172),
    "exit": (60, 93),
    "getrusage": (98, 165),
    "sigaltstack": (131, 132),
    "gettid": (186, 178),
    "futex": (202, 98),
    "sched_getaffinity": (204, 123),
    "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "set_robust_list": (273, 99),
    "getrandom": (318, 278),
    "membarrier": (324, 283),
    "rseq": (334, 293),
}


class _Machine(NamedTuple):
    """What differs from one kind of processor to the other.

    Args:
        audit: how the kernel names it.
        column: which of the numbers in `_ALLOWED` are its.
        mmap, mprotect, clone, clone3, prlimit: the numbers of the calls whose arguments are looked at.
    """

    audit: int
    column: int
    mmap: int
    mprotect: int
    clone: int
    clone3: int
    prlimit: int


_MACHINES: Final = {
    "x86_64": _Machine(0xC000003E, 0, mmap=9, mprotect=10, clone=56, clone3=435, prlimit=302),
    "aarch64": _Machine(0xC00000B7, 1, mmap=222, mprotect=226, clone=220, clone3=435, prlimit=261),
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def unavailable() -> str | None:
    """Why no process can be confined here; None when it can."""
    if not sys.platform.startswith("linux"):
        return f"{sys.platform} has no filters of system calls that this version knows"
    if platform.machine() not in _MACHINES:
        return f"the numbers of the system calls of {platform.machine()} are not known to this version"
    if _prctl(_PR_GET_SECCOMP) < 0:
        return "this kernel was built without filters of system calls (CONFIG_SECCOMP_FILTER)"
    return None


def confine() -> bool:
    """Confine this process, and every thread it starts from now on; whether that was possible.

    Nothing can be imported afterwards. Threads that run already are not confined, so there should be none.
    """
    if unavailable() is not None:
        return False
    code = _filter(_MACHINES[platform.machine()])
    program = _Program(len(code) // _INSTRUCTION.size, code)
    if _prctl(_PR_SET_NO_NEW_PRIVS, 1) < 0:
        return False
    return _prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(program)) == 0


def _prctl(option: int, *arguments: int) -> int:
    given = [ctypes.c_ulong(each) for each in (*arguments, 0, 0, 0, 0)[:4]]
    return int(ctypes.CDLL(None).prctl(ctypes.c_int(option), *given))


_INSTRUCTION: Final = struct.Struct("=HBBI")  # what is done, how far to go if so and if not, with what


def _filter(machine: _Machine) -> bytes:
    """The program that the kernel runs at every system call, which answers what becomes of it."""

    def do(what: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
        return _INSTRUCTION.pack(what, yes, no, value)

    def answer(number: int, value: int) -> bytes:
        return do(_IS_EQUAL, number, no=1) + do(_ANSWER, value)

    def look(number: int, argument: int, what: int, value: int, *, yes: int, no: int) -> bytes:
        """Two answers for a call, by one of its arguments."""
        return (
            do(_IS_EQUAL, number, no=4)
            + do(_LOAD, _ARGUMENTS_AT + 8 * argument)
            + do(what, value, no=1)
            + do(_ANSWER, yes)
            + do(_ANSWER, no)
        )

    refused = _FAIL | errno.EPERM
    code = do(_LOAD, _MACHINE_AT) + do(_IS_EQUAL, machine.audit, yes=1) + do(_ANSWER, _KILL)
    code += do(_LOAD, _NUMBER_AT)
    for numbers in _ALLOWED.values():
        code += answer(numbers[machine.column], _ALLOW)
    for number in (machine.mmap, machine.mprotect):
        code += look(number, 2, _HAS_BIT, _PROT_EXEC, yes=refused, no=_ALLOW)
    code += look(machine.clone, 0, _HAS_BIT, _CLONE_THREAD, yes=_ALLOW, no=refused)
    # Its flags lie in memory, where no filter looks; the C library then asks by `clone`.
    code += answer(machine.clone3, _FAIL | errno.ENOSYS)
    code += look(machine.prlimit, 0, _IS_EQUAL, 0, yes=_ALLOW, no=refused)  # its own limits alone
    return code + do(_ANSWER, refused)
