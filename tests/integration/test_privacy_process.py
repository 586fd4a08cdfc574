"""What detection does to its process: no network, and nothing heavy before it is needed."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DETECTS = """
import os, socket, sys
touched = []
def forbid(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        touched.append(event)
        raise RuntimeError("network")
sys.addaudithook(forbid)
import privacy.client, privacy.detect, privacy.ner, privacy.vault
heavy = lambda: sorted({"presidio_analyzer", "spacy", "phonenumbers", "tldextract", "numpy"} & set(sys.modules))
print(heavy())
privacy.detect.Detector(known=["Jane Roe"]).detect("What did Jane Roe order on 2024-11-05 for 1.234,56 EUR (INV-17)?")
print(heavy())
text = "jane@example.co.uk, joe@mail.corp, +49 30 1234567, DE89370400440532013000"
print([span.kind for span in privacy.detect.Detector().detect(text)], touched)
print("presidio_analyzer" in heavy())
"""


def test_detection_loads_nothing_heavy_before_a_text_needs_it_and_touches_no_network(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", DETECTS],
        cwd=ROOT,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.splitlines() == ["[]", "[]", "['EMAIL', 'EMAIL', 'PHONE', 'IBAN'] []", "True"], done.stderr
    assert list(tmp_path.iterdir()) == []
