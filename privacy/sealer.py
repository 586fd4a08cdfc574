"""The vault's cryptography: values sealed with AES-256-GCM, looked up by a keyed fingerprint."""

import hashlib
import hmac
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from privacy.errors import VaultUnreadable

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12  # NIST SP 800-38D: 96 bits, random, far below 2**32 values a key


def new_key() -> bytes:
    return os.urandom(KEY_BYTES)


class Sealer:
    """Seals and opens texts under one 32-byte key. Two keys are derived from it (RFC 5869), one a purpose."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise VaultUnreadable(f"a vault key has {KEY_BYTES} bytes, not {len(key)}: restore it from a backup")
        self._cipher = AESGCM(_derive(key, b"trireme vault: seal"))
        self._lookup = _derive(key, b"trireme vault: fingerprint")

    def seal(self, text: str, bound_to: bytes) -> bytes:
        """Nonce and ciphertext; `open` gives the text back only for the same `bound_to` (the row's fingerprint)."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text.encode(), bound_to)

    def open(self, sealed: bytes, bound_to: bytes) -> str:
        """Raises VaultUnreadable when the bytes were changed, moved to another row, or sealed with another key."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to).decode()
        except (InvalidTag, ValueError):
            raise VaultUnreadable("a vault entry does not open: it is damaged, or the key is another vault's") from None

    def fingerprint(self, kind: str, value: str) -> bytes:
        """32 bytes, the same for the same kind and value; says nothing about the value without the key."""
        return hmac.digest(self._lookup, f"{kind}\0{value}".encode(), hashlib.sha256)


def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(key)
