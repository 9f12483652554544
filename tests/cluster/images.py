"""Images for the cluster: Pavise's by deploy/image/build.py as docs/kubernetes.md says, and, with
the same program's help, one with the applications that this machine has, and Kubernetes' pause."""

import importlib.util
import pathlib
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = TOP / "deploy/image/build.py"
_spec = importlib.util.spec_from_file_location("image_build", BUILD)
tool = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tool)

PROGRAMS = ("/usr/bin/python3.11", "/usr/bin/dash", "/usr/bin/curl", "/usr/bin/sleep",
            "/usr/bin/cat", "/usr/bin/env", "/usr/bin/redis-server", "/usr/bin/redis-cli")
LINKS = {"usr/bin/python3": "/usr/bin/python3.11", "bin/sh": "/usr/bin/dash"}


def layout(folder, tar, config):
    created = "1970-01-01T00:00:00Z"
    made = tool.Layout(folder)
    diff_id = "sha256:" + tool.hashlib.sha256(tar).hexdigest()
    layer = made.blob("layer.v1.tar+gzip", tool.gzip.compress(tar, 1, mtime=0))
    whole = {"architecture": tool.ARCHITECTURES[tool.platform.machine()], "os": "linux",
             "created": created, "config": config,
             "rootfs": {"type": "layers", "diff_ids": [diff_id]},
             "history": [{"created": created, "created_by": "tests/cluster"}]}
    manifest = made.blob("manifest.v1+json", tool.as_bytes({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": made.blob("config.v1+json", tool.as_bytes(whole)), "layers": [layer]}),
        annotations={"org.opencontainers.image.ref.name": "latest"})
    made.finish(manifest)


def applications(folder):
    layer = tool.Layer()
    layer.file("etc/passwd", tool.PASSWD.encode())
    layer.file("etc/group", tool.GROUP.encode())
    layer.copy(tool.ROOTS)
    programs = list(PROGRAMS)
    for path in PROGRAMS:
        layer.copy(path)
    for path in (pathlib.Path(__file__).parent / "applications").iterdir():
        layer.copy(str(path), path.name)
    for link, path in LINKS.items():
        layer.copy(path, link)
    for path in pathlib.Path("/usr/lib/python3.11").rglob("*"):
        parts = path.parts[4:]
        if path.is_file() and not {"test", "__pycache__", "idlelib", "ensurepip"} & set(parts) \
                and not parts[0].startswith("config-"):
            layer.copy(str(path))
            if path.suffix == ".so":
                programs.append(str(path))
    for path in sorted({path for program in programs for path in tool.libraries(program)}):
        layer.copy(path)
    layout(folder, layer.tar(), {"Cmd": ["/bin/sh"], "WorkingDir": "/", "Env": [
        "PATH=/usr/bin:/bin", "PYTHONUNBUFFERED=1"]})


def pause(folder, source):
    program = folder.parent / "pause-program"
    subprocess.run(["gcc", "-Os", "-static", "-DVERSION=1", "-o", str(program), str(source)],
                   check=True)
    layer = tool.Layer()
    layer.copy(program, "pause")
    layout(folder, layer.tar(), {"Entrypoint": ["/pause"], "User": "65535:65535"})
