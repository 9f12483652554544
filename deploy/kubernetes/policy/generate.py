#!/usr/bin/env python3
"""Writes policy.yaml from what `pavise inject` says: generate.py PROGRAM > policy.yaml

The program is asked to inject a plain pod with settings that can be recognised in its answer, once
for each kind of pod; the answers become the CEL expressions of a MutatingAdmissionPolicy. So the
policy puts into pods what the program would. Which settings there are stands in setting.def.
"""

import json
import pathlib
import re
import subprocess
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent
SETTINGS = HERE.parents[2] / "agent/inject/setting.def"
PLAIN = """\
apiVersion: v1
kind: Pod
metadata: {name: plain}
spec: {containers: [{name: app}]}
"""
# A value for each free setting that nothing else has; the program accepts it.
TRACERS = {
    "image": "tracer/image", "intercept-image": "tracer/intercept",
    "identity-socket": "tracer.sock",
    "identity-address": "tracer:1", "identity-roots": "tracer-roots",
    "identity-signer": "tracer/signer", "skip-inbound-ports": "54321",
    "skip-outbound-ports": "54320", "cpu-request": "54319m", "memory-request": "54318Mi",
    "memory-limit": "54317Mi", "trust": "tracer-trust"}
IDENTITIES = ["spiffeCsi", "istioCa", "certManager", "podCertificate"]
# What is_of_form() of settings.c lets in. A word list is compared as it is.
FORMS = {
    "FORM_IMAGE": "[A-Za-z0-9][A-Za-z0-9._:/@-]*",
    "FORM_MODE": "strict|permissive",
    "FORM_SIDECAR": "native",
    "FORM_INTERCEPTION": "redirect|explicit",
    "FORM_INTERCEPT_AS": "nonroot|root",
    "FORM_PORTS": "([0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?)*)?",
    "FORM_IDENTITY": "|".join(IDENTITIES),
    "FORM_NAME": "[A-Za-z0-9][A-Za-z0-9.-]*",
    "FORM_NAMES": "([A-Za-z0-9.-]+(,[A-Za-z0-9.-]+)*)?",
    "FORM_ADDRESS": "[A-Za-z0-9][A-Za-z0-9.:-]*:[A-Za-z0-9.:-]*",
    "FORM_SIGNER": "[A-Za-z0-9./-]*",
    "FORM_SWITCH": "enabled|disabled",
    "FORM_FAMILY": "ipv4|ipv6",
    "FORM_CONFIG": r"[^\x00-\x09\x0b-\x1f]*",
    "FORM_QUANTITY": "[0-9][A-Za-z0-9.]*"}
# Where the policy lets less in than the program does.
OWN_COMPLAINTS = {"sidecar": "pavise/sidecar: container is for clusters without native sidecars"}
VALUE_MAX, CONFIG_MAX = 512, 128 << 10


def setting_rows():
    """(key, default, form) of each row."""
    row = r'SETTING\(\w+, "([^"]*)",\s+"([^"]*)",\s+(FORM_\w+)\)'
    return re.findall(row, SETTINGS.read_text(encoding="utf-8"))


# --- asking the program ---------------------------------------------------------------------------

class Program:
    def __init__(self, path):
        self._path = path

    def _run(self, settings):
        words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        return subprocess.run([self._path, "inject", *words, "-"], input=PLAIN, text=True,
                              capture_output=True, check=False)

    def pod(self, **change):
        settings = {**TRACERS, **{key.replace("_", "-"): value for key, value in change.items()}}
        done = self._run(settings)
        if done.returncode != 0:
            sys.exit(f"generate.py: {done.stderr}")
        return yaml.safe_load(done.stdout)

    def complaint(self, key):
        """The program's sentence about a value that is wrong for every form."""
        said = self._run({key: "\x01"}).stderr
        return re.search(r"pavise/[^\n]*", said).group()


def named(items, name):
    return next((item for item in items or [] if item["name"] == name), None)


def section(pod, name):
    """A section of the agent's configuration; "" where there is none."""
    config = pod["metadata"]["annotations"]["pavise/agent-config"]
    return next((line for line in config.splitlines() if line.startswith(f"{name}:")), "")


# --- CEL ------------------------------------------------------------------------------------------

class Choice:
    """One value or another, as a condition decides."""

    def __init__(self, condition, yes, no):
        self.condition, self.yes, self.no = condition, yes, no


def choose(condition, yes, no):
    """A structure that holds a choice where the two differ."""
    if yes == no:
        return yes
    if isinstance(yes, dict) and isinstance(no, dict) and yes.keys() == no.keys():
        return {key: choose(condition, yes[key], no[key]) for key in yes}
    return Choice(condition, yes, no)


def setting(key):
    return f"variables.settings['{key}']"


def is_setting(key, word):
    return f"{setting(key)} == '{word}'"


def quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def text_cel(text, names):
    """A string literal, with expressions in place of the tracers in it."""
    for tracer, expression in names.items():
        if tracer in text:
            before, _, after = text.partition(tracer)
            parts = [text_cel(before, names)] if before else []
            parts.append(expression)
            parts += [text_cel(after, names)] if after else []
            return " + ".join(parts)
    return quoted(text)


def cel(value, path, names, indent=0):
    """A value as a CEL expression of the object type that stands at `path`."""
    blank = " " * (indent + 2)
    end = "\n" + " " * indent
    if isinstance(value, Choice):
        inner = [cel(one, path, names, indent + 2) for one in (value.yes, value.no)]
        return f"({value.condition}\n{blank}? {inner[0]}\n{blank}: {inner[1]})"
    if isinstance(value, dict):
        if not value:
            return path + "{}"
        rows = [f"{blank}{key}: {cel(item, f'{path}.{key}', names, indent + 2)}"
                for key, item in value.items()]
        return path + "{\n" + ",\n".join(rows) + end + "}"
    if isinstance(value, list):
        if all(isinstance(item, str) for item in value):
            return "[" + ", ".join(text_cel(item, names) for item in value) + "]"
        rows = [blank + cel(item, path, names, indent + 2) for item in value]
        return "[\n" + ",\n".join(rows) + end + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else text_cel(value, names)


def by_identity(values, render):
    """`values` by identity; the last one needs no condition."""
    text = render(values[IDENTITIES[-1]])
    for word in reversed(IDENTITIES[:-1]):
        text = f"{is_setting('identity', word)} ? {render(values[word])} :\n{text}"
    return text


# --- what the program's answers become ------------------------------------------------------------

def tracer_names():
    return {tracer: setting(key) for key, tracer in TRACERS.items() if key != "trust"}


NAMES = tracer_names()
REDIRECTS = is_setting("interception", "redirect")
TRUSTS = f"{setting('trust')} != ''"
CONFIG_MAPS = f"{setting('trust')}.split(',')"


def without(items, prefix):
    return [item for item in items if not item["name"].startswith(prefix)]


def per_config_map(item, path):
    """An item of pavise-certs-0 -> one for each name of the setting trust."""
    item = {**item, "name": "pavise-certs-N"}
    names = {"pavise-certs-N": "'pavise-certs-' + string(i)", TRACERS["trust"]: "n"}
    return f"{CONFIG_MAPS}.transformList(i, n, {cel(item, path, names)})"


def agent_cel(program):
    path = "Object.spec.initContainers"
    agent = named(program.pod()["spec"]["initContainers"], "pavise")
    mounts = agent["volumeMounts"]
    plain = named(program.pod(trust="")["spec"]["initContainers"], "pavise")["volumeMounts"]
    certs = named(mounts, "pavise-certs-0")
    trust = [item for item in mounts if item not in plain and item != certs]
    rows = {**agent, "volumeMounts": plain}
    text = cel(rows, path, NAMES)
    more = (f"{cel(plain, path + '.volumeMounts', NAMES, 2)} + (!({TRUSTS}) ? [] :\n"
            f"  {cel(trust, path + '.volumeMounts', NAMES, 2)} +\n"
            f"  {per_config_map(certs, path + '.volumeMounts')})")
    return text.replace(cel(plain, path + ".volumeMounts", NAMES, 2), more)


def intercept_cel(program):
    root, other = (named(program.pod(intercept_as=word)["spec"]["initContainers"],
                         "pavise-intercept") for word in ("root", "nonroot"))
    return cel(choose(is_setting("intercept-as", "root"), root, other),
               "Object.spec.initContainers", NAMES)


def volumes_cel(program):
    path = "Object.spec.volumes"
    pods = {word: program.pod(identity=word) for word in IDENTITIES}
    volumes = pods[IDENTITIES[0]]["spec"]["volumes"]
    config, trust, certs = (named(volumes, name)
                            for name in ("pavise-config", "pavise-trust", "pavise-certs-0"))
    identities = {word: named(pod["spec"]["volumes"], "pavise-identity")
                  for word, pod in pods.items()}
    assert [item["name"] for item in volumes] == \
        ["pavise-config", "pavise-identity", "pavise-trust", "pavise-certs-0"]
    identity = by_identity(identities, lambda item: cel(item, path, NAMES))
    return (f"[{cel(config, path, NAMES)},\n{identity}] +\n(!({TRUSTS}) ? [] :\n"
            f"[{cel(trust, path, NAMES)}] +\n{per_config_map(certs, path)})")


def trust_variables(program):
    container = program.pod()["spec"]["containers"][0]
    rows = [f"  [{quoted(item['name'])}, {quoted(item['value'])}]" for item in container["env"]]
    return "[\n" + ",\n".join(rows) + "\n]"


def trust_mount(program):
    mounts = program.pod()["spec"]["containers"][0]["volumeMounts"]
    assert len(mounts) == 1
    return cel(mounts[0], "Object.spec.containers.volumeMounts", NAMES)


def sections_cel(program):
    redirect, explicit = program.pod(), program.pod(interception="explicit")
    strict = section(redirect, "inbound")
    assert strict.replace("strict", "permissive") == section(program.pod(mode="permissive"),
                                                             "inbound")
    names = {**NAMES, "mode: strict": f"'mode: ' + {setting('mode')}"}
    identities = {word: section(program.pod(identity=word), "identity") for word in IDENTITIES}
    drain = re.fullmatch(r"drain: \{deadline: 25s\}", section(redirect, "drain"))
    trust = section(redirect, "trustStore")
    sources = f'"/etc/pavise-certs/{TRACERS["trust"]}"'
    status, v6 = (section(pod, "status") for pod in (redirect, program.pod(ip_family="ipv6")))
    assert drain and sources in trust and status.endswith("}")
    assert v6.replace("[::]", "0.0.0.0") == status
    names_list = f"{CONFIG_MAPS}.map(n, '\"/etc/pavise-certs/' + n + '\"').join(', ')"
    rows = {
        "identity": by_identity(identities, lambda text: text_cel(text, NAMES)),
        "outbound": f"{REDIRECTS} ? '' : {quoted(section(explicit, 'outbound'))}",
        "inbound": f"{REDIRECTS} ? {text_cel(strict, names)} :\n"
                   f"{text_cel(section(explicit, 'inbound'), names)}",
        "intercept": f"{REDIRECTS} ? {text_cel(section(redirect, 'intercept'), names)} : ''",
        "drain": "'drain: {deadline: ' + string(variables.deadline) + 's}'",
        "trustStore": f"!({TRUSTS}) ? '' :\n{text_cel(trust, {sources: names_list})}",
        "status": f"({is_setting('ip-family', 'ipv6')} ? {quoted(v6[:-1])} :\n"
                  f"{quoted(status[:-1])}) +\n"
                  "(variables.probes.size() == 0 ? '' : ', probes: [' +\n"
                  "variables.probes.map(p, p.row).join(', ') + ']') + '}'",
        "kubernetes": quoted(section(redirect, "kubernetes"))}
    assert list(rows) == [line.partition(":")[0] for line in both(redirect, explicit)]
    return "[\n" + ",\n".join(f"['{name}', {text}]" for name, text in rows.items()) + "\n]"


def both(redirect, explicit):
    """The sections of both in the order that they have."""
    lines = redirect["metadata"]["annotations"]["pavise/agent-config"].splitlines()
    return [lines[0], section(explicit, "outbound"), *lines[1:]]


def settings_cel():
    rows = [f"  '{key}': variables.annotations[?'pavise/{key}'].orValue("
            f"variables.general[?'{key}'].orValue({quoted(fallback)}))"
            for key, fallback, _ in setting_rows()]
    return "{\n" + ",\n".join(rows) + "\n}"


def fill(template, parts):
    """Puts a part in the place of each line `@NAME@`, as far to the right as that stands."""
    lines = []
    for line in template.splitlines():
        found = re.fullmatch(r"( *)(.*)@(\w+)@(.*)", line)
        if not found:
            lines.append(line)
            continue
        indent, before, name, after = found.groups()
        part = (before + parts[name] + after).split("\n")
        lines += [f"{indent}{row}".rstrip() for row in part]
    return "\n".join(lines) + "\n"


def validations(program):
    rows = []
    for key, _, form in setting_rows():
        most = CONFIG_MAX if form == "FORM_CONFIG" else VALUE_MAX
        rows.append(f"- expression: >-\n    !('pavise/{key}' in variables.annotations) ||\n"
                    f"    (variables.annotations['pavise/{key}'].size() <= {most} &&\n"
                    f"    variables.annotations['pavise/{key}'].matches(r'^({FORMS[form]})$'))\n"
                    f"  message: {json.dumps(OWN_COMPLAINTS.get(key) or program.complaint(key))}")
    return "\n".join(rows)


def known_keys():
    keys = [key for key, _, _ in setting_rows()]
    return "[" + ", ".join(f"'pavise/{key}'" for key in
                           ["inject", "injected", "agent-config", "original", "added", *keys]) + "]"


def defaults():
    wanted = ("image", "intercept-image")
    return "\n".join(f"{key}: {fallback}" for key, fallback, _ in setting_rows() if key in wanted)


def main():
    program = Program(sys.argv[1])
    print(fill((HERE / "policy.yaml.in").read_text(encoding="utf-8"), {
        "SETTINGS": settings_cel(), "SECTIONS": sections_cel(program),
        "VARIABLES": trust_variables(program), "VOLUMES": volumes_cel(program),
        "INTERCEPT": intercept_cel(program), "AGENT": agent_cel(program),
        "MOUNT": trust_mount(program), "VALIDATIONS": validations(program), "KEYS": known_keys(),
        "DEFAULTS": defaults()}), end="")


if __name__ == "__main__":
    main()
