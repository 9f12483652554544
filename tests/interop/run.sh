#!/bin/sh
# The tests against real peers: run.sh FOLDER PAVISE JUNITXML, as root. setup.sh has filled FOLDER.
set -eu

cd "$(dirname -- "$0")/../.."
exec env PAVISE="$2" PAVISE_PEERS="$1/bin" PYTHONDONTWRITEBYTECODE=1 \
    "${PYTHON:-/usr/bin/python3}" -m pytest -p no:cacheprovider -q -ra --junitxml="$3" tests/interop
