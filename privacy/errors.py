"""Errors of the privacy half. Each has a stable `code`, an HTTP status and says whether trying again can help.

PrivacyError
├── DetectionFailed     personal data could not be looked for: nothing goes out
├── RecogniserMissing   the NER model that was asked for is not installed
├── ValueRefused        this value can't be redacted without loss (two keys become one, not JSON)
└── VaultError
    ├── VaultUnreadable   damaged file, missing or wrong key
    └── VaultUnwritable   read-only or full disk, locked by another process
"""


class PrivacyError(Exception):
    """Base of the privacy errors. The message says what happened and how to mend it, never the text itself."""

    code = "privacy_error"
    status = 500
    retryable = False


class DetectionFailed(PrivacyError):
    """Detection could not run to its end; the text must not be sent."""

    code = "detection_failed"
    status = 503


class RecogniserMissing(PrivacyError):
    """A named-entity model is not installed on this machine."""

    code = "recogniser_missing"


class ValueRefused(PrivacyError):
    """The value can't be redacted without loss."""

    code = "value_refused"
    status = 422


class VaultError(PrivacyError):
    """The vault can't give or take placeholders."""

    code = "vault_error"


class VaultUnreadable(VaultError):
    """The vault's file or key is damaged, missing or belongs to another vault."""

    code = "vault_unreadable"


class VaultUnwritable(VaultError):
    """The vault's place can't be written now (read-only or full disk, or another process holds it too long)."""

    code = "vault_unwritable"
    status = 503
    retryable = True
