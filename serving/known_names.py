"""The names and ids that TRIREME_KNOWN_NAMES gives to be redacted by exact match."""

from pathlib import Path

from serving.errors import SettingsError


def read_known_names(file: Path | None) -> tuple[str, ...]:
    """One name a line, UTF-8; none without a file. Raises SettingsError when it can't be read."""
    if file is None:
        return ()
    try:
        return tuple(line.strip() for line in file.read_text("utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"TRIREME_KNOWN_NAMES: {file} can't be read", "one name a line, UTF-8") from error
