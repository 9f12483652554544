"""STYLE.md's budgets and the language rules that a reader can see in one file."""

import re

MAX_FUNCTION = 60
MAX_NESTING = 3
MAX_PARAMETERS = 5
MAX_FILE = 400
MAX_HEADER = 120
MAX_COLUMNS = 100

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
            if count > MAX_PARAMETERS:
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
            size = re.sub(r"sizeof[ \t]*(\w+|\([^()]*(\([^()]*\))?[^()]*\))", "", match.group(1))
            # Constants are written in capitals; a name in small letters is a run-time value.
            if re.search(r"\b[a-z_]\w*\b", re.sub(r"\b[A-Z][A-Z0-9_]*\b|\b0x\w+", "", size)):
                yield file.path, line, "an array whose length is not a constant"


def no_typedef_struct(files):
    for file in files:
        for line, _ in file.matches(r"\btypedef\s+(struct|union|enum)\b"):
            yield file.path, line, "a typedef'd struct, union or enum"


def is_mutable(declarator):
    """`static const char *names[]` is mutable (the pointers), `static const char *const` is not."""
    if "*" in declarator:
        return not re.search(r"\*[ \t]*const\b[^*]*$", declarator)
    return not re.search(r"\bconst\b", declarator)


def no_mutable_state(files):
    """Variables of a whole file or program: only base/log.c, the logger, has any."""
    variable = r"^[ \t]*((?:static|extern)\b[^(){};=]*?\w+(?:\[[^\]]*\])*)[ \t]*(?:;|=)"
    for file in files:
        if not file.is_product() or file.path == "base/log.c":
            continue
        for line, match in file.matches(variable):
            if is_mutable(match.group(1)):
                yield file.path, line, "mutable state outside an object"
        globals_ = r"^(?!static|extern|typedef|struct \w+;|return)([A-Za-z_][\w \t*]*?[ \t*]\w+)" \
                   r"(?:\[[^\]]*\])*[ \t]*(?:;|=)"
        for line, match in file.matches(globals_):
            if is_mutable(match.group(1)):
                yield file.path, line, "a global variable"


def header_comments(files):
    for file in files:
        if file.path.endswith(".h") and not re.match(r"(//|/\*)", file.raw):
            yield file.path, 1, "the header does not begin with its contract"


CHECKS = [nesting, functions, parameters, file_lengths, columns, no_goto, no_vla,
          no_typedef_struct, no_mutable_state, header_comments]
