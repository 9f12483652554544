"""Which file may include what: the layers, and one door per dependency."""

import re

# From the folder of a file to the folders that it may include from, besides its own.
LOWER = {"base", "proto", "certmgr"}
AGENT = {
    "agent/observe": set(),
    "agent/config": set(),
    "agent/net": set(),
    "agent/policy": {"config"},
    "agent/mesh": {"observe"},
    "agent/intercept": {"config", "net"},
    "agent/tls": {"net"},
    "agent/relay": {"observe", "net", "tls"},
    "agent/tunnel": {"config", "observe", "net", "policy", "relay", "tls"},
    # The status port sees plain views, not the live objects of the data plane.
    "agent/status": {"config", "observe", "net"},
    "agent/worker": {"config", "mesh", "net", "observe", "policy", "relay", "tls", "tunnel"},
    "agent/control": {"config", "mesh", "net", "observe", "policy", "status", "tls", "worker"},
    "agent/command": {"config", "control", "intercept", "net", "status"},
}
LAYERS = {
    "base": set(),
    "proto": set(),
    "certmgr": {"base", "proto"},
    "authority": LOWER,
    # main.c alone sees the commands and the authority's one function.
    "agent": {"agent/command", "authority"},
}
LAYERS.update({folder: {"base", "certmgr"} | {f"agent/{n}" for n in names}
               for folder, names in AGENT.items()})

# A header of a library, and the only files that may include it.
DOORS = [
    (r"grpc/", {"certmgr/grpc_stream.c", "authority/rpc_server.c", "authority/rpc_stream.c"}),
    (r"nghttp2/", {"agent/tunnel/h2_internal.h"}),
    (r"protobuf-c/|.*\.pb-c\.h$", {"certmgr/workload_codec.c"}),
    (r"yaml\.h$", {"agent/config/yaml_tree.c", "authority/entries.c"}),
    (r"jansson\.h$", {"agent/config/config_json.c", "agent/status/render_json.c",
                      "agent/command/status_table.c"}),
    (r"http_parser\.h$", {"agent/status/http_message.c"}),
    (r"ev\.h$", {
        "agent/control/control_internal.h", "agent/relay/leg_socket.h", "agent/relay/leg_tls.h",
        "agent/status/http_connection.c", "agent/status/http_server.c", "agent/tunnel/tunnel.h",
        "agent/worker/conn.h", "authority/authority.c"}),
    # TLS itself: the agent's streams. X.509 and keys: what certmgr and the authority do.
    (r"openssl/ssl\.h$", {
        "agent/tls/tls_context.c", "agent/tls/tls_error.c", "agent/tls/tls_stream.c",
        "agent/tls/tls_verify.c"}),
    (r"openssl/", {
        "agent/tls/tls_bio.c", "agent/tls/tls_bio.h", "agent/tls/tls_context.c",
        "agent/tls/tls_context.h", "agent/tls/tls_error.c", "agent/tls/tls_stream.c",
        "agent/tls/tls_stream.h", "agent/tls/tls_verify.c", "agent/tls/tls_verify.h",
        "authority/ca.c", "authority/ca_state.c", "authority/ca_state.h",
        "authority/certificate.c", "authority/certificate.h",
        "certmgr/bundle.c", "certmgr/bundle.h", "certmgr/identity_store.c",
        "certmgr/leaf_rules.c", "certmgr/leaf_rules.h", "certmgr/revocation.c",
        "certmgr/revocation.h", "certmgr/svid.c", "certmgr/svid.h", "certmgr/verify.c",
        "certmgr/verify.h", "certmgr/x509_der.c", "certmgr/x509_der.h"}),
]
# Who may write log lines; everything else returns what happened.
LOGGERS = re.compile(r"agent/(worker|command|control)/|agent/main\.c$|authority/authority\.c$|"
                     r"base/log\.[ch]$")
LOG_CALL = r"\blog_(begin|text|bytes|u64|i64|end|msg)\("


def layers(files):
    for file in files:
        if not file.is_product():
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


def doors(files):
    for file in files:
        if not file.is_product():
            continue
        for line, _, name in file.includes:
            owners = next((owners for lead, owners in DOORS if re.match(lead, name)), None)
            if owners is not None and file.path not in owners:
                yield file.path, line, f"{name} enters through {', '.join(sorted(owners))} only"


def doors_exist(files):
    included = {(file.path, lead) for file in files for _, _, name in file.includes
                for lead, _ in DOORS if re.match(lead, name)}
    for lead, owners in DOORS:
        for owner in sorted(owners):
            if (owner, lead) not in included:
                yield "tests/lint/layers.py", 1, f"{owner} does not include {lead}: drop its row"


def loggers(files):
    for file in files:
        if not file.is_product() or LOGGERS.match(file.path):
            continue
        for line, match in file.matches(LOG_CALL):
            yield file.path, line, f"{match.group(0)}) here: this file returns, others log"


def exports(files):
    """A file foo_bar.c exports foo_bar_* or foo_*; a folder's file may carry the folder's name."""
    for file in files:
        if not file.is_product() or not file.path.endswith(".c"):
            continue
        parts = file.stem.split("_")
        leads = {"_".join(parts[:n]) for n in range(1, len(parts) + 1)}
        for function in file.functions:
            known = any(function.name == lead or function.name.startswith(lead + "_")
                        for lead in leads)
            if not function.is_static and not known and function.name != "main":
                yield file.path, function.line, f"{function.name} is exported from {file.stem}.c"


CHECKS = [layers, own_header_first, internal_headers, doors, doors_exist, loggers, exports]
