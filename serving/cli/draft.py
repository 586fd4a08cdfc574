"""A text that a person changes in their editor; what they wrote is kept when it is refused."""

import asyncio
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from serving.errors import BadRequest, ServingError
from serving.settings import load_settings


@asynccontextmanager
async def drafted(text: str, again: str) -> AsyncIterator[str]:
    """What a person makes of `text`. When the block fails it is left in a file, named behind the command `again`, in
    the home folder: it is for nobody else's eyes.

    Raises BadRequest when the editor fails, or leaves nothing that can be read."""
    settings = load_settings()
    with tempfile.NamedTemporaryFile(
        "w", prefix="draft-", suffix=".yaml", dir=settings.home, encoding="utf-8", delete=False
    ) as file:
        file.write(text)
    draft = Path(file.name)
    try:
        with _ctrl_c_left_to_others():
            await asyncio.to_thread(_edit, settings.editor, draft)
        yield read_text(draft)
    except BaseException as error:
        if draft.exists() and draft.read_bytes() != text.encode():
            _tell(error, f"what you wrote is kept: {again} {shlex.quote(str(draft))}")
        else:
            draft.unlink(missing_ok=True)
        raise
    draft.unlink(missing_ok=True)


def read_text(file: Path) -> str:
    """`-` is stdin. Raises BadRequest."""
    try:
        return sys.stdin.buffer.read().decode() if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"{file} can't be read: {error}", "nothing was changed") from None


def _edit(editor: str, draft: Path) -> None:
    try:
        code = subprocess.run([*shlex.split(editor), str(draft)], check=False).returncode
    except (OSError, ValueError) as error:
        raise BadRequest(f"the editor {editor!r} can't be started: {error}", "set EDITOR, or use --file") from None
    if code:
        raise BadRequest(f"{editor} ended with an error", "nothing was changed; set EDITOR")


@contextmanager
def _ctrl_c_left_to_others() -> Iterator[None]:
    """It reaches the editor as well, where it means something else, and must not cost what was written there."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _tell(error: BaseException, kept: str) -> None:
    if isinstance(error, ServingError):
        error.hint = f"{error.hint}; {kept}" if error.hint else kept
    else:
        print(f"trireme: {kept}", file=sys.stderr)
