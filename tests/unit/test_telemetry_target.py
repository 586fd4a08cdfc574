import base64

import pytest

from serving.errors import SettingsError
from serving.telemetry.export import langfuse_target


def test_both_keys_give_the_address_and_basic_auth() -> None:
    target = langfuse_target("pk-1", "sk-2", "https://langfuse.example/")
    assert target is not None
    endpoint, headers = target
    assert endpoint == "https://langfuse.example/api/public/otel/v1/traces"
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"pk-1:sk-2"


def test_no_key_means_no_target() -> None:
    assert langfuse_target("", "", "https://langfuse.example") is None


@pytest.mark.parametrize(("public", "secret", "missing"), [("pk", "", "SECRET_KEY"), ("", "sk", "PUBLIC_KEY")])
def test_one_key_alone_names_the_other(public: str, secret: str, missing: str) -> None:
    with pytest.raises(SettingsError, match=f"LANGFUSE_{missing} is not set"):
        langfuse_target(public, secret, "")


def test_an_address_without_a_scheme_is_refused() -> None:
    with pytest.raises(SettingsError, match="LANGFUSE_BASE_URL"):
        langfuse_target("pk", "sk", "localhost:3000")
