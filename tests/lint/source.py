"""What the checks see of the tree: files, and C text without comments and literals."""

import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PRODUCT = ("base", "proto", "certmgr", "agent", "authority")
# What measures the product: not shipped, but layered and tested like it.
MEASURING = ("bench",)
C_FOLDERS = PRODUCT + MEASURING + ("tests",)
SKIPPED_FOLDERS = {".git", "__pycache__", ".pytest_cache", ".cache"}


def walk(top="."):
    """Every file of the tree, relative to its root; Bazel's links are not followed."""
    for folder, names, files in os.walk(os.path.join(ROOT, top)):
        names[:] = sorted(n for n in names if n not in SKIPPED_FOLDERS and
                          not (folder == os.path.join(ROOT, ".") and n.startswith("bazel-")))
        for name in sorted(files):
            yield os.path.relpath(os.path.join(folder, name), ROOT)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="surrogateescape") as stream:
        return stream.read()


def blank(match):
    """The same number of lines and columns, without what they said."""
    return re.sub(r"[^\n]", " ", match.group(0))


def blank_literal(match):
    text = match.group(0)
    if text.startswith("/"):
        return blank(match)
    return text[0] + " " * (len(text) - 2) + text[-1]


TOKENS = re.compile(
    r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", re.MULTILINE)
INCLUDE = re.compile(r"^\s*#\s*include\s+([<\"])([^>\"]+)[>\"]", re.MULTILINE)
# clang-format puts a function's name and parameters in column 0 and its last brace there too.
FUNCTION = re.compile(
    r"^(?P<head>[A-Za-z_][\w \t*]*?[ \t*])(?P<name>\w+)\((?P<params>[^;{}]*?)\)[ \t]*"
    r"(?:[A-Z_]+(?:\([^)]*\))?[ \t]*)*\{\n(?P<body>.*?)^\}", re.MULTILINE | re.DOTALL)


class Function:
    def __init__(self, match, text):
        self.name = match.group("name")
        self.params = match.group("params")
        self.is_static = bool(re.search(r"\bstatic\b", match.group("head")))
        self.body = match.group("body")
        self.line = text.count("\n", 0, match.start()) + 1
        self.body_line = text.count("\n", 0, match.start("body")) + 1
        self.num_lines = match.group(0).count("\n") + 1

    def count_parameters(self):
        depth = 0
        count = 1
        for char in self.params:
            depth += {"(": 1, ")": -1}.get(char, 0)
            count += char == "," and depth == 0
        return 0 if self.params.strip() in ("", "void") else count


class CFile:
    def __init__(self, path):
        self.path = path
        self.raw = read(path)
        self.lines = self.raw.split("\n")
        self.includes = [(self.raw.count("\n", 0, m.start(1)) + 1, m.group(1) == "<", m.group(2))
                         for m in INCLUDE.finditer(self.raw)]
        self.text = TOKENS.sub(blank_literal, self.raw)  # code, literals emptied
        self.code = DIRECTIVE.sub(blank, self.text)      # the same without # lines
        self.functions = [Function(m, self.code) for m in FUNCTION.finditer(self.code)]

    @property
    def stem(self):
        return os.path.splitext(os.path.basename(self.path))[0]

    @property
    def folder(self):
        return os.path.dirname(self.path)

    def is_product(self):
        return self.path.split("/")[0] in PRODUCT

    def is_layered(self):
        return self.path.split("/")[0] in PRODUCT + MEASURING

    def matches(self, pattern, text=None):
        """(line, match) for each place where `pattern` is found in the code."""
        text = self.code if text is None else text
        for match in re.finditer(pattern, text, re.MULTILINE):
            yield text.count("\n", 0, match.start()) + 1, match


def c_files():
    return [CFile(path) for path in walk() if path.endswith((".c", ".h", ".def")) and
            path.split("/")[0] in C_FOLDERS]
