"""What detection does to its process: no network, and nothing heavy before it is needed."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
OFFLINE = """
import os, socket, sys
touched = []
def forbid(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        touched.append(event)
        raise RuntimeError("network")
sys.addaudithook(forbid)
from privacy.detect import Detector
spans = Detector().detect("jane@example.co.uk, joe@mail.corp, +49 30 1234567, DE89370400440532013000")
print([span.kind for span in spans], touched)
"""
LAZY = """
import sys
import privacy.client, privacy.detect, privacy.ner, privacy.vault
heavy = lambda: sorted({"presidio_analyzer", "spacy", "phonenumbers", "tldextract", "numpy"} & set(sys.modules))
print(heavy())
privacy.detect.Detector(known=["Jane Roe"]).detect("What did Jane Roe order on 2024-11-05 for 1.234,56 EUR (INV-17)?")
print(heavy())
privacy.detect.Detector().detect("jane@example.com")
print("presidio_analyzer" in heavy())
"""


def run(*command: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_detection_touches_no_network(tmp_path: Path) -> None:
    done = run("-W", "error", "-c", OFFLINE, HOME=str(tmp_path))
    assert done.stdout == "['EMAIL', 'EMAIL', 'PHONE', 'IBAN'] []\n", done.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_heavy_is_loaded_before_a_text_needs_it() -> None:
    assert run("-c", LAZY).stdout.splitlines() == ["[]", "[]", "True"]
