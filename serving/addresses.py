"""Web addresses as settings and files give them."""

from urllib.parse import urlsplit


def is_web_address(text: str) -> bool:
    """Whether it begins with http:// or https:// and names a host, with a port that is one."""
    try:
        parts = urlsplit(text)
        named = parts.port != 0 and bool(parts.hostname)
    except ValueError:
        return False
    return named and parts.scheme in ("http", "https") and text.isprintable() and " " not in text
