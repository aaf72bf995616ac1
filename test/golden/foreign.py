# SPDX-License-Identifier: Apache-2.0
"""What a reader of stores needs beside BLAKE3: LZ4, zstd, XChaCha20-Poly1305, Argon2id."""

import ctypes
import ctypes.util


class Damaged(Exception):
    """What was read is not what the format allows."""


def _library(name):
    path = ctypes.util.find_library(name)
    if not path:
        raise OSError(f"there is no lib{name} here")
    return ctypes.CDLL(path)


def _extended(block, at, length):
    """A length of LZ4: 15 means that bytes follow, up to one that is not 255."""
    if length < 15:
        return at, length
    while True:
        more = block[at]
        at += 1
        length += more
        if more != 255:
            return at, length


def lz4_block(block, raw_bytes):
    """Sequences of literals and a match; the last one has literals only."""
    out = bytearray()
    at = 0
    try:
        while True:
            token = block[at]
            at, count = _extended(block, at + 1, token >> 4)
            if at + count > len(block):
                raise Damaged("lz4: literals beyond the end")
            out += block[at : at + count]
            at += count
            if at == len(block):
                break
            distance = block[at] | block[at + 1] << 8
            at, count = _extended(block, at + 2, token & 15)
            if distance == 0 or distance > len(out) or len(out) + count + 4 > raw_bytes:
                raise Damaged("lz4: a match that cannot be")
            for _ in range(count + 4):
                out.append(out[-distance])
    except IndexError:
        raise Damaged("lz4: cut short") from None
    if len(out) != raw_bytes:
        raise Damaged("lz4: another length")
    return bytes(out)


def zstd_frame(frame, raw_bytes, dictionary=b""):
    """One frame."""
    zstd = _library("zstd")
    zstd.ZSTD_createDCtx.restype = ctypes.c_void_p
    for name in ("ZSTD_findFrameCompressedSize", "ZSTD_decompress_usingDict"):
        getattr(zstd, name).restype = ctypes.c_size_t
    if frame[:4] != bytes.fromhex("28b52ffd"):
        raise Damaged("zstd: no frame")
    whole = zstd.ZSTD_findFrameCompressedSize(frame, ctypes.c_size_t(len(frame)))
    if whole != len(frame):
        raise Damaged("zstd: not one frame")
    out = ctypes.create_string_buffer(raw_bytes)
    context = ctypes.c_void_p(zstd.ZSTD_createDCtx())
    n = zstd.ZSTD_decompress_usingDict(
        context, out, ctypes.c_size_t(raw_bytes), frame, ctypes.c_size_t(len(frame)),
        dictionary, ctypes.c_size_t(len(dictionary)),
    )  # fmt: skip
    zstd.ZSTD_freeDCtx(context)
    if n != raw_bytes:
        raise Damaged("zstd: another length")
    return out.raw


def open_sealed(key, nonce, sealed, additional):
    """XChaCha20-Poly1305 of the IETF; the plaintext, or None when the tag is wrong."""
    sodium = _library("sodium")
    out = ctypes.create_string_buffer(max(1, len(sealed) - 16))
    count = ctypes.c_ulonglong()
    r = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
        out, ctypes.byref(count), None, sealed, ctypes.c_ulonglong(len(sealed)),
        additional, ctypes.c_ulonglong(len(additional)), nonce, key,
    )  # fmt: skip
    return out.raw[: count.value] if r == 0 else None


def seal(key, nonce, plain, additional):
    sodium = _library("sodium")
    out = ctypes.create_string_buffer(len(plain) + 16)
    sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
        out, None, plain, ctypes.c_ulonglong(len(plain)),
        additional, ctypes.c_ulonglong(len(additional)), None, nonce, key,
    )  # fmt: skip
    return out.raw


def argon2id(passphrase, salt, passes, memory_bytes):
    sodium = _library("sodium")
    out = ctypes.create_string_buffer(32)
    r = sodium.crypto_pwhash(
        out, ctypes.c_ulonglong(32), passphrase, ctypes.c_ulonglong(len(passphrase)), salt,
        ctypes.c_ulonglong(passes), ctypes.c_size_t(memory_bytes), ctypes.c_int(2),
    )  # fmt: skip
    if r != 0:
        raise MemoryError("Argon2id")
    return out.raw
