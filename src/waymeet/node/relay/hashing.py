"""A keyed hash of one 64-bit number: enough for keys that are themselves random, and for addresses chosen by strangers."""

_64_BITS = 2**64 - 1


class KeyedHash:
    """Hashes with a secret, so that nobody outside can choose keys that meet in one place."""

    def __init__(self, secret: int) -> None:
        self._secret = secret & _64_BITS
        self._rotated = (self._secret << 32 | self._secret >> 32) & _64_BITS

    def of(self, key: int) -> int:
        return _fold(_fold(key ^ self._secret, 0x9E37_79B9_7F4A_7C15) ^ self._rotated, 0xD6E8_FEB8_6659_FD93)


def _fold(left: int, right: int) -> int:
    """Multiply to 128 bits and fold the halves, so that every bit of the input reaches every bit of the result."""
    product = left * right
    return (product ^ product >> 64) & _64_BITS
