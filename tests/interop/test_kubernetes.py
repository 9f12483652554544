"""Kubernetes' own code on what is in deploy/kubernetes and what `pavise inject` makes: the API
server's validation, and its admission plugins that evaluate the policies."""

import copy
import json
import re
import subprocess

import pytest
import yaml

from pavise_e2e import settings

REPOSITORY = settings.REPOSITORY
GOLDEN = REPOSITORY / "tests/inject/golden"
DEPLOY = REPOSITORY / "deploy/kubernetes"
POLICIES = [DEPLOY / "policy/policy.yaml", DEPLOY / "validate.yaml"]
OPTED_IN = {"pavise/inject": "enabled"}
# No kinds of an API server's, but Kustomize's and Argo's.
FOREIGN = ("kustomization.yaml", "component/inject.yaml", "rollout.yaml", "resource-list.yaml")
WAYS = {"Pod": [], "CronJob": ["spec", "jobTemplate", "spec", "template"],
        "PodTemplate": ["template"]}


@pytest.fixture(scope="session")
def kube(peer):
    program = peer("kube")

    def ask(value, *words):
        done = subprocess.run([program, *map(str, words)], input=json.dumps(value), text=True,
                              capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout)

    return ask


def inject(text, *words):
    done = subprocess.run([settings.binary(), "inject", *words, "-"], input=text, text=True,
                          capture_output=True, timeout=60, check=False)
    return done.stdout if done.returncode == 0 else None, done.stderr


def injected(pod, *words):
    text, said = inject(json.dumps(pod, ensure_ascii=False), *words)
    assert text is not None, said
    return json.loads(text)


def is_foreign(path):
    return str(path).endswith(FOREIGN)


# --- valid ----------------------------------------------------------------------------------------

def test_what_is_deployed_is_valid(kube):
    paths = [path for path in sorted(DEPLOY.rglob("*.yaml")) if not is_foreign(path)]
    assert len(paths) >= 3
    found = kube([path.read_text(encoding="utf-8") for path in paths], "validate")
    assert dict(zip(paths, found)) == {path: [] for path in paths}


def complaints(found):
    """What is said, wherever; injection moves containers to other places."""
    return {re.sub(r"\[\d+\]", "[]", sentence) for sentence in found}


def test_injection_makes_no_manifest_invalid(kube):
    """Some of the manifests are shorter than the API server would take."""
    paths = [path for path in sorted(GOLDEN.glob("*.*")) if not is_foreign(path)]
    texts = [path.read_text(encoding="utf-8") for path in paths]
    before = kube(texts, "validate")
    after = kube([inject(text)[0] for text in texts], "validate")
    assert len(paths) > 25 and before.count([]) > 10
    for path, old, new in zip(paths, before, after):
        assert complaints(new) <= complaints(old), path


def test_injected_pods_are_valid(kube):
    names, pods = zip(*samples())
    found = kube([inject(json.dumps(pod, ensure_ascii=False))[0] for pod in pods], "validate")
    assert dict(zip(names, found)) == {name: [] for name in names}


def test_what_is_wrong_is_found(kube):
    """The control: unknown fields, wrong types, and what only the API server's rules know."""
    text = inject(yaml.safe_dump(pod_of({})))[0]
    wrongs = [text.replace("readOnlyRootFilesystem", "readOnlyRootFs", 1),
              text.replace("containerPort: 15008", "containerPort: fifteen", 1),
              text.replace("containerPort: 15008", "containerPort: 150080", 1),
              text.replace("name: pavise-identity\n", "name: pavise-nothing\n", 1)]
    assert [len(found) > 0 for found in kube([text, *wrongs], "validate")] == \
        [False, True, True, True, True]


# --- the same pods --------------------------------------------------------------------------------

def pod_of(spec, **metadata):
    spec = {"containers": [{"name": "app", "image": "app:1"}], "serviceAccountName": "one", **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", **metadata},
            "spec": spec}


def golden_pods():
    """The pods that the golden manifests would lead to, as far as pods need completing."""
    for path in sorted(GOLDEN.glob("*.*")):
        if path.name.startswith("ordinary-"):  # for clusters that have no policy, either
            continue
        text = path.read_text(encoding="utf-8")
        is_json = path.suffix == ".json"
        for document in [json.loads(text)] if is_json else yaml.safe_load_all(text):
            for item in document.get("items", [document]) if document else []:
                for key in WAYS.get(item.get("kind"), ["spec", "template"]):
                    item = item.get(key) or {}
                if "containers" in (item.get("spec") or {}):
                    yield path.name, completed(item)


def completed(template):
    pod = copy.deepcopy(template)
    pod.update(apiVersion="v1", kind="Pod")
    pod["metadata"] = {**(pod.get("metadata") or {}), "name": "one"}
    pod["metadata"].pop("namespace", None)
    spec = pod["spec"]
    spec.pop("restartPolicy", None)
    spec.setdefault("serviceAccountName", "one")
    mounted = set()
    for container in spec["containers"] + (spec.get("initContainers") or []):
        container.setdefault("image", "an-image:1")
        mounted |= {mount["name"] for mount in container.get("volumeMounts") or []}
    volumes = spec.get("volumes") or []
    mounted -= {volume["name"] for volume in volumes}
    spec["volumes"] = volumes + [{"name": name, "emptyDir": {}} for name in sorted(mounted)]
    return pod


PROBES = {"containers": [
    {"name": "web", "image": "web:1", "ports": [{"name": "http", "containerPort": 8080}],
     "livenessProbe": {"httpGet": {"port": "http", "path": "/a\"b\\c", "httpHeaders": [
         {"name": "X-One", "value": "1"}, {"name": "X-Two", "value": "\"2\""}]}},
     "readinessProbe": {"tcpSocket": {"port": 8080}, "timeoutSeconds": 7},
     "startupProbe": {"grpc": {"port": 9000, "service": "shop"}},
     "lifecycle": {"preStop": {"httpGet": {"port": 8080, "scheme": "HTTPS"}},
                   "postStart": {"exec": {"command": ["true"]}}}},
    {"name": "other", "image": "other:1",
     "livenessProbe": {"httpGet": {"port": 80, "host": "elsewhere.example"}}}],
    "initContainers": [{"name": "early", "image": "early:1", "restartPolicy": "Always",
                        "startupProbe": {"httpGet": {"port": 81}}}]}
ANNOTATIONS = [
    {"mode": "permissive"}, {"interception": "explicit"}, {"intercept-as": "root"},
    {"skip-inbound-ports": "9090,9100-9110", "skip-outbound-ports": "5432"},
    {"identity": "istioCa", "identity-address": "ca.example:443", "identity-roots": "roots"},
    {"identity": "certManager"}, {"identity": "podCertificate", "identity-signer": "a.example/b"},
    {"identity-socket": "agent.sock"}, {"trust": "one"}, {"trust": "one,two,three"},
    {"ip-family": "ipv6"}, {"rewrite-probes": "disabled"},
    {"cpu-request": "1", "memory-request": "1Gi", "memory-limit": "2Gi"},
    {"image": "a.example/pavise@sha256:0", "intercept-image": "b:2"},
    {"config": "inbound: {mode: permissive}\nworkers: 1\n"},
    {"config": "status: {}", "interception": "explicit"}]


def samples():
    yield from golden_pods()
    for seconds in (0, 1, 10, 11, 3604, 3606, 100000):
        yield f"grace {seconds}", pod_of({"terminationGracePeriodSeconds": seconds})
    for number, annotations in enumerate(ANNOTATIONS):
        annotations = {f"pavise/{key}": value for key, value in annotations.items()}
        yield f"settings {number}", pod_of(PROBES, annotations=annotations)
    yield "own variables", pod_of({"containers": [
        {"name": "app", "image": "app:1", "env": [{"name": "SSL_CERT_FILE", "value": "/own"},
                                                  {"name": "A", "value": "b"}],
         "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
        "volumes": [{"name": "data", "emptyDir": {}}]}, annotations={"pavise/trust": "one"})
    yield "host network", pod_of({"hostNetwork": True})
    yield "windows", pod_of({"os": {"name": "windows"}})
    yield "disabled by label", pod_of({}, labels={"pavise/inject": "disabled"})
    yield "disabled by annotation", pod_of({}, annotations={"pavise/inject": "disabled"})


def stored(kube, pods):
    """As the API server would store them, with its defaults; no policy is in force."""
    answers = kube([{"pod": pod} for pod in pods], "admit", *POLICIES)
    assert [answer.get("denied") for answer in answers] == [None] * len(pods)
    return [plain(answer["pod"]) for answer in answers]


def plain(pod):
    """Without what says nothing about the pod: its namespace, the original text of a file."""
    pod = copy.deepcopy(pod)
    pod["metadata"].pop("namespace", None)
    pod["metadata"].get("annotations", {}).pop("pavise/original", None)
    return pod


def test_the_policy_makes_the_pods_of_inject(kube):
    names, pods = zip(*samples())
    before = stored(kube, pods)
    wanted = stored(kube, [injected(pod) for pod in before])
    answers = kube([{"pod": pod, "labels": OPTED_IN} for pod in pods], "admit", *POLICIES)
    assert len(names) > 45
    for name, answer, pod in zip(names, answers, wanted):
        assert "denied" not in answer, (name, answer)
        assert plain(answer["pod"]) == pod, name


def test_twice_is_once(kube):
    pods = [pod_of({}), pod_of(PROBES, annotations={"pavise/trust": "one,two"})]
    once = kube([{"pod": pod, "labels": OPTED_IN} for pod in pods], "admit", *POLICIES)
    again = kube([{"pod": answer["pod"], "labels": OPTED_IN} for answer in
                  [{"pod": plain(answer["pod"])} for answer in once]], "admit", *POLICIES)
    assert [plain(answer["pod"]) for answer in again] == [plain(answer["pod"]) for answer in once]


def test_who_opts_in(kube):
    labelled, other = pod_of({}, labels=OPTED_IN), pod_of({})
    answers = kube([{"pod": other}, {"pod": labelled}, {"pod": other, "labels": OPTED_IN},
                    {"pod": labelled, "labels": OPTED_IN},
                    {"pod": labelled, "labels": {"kubernetes.io/metadata.name": "kube-system"}}],
                   "admit", POLICIES[0])
    assert ["initContainers" in answer["pod"]["spec"] for answer in answers] == \
        [False, True, True, True, False]
    assert len(answers[3]["pod"]["spec"]["initContainers"]) == 2


def test_settings_of_the_cluster(kube, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICIES[0].read_text(encoding="utf-8").replace(
        "  image: pavise:latest", "  image: here.example/pavise:7\n  mode: permissive"),
        encoding="utf-8")
    pods = stored(kube, [pod_of({}), pod_of({}, annotations={"pavise/mode": "strict"})])
    words = ["--set", "image=here.example/pavise:7", "--set", "mode=permissive"]
    wanted = stored(kube, [injected(pod, *words) for pod in pods])
    answers = kube([{"pod": pod, "labels": OPTED_IN} for pod in pods], "admit", policy,
                   POLICIES[1])
    assert [plain(answer["pod"]) for answer in answers] == wanted


# --- refused --------------------------------------------------------------------------------------

WRONG = [
    {"mode": "lax"}, {"mode": ""}, {"interception": "tproxy"}, {"intercept-as": "daemon"},
    {"skip-inbound-ports": "80;drop"}, {"skip-outbound-ports": "80,"}, {"identity": "none"},
    {"identity-socket": "../x"}, {"identity-address": "nowhere"}, {"identity-roots": "a b"},
    {"identity": "podCertificate"}, {"identity-signer": "a\"b"}, {"trust": "a,,b"},
    {"trust": ",a"}, {"rewrite-probes": "yes"}, {"ip-family": "6"}, {"config": "a\tb"},
    {"cpu-request": "-1"},
    {"memory-limit": "1\"Mi"}, {"image": "a b"}, {"image": "a" * 513}, {"unheard-of": "x"}]


def test_wrong_settings_are_refused_with_the_same_sentence(kube):
    pods = [pod_of({}, annotations={f"pavise/{key}": value for key, value in wrong.items()})
            for wrong in WRONG]
    answers = kube([{"pod": pod, "labels": OPTED_IN} for pod in pods], "admit", *POLICIES)
    for wrong, pod, answer in zip(WRONG, pods, answers):
        out, said = inject(json.dumps(pod, ensure_ascii=False))
        assert out is None and "denied" in answer, wrong
        sentence = said.splitlines()[-1].rpartition("Pod one: ")[2]
        # Of interception the other policy may speak first, and of quantities the API server.
        assert sentence in answer["denied"] or \
            ("interception" in wrong or "quantities" in answer["denied"]), wrong


def test_the_policy_knows_native_sidecars_only(kube):
    """Every cluster that has it has them."""
    pod = pod_of({}, annotations={"pavise/sidecar": "container"})
    answer = kube([{"pod": pod, "labels": OPTED_IN}], "admit", *POLICIES)[0]
    assert "pavise/sidecar: container is for clusters without" in answer["denied"]
    injected(pod)


def half(change):
    """An injected pod of which something is missing."""
    pod = injected(pod_of({}))
    change(pod)
    return pod


HALVES = {
    "it was not injected": lambda pod: (pod["spec"].pop("initContainers"),
                                        pod["metadata"].pop("annotations")),
    "no agent": lambda pod: pod["spec"]["initContainers"].pop(1),
    "no interception": lambda pod: pod["spec"]["initContainers"].pop(0),
    "no configuration": lambda pod: pod["metadata"]["annotations"].pop("pavise/agent-config"),
    "no sidecar": lambda pod: pod["spec"]["initContainers"][1].pop("restartPolicy"),
    "nobody waits": lambda pod: pod["spec"]["initContainers"][1].pop("startupProbe"),
    "something runs before": lambda pod: pod["spec"]["initContainers"].insert(
        0, {"name": "early", "image": "early:1"}),
    "no identity": lambda pod: pod["spec"]["volumes"].pop(1),
    "the agent's uid": lambda pod: pod["spec"]["containers"][0].update(
        securityContext={"runAsUser": 1337}),
    "the agent's uid for all": lambda pod: pod["spec"].update(securityContext={"runAsUser": 1337})}


def test_half_injected_pods_are_refused(kube):
    """By the ValidatingAdmissionPolicy alone, as where the other one is not in force."""
    whole = half(lambda pod: None)
    requests = [{"pod": half(change), "labels": OPTED_IN} for change in HALVES.values()]
    own = half(lambda pod: pod["metadata"].update(labels=OPTED_IN) or
               pod["spec"].pop("initContainers"))
    answers = kube([*requests, {"pod": own}, {"pod": whole, "labels": OPTED_IN},
                    {"pod": pod_of({})}], "admit", POLICIES[1])
    denied = ["denied" in answer for answer in answers]
    assert dict(zip([*HALVES, "by its own label", "whole", "not asked for"], denied)) == \
        {**{name: True for name in HALVES}, "by its own label": True, "whole": False,
         "not asked for": False}
