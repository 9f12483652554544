"""`pavise inject` and `pavise uninject` as commands: input, output, exit codes."""

import subprocess

import pytest
import yaml

from pavise_e2e import settings

DONE, INPUT, USAGE, ENVIRONMENT = 0, 1, 2, 3
GOLDEN = settings.REPOSITORY / "tests/inject/golden"
POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: one   # the only one
spec:
  containers:
    - name: app
      image: app:1
"""


@pytest.fixture
def run(pavise):
    def start(*words, text=None):
        done = subprocess.run([pavise, *map(str, words)], input=text, text=True, timeout=60,
                              capture_output=True, env=settings.environment(), check=False)
        return done.returncode, done.stdout, done.stderr

    return start


def test_there_and_back(run):
    code, injected, report = run("inject", "-", text=POD)
    assert (code, report) == (DONE, "pavise inject: Pod one: injected\n")
    assert "# the only one" in injected
    code, again, report = run("inject", "-", text=injected)
    assert (code, again) == (DONE, injected)
    assert "injected already" in report
    code, back, report = run("uninject", "-", text=injected)
    assert (code, back, report) == (DONE, POD, "pavise uninject: Pod one: injection taken out\n")
    assert run("uninject", "-", text=POD)[1] == POD


def test_settings_of_the_command_line(run):
    words = ["inject", "--set", "mode=permissive", "--set", "image=example/pavise@sha256:0", "-"]
    code, injected, _ = run(*words, text=POD)
    assert code == DONE
    pod = yaml.safe_load(injected)
    assert pod["spec"]["initContainers"][1]["image"] == "example/pavise@sha256:0"
    assert "inbound: {mode: permissive}" in pod["metadata"]["annotations"]["pavise/agent-config"]
    # What the pod says counts more.
    own = POD.replace("spec:", "  annotations: {pavise/mode: strict}\nspec:")
    pod = yaml.safe_load(run(*words, text=own)[1])
    assert "inbound: {mode: strict}" in pod["metadata"]["annotations"]["pavise/agent-config"]


@pytest.mark.parametrize("words", [["inject"], ["inject", "a", "b"], ["uninject"],
                                   ["inject", "--nonsense", "-"], ["inject", "--set", "mode", "-"],
                                   ["uninject", "--set", "mode=strict", "-"]])
def test_usage(run, words):
    code, out, said = run(*words, text=POD)
    assert code == USAGE and not out and said


def test_help(run):
    assert run("inject", "--help")[1].startswith("usage: pavise inject")


@pytest.mark.parametrize("text, sentence", [
    ("a: [", ":1:"), (POD + "---\nkind: Pod\nspec: {containers: [{name: A}]}\n", ":10:1: Pod -:"),
    ("#" * (17 << 20), "longer than 16 MiB")], ids=["syntax", "name", "length"])
def test_input_that_is_wrong(run, text, sentence):
    code, out, said = run("inject", "-", text=text)
    assert code == INPUT and not out
    assert sentence in said.splitlines()[-1]


def test_a_setting_that_is_wrong(run):
    code, out, said = run("inject", "--set", "mode=lax", "-", text=POD)
    assert (code, out) == (INPUT, "")
    assert "pavise/mode wants strict or permissive" in said


def test_a_file_that_is_not_there(run, tmp_path):
    code, out, said = run("inject", tmp_path / "none.yaml")
    assert code in (INPUT, ENVIRONMENT) and not out and "none.yaml" in said


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.yaml")), ids=lambda path: path.stem)
def test_other_parsers_see_the_same(run, path):
    """What is not ours is structurally what it was, for a parser that is not ours."""
    before = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    after = list(yaml.safe_load_all(run("inject", path)[1]))
    assert len(before) == len(after)
    for old, new in zip(before, after):
        assert without_ours(new) == without_ours(old)


OURS = ("annotations", "metadata", "initContainers", "volumes", "env", "volumeMounts")
ADDED = ("kubectl.kubernetes.io/default-container", "shareProcessNamespace")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle")


def is_ours(value):
    name = value.get("name") if isinstance(value, dict) else None
    text = str(value.get("value", "")) if isinstance(value, dict) else ""
    return str(name or "").startswith("pavise") or "/run/pavise/trust" in text


def without_ours(value):
    """Without what the injection adds or rewrites, and without what is empty then."""
    if isinstance(value, list):
        return [without_ours(item) for item in value if not is_ours(item)]
    if not isinstance(value, dict):
        return value
    kept = {key: without_ours(item) for key, item in value.items()
            if not key.startswith("pavise/") and key not in PROBES + ADDED}
    return {key: item for key, item in kept.items() if item or key not in OURS}
