"""The budgets, and the language rules that a reader can see in one file."""

import re

MAX_FUNCTION = 60
MAX_NESTING = 3
MAX_PARAMETERS = 5
MAX_FILE = 400
MAX_HEADER = 120
MAX_COLUMNS = 100

# Functions whose parameters another library decides: its callbacks.
CALLBACKS = {
    "select_h2": "BoringSSL", "select_alpn": "BoringSSL",
    "choose_h2": "BoringSSL", "choose": "BoringSSL",
    "select_offered": "BoringSSL", "sign_anyway": "BoringSSL",
    "offer_data": "nghttp2", "on_header": "nghttp2", "on_chunk": "nghttp2",
    "on_send_data": "nghttp2",
}
# err_set is behind macros that add __FILE__ and __LINE__; nobody writes seven arguments.
MANY_PARAMETERS = {"err_set"} | set(CALLBACKS)

# Mutable state outside the logger, and why.
STATE = {
    "environ": "libc's own, for posix_spawn",
    "method": "a BIO_METHOD is made once for the process and never changed (agent/tls/tls_bio.c)",
    "method_once": "the pthread_once_t of it",
    "is_usable": "whether libipsec-mb's AES-GCM is right on this CPU, tried once "
                 "(agent/tls/aead_wide.c)",
    "usable_once": "the pthread_once_t of it",
    "pool": "equal certificates of all connections are stored once (agent/tls/tls_context.c); "
            "BoringSSL locks it",
    "pool_once": "the pthread_once_t of it",
    "streams": "grpc_arg.key is a char * that gRPC does not write to (authority/rpc_server.c)",
    "idle": "the same", "message": "the same", "metadata": "the same", "channelz": "the same",
}

# A block's brace follows a blank (`if (x) {`); a compound literal's does not (`(struct x){`).
BRACE = re.compile(r"(?P<block>(?:\)|\belse|\bdo|:) \{)|(?P<open>\{)|(?P<close>\})")


def nesting(files):
    for file in files:
        for function in file.functions:
            stack = []
            for match in BRACE.finditer(function.body):
                if match.group("close"):
                    stack.pop()
                    continue
                stack.append(bool(match.group("block")))
                if match.group("block") and sum(stack) == MAX_NESTING + 1:
                    line = function.body_line + function.body.count("\n", 0, match.start())
                    yield file.path, line, f"{function.name} nests deeper than {MAX_NESTING}"


def functions(files):
    for file in files:
        for function in file.functions:
            if function.num_lines > MAX_FUNCTION:
                yield (file.path, function.line,
                       f"{function.name} has {function.num_lines} lines, at most {MAX_FUNCTION}")


def parameters(files):
    for file in files:
        for function in file.functions:
            count = function.count_parameters()
            if count > MAX_PARAMETERS and function.name not in MANY_PARAMETERS:
                yield (file.path, function.line,
                       f"{function.name} has {count} parameters, at most {MAX_PARAMETERS}")


def file_lengths(files):
    for file in files:
        limit = MAX_HEADER if file.path.endswith(".h") else MAX_FILE
        count = file.raw.count("\n")
        if count > limit:
            yield file.path, limit + 1, f"the file has {count} lines, at most {limit}"


def columns(files):
    for file in files:
        if file.path.endswith(".def"):
            continue  # a row of a table stays in one line
        for number, line in enumerate(file.lines, 1):
            if len(line) > MAX_COLUMNS:
                yield file.path, number, f"{len(line)} columns, at most {MAX_COLUMNS}"


def no_goto(files):
    for file in files:
        for line, _ in file.matches(r"\bgoto\b"):
            yield file.path, line, "goto"


def no_vla(files):
    declared = r"^[ \t]+(?!return\b)(?:\w+[ \t]+)+\**\w+((?:\[[^\];]*\])+)[ \t]*[;=]"
    for file in files:
        for line, match in file.matches(declared):
            size = re.sub(r"sizeof\b.*", "", match.group(1), flags=re.DOTALL)
            # Constants are written in capitals; a name in small letters is a run-time value.
            if re.search(r"\b[a-z_]\w*\b", re.sub(r"\b[A-Z][A-Z0-9_]*\b|\b0x\w+", "", size)):
                yield file.path, line, "an array whose length is not a constant"


def no_typedef_struct(files):
    for file in files:
        for line, _ in file.matches(r"\btypedef\s+(struct|union|enum)\b"):
            yield file.path, line, "a typedef'd struct, union or enum"


def state_name(declarator):
    """The variable's name if it is mutable. `static const char *names[]` is (the pointers are),
    `static const char *const names[]` is not; nor is a prototype by function type, `foo_fn bar`."""
    name = re.search(r"(\w+)(?:\[[^\]]*\])*$", declarator).group(1)
    before = declarator[:declarator.rindex(name)]
    constant = r"\*[ \t]*const\b[^*]*$" if "*" in before else r"\bconst\b|_fn\b"
    return None if re.search(constant, before) or name in STATE else name


def no_mutable_state(files):
    """Variables of a whole file or program: only base/log.c, the logger, has any."""
    static = (r"^[ \t]*((?:static|extern)\b(?:_Atomic\([^)]*\)|[^(){};=])*?\w+"
              r"(?:\[[^\]]*\])*)[ \t]*(?:;|=)")
    other = (r"^(?!static\b|extern\b|typedef\b|struct \w+;)([A-Za-z_][\w \t*]*?[ \t*]\w+"
             r"(?:\[[^\]]*\])*)[ \t]*(?:;|=)")
    for file in files:
        if not file.is_product() or file.path == "base/log.c":
            continue
        for line, match in [*file.matches(static), *file.matches(other)]:
            name = state_name(match.group(1))
            if name is not None:
                yield file.path, line, f"{name} is mutable state outside an object"


def header_comments(files):
    for file in files:
        if file.path.endswith(".h") and not re.match(r"(//|/\*)", file.raw):
            yield file.path, 1, "the header does not begin with its contract"


CHECKS = [nesting, functions, parameters, file_lengths, columns, no_goto, no_vla,
          no_typedef_struct, no_mutable_state, header_comments]
