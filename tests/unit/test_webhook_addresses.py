"""Where a webhook may go: never to what only this server can reach, however its address is written."""

import pytest

from serving.errors import BadRequest, SettingsError
from serving.webhooks.address import AddressRefused, Networks, check_url


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.8.8.8",
        "127.1",
        "0x7f000001",
        "2130706433",
        "0.0.0.0",
        "localhost",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2001:db8::1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b:1::7f00:1",
        "fec0::1",
        "5f00::1",
        "3fff::1",
        "192.0.0.8",
        "192.88.99.1",
    ],
)
async def test_an_address_that_is_not_public_is_refused(host: str) -> None:
    with pytest.raises(AddressRefused, match="isn't public"):
        await Networks().resolve(host, 80)


@pytest.mark.parametrize("host", ["8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808"])
async def test_a_public_address_is_used_as_it_is(host: str) -> None:
    assert await Networks().resolve(host, 443) == host


async def test_a_network_that_the_operator_names_is_allowed_and_no_other() -> None:
    networks = Networks("10.1.0.0/16, 127.0.0.1")
    assert await networks.resolve("10.1.2.3", 80) == "10.1.2.3"
    assert await networks.resolve("127.0.0.1", 80) == "127.0.0.1"
    for other in ("10.2.0.1", "127.0.0.2", "::1"):
        with pytest.raises(AddressRefused):
            await networks.resolve(other, 80)
    with pytest.raises(SettingsError, match="TRIREME_WEBHOOK_NETWORKS"):
        Networks("10.1.0.0/33")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/hook",
        "/hook",
        "ftp://example.com/",
        "file:///etc/passwd",
        "http://",
        "http://user:password@example.com/",
        "http://example.com/#part",
        "http://example.com:99999/",
        "http://example.com:0/",
        "http://exa mple.com/",
        "http://example.com/\n",
        "http://example.com/" + "x" * 2_000,
        "http://[::1/",
    ],
)
def test_what_is_no_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(BadRequest):
        check_url(url)


@pytest.mark.parametrize(
    "url", ["https://example.com/hook?token=x", "http://example.com:8080", "https://[2606:4700::1]/"]
)
def test_an_address_to_send_to_is_taken(url: str) -> None:
    check_url(url)
