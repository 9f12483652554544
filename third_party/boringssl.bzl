"""BoringSSL from Debian's source package, checked by its SHA-256."""

_SOURCE = "android-platform-external-boringssl"
_SHA256 = "f9223e8c15ad5d9e3f1cd50861f4c272658864661e2332bea5d60952aa0930cd"
_VERSIONS = [
    ("bookworm-backports", "14.0.0+r45-2~bpo12+1"),
    ("trixie", "14.0.0+r45-2"),
]

# A private apt configuration, so that the machine's own is only read: the archive's address and
# key come from the first Debian source that the machine already trusts.
_DOWNLOAD = """
set -eu
suite=$1 version=$2 package=$3
mkdir -p apt/lists/partial apt/cache/archives/partial
format='$(CREATED_BY) $(ORIGIN) $(CODENAME) $(SITE)'
uri=$(apt-get indextargets --format "$format" 2>/dev/null |
      awk '$1 == "Packages" && $2 == "Debian" && $3 !~ /security/ {print $4; exit}')
[ -n "$uri" ] || { echo "apt knows no Debian archive (if it should: apt-get update)" >&2; exit 1; }
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb-src [signed-by=$keyring] $uri $suite main" > apt/sources.list
set -- -q -o Dir::Etc::SourceList="$PWD/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \\
    -o Dir::State::Lists="$PWD/apt/lists" -o Dir::Cache="$PWD/apt/cache" -o APT::Sandbox::User=root
apt-get "$@" update
apt-get "$@" source --download-only --tar-only "$package=$version"
"""

def _fetch(ctx, log):
    for suite, version in _VERSIONS:
        result = ctx.execute(["sh", "-c", _DOWNLOAD, "sh", suite, version, _SOURCE], timeout = 600)
        if result.return_code == 0:
            return True
        log.append("%s %s:\n%s%s" % (suite, version, result.stdout, result.stderr))
    return False

# BoringSSL's own files include each other without declaring it; the clang build checks ours only.
def _leave_unchecked(ctx):
    first = "licenses([\"notice\"])"
    build = ctx.read("BUILD")
    if first not in build:
        fail("BoringSSL's BUILD file has no line %s" % first)
    features = "package(features = [\"-layering_check\", \"-parse_headers\"])\n\n"
    ctx.file("BUILD", build.replace(first, features + first, 1), executable = False)

def _impl(ctx):
    log = []
    if not _fetch(ctx, log):
        fail("cannot fetch BoringSSL's source with apt-get:\n" + "\n".join(log))
    found = [f for f in ctx.path(".").readdir() if ".orig.tar." in f.basename]
    if len(found) != 1:
        fail("expected one orig tarball, found %s" % found)
    tarball = found[0]
    sum = ctx.execute(["sha256sum", str(tarball)]).stdout.split(" ")[0]
    if sum != _SHA256:
        fail("BoringSSL's source has SHA-256 %s, expected %s" % (sum, _SHA256))
    top = ctx.execute(["sh", "-c", "tar tf \"$1\" | head -1 | cut -d/ -f1", "sh", str(tarball)])
    ctx.extract(tarball, stripPrefix = top.stdout.strip())
    ctx.delete(tarball)
    ctx.delete("apt")
    _leave_unchecked(ctx)

boringssl_from_debian_source = repository_rule(
    implementation = _impl,
    doc = "Fetches and unpacks BoringSSL; its own BUILD files give :ssl and :crypto.",
)
