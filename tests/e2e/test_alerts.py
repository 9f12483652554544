"""deploy/prometheus and deploy/grafana ask for nothing that an agent does not say."""

import json
import re
import subprocess

import pytest

from pavise_e2e import settings
from pavise_e2e.network import free_port
from pavise_e2e.ocsp import make_pki
from pavise_e2e.pki import Ca
from pavise_e2e.waiting import wait_until

yaml = pytest.importorskip("yaml")

RULES = settings.REPOSITORY / "deploy/prometheus/rules.yaml"
BOARD = settings.REPOSITORY / "deploy/grafana/pavise.json"
NOT_OURS = {"up"}


def rules():
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels():
    board = json.loads(BOARD.read_text(encoding="utf-8"))
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def expressions():
    board = json.loads(BOARD.read_text(encoding="utf-8"))
    found = [rule["expr"] for rule in rules()]
    found += [target["expr"] for panel in panels() for target in panel["targets"]]
    return found + [note["expr"] for note in board["annotations"]["list"]]


def selectors(expression):
    """(name, [(label, operator, value)]) of each metric in PromQL as we write it."""
    for name, labels in re.findall(r"\b((?:pavise|process)[_:][a-z0-9_:]+|up)\b(?:\{([^}]*)\})?",
                                   expression):
        yield name, re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', labels or "")


@pytest.fixture
def metrics(loopback):
    """What a running agent with everything switched on says: name -> label -> values."""
    loopback.authority()
    loopback.path("certs").mkdir()
    ca = Ca(loopback.path("authority.state"), loopback.directory)
    server = {"match": {"networks": ["192.0.2.1"], "ports": [443]}, "tls": "simple",
              "serverName": "server.internal", "serverCerts": [{"file": str(ca.certificate)}]}
    pki = make_pki(loopback.path("pki"))
    stapling = {"enabled": True, "responder": f"http://127.0.0.1:{free_port()}"}
    port = {"port": 8443, "listen": f"127.0.0.1:{free_port()}", "deliver": "127.0.0.1:9",
            "tlsMode": "required", "clientAuth": "none",
            "certificates": [pki.presented("www", stapling=stapling)]}
    agent = loopback.run_agent("agent", {
        "outbound": {"listen": [], "destinations": [server]},
        "inbound": {"listen": [], "tunnel": [], "ports": [port]},
        "trustStore": {"sources": [str(loopback.path("certs"))],
                       "output": str(loopback.path("trust"))},
        "status": {"listen": f"127.0.0.1:{free_port()}"}}, host=loopback.host)
    wait_until("the identity shows", lambda: "kind=\"identity\"" in agent.status.get("/metrics")[1])
    found = {}
    for line in agent.status.get("/metrics")[1].splitlines():
        match = re.match(r"(\w+)(?:\{(.*)\})? ", line)
        if line.startswith("#") or match is None:
            continue
        labels = found.setdefault(match.group(1), {})
        for label, value in re.findall(r'(\w+)="([^"]*)"', match.group(2) or ""):
            labels.setdefault(label, set()).add(value)
    return found


def test_every_metric_is_there(metrics):
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    used = {name for text in expressions() for name, _ in selectors(text)}
    assert used - recorded - NOT_OURS, "no metric was found in the rules"
    assert used - recorded - NOT_OURS <= set(metrics)


def test_every_reason_is_there(metrics):
    """A value that no series has would make an alert that never fires."""
    values = {}
    for labels in metrics.values():
        for label, found in labels.items():
            values.setdefault(label, set()).update(found)
    values["kind"] |= {"trust"}  # when a certificate is in the store
    for text in expressions():
        for name, labels in selectors(text):
            for label, operator, value in labels:
                if label in ("instance", "job"):
                    continue
                for one in value.split("|") if "~" in operator else [value]:
                    assert one in values[label], (name, label, one)


def test_rules_and_board_have_no_loose_ends():
    names = [rule.get("alert") or rule["record"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in ("page", "ticket", "info")
            assert rule["annotations"]["summary"]
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))


def test_promtool():
    promtool = settings.program("promtool")
    checked = subprocess.run([promtool, "check", "rules", RULES], capture_output=True, text=True,
                             timeout=60, check=False)
    assert checked.returncode == 0, checked.stderr
    tested = subprocess.run([promtool, "test", "rules", "tests/alerts/rules_test.yaml"],
                            cwd=settings.REPOSITORY, capture_output=True, text=True, timeout=60,
                            check=False)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_promql_of_the_board(tmp_path):
    """As rules, the expressions of the dashboard are checked by the same program."""
    promtool = settings.program("promtool")
    exprs = [text.replace("$instance", ".*") for text in expressions()]
    path = tmp_path / "board.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": [
        {"record": f"board:panel:{i}", "expr": text} for i, text in enumerate(exprs)]}]}))
    run = subprocess.run([promtool, "check", "rules", path], capture_output=True, text=True,
                         timeout=60, check=False)
    assert run.returncode == 0, run.stderr


def test_every_alert_is_unit_tested_and_explained():
    alerts = {rule["alert"] for rule in rules() if "alert" in rule}
    tests = (settings.REPOSITORY / "tests/alerts/rules_test.yaml").read_text(encoding="utf-8")
    page = (settings.REPOSITORY / "docs/alerts.md").read_text(encoding="utf-8")
    assert set(re.findall(r"alertname: (\w+)", tests)) == alerts
    assert set(re.findall(r"^\| `(Pavise\w+)` \|", page, re.MULTILINE)) == alerts
