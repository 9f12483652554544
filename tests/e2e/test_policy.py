"""deploy/kubernetes/policy: the policy is what the generator makes of this program's answers, and
both policies ask for what the injection leaves. The expressions are evaluated in tests/interop."""

import subprocess
import sys

import yaml

from pavise_e2e import settings

DEPLOY = settings.REPOSITORY / "deploy/kubernetes"
POLICY = DEPLOY / "policy/policy.yaml"


def documents(path):
    return {(item["kind"], item["metadata"]["name"]): item
            for item in yaml.safe_load_all(path.read_text(encoding="utf-8"))}


def test_the_policy_is_up_to_date(pavise):
    made = subprocess.run([sys.executable, POLICY.with_name("generate.py"), pavise], text=True,
                          capture_output=True, timeout=60, check=False)
    assert made.returncode == 0, made.stderr
    assert made.stdout == POLICY.read_text(encoding="utf-8"), \
        "run deploy/kubernetes/policy/generate.py"


def test_every_policy_is_bound_and_closed():
    found = {**documents(POLICY), **documents(DEPLOY / "validate.yaml")}
    policies = {name: item["spec"] for (kind, name), item in found.items()
                if kind.endswith("Policy")}
    bound = {item["spec"]["policyName"] for (kind, _), item in found.items()
             if kind.endswith("Binding")}
    assert set(policies) == bound == {"pavise-inject", "pavise-settings", "pavise-injected"}
    for spec in policies.values():
        assert spec["failurePolicy"] == "Fail"
        assert spec["matchConstraints"]["resourceRules"] == [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
             "resources": ["pods"]}]


def test_who_opts_in_is_the_same_in_all_ways():
    """By namespace or by pod, never twice, never in kube-system: the policy and the webhook."""
    bindings = [item["spec"]["matchResources"] for (kind, _), item in documents(POLICY).items()
                if kind == "MutatingAdmissionPolicyBinding"]
    hooks = documents(DEPLOY / "webhook/webhook.yaml")[
        ("MutatingWebhookConfiguration", "pavise-injector")]["webhooks"]
    assert [one["namespaceSelector"] for one in bindings] == \
        [one["namespaceSelector"] for one in hooks]
    assert bindings[1]["objectSelector"] == hooks[1]["objectSelector"]
