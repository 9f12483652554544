"""Rules about the tree as a whole: tests, fuzz targets, text that must not be in it."""

import os
import re

from source import ROOT, read, walk

# Files without a test program of their own name, where they are tested instead, and why.
TESTED_ELSEWHERE = [
    # Private to one library; the tests speak to its public header.
    (r"agent/config/(config_read|edge_(http_)?rules|identity_rules|listeners|options\w*|"
     r"outbound_rules|values)\.c",
     "tests/config/config_errors_test.c"),
    # The parts of one rewriting; the golden files show every one of them.
    (r"agent/inject/(agent_config|injected|mark|original|plan|probes|removal|workload)\.c",
     "tests/inject/inject_test.c"),
    # Certificates of every kind, as openssl makes them.
    (r"agent/tls/edge_fitness\.c", "tests/e2e/test_edge_check.py"),
    (r"agent/command/inject\.c", "tests/e2e/test_inject.py"),
    (r"agent/command/injector\.c|agent/injector/injector_(server|tls)\.c",
     "tests/e2e/test_injector.py"),
    (r"agent/status/(app_probe|probe_stream)\.c", "tests/e2e/test_probes.py"),
    (r"agent/http/(http1_(back|front|write)|http_exchange)\.c", "tests/http/http_edge_test.c"),
    (r"agent/http/http2_(back|front|callbacks|stream)\.c", "tests/http/http2_session_test.c"),
    (r"agent/status/(answer|http_connection|process_stat|routes\w*)\.c",
     "tests/status/status_test.c"),
    (r"agent/status/(page_assets|page_table)\.c", "tests/status/page_test.c"),
    (r"authority/certificate\.c", "tests/authority/ca_test.c"),
    (r"certmgr/leaf_rules\.c", "tests/certmgr/verify_leaf_test.c"),
    (r"certmgr/revocation\.c", "tests/certmgr/verify_crl_test.c"),
    (r"certmgr/(update|x509_der)\.c", "tests/certmgr/identity_store_test.c"),
    (r"authority/(yaml_records|subject_id)\.c", "tests/authority/entries_test.c"),
    (r"certmgr/ocsp_id\.c", "tests/certmgr/ocsp_request_test.c"),
    (r"certmgr/patience\.c", "tests/certmgr/tls_client_test.c"),
    (r"certmgr/(grpc_unary|tls_carrier)\.c", "tests/certmgr/source_istio_ca_test.c"),
    # They make sense only around a running server.
    (r"authority/(authority_log|csr_se\w+)\.c", "tests/authority/csr_sign_test.c"),
    (r"authority/(rpc_server|rpc_stream|workload_service)\.c",
     "tests/authority/authority_call_test.c"),
    (r"authority/authority_main\.c", "tests/authority/authority_process.c"),
    (r"agent/command/http_client\.c", "tests/command/status_test.c"),
    (r"agent/command/trust(_edit|_exec|_refs)?\.c|agent/trust/trust_(plan|sync|watch|keeper)\.c",
     "tests/e2e/test_trust.py"),
    (r"agent/trust/trust_(fetch|http)\.c", "tests/e2e/test_trust_url.py"),
    (r"agent/observe/trust_view\.c", "tests/status/render_trust_test.c"),
    (r"certmgr/trust/trust_set\.c", "tests/trust/trust_builder_test.c"),
    (r"certmgr/trust/trust_(pkcs12|jks)\.c", "tests/trust/trust_java_test.c"),
    (r"certmgr/trust/trust_dir\.c", "tests/trust/trust_store_test.c"),
    (r"agent/tls/tls_link\.c|agent/tunnel/(leg_stream\w*|pool)\.c", "tests/tunnel/tunnel_test.c"),
    (r"agent/tls/edge_app\.c", "tests/e2e/test_edge_inbound.py"),
    (r"agent/tls/edge_resume\.c", "tests/tls/edge_session_test.c"),
    (r"agent/staple/staple_(ask|keeper)\.c", "tests/e2e/test_edge_responder.py"),
    (r"agent/edge/edge_(asked|files|inventory|port)\.c|agent/tls/edge_chain\.c",
     "tests/edge/edge_set_test.c"),
    # Wiring of a whole agent: tested through the program.
    (r"agent/command/intercept\.c", "tests/e2e/test_intercept.py"),
    (r"agent/intercept/ambient\.c", "tests/e2e/test_image.py"),
    (r"agent/main\.c|agent/command/agent\.c|agent/control/control\w*\.c|agent/relay/leg_tls\.c|"
     r"agent/worker/(conn|worker)\w*\.c", "tests/e2e/conftest.py"),
    # Programs that the benchmark runs: a short round of it does, too.
    (r"bench/load/\w+\.c", "tests/bench/test_smoke.py"),
]

TEXT = (".c", ".h", ".def", ".py", ".sh", ".bzl", ".bazel", ".md", ".yaml", ".yml", ".json",
        ".css", ".js", ".proto", ".toml", ".ini", ".cfg", ".service", ".svg")
TEXT_NAMES = {"dev", "run", "WORKSPACE", ".bazelrc", ".clang-format", ".clang-tidy", "Dockerfile"}
# Host names in pieces, so that this file does not contain them.
HOSTS = [".".join(parts) for parts in (
    ("deb", "debian", "org"), ("security", "debian", "org"), ("pypi", "org"),
    ("pythonhosted", "org"), ("registry", "npmjs", "org"), ("crates", "io"),
    ("proxy", "golang", "org"), ("repo1", "maven", "org"), ("repo", "maven", "apache", "org"),
    ("pkg", "dev"), ("packages", "cloud", "google", "com"))]
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(?:work|root|home/\w+|tmp/bz-\w+)(?:/|\b)(?!\*)")


def has_test(stem, tests):
    """verify.c: verify_chain_test; a module cut into files, h2_wire.c: h2_server_test."""
    parts = stem.split("_")
    leads = ["_".join(parts[:n]) for n in range(1, len(parts) + 1)]
    return any(test == lead or test.startswith(stem + "_") for test in tests for lead in leads)


def tested_elsewhere(path):
    return any(re.fullmatch(row, path) and os.path.exists(os.path.join(ROOT, where))
               for row, where in TESTED_ELSEWHERE)


def tests_exist(files):
    tests = {file.stem[:-len("_test")] for file in files
             if file.path.startswith("tests/") and file.stem.endswith("_test")}
    for file in files:
        if not file.is_layered() or not file.path.endswith(".c") or has_test(file.stem, tests):
            continue
        if not tested_elsewhere(file.path):
            yield (file.path, 1, f"no tests/**/{file.stem}_test.c, and no reason for that in "
                   "tests/lint/tree.py")


def fuzz_targets(files):
    build = read("tests/fuzz/BUILD.bazel")
    for file in files:
        if file.folder != "tests/fuzz" or not file.stem.endswith("_fuzz"):
            continue
        if not re.search(rf'fuzz_test\(\s*name = "{file.stem}"', build):
            yield file.path, 1, "no fuzz_test in tests/fuzz/BUILD.bazel, so nothing replays it"
        corpus = "tests/fuzz/corpus/" + file.stem[:-len("_fuzz")]
        if not os.path.isdir(os.path.join(ROOT, corpus)) or not list(walk(corpus)):
            yield file.path, 1, f"no corpus in {corpus}"


def built(files):
    """A source that no BUILD file names is never compiled, a test never run."""
    for file in files:
        package = file.folder
        while package and not os.path.exists(os.path.join(ROOT, package, "BUILD.bazel")):
            package = os.path.dirname(package)
        build = read(os.path.join(package, "BUILD.bazel"))
        name = os.path.relpath(file.path, package)
        rule = os.path.splitext(name)[0]
        if f'"{name}"' not in build and f'"{rule}"' not in build:
            yield file.path, 1, f"{package}/BUILD.bazel does not name it"


def architecture_is_complete(files):
    """ARCHITECTURE.md says for every file what flows through it."""
    named = {os.path.basename(name) for name in
             re.findall(r"`([\w/.]+)`", read("ARCHITECTURE.md"))}
    for file in files:
        known = {file.stem, os.path.basename(file.path)} & named
        if file.is_product() and not known and not file.stem.endswith("_internal"):
            yield file.path, 1, "ARCHITECTURE.md does not name it"


def text_files():
    for path in walk():
        if path.endswith(TEXT) or os.path.basename(path) in TEXT_NAMES:
            yield path, read(path).split("\n")


def machine_names(_):
    for path, lines in text_files():
        for number, line in enumerate(lines, 1):
            if MACHINE_PATH.search(line) and not path.startswith("tests/lint/"):
                yield path, number, "a path of one machine"
            for host in HOSTS:
                if host in line:
                    yield path, number, f"a registry's host name, {host}"


def script_columns(_):
    for path, lines in text_files():
        if not path.endswith((".py", ".sh", ".bzl", ".bazel")) and path not in ("dev", ".ci/run"):
            continue
        for number, line in enumerate(lines, 1):
            if len(line) > 100:
                yield path, number, f"{len(line)} columns, at most 100"


def ends_of_lines(_):
    for path, lines in text_files():
        if "/corpus/" in path or "/golden/" in path:
            continue
        for number, line in enumerate(lines, 1):
            if line.endswith((" ", "\t", "\r")):
                yield path, number, "blanks at the end of the line"
        if lines[-1] != "" and lines != [""]:
            yield path, len(lines), "no newline at the end of the file"


CHECKS = [tests_exist, fuzz_targets, built, architecture_is_complete, machine_names,
          script_columns, ends_of_lines]
