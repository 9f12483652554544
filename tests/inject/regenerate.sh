#!/bin/sh
# Writes golden/expected anew from PAVISE (bazel-bin/agent/pavise): read the difference before you
# commit it.
set -eu
cd "$(dirname -- "$0")/golden"
program=${PAVISE:-../../../bazel-bin/agent/pavise}
mkdir -p expected
for file in *.yaml *.json; do
    "$program" inject "$file" >"expected/$file"
done
