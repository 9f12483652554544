"""The commands of docs/identity.md, as they stand."""

import os
import re

import pytest

from pavise_e2e import settings

PAGE = (settings.REPOSITORY / "docs/identity.md").read_text(encoding="utf-8")
SCRIPTS = {re.match(r"# (\w+)\n", text).group(1): text
           for text in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)}


def test_every_script_is_known():
    assert sorted(SCRIPTS) == ["files", "istioCa", "workloadApi"]


@pytest.mark.parametrize("source", sorted(SCRIPTS))
def test_commands(lab, source):
    for program in ("bash", "openssl"):
        settings.program(program)
    directory = lab.path("docs")
    directory.mkdir()
    script = lab.write("script.sh", f"set -e\ntrap 'kill $(jobs -p); wait' EXIT\ncd {directory}\n"
                                    + SCRIPTS[source])
    path = f"{lab.pavise.parent}:{os.environ['PATH']}"
    walk = lab.start("walk", ["timeout", str(settings.PATIENCE_S), "bash", script],
                     host=lab.web, env={"PATH": path})
    code = walk.wait(2 * settings.PATIENCE_S)
    assert code == 0, walk.log()
    said = walk.log()
    assert re.search(r"^state +valid$", said, re.MULTILINE)
    assert re.search(rf"^source +{source}, connected$", said, re.MULTILINE)
    assert "spiffe://example.org/ns/default/sa/web" in said
    assert re.search(r"^example.org +1 ", said, re.MULTILINE)
