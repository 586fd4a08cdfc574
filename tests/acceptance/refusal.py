"""What a command says that can't do its work."""

from tests.acceptance.conftest import Home


def refused(home: Home, *arguments: str, code: int = 2, stdin: str = "") -> str:
    """One line, no traceback, the right exit code."""
    done = home.run(*arguments, stdin=stdin)
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stdout == ""
    (line,) = [line for line in done.stderr.splitlines() if line != "starting"]
    assert line.startswith("trireme: ")
    return line
