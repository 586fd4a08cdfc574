#!/bin/sh
# Makes a virtual environment from a lock file, with hashes: infra/setup.sh FOLDER LOCK
set -eu
folder=$1 lock=$2
python=${PYTHON:-python3}
if ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then # none yet, or one that was cut off
    "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || {
        echo "trireme needs Python 3.11, 3.12 or 3.13; set PYTHON=/path/to/python3.11" >&2
        exit 1
    }
    "$python" -m venv --clear "$folder" || {
        echo "python's venv module is missing: apt-get install python3-venv" >&2
        exit 1
    }
fi
uv=$(command -v uv || true)
if [ -z "$uv" ]; then
    [ -x "$folder/bin/uv" ] || "$folder/bin/python" -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'
    uv="$folder/bin/uv"
fi
VIRTUAL_ENV="$folder" "$uv" pip install --quiet --require-hashes -r "$lock"
VIRTUAL_ENV="$folder" "$uv" pip install --quiet --no-deps --no-build-isolation -e .
