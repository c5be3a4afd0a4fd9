"""A checksum of outputs that a CPU and a GPU compute alike and that merges by unit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache

import numpy as np

from verify.blocks import in_blocks
from verify.precision import Array, Precision

__all__ = ["LEAF", "checksum", "digest_of_leaves", "leaves", "unit_digest", "weights"]

# A leaf is 2**10 consecutive elements. Its sum is that of (bits + 1) * weight modulo 2**64, with
# an odd weight for each place: a change of any one element changes it, and so, but for one
# chance in about 2**64, does any other. A device adds leaves up in any order; what it hands
# over, 8 bytes a leaf, is digested by the host.
LEAF = 1 << 10


@cache
def weights() -> Array:
    """Odd uint64 weights: the first outputs of SplitMix64 from seed 0 (Steele et al. 2014)."""
    z = np.arange(1, LEAF + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((z ^ (z >> np.uint64(31))) | np.uint64(1))


def leaves(values: Array, precision: Precision) -> Array:
    """The leaf sums, uint64, of an output, flat in its own order; zeros fill the last leaf up."""
    kind = precision.bits_dtype.type
    infinity = ((1 << (precision.total_bits - precision.significand_bits)) - 1) << (
        precision.significand_bits - 1
    )
    quiet = infinity | 1 << (precision.significand_bits - 2)
    magnitude_bits = (1 << (precision.total_bits - 1)) - 1

    def block(_start: int, bits: Array) -> Array:
        magnitude = bits & kind(magnitude_bits)
        if magnitude.max() > infinity:
            # Which NaN comes out depends on the processor, and on nothing that is verified.
            bits = np.where(magnitude > infinity, kind(quiet), bits)
        terms = bits.astype(np.uint64).reshape(-1, LEAF)
        terms += np.uint64(1)
        terms *= weights()
        return np.asarray(terms.sum(axis=1, dtype=np.uint64))

    bits = precision.to_bits(values.reshape(-1))
    if len(bits) % LEAF:
        bits = np.concatenate([bits, np.zeros(-len(bits) % LEAF, bits.dtype)])
    return np.concatenate(in_blocks(block, bits))


def digest_of_leaves(sums: Mapping[str, Array]) -> str:
    """The digest of a unit, 16 hexadecimal digits, of its outputs' leaf sums by name."""
    digest = hashlib.blake2b(digest_size=8)
    for name in sorted(sums):
        digest.update(name.encode() + b"\0")
        digest.update(np.ascontiguousarray(sums[name], dtype="<u8").data)
    return digest.hexdigest()


def unit_digest(outputs: Mapping[str, Array], precision: Precision) -> str:
    """The digest of a unit's outputs; all NaNs count as the same."""
    return digest_of_leaves({name: leaves(y, precision) for name, y in outputs.items()})


def checksum(digests: Iterable[str]) -> str:
    """The checksum of consecutive units: the digest of their digests, 32 hexadecimal digits."""
    return hashlib.blake2b("\n".join(digests).encode(), digest_size=16).hexdigest()
