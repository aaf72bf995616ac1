# SPDX-License-Identifier: Apache-2.0
"""Makes a thread of another process make a system call, by ptrace(2), as one who has taken it over."""
import ctypes
import os

ATTACH, DETACH, GETREGS, SETREGS = 16, 17, 12, 13
SYSCALL_BYTES = 2  # of the instruction
NAMES = ("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx",
         "rsi", "rdi", "orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds",
         "es", "fs", "gs")


class Registers(ctypes.Structure):
    """struct user_regs_struct"""
    _fields_ = [(name, ctypes.c_ulonglong) for name in NAMES]


libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, tid, data=None):
    if libc.ptrace(request, tid, None, data) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def call(tid, number, *arguments):
    """
    Thread @tid, which waits in a system call, makes the call @number in place of it. Nobody gets to
    know what comes of it.
    """
    registers = Registers()
    ptrace(ATTACH, tid)
    os.waitpid(tid, 0x40000000)  # __WALL
    try:
        ptrace(GETREGS, tid, ctypes.byref(registers))
        assert registers.orig_rax < 1000, "the thread is in no system call"
        registers.orig_rax = ctypes.c_ulonglong(-1).value  # it is not to be restarted
        registers.rax = number
        registers.rip -= SYSCALL_BYTES
        for name, value in zip(("rdi", "rsi", "rdx", "r10", "r8", "r9"), arguments):
            setattr(registers, name, value)
        ptrace(SETREGS, tid, ctypes.byref(registers))
    finally:
        ptrace(DETACH, tid)
