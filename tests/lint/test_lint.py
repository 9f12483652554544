"""The rules find what they are for: each is shown a breach, and code that is right."""

import ast
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import budgets  # noqa: E402
import layers  # noqa: E402
import lint  # noqa: E402
import pages  # noqa: E402
import source  # noqa: E402
import tally  # noqa: E402
import tree  # noqa: E402


def c_file(monkeypatch, path, text):
    monkeypatch.setattr(source, "read", lambda _: text)
    return source.CFile(path)


def breaches(monkeypatch, check, text, path="agent/net/socket.c"):
    return [line for _, line, _ in check([c_file(monkeypatch, path, text)])]


NESTED = """int socket_f(int a) {
    if (a) {
        for (;;) {
            switch (a) {
            case 1:
                DEEPEST
            }
        }
    }
}
"""


def test_nesting(monkeypatch):
    good = NESTED.replace("DEEPEST", "a = (struct x){.y = {1}}.y;")
    assert breaches(monkeypatch, budgets.nesting, good) == []
    bad = NESTED.replace("DEEPEST", "if (a) {\n                }")
    assert breaches(monkeypatch, budgets.nesting, bad) == [6]


def test_function_length(monkeypatch):
    body = "    x();\n"
    assert breaches(monkeypatch, budgets.functions, "int f(void) {\n" + 58 * body + "}\n") == []
    assert breaches(monkeypatch, budgets.functions, "int f(void) {\n" + 59 * body + "}\n") == [1]


def test_parameters(monkeypatch):
    good = "static int f(int a, int b, int c, int d,\n             int (*e)(int x, int y)) {\n}\n"
    assert breaches(monkeypatch, budgets.parameters, good) == []
    bad = "static int f(int a, int b, int c, int d, int e, int f) {\n}\n"
    assert breaches(monkeypatch, budgets.parameters, bad) == [1]


def test_lengths_and_columns(monkeypatch):
    assert breaches(monkeypatch, budgets.file_lengths, "\n" * 400) == []
    assert breaches(monkeypatch, budgets.file_lengths, "\n" * 401) == [401]
    assert breaches(monkeypatch, budgets.file_lengths, "\n" * 121, "base/x.h") == [121]
    assert breaches(monkeypatch, budgets.columns, "x" * 101) == [1]


def test_goto(monkeypatch):
    good = "// goto\nchar *s = \"goto\";\n"
    assert breaches(monkeypatch, budgets.no_goto, good) == []
    assert breaches(monkeypatch, budgets.no_goto, "    goto end;\n") == [1]


def test_vla(monkeypatch):
    good = "    char a[sizeof(((struct x *)0)->y)];\n    char b[LEN + 1];\n    return t[n];\n"
    assert breaches(monkeypatch, budgets.no_vla, good) == []
    assert breaches(monkeypatch, budgets.no_vla, "    char a[len + 1];\n") == [1]


def test_mutable_state(monkeypatch):
    good = ("static const int a = 1;\nstatic const char *const b[] = {0};\nstatic int f(int x);\n"
            "struct y;\nroutes_fn routes_z;\n    static const struct option c[] = {\n")
    assert breaches(monkeypatch, budgets.no_mutable_state, good) == []
    for bad in ("static int a;\n", "static const char *b[] = {0};\n", "int c = 3;\n",
                "    static unsigned d = 0;\n", "static _Atomic(int) e;\n", "struct x y;\n"):
        assert breaches(monkeypatch, budgets.no_mutable_state, bad) == [1], bad


def test_typedef_and_header_comment(monkeypatch):
    good = "// A contract.\ntypedef int (*x_fn)(int);\n"
    assert breaches(monkeypatch, budgets.no_typedef_struct, good) == []
    assert breaches(monkeypatch, budgets.header_comments, good, "base/x.h") == []
    bad = "typedef struct x {\n"
    assert breaches(monkeypatch, budgets.no_typedef_struct, bad) == [1]
    assert breaches(monkeypatch, budgets.header_comments, bad, "base/x.h") == [1]


def test_layers(monkeypatch):
    good = '#include "base/err.h"\n#include "agent/net/socket.h"\n'
    assert breaches(monkeypatch, layers.layers, good) == []
    bad = good + '#include "agent/worker/worker.h"\n'
    assert breaches(monkeypatch, layers.layers, bad) == [3]
    status = '#include "agent/worker/worker.h"\n'
    assert breaches(monkeypatch, layers.layers, status, "agent/status/status.c") == [1]
    assert breaches(monkeypatch, layers.layers, "", "agent/new/new.c") == [1]
    assert breaches(monkeypatch, layers.layers, status, "bench/load/bulk.c") == [1]
    assert breaches(monkeypatch, layers.layers, '#include "bench/load/loop.h"\n') == [1]


def test_internal_headers(monkeypatch):
    text = '#include "agent/tunnel/h2_internal.h"\n'
    assert breaches(monkeypatch, layers.internal_headers, text, "agent/tunnel/h2_wire.c") == []
    assert breaches(monkeypatch, layers.internal_headers, text, "tests/tunnel/h2_test.c") == [1]


def test_doors(monkeypatch):
    for name in ("grpc/grpc.h", "nghttp2/nghttp2.h", "yaml.h", "jansson.h", "http_parser.h", "ev.h",
                 "protobuf-c/protobuf-c.h", "openssl/ssl.h", "openssl/x509.h"):
        assert breaches(monkeypatch, layers.doors, f"#include <{name}>\n") == [1], name
    generated = '#include "proto/workload.pb-c.h"\n'
    assert breaches(monkeypatch, layers.doors, generated, "certmgr/source.c") == [1]
    assert breaches(monkeypatch, layers.doors, "#include <event.h>\n") == []


def test_loggers(monkeypatch):
    text = '    log_msg(LOG_INFO, "x", "y");\n'
    assert breaches(monkeypatch, layers.loggers, text, "agent/worker/conn_report.c") == []
    assert breaches(monkeypatch, layers.loggers, text) == [1]


def test_threads(monkeypatch):
    bad = "    pthread_create(&thread, NULL, run, NULL);\n"
    assert breaches(monkeypatch, layers.threads, "    thread_start(&thread, run, NULL);\n") == []
    assert breaches(monkeypatch, layers.threads, bad) == [1]
    assert breaches(monkeypatch, layers.threads, bad, "base/thread.c") == []


def test_exports(monkeypatch):
    header = c_file(monkeypatch, "agent/net/socket.h", "enum direction {\n};\n")
    good = c_file(monkeypatch, "agent/net/socket_open.c",
                  "int socket_f(void) {\n}\nstatic int g(void) {\n}\n"
                  "int direction_name(int x) {\n}\n")
    bad = c_file(monkeypatch, "agent/net/socket_open.c", "int open_it(void) {\n}\n")
    assert list(layers.exports([header, good])) == []
    assert len(list(layers.exports([header, bad]))) == 1


def test_unused_imports():
    text = "import os, a.b\nfrom c import d as e, f\n\nos.close(f)\n"
    assert lint.unused_imports(ast.parse(text)) == [(1, "a"), (2, "e")]


def test_exports_in_use(monkeypatch):
    def found(*others):
        own = c_file(monkeypatch, "base/x.c", "int x_f(void) {\n}\n\nstatic int g(void) {\n}\n")
        files = [c_file(monkeypatch, path, text) for path, text in others]
        return [line for _, line, _ in layers.exports_in_use([own, *files])]

    assert found(("base/x.h", "int x_f(void);\n")) == [1]
    assert found(("base/x.h", "int x_f(void);\n"), ("tests/base/x_test.c", "x_f();\n")) == []
    assert found(("base/x.h", "int x_f(void);\n#define X_F() x_f()\n")) == []
    assert found(("base/y.c", "// x_f();\n")) == [1]


def test_tests_exist(monkeypatch):
    code = c_file(monkeypatch, "base/x_wire.c", "")
    for test, count in (("x_wire_test", 0), ("x_test", 0), ("x_wire_cut_test", 0), ("y_test", 1)):
        files = [code, c_file(monkeypatch, f"tests/base/{test}.c", "")]
        assert len(list(tree.tests_exist(files))) == count, test


def test_machine_names(monkeypatch):
    def found(text):
        monkeypatch.setattr(tree, "text_files", lambda: [("README.md", text.split("\n"))])
        return len(list(tree.machine_names([])))
    assert found("/etc/pavise $HOME/work /tmp/pavise https://example.org/work/x") == 0
    assert found("see /work/" + "main") == 1
    assert found("/ro" + "ot/.cache") == 1
    assert found("http://deb.debian" + ".org/debian") == 1


def test_troubleshooting(monkeypatch):
    files = {"agent/a.c": 'log_begin(&l, LOG_WARN, "one");\nlog_text(&l, "key", "value");\n'
                          'log_place(x, is_whole ? "two" : "three",\n  y);\n',
             "t.def": 'X(A, "ok", "fine")\nX(B, "bad", "not, fine")\n'}
    table = {"Whys": ("t.def", "X", 1, {"ok"})}
    page = "## Whys (`reason=`)\n| `bad` | x |\n## Lines of the log\n" + "".join(
        f"| `{name}` | x |\n" for name in ("one", "two", "three"))

    def found(text):
        monkeypatch.setattr(pages, "TABLES", table)
        monkeypatch.setattr(pages, "walk", lambda folder: ["agent/a.c"])
        monkeypatch.setattr(pages, "read", lambda path: files.get(path, text))
        return list(pages.troubleshooting_is_complete([]))
    assert found(page) == []
    assert len(found(page.replace("bad", "worse"))) == 2
    assert len(found(page.replace("three", "gone"))) == 2


def test_pages_name_tests_that_exist(monkeypatch):
    files = {"docs/x.md": "see `tests/a_test.c::test_one`, `tests/t.py::test_two`, `tests/t.py`",
             "tests/a_test.c": "static void test_one(void **state) {",
             "tests/t.py": "def test_two(lab):"}

    def found():
        monkeypatch.setattr(pages, "walk", lambda folder: ["docs/x.md"])
        monkeypatch.setattr(pages, "read", lambda path: files.get(path, ""))
        return len(list(pages.tests_are_there([])))
    assert found() == 0
    files["tests/t.py"] = "def test_twofold(lab):"
    assert found() == 1
    del files["tests/t.py"]
    assert found() == 2


def test_cited_pages(monkeypatch):
    text = "// See docs/a.md.\nint x; // as b.md says\nchar *s = \"c.md\";\n"
    assert breaches(monkeypatch, pages.cited_pages_are_there, text) == [1, 2]
    monkeypatch.setattr(pages, "read", lambda path: "text")
    assert breaches(monkeypatch, pages.cited_pages_are_there, text) == []


def test_features(monkeypatch):
    good = "| AZ1 | x | y | `tests/t.py::test_two` |\n| AZ2 | x |  | out: no |\n"

    def found(text):
        monkeypatch.setattr(pages, "FEATURES", {"AZ": 2})
        monkeypatch.setattr(pages, "read", lambda _: text)
        return len(list(pages.features_are_complete([])))
    assert found(good) == 0
    assert found(good.replace("AZ2", "AZ1")) == 2
    assert found(good.replace("out: no", "")) == 1
    assert found(good.replace("out: no", "some day")) == 1


LOG = """//tests/a:x_test                    (cached) PASSED in 0.1s
//tests/a:y_test                             FAILED in 0.2s
//tests/a:z_replay                           PASSED in 0.2s
//tests/a:gone_test                       NO STATUS
"""


def test_tally_bazel(tmp_path, capsys):
    logs = {"x_test": "[  PASSED  ] 3 test(s).\n[  SKIPPED ] 1 test(s), listed below:\n"
                      "[  SKIPPED ] needs_root\n",
            "y_test": "[  PASSED  ] 1 test(s).\n[  FAILED  ] 2 test(s), listed below:\n"
                      "[  FAILED  ] one\n[  FAILED  ] two\n",
            "z_replay": "replayed 3 files\n"}
    for name, text in logs.items():
        (tmp_path / "tests/a" / name).mkdir(parents=True)
        (tmp_path / "tests/a" / name / "test.log").write_text(text)
    (tmp_path / "log").write_text(LOG)
    total = tally.count_bazel(tmp_path / "log", tmp_path)
    assert total == {"PASSED": 5, "FAILED": 3, "SKIPPED": 1}
    assert "SKIPPED: //tests/a:x_test needs_root" in capsys.readouterr().out


def test_tally_sum(tmp_path, capsys):
    (tmp_path / "a").write_text("3 0 1\n")
    (tmp_path / "a.log").write_text("not a tally")
    assert tally.add_up(tmp_path) == 0
    assert capsys.readouterr().out.endswith("\n3 passed, 0 failed, 1 skipped\n")
    (tmp_path / "b").write_text("1 2 0\n")
    assert tally.add_up(tmp_path) == 1


def test_tally_junit(tmp_path):
    assert tally.count_junit(str(tmp_path / "missing.xml"))["FAILED"] == 1
    (tmp_path / "r.xml").write_text(
        '<testsuites><testsuite><testcase classname="a" name="b"/><testcase classname="a" name="c">'
        '<skipped message="no tcpdump"/></testcase><testcase classname="a" name="d"><failure/>'
        '</testcase><testcase classname="a" name="d"><error/></testcase>'
        "</testsuite></testsuites>")
    assert tally.count_junit(str(tmp_path / "r.xml")) == {"PASSED": 1, "FAILED": 1, "SKIPPED": 1}
