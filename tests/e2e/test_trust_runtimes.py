"""The store and the real runtimes: each refuses a server of a private CA before and accepts it
after `pavise trust sync`, and a public root still counts."""

import os
import re
import shutil
import subprocess

import pytest

from pavise_e2e import settings
from pavise_e2e.trust import TrustLab, count, openssl

JAVA_CLIENT = """
public class Fetch {
    public static void main(String[] arguments) throws Exception {
        var connection = (javax.net.ssl.HttpsURLConnection)
            new java.net.URL(arguments[0]).openConnection();
        System.out.println(connection.getResponseCode());
    }
}
"""

GO_CLIENT = """package main

import (
    "net/http"
    "os"
)

func main() {
    response, err := http.Get(os.Args[1])
    if err != nil || response.StatusCode != 200 {
        os.Exit(1)
    }
}
"""

PYTHON_SSL = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1]).read()"
PYTHON_REQUESTS = "import sys, requests; requests.get(sys.argv[1]).raise_for_status()"
NODE = ("require('https').get(process.argv[1], r => process.exit(r.statusCode == 200 ? 0 : 1))"
        ".on('error', e => { console.error(e); process.exit(1) })")
PHP = "exit(@file_get_contents($argv[1]) === false ? 1 : 0);"
REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def scene(pavise):
    """Two servers: one of a private CA that is to be added, one of the CA that is the public root
    here. No client knows either to begin with."""
    trust = TrustLab(pavise)
    trust.public, trust.private = trust.ca("public"), trust.ca("private")
    trust.configure(publicRoots=str(trust.public.certificate))
    content = {"/repository/info/refs?service=git-upload-pack":
               f"{REVISION}\trefs/heads/main\n".encode(),
               "/repository/HEAD": b"ref: refs/heads/main\n"}
    trust.private_server = trust.server(trust.private.server_certificate(), content)
    trust.public_server = trust.server(trust.public.server_certificate(), content)
    yield trust
    trust.close()


def run(argv, env=None):
    return subprocess.run([str(word) for word in argv], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60, check=False,
                          env=settings.environment(env))


def expect(done, works):
    assert (done.returncode == 0) == works, f"{done.args}\n{done.stdout}{done.stderr}"


def sync(scene):
    shutil.copyfile(scene.private.certificate, scene.sources / "private.pem")
    scene.ok("sync")


def check(scene, client, variables=None, path="/"):
    """`client(url)` is a command; `variables` are those of OUT/env that it needs, None for all."""
    private, public = scene.private_server.url(path), scene.public_server.url(path)
    expect(run(client(private)), False)
    expect(run(client(public)), False)
    scene.ok("sync")
    env = chosen(scene, variables)
    expect(run(client(private), env), False)  # a store without it
    expect(run(client(public), env), True)
    sync(scene)
    env = chosen(scene, variables)
    expect(run(client(private), env), True)
    expect(run(client(public), env), True)


def chosen(scene, variables):
    env = scene.variables()
    return env if variables is None else {name: env[name] for name in variables}


# --- programs with OpenSSL

@pytest.mark.parametrize("variables", [None, ["CURL_CA_BUNDLE"], ["SSL_CERT_FILE"],
                                       ["SSL_CERT_DIR"]])
def test_curl(scene, variables):
    curl = settings.program("curl")
    check(scene, lambda url: [curl, "-sS", "--fail", url], variables)


@pytest.mark.parametrize("variables", [["SSL_CERT_FILE"], ["SSL_CERT_DIR"]])
def test_openssl_by_variable(scene, variables):
    def client(url):
        return ["openssl", "s_client", "-connect", url.split("/")[2], "-verify_return_error",
                "-brief"]

    check(scene, client, variables)


def test_openssl_by_option(scene):
    """The bundle alone, then the hash directory alone."""
    sync(scene)
    for option in (["-no-CApath", "-CAfile", scene.output / "ca-bundle.pem"],
                   ["-no-CAfile", "-CApath", scene.output / "certs"]):
        for server, certificate in ((scene.private_server, scene.private.certificate),
                                    (scene.public_server, scene.public.certificate)):
            argv = ["openssl", "s_client", "-connect", server.url().split("/")[2],
                    "-verify_return_error", "-brief", "-no-CAstore", *option]
            expect(run(argv), True)
            assert certificate.read_text() in scene.pem()
    extra = ["openssl", "s_client", "-connect", scene.public_server.url().split("/")[2],
             "-verify_return_error", "-brief", "-no-CAstore", "-no-CApath", "-CAfile",
             scene.output / "ca-extra.pem"]
    expect(run(extra), False)  # the user's only


def test_python_ssl(scene):
    check(scene, lambda url: ["/usr/bin/python3", "-c", PYTHON_SSL, url])


def test_python_ssl_by_directory(scene):
    check(scene, lambda url: ["/usr/bin/python3", "-c", PYTHON_SSL, url], ["SSL_CERT_DIR"])


def test_python_requests(scene):
    if run(["/usr/bin/python3", "-c", "import requests"]).returncode != 0:
        pytest.skip("python3-requests is not installed")
    check(scene, lambda url: ["/usr/bin/python3", "-c", PYTHON_REQUESTS, url],
          ["REQUESTS_CA_BUNDLE"])


@pytest.mark.parametrize("variables", [None, ["PHP_INI_SCAN_DIR"], ["SSL_CERT_FILE"]])
def test_php(scene, variables):
    php = settings.program("php")
    check(scene, lambda url: [php, "-r", PHP, url], variables)


# --- programs with GnuTLS: no variable reaches wget, one reaches git

def test_git(scene):
    git = settings.program("git")
    check(scene, lambda url: [git, "ls-remote", url], ["GIT_SSL_CAINFO"], "/repository")


def test_wget_by_option(scene):
    wget = settings.program("wget")
    url = scene.private_server.url()
    expect(run([wget, "-q", "-O", "/dev/null", url]), False)
    sync(scene)
    option = f"--ca-certificate={scene.output}/ca-bundle.pem"
    expect(run([wget, "-q", "-O", "/dev/null", option, url]), True)


@pytest.mark.parametrize("program", ["wget", "git", "curl"])
def test_the_bundle_over_the_distribution_s(scene, program):
    """Mounted over the file that Debian's programs read when they are told nothing."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a file over another")
    path = settings.program(program)
    command = {"wget": "-q -O /dev/null", "git": "ls-remote", "curl": "-sS --fail"}[program]
    sync(scene)
    for server in (scene.private_server, scene.public_server):
        url = server.url("/repository" if program == "git" else "/")
        expect(run([path, *command.split(), url]), False)
        script = (f"mount --bind {scene.output}/ca-bundle.pem /etc/ssl/certs/ca-certificates.crt "
                  f"&& exec {path} {command} {url}")
        expect(run(["unshare", "-m", "sh", "-c", script]), True)


# --- runtimes with roots of their own

def test_node(scene):
    """Node adds to its own roots, so the public root of this test, which it does not know, is not
    among them: what stays is asked of Node itself."""
    node = settings.program("node")
    url = scene.private_server.url()
    own = run([node, "-p", "require('tls').rootCertificates.length"])
    expect(run([node, "-e", NODE, url]), False)
    scene.ok("sync")
    expect(run([node, "-e", NODE, url], scene.variables()), False)
    empty = run([node, "-p", "1"], scene.variables())
    assert empty.stderr == ""  # a store without any certificate of the user's is no error
    sync(scene)
    expect(run([node, "-e", NODE, url], scene.variables()), True)
    kept = run([node, "-p", "require('tls').rootCertificates.length"], scene.variables())
    assert kept.stdout == own.stdout and int(own.stdout) > 100
    openssl_ca = scene.variables() | {"NODE_OPTIONS": "--use-openssl-ca"}
    expect(run([node, "-e", NODE, scene.public_server.url()], openssl_ca), True)


@pytest.fixture(scope="module")
def java_client(tmp_path_factory):
    javac = settings.program("javac")
    directory = tmp_path_factory.mktemp("java")
    (directory / "Fetch.java").write_text(JAVA_CLIENT)
    done = run([javac, "-d", directory, directory / "Fetch.java"])
    assert done.returncode == 0, done.stderr
    return lambda url: [settings.program("java"), "-Xshare:auto", "-cp", directory, "Fetch", url]


@pytest.mark.parametrize("form", ["pkcs12", "jks"])
def test_java(scene, java_client, form):
    scene.configure(publicRoots=str(scene.public.certificate), java={"format": form})
    check(scene, java_client, ["JAVA_TOOL_OPTIONS"])
    assert form in ("pkcs12", "jks")
    suffix = {"pkcs12": "p12", "jks": "jks"}[form]
    assert scene.variables()["JAVA_TOOL_OPTIONS"].endswith(f"/truststore.{suffix}")


@pytest.mark.parametrize("what", ["curve", "name"])
def test_java_with_what_makes_a_jvm_refuse_a_store(scene, java_client, what):
    """Such a certificate stays out of the Java stores only."""
    curve, name = {"curve": ("brainpoolP256r1", "/CN=odd"), "name": ("prime256v1", "/")}[what]
    sync(scene)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-nodes",
            "-keyout", "/dev/null", "-out", scene.sources / "odd.pem", "-days", 9, "-subj", name)
    done = scene.run("sync")
    assert "odd: its key or its empty name makes a JVM refuse the whole store" in done.stderr
    assert count(scene.pem()) == 3
    env = chosen(scene, ["JAVA_TOOL_OPTIONS"])
    expect(run(java_client(scene.private_server.url()), env), True)
    expect(run(["curl", "-sS", scene.private_server.url()], scene.variables()), True)


def keytool(path, *options):
    tool = settings.program("keytool")
    done = run([tool, "-list", "-v", "-keystore", path, *options])
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["truststore.p12", "truststore.jks"])
def test_keytool(scene, name):
    """With the system's own roots: how many, under which names, valid until when."""
    scene.configure()
    shutil.copyfile(scene.private.certificate, scene.sources / "Private CA.pem")
    scene.ok("sync")
    text = keytool(scene.output / name, "-storepass", "changeit")
    number = count(scene.pem())
    assert f"Your keystore contains {number} entries" in text
    assert count(open("/etc/ssl/certs/ca-certificates.crt", encoding="ascii").read()) == number - 1
    entries = {}
    for part in text.split("Alias name: ")[1:]:
        entries[part.splitlines()[0]] = part
    assert len(entries) == number
    entry = entries["private ca"]
    assert "Entry type: trustedCertEntry" in entry
    assert "Owner: CN=private root, O=Pavise tests" in entry
    shown = scene.json("show", "Private CA")
    year = re.search(r"until: .* (\d{4})$", entry, re.MULTILINE).group(1)
    assert year == shown["expirationDate"][:4]
    digest = re.search(r"SHA256: ([0-9A-F:]+)", entry).group(1)
    assert digest.replace(":", "").lower() == shown["sha256"]


def test_keytool_without_a_password(scene):
    sync(scene)
    text = keytool(scene.output / "truststore.p12", "-storepass", "")
    assert "Your keystore contains 2 entries" in text


def test_go(scene, tmp_path):
    go = settings.program("go")
    (tmp_path / "main.go").write_text(GO_CLIENT)
    (tmp_path / "go.mod").write_text("module fetch\n\ngo 1.18\n")
    # Go's own libraries are half a minute of work: the rounds of ./dev test share them.
    env = {"GOCACHE": os.environ.get("PAVISE_GOCACHE", str(tmp_path / "cache")),
           "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOPROXY": "off",
           "HOME": str(tmp_path)}
    done = subprocess.run([go, "build", "-o", "fetch", "."], cwd=tmp_path, capture_output=True,
                          text=True, env=settings.environment(env), check=False)
    assert done.returncode == 0, done.stderr
    check(scene, lambda url: [tmp_path / "fetch", url])


# --- without a container

def test_run(scene):
    """`pavise trust run -- COMMAND`, and `. OUT/env.sh`."""
    shutil.copyfile(scene.private.certificate, scene.sources / "private.pem")
    for server in (scene.private_server, scene.public_server):
        scene.ok("run", "--", "curl", "-sS", "--fail", server.url())
        script = f". {scene.output}/env.sh && exec curl -sS --fail {server.url()}"
        expect(run(["sh", "-c", script]), True)


def test_another_user_can_read_it(scene):
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    sync(scene)
    argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "curl", "-sS", "--fail",
            scene.private_server.url()]
    expect(run(argv, scene.variables()), True)


def test_removing(scene):
    sync(scene)
    env = scene.variables()
    expect(run(["curl", "-sS", scene.private_server.url()], env), True)
    scene.ok("remove", "private")
    scene.ok("sync")
    expect(run(["curl", "-sS", scene.private_server.url()], env), False)
    expect(run(["curl", "-sS", scene.public_server.url()], env), True)
