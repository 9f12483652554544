"""Which file may include what: the layers, and one door per dependency."""

import re
from collections import Counter
from fnmatch import fnmatch

# From the folder of a file to the folders that it may include from, besides its own.
LOWER = {"base", "proto", "certmgr"}
AGENT = {
    "agent/observe": {"certmgr/trust"},
    "agent/config": set(),
    # Protocol code without I/O: what TLS found out comes in plain structs.
    "agent/http": set(),
    "agent/net": set(),
    # Host names of the configuration, kept with their addresses.
    "agent/names": {"config", "observe"},
    "agent/policy": {"config", "names"},
    # Records of connections, and the thread that sends them to a collector.
    "agent/audit": {"config", "net", "observe"},
    "agent/mesh": {"observe"},
    "agent/intercept": {"config", "net"},
    "agent/tls": {"net"},
    # Certificates and lists of inbound.ports, loaded.
    # certmgr/trust says where the public roots are.
    "agent/edge": {"config", "http", "observe", "tls", "certmgr/trust"},
    "agent/relay": {"observe", "net", "tls"},
    "agent/tunnel": {"config", "observe", "net", "policy", "relay", "tls"},
    # The status port sees plain views, not the live objects of the data plane.
    "agent/status": {"config", "observe", "net", "certmgr/trust"},
    # The trust store: from the configuration to certmgr/trust. http_message is the one thing that
    # it needs of the status port.
    "agent/trust": {"config", "net", "observe", "status", "certmgr/trust"},
    # OCSP responses from responders, over the trust store's HTTP.
    "agent/staple": {"config", "edge", "observe", "tls", "trust"},
    # What the configuration leaves open; the rest is between it and the kernel.
    "agent/sandbox": {"config"},
    "agent/worker": {"audit", "config", "edge", "http", "mesh", "names", "net", "observe", "policy",
                     "relay", "tls", "tunnel"},
    "agent/control": {"audit", "config", "edge", "mesh", "names", "net", "observe", "policy",
                      "sandbox", "staple", "status", "tls", "trust", "worker", "certmgr/trust"},
    # Manifests in, manifests out; the agent's configuration in them is checked as the agent does.
    "agent/inject": {"config", "certmgr/trust"},
    "agent/injector": {"inject", "net", "status"},
    "agent/command": {"config", "control", "edge", "inject", "injector", "intercept", "net",
                      "observe", "sandbox", "status", "trust", "certmgr/trust"},
}
LAYERS = {
    "base": set(),
    "proto": set(),
    "certmgr": {"base", "proto"},
    "certmgr/trust": {"base", "certmgr"},
    "authority": LOWER,
    # main.c alone sees the commands and the authority's one function.
    "agent": {"agent/command", "authority"},
    # The load knows nothing of what it measures.
    "bench/load": {"base"},
}
LAYERS.update({folder: {"base", "certmgr"} | {n if "/" in n else f"agent/{n}" for n in names}
               for folder, names in AGENT.items()})

# A header of a library, and the only files (patterns) that may include it.
DOORS = [
    (r"grpc/", ["certmgr/grpc_parts.*", "certmgr/grpc_stream.c", "certmgr/grpc_unary.c",
                "authority/rpc_server.c", "authority/rpc_stream.c"]),
    # The tunnel's CONNECT streams, HTTP messages on `http` ports, gRPC probes.
    (r"nghttp2/", ["agent/http/http2_internal.h", "agent/status/probe_grpc.c",
                   "agent/tunnel/h2_internal.h"]),
    (r"protobuf-c/|.*\.pb-c\.h$", ["certmgr/*_codec.c"]),
    (r"yaml\.h$", ["agent/config/yaml_tree.c", "agent/inject/manifest.c",
                  "authority/yaml_records.c"]),
    (r"jansson\.h$", ["agent/config/config_json.c", "agent/status/json_internal.h",
                      "agent/status/render_trust.c", "agent/command/status_table.c",
                      "agent/command/status_trust.c", "agent/command/trust_refs.c"]),
    (r"http_parser\.h$", ["agent/status/http_message.c"]),
    (r"intel-ipsec-mb\.h$", ["agent/tls/aead_wide.c"]),
    (r"pcre2\.h$", ["agent/http/uri_patterns.c"]),
    (r"ares\.h$", ["certmgr/resolve.c"]),
    (r"ev\.h$", ["agent/control/control_internal.h", "agent/relay/leg_socket.h",
                 "agent/relay/leg_tls.h", "agent/status/app_probe.c",
                 "agent/status/http_connection.c",
                 "agent/status/http_server.c", "agent/tunnel/tunnel*.h", "agent/worker/conn.h",
                 "authority/authority.c"]),
    # TLS itself: the data plane's streams, the client that reaches a remote CA, and probes of an
    # application that speaks TLS.
    (r"openssl/ssl\.h$", ["agent/injector/injector_tls.c",
                         "agent/tls/*", "agent/status/probe_stream.c", "certmgr/tls_client.c",
                         "certmgr/tls_pump.c", "authority/tls_front.c"]),
    # X.509, keys and digests: where certificates are read, made and judged.
    (r"openssl/", ["agent/injector/injector_tls.c", "agent/status/probe_stream.c",
                   "agent/http/client_headers.c", "agent/tls/*", "authority/ca*",
                   "authority/certificate.*", "authority/csr_service.c", "authority/tls_front.*",
                   "authority/tokens.c", "certmgr/anchors.*", "certmgr/bundle.*",
                   "certmgr/chain_verify.*", "certmgr/csr.*",
                   "certmgr/identity_store.c", "certmgr/leaf_rules.*", "certmgr/ocsp_*",
                   "certmgr/pem*.c",
                   "certmgr/revocation.*", "certmgr/sized_hash.h", "certmgr/subject.*",
                   "certmgr/svid.*",
                   "certmgr/tls_*",
                   "certmgr/trust/trust_cert.c", "certmgr/trust/trust_files.c",
                   "certmgr/trust/trust_input.c", "certmgr/trust/trust_jks.c",
                   "certmgr/trust/trust_pkcs12.c", "certmgr/verify*", "certmgr/x509_der.*"]),
]
# Who may write log lines; everything else returns what happened.
LOGGERS = re.compile(r"agent/(worker|command|control)/|agent/main\.c$|base/log\.[ch]$|"
                     r"authority/authority(_log)?\.c$")
LOG_CALL = r"\blog_(begin|text|bytes|u64|i64|end|msg)\("


def layers(files):
    for file in files:
        if not file.is_layered():
            continue
        allowed = LAYERS.get(file.folder)
        if allowed is None:
            yield file.path, 1, f"the folder {file.folder} has no row in tests/lint/layers.py"
            continue
        for line, system, name in file.includes:
            target = name.rpartition("/")[0]
            if not system and target != file.folder and target not in allowed:
                yield file.path, line, f"{file.folder} may not include from {target}: {name}"


def own_header_first(files):
    headers = {file.path for file in files if file.path.endswith(".h")}
    for file in files:
        own = file.path[:-2] + ".h"
        if file.path.endswith(".c") and own in headers and file.includes[0][2] != own:
            yield file.path, file.includes[0][0], f"the first include is not {own}"


def internal_headers(files):
    for file in files:
        for line, system, name in file.includes:
            if name.endswith("_internal.h") and name.rpartition("/")[0] != file.folder:
                yield file.path, line, f"{name} is for its own folder only"


def door_of(name):
    return next(((lead, owners) for lead, owners in DOORS if re.match(lead, name)), None)


def doors(files):
    for file in files:
        if not file.is_product():
            continue
        for line, _, name in file.includes:
            door = door_of(name)
            if door and not any(fnmatch(file.path, owner) for owner in door[1]):
                yield file.path, line, f"{name} has another door, see DOORS in tests/lint/layers.py"


def doors_in_use(files):
    """A row that nobody needs any more would let somebody in unseen."""
    uses = {(door_of(name)[0], file.path) for file in files if file.is_product()
            for _, _, name in file.includes if door_of(name)}
    for lead, owners in DOORS:
        for owner in owners:
            if not any(lead == used and fnmatch(path, owner) for used, path in uses):
                yield "tests/lint/layers.py", 1, f"no file like {owner} includes {lead}"


def loggers(files):
    for file in files:
        if not file.is_product() or LOGGERS.match(file.path):
            continue
        for line, match in file.matches(LOG_CALL):
            yield file.path, line, f"{match.group(0)}) here: this file returns, others log"


def threads(files):
    for file in files:
        if file.is_product() and file.path != "base/thread.c":
            for line, _ in file.matches(r"\bpthread_create\("):
                yield file.path, line, "pthread_create: thread_start starts threads without signals"


def exports(files):
    """foo_bar.c exports foo_bar_* or foo_*, or functions of a type that its folder's headers
    declare (enum close_reason: close_reason_name)."""
    types = {}
    for file in files:
        if file.path.endswith(".h"):
            types.setdefault(file.folder, set()).update(
                match.group(1) for _, match in file.matches(r"^(?:struct|enum) (\w+) \{"))
    for file in files:
        if not file.is_layered() or not file.path.endswith(".c"):
            continue
        parts = file.stem.split("_")
        leads = {"_".join(parts[:n]) for n in range(1, len(parts) + 1)}
        leads |= types.get(file.folder, set())
        for function in file.functions:
            known = any(function.name == lead or function.name.startswith(lead + "_")
                        for lead in leads) or function.name in ("main", "STACK_OF")
            if not function.is_static and not known:
                yield file.path, function.line, f"{function.name} is exported from {file.stem}.c"


def exports_in_use(files):
    """A function that only its own file uses is static; one that nobody uses is gone."""
    names_in = {file.path: set(re.findall(r"\b[a-z]\w*\b", file.text)) for file in files}
    num_files = Counter(name for names in names_in.values() for name in names)
    headers = {file.path: file for file in files if file.path.endswith(".h")}
    for file in files:
        if not file.is_layered() or not file.path.endswith(".c"):
            continue
        header = headers.get(file.path[:-2] + ".h")
        for function in file.functions:
            name = function.name
            num_own = 1 + (header is not None and name in names_in[header.path])
            in_macro = header is not None and (
                header.text.count(name + "(") > header.code.count(name + "("))
            if not (function.is_static or name in ("main", "STACK_OF") or in_macro or
                    num_files[name] > num_own):
                yield file.path, function.line, f"{name} is exported and nobody else uses it"


CHECKS = [layers, own_header_first, internal_headers, doors, doors_in_use, loggers, threads,
          exports, exports_in_use]
