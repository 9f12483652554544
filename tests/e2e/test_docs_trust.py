"""The commands of docs/trust-store.md, as they stand: each fails while the store is without the
private CA and works when it is there."""

import os
import re
import shutil
import subprocess

import pytest

from pavise_e2e import settings

PAGE = (settings.REPOSITORY / "docs/trust-store.md").read_text(encoding="utf-8")
SCRIPTS = {re.match(r"# (\w+)\n", text).group(1): text
           for text in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)}
NEEDS = {"python": ["/usr/bin/python3"], "java": ["java", "javac", "keytool"], "node": ["node"],
         "php": ["php"], "wget": ["wget"], "git": ["git"], "mount": ["unshare", "wget"]}


def test_every_runtime_is_there():
    assert sorted(SCRIPTS) == ["curl", "git", "java", "mount", "node", "openssl", "php", "python",
                               "shell", "wget"]


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_commands(trust, name):
    for program in NEEDS.get(name, []):
        settings.program(program)
    if name == "mount" and os.geteuid() != 0:
        pytest.skip("needs root to mount a file over another")
    if name == "python" and subprocess.run(["/usr/bin/python3", "-c", "import requests"],
                                           capture_output=True, check=False).returncode != 0:
        pytest.skip("python3-requests is not installed")
    ca = trust.ca()
    revision = "0123456789abcdef0123456789abcdef01234567"
    server = trust.server(ca.server_certificate(), {
        "/repository/info/refs?service=git-upload-pack": f"{revision}\trefs/heads/main\n".encode(),
        "/repository/HEAD": b"ref: refs/heads/main\n"})
    trust.ok("sync")

    def run():
        return subprocess.run(["bash", "-e", "-c", SCRIPTS[name]], cwd=trust.directory, text=True,
                              capture_output=True, timeout=120, check=False,
                              env=settings.environment({"OUT": str(trust.output),
                                                        "URL": server.url("").rstrip("/")}))

    assert run().returncode != 0
    shutil.copyfile(ca.certificate, trust.sources / "private.pem")
    trust.ok("sync")
    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
