"""`trireme profiles`, and `trireme run --channel`, as a person uses them."""

import orjson

from tests.acceptance.conftest import Up


def test_a_channel_of_ones_own_is_made_used_and_removed(up: Up) -> None:
    made = up.home.run("profiles", "set", "kiosk", "--length", "brief", "--modality", "speech")
    assert "kiosk" in made.stdout
    assert "length=brief" in made.stdout
    listed = orjson.loads(up.home.run("profiles", "list", "--json").stdout)
    assert {each["channel"]: each["own"] for each in listed} == {
        "api": False, "cli": False, "kiosk": True, "mcp": False, "voice": False, "web": False,
    }  # fmt: skip
    run = orjson.loads(up.home.run("run", "What is in the documents?", "--channel", "kiosk", "--json").stdout)
    assert run["status"] == "success"
    assert up.home.run("profiles", "remove", "kiosk").stdout == "removed\n"
    refused = up.home.run("run", "What is in the documents?", "--channel", "kiosk")
    assert refused.returncode == 2
    assert "no channel 'kiosk': known are api, cli, mcp, voice, web" in refused.stderr


def test_a_profile_that_is_none_is_refused_in_one_line(up: Up) -> None:
    for arguments, says in (
        (("set", "web"), "say what to change"),
        (("set", "web", "--length", "endless"), "length: input should be 'brief', 'normal' or 'full'"),
        (("set", "a/b", "--length", "brief"), "can't be a channel's name"),
        (("remove", "web"), "no profile of your own"),
    ):
        refused = up.home.run("profiles", *arguments)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert says in refused.stderr
