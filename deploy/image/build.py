#!/usr/bin/env python3
"""Builds a container image as an OCI image layout, without a registry, an engine or root:

    build.py [--intercept] [--tag TAG] PROGRAM FOLDER

PROGRAM is bazel-bin/agent/pavise; FOLDER gets the layout (`podman pull oci:FOLDER:TAG`,
`skopeo copy oci:FOLDER:TAG docker://...`). With --intercept the image holds Debian's nft and its
libraries too, and the program has the file capability cap_net_admin+ep. The same inputs give the
same digest, which is printed. What is not the program comes from this machine's Debian packages.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tarfile

UID = 1337
NOBODY = 65534
PROGRAM = "usr/bin/pavise"
NFT = "/usr/sbin/nft"
ROOTS = "/etc/ssl/certs/ca-certificates.crt"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PASSWD = (f"root:x:0:0:root:/:/sbin/nologin\npavise:x:{UID}:{UID}:pavise:/:/sbin/nologin\n"
          f"nobody:x:{NOBODY}:{NOBODY}:nobody:/:/sbin/nologin\n")
GROUP = f"root:x:0:\npavise:x:{UID}:\nnogroup:x:{NOBODY}:\n"
# struct vfs_cap_data (linux/capability.h): revision 2, effective; permitted NET_ADMIN (bit 12).
NET_ADMIN = b"\x01\x00\x00\x02" + (1 << 12).to_bytes(4, "little") + bytes(12)


class Layer:
    """A tar archive whose bytes depend on nothing but its files."""

    def __init__(self):
        self._files = {}  # path -> (mode, content, extended attributes)

    def file(self, path, content, mode=0o644, capability=None):
        self._files[path.lstrip("/")] = (mode, content, capability)

    def copy(self, source, path=None, **more):
        """A file of this machine, links followed."""
        content = pathlib.Path(source).read_bytes()
        self.file(path or source, content, 0o755 if os.access(source, os.X_OK) else 0o644, **more)

    def _folders(self):
        found = {"dev", "proc", "run", "sys", "tmp"}
        for path in self._files:
            found.update(str(parent) for parent in pathlib.PurePosixPath(path).parents)
        return sorted(found - {"."})

    def tar(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for path in self._folders():
                entry = tarfile.TarInfo(path)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if path == "tmp" else 0o755
                archive.addfile(entry)
            for path, (mode, content, capability) in sorted(self._files.items()):
                entry = tarfile.TarInfo(path)
                entry.mode, entry.size = mode, len(content)
                if capability is not None:
                    entry.pax_headers["SCHILY.xattr.security.capability"] = \
                        capability.decode("ascii")
                archive.addfile(entry, io.BytesIO(content))
        return out.getvalue()


def libraries(program):
    """The shared objects that a program is linked with, the loader among them."""
    said = subprocess.run(["ldd", program], check=True, text=True, capture_output=True).stdout
    missing = re.findall(r"(\S+) => not found", said)
    if missing:
        sys.exit(f"build.py: {program} lacks {', '.join(missing)} here")
    return sorted(set(re.findall(r"(/\S+) \(0x", said)))


def fill(program, intercept):
    layer = Layer()
    layer.file("etc/passwd", PASSWD.encode())
    layer.file("etc/group", GROUP.encode())
    layer.copy(program, PROGRAM, capability=NET_ADMIN if intercept else None)
    programs = [program]
    if intercept:
        layer.copy(NFT)
        programs.append(NFT)
    elif os.path.exists(ROOTS):
        layer.copy(ROOTS)  # the public roots of the trust store
    else:
        sys.exit(f"build.py: there is no {ROOTS}; it comes with ca-certificates")
    for path in sorted({path for name in programs for path in libraries(name)}):
        layer.copy(path)
    return layer.tar()


def configuration(intercept, diff_id, created):
    inner = {
        "User": f"{NOBODY}:{NOBODY}" if intercept else f"{UID}:{UID}",
        "Entrypoint": [f"/{PROGRAM}"],
        "Cmd": (["intercept", "up"] if intercept else ["agent"]) +
               ["--config", "/etc/pavise/agent.yaml"],
        "WorkingDir": "/",
        "Labels": {"org.opencontainers.image.title":
                   "pavise-intercept" if intercept else "pavise"},
    }
    if not intercept:
        inner["ExposedPorts"] = {"15008/tcp": {}, "15021/tcp": {}}
        # Docker's extension, which the OCI specification does not know: docker reads it, podman
        # only where the image is in Docker's format (skopeo copy --format v2s2).
        inner["Healthcheck"] = {"Test": ["CMD", f"/{PROGRAM}", "status", "--ready"],
                                "Interval": 10_000_000_000, "Timeout": 5_000_000_000}
    return {
        "architecture": ARCHITECTURES[platform.machine()],
        "os": "linux",
        "created": created,
        "config": inner,
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created": created, "created_by": "deploy/image/build.py"}],
    }


class Layout:
    """An OCI image layout: https://github.com/opencontainers/image-spec, image-layout.md."""

    def __init__(self, folder):
        self._folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "blobs/sha256").mkdir(parents=True)
        self._write("oci-layout", {"imageLayoutVersion": "1.0.0"})

    def _write(self, name, value):
        (self._folder / name).write_bytes(as_bytes(value))

    def blob(self, kind, content, **more):
        digest = hashlib.sha256(content).hexdigest()
        (self._folder / "blobs/sha256" / digest).write_bytes(content)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}",
                "size": len(content), **more}

    def finish(self, manifest):
        self._write("index.json", {
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [manifest]})


def as_bytes(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def build(program, folder, intercept, tag):
    created = "1970-01-01T00:00:00Z"
    tar = fill(program, intercept)
    diff_id = f"sha256:{hashlib.sha256(tar).hexdigest()}"
    layout = Layout(folder)
    layer = layout.blob("layer.v1.tar+gzip", gzip.compress(tar, 6, mtime=0))
    config = layout.blob("config.v1+json", as_bytes(configuration(intercept, diff_id, created)))
    manifest = layout.blob("manifest.v1+json", as_bytes({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config, "layers": [layer]}),
        annotations={"org.opencontainers.image.ref.name": tag})
    layout.finish(manifest)
    return manifest["digest"], layer["size"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--intercept", action="store_true")
    parser.add_argument("--tag", default="latest")
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    given = parser.parse_args()
    digest, size = build(given.program, given.folder, given.intercept, given.tag)
    print(f"{given.folder}: {digest}, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
