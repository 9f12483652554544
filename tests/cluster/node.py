#!/usr/bin/env python3
"""A whole Kubernetes cluster of one node as process 1 of namespaces of its own:

    unshare --mount --pid --net --fork --kill-child node.py FOLDER BIN PAVISE

FOLDER is empty or absent and gets everything; BIN holds what setup.sh has built. When process 1
ends, so does everything here: processes, mounts, interfaces. The cgroups are cluster.py's.
"""

import json
import os
import pathlib
import secrets
import signal
import subprocess
import sys
import time

NODE = "10.213.0.1"
SERVICES = "10.214.0.0/16"
PODS = "10.215.0.0/24"
CGROUP = "pavise-cluster"
# What the kubelet wants of the kernel it gets to see, and the machine keeps what it has.
SYSCTLS = {"vm/overcommit_memory": 1, "vm/panic_on_oom": 0, "kernel/panic": 10,
           "kernel/panic_on_oops": 1, "kernel/keys/root_maxkeys": 1000000,
           "kernel/keys/root_maxbytes": 25000000}
# Who a component is; RBAC has roles for all of them.
USERS = {"admin": ("admin", "system:masters"),
         "kubelet": ("system:node:node", "system:nodes"),
         "kube-controller-manager": ("system:kube-controller-manager", ""),
         "kube-scheduler": ("system:kube-scheduler", ""),
         "kube-proxy": ("system:kube-proxy", ""),
         "coredns": ("coredns", "system:masters")}


def run(*words, **options):
    subprocess.run([str(word) for word in words], check=True, stdin=subprocess.DEVNULL, **options)


class Node:
    def __init__(self, folder, programs):
        self.folder, self.programs = folder, programs
        self.started = {}  # pid -> name
        # containerd takes the shim that is first in PATH.
        self.environment = {"PATH": f"{programs}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"}
        for name in "pki", "logs", "sysctl", "kubelet", "identities", "containerd/certs/_default":
            (folder / name).mkdir(parents=True)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if isinstance(text, str) else json.dumps(text, indent=1))
        return path

    def start(self, name, program, *words):
        with open(self.folder / "logs" / f"{name}.log", "ab") as log:
            process = subprocess.Popen([str(program), *map(str, words)], stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=log, env=self.environment)
        self.started[process.pid] = name

    # ------------------------------------------------------------------------------ the machine

    def mounts(self):
        run("mount", "--make-rprivate", "/")
        run("mount", "-t", "proc", "proc", "/proc")
        run("mount", "--make-rshared", "/")
        for path in "/run", "/var/log":
            run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", path)
        for name, value in SYSCTLS.items():
            file = self.write(f"sysctl/{name.replace('/', '.')}", f"{value}\n")
            run("mount", "--bind", file, f"/proc/sys/{name}")

    def network(self):
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "node0", "type", "bridge")
        run("ip", "address", "add", f"{NODE}/24", "dev", "node0")
        run("ip", "link", "set", "node0", "up")
        run("ip", "route", "add", "default", "dev", "node0")
        for name in "ipv4/ip_forward", "bridge/bridge-nf-call-iptables":
            path = pathlib.Path("/proc/sys/net", name)
            path.write_text("1\n")

    # ---------------------------------------------------------------------------- certificates

    def openssl(self, *words):
        run("openssl", *words, cwd=self.folder / "pki", stderr=subprocess.DEVNULL)

    def certificate(self, name, subject, *extensions):
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                     "-nodes", "-days", "2", "-subj", subject, "-keyout", f"{name}.key", "-out",
                     f"{name}.crt", *(word for text in extensions for word in ("-addext", text)),
                     *(("-CA", "ca.crt", "-CAkey", "ca.key") if name != "ca" else ()))

    def pki(self):
        self.certificate("ca", "/CN=cluster", "keyUsage=critical,keyCertSign,cRLSign")
        leaf = "basicConstraints=critical,CA:FALSE"
        names = "DNS:kubernetes.default.svc,DNS:kubernetes,IP:127.0.0.1,IP:10.214.0.1,IP:" + NODE
        self.certificate("apiserver", "/CN=apiserver", leaf, f"subjectAltName={names}")
        self.certificate("kubelet-client", "/O=system:masters/CN=apiserver", leaf)
        self.openssl("genrsa", "-out", "accounts.key", "2048")
        self.openssl("rsa", "-in", "accounts.key", "-pubout", "-out", "accounts.pub")
        lines = []
        for name, (user, group) in USERS.items():
            token = secrets.token_hex(16)
            lines.append(f'{token},{user},{user},"{group}"\n')
            self.write(f"{name}.kubeconfig", {
                "apiVersion": "v1", "kind": "Config", "current-context": "c",
                "clusters": [{"name": "c", "cluster": {
                    "server": f"https://{NODE}:6443",
                    "certificate-authority": str(self.folder / "pki/ca.crt")}}],
                "users": [{"name": "u", "user": {"token": token}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]})
        self.write("pki/tokens.csv", "".join(lines))

    # ------------------------------------------------------------------------------ components

    def component(self, name, *words):
        self.start(name, self.programs / name,
                   *(word.format(folder=self.folder) for word in words))

    def control_plane(self):
        self.component(
            "etcd", "--data-dir={folder}/etcd", "--unsafe-no-fsync",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380")
        self.component(
            "kube-apiserver", f"--advertise-address={NODE}", f"--bind-address={NODE}",
            "--etcd-servers=http://127.0.0.1:2379", f"--service-cluster-ip-range={SERVICES}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-account-key-file={folder}/pki/accounts.pub",
            "--service-account-signing-key-file={folder}/pki/accounts.key",
            "--client-ca-file={folder}/pki/ca.crt", "--tls-cert-file={folder}/pki/apiserver.crt",
            "--tls-private-key-file={folder}/pki/apiserver.key",
            "--token-auth-file={folder}/pki/tokens.csv", "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
            "--kubelet-client-certificate={folder}/pki/kubelet-client.crt",
            "--kubelet-client-key={folder}/pki/kubelet-client.key",
            "--kubelet-preferred-address-types=InternalIP")
        self.component(
            "kube-controller-manager", "--kubeconfig={folder}/kube-controller-manager.kubeconfig",
            "--leader-elect=false", "--use-service-account-credentials=true",
            "--service-account-private-key-file={folder}/pki/accounts.key",
            "--root-ca-file={folder}/pki/ca.crt",
            "--cluster-signing-cert-file={folder}/pki/ca.crt",
            "--cluster-signing-key-file={folder}/pki/ca.key")
        self.component("kube-scheduler", "--kubeconfig={folder}/kube-scheduler.kubeconfig",
                       "--leader-elect=false")

    def containerd(self):
        self.write("cni/10-bridge.conflist", {
            "cniVersion": "1.0.0", "name": "pods", "plugins": [{
                "type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True,
                "ipam": {"type": "host-local", "dataDir": "/run/cni", "ranges": [[{
                    "subnet": PODS}]], "routes": [{"dst": "0.0.0.0/0"}]}}]})
        # Whatever registry an image names is the one on this node.
        self.write("containerd/certs/_default/hosts.toml",
                   f'server = "http://{NODE}:5000"\n[host."http://{NODE}:5000"]\n'
                   'capabilities = ["pull", "resolve"]\n')
        self.write("containerd/config.toml", f"""
version = 3
root = "{self.folder}/containerd/root"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.btrfs"]
[grpc]
address = "/run/containerd/containerd.sock"
[plugins.'io.containerd.cri.v1.images']
snapshotter = "overlayfs"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "registry.example/pause:1"
[plugins.'io.containerd.cri.v1.images'.registry]
config_path = "{self.folder}/containerd/certs"
[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["/usr/lib/cni"]
conf_dir = "{self.folder}/cni"
[plugins.'io.containerd.cri.v1.runtime'.containerd]
default_runtime_name = "runc"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
BinaryName = "{self.programs}/runc"
SystemdCgroup = false
""")
        self.component("containerd", "--config={folder}/containerd/config.toml")

    def registry(self):
        path = self.write("registry.yaml", {
            "version": 0.1, "storage": {"filesystem": {
                "rootdirectory": str(self.folder / "registry")}},
            "http": {"addr": f"{NODE}:5000"}})
        self.start("registry", "/usr/bin/docker-registry", "serve", path)

    def kubelet(self):
        config = self.write("kubelet.yaml", {
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True},
                               "x509": {"clientCAFile": str(self.folder / "pki/ca.crt")}},
            "authorization": {"mode": "Webhook"}, "failCgroupV1": False,
            "cgroupDriver": "cgroupfs", "cgroupRoot": f"/{CGROUP}", "failSwapOn": False,
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
            "clusterDNS": [NODE], "clusterDomain": "cluster.local",
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%",
                             "imagefs.available": "1%", "nodefs.inodesFree": "1%"},
            "imageGCHighThresholdPercent": 100, "volumePluginDir": "/run/volume-plugins",
            "allowedUnsafeSysctls": ["net.ipv6.conf.*"],
            "maxPods": 200, "resolvConf": str(self.write("resolv.conf", "")),
            "syncFrequency": "10s"})
        self.component("kubelet", f"--config={config}", "--kubeconfig={folder}/kubelet.kubeconfig",
                       "--root-dir={folder}/kubelet", "--hostname-override=node",
                       "--cert-dir={folder}/pki", f"--node-ip={NODE}", "--v=2")

    def proxy(self):
        config = self.write("kube-proxy.yaml", {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
            "clientConnection": {"kubeconfig": str(self.folder / "kube-proxy.kubeconfig")},
            "mode": "nftables", "clusterCIDR": PODS, "hostnameOverride": "node",
            "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s",
                          "tcpCloseWaitTimeout": "0s"}})
        self.component("kube-proxy", f"--config={config}")

    def dns(self):
        path = self.write("Corefile", f""".:53 {{
    bind {NODE}
    errors
    kubernetes cluster.local {{
        kubeconfig {self.folder}/coredns.kubeconfig
    }}
}}
""")
        self.component("coredns", "-conf", str(path))

    def identities(self, pavise):
        """Who a pod is, by the uid of its agent: the authority in SPIRE's place."""
        self.start("authority", pavise, "authority", "--socket",
                   self.folder / "identities/spire-agent.sock", "--trust-domain",
                   "cluster.example")

    def csi(self):
        plugin = self.folder / "kubelet/plugins/csi.spiffe.io"
        registrations = self.folder / "kubelet/plugins_registry"
        for folder in plugin, registrations:
            folder.mkdir(parents=True)
        self.component("csi", "{folder}/identities", str(plugin), str(registrations))

    def wait(self):
        """Everything that loses its parent is ours to reap; a component that ends ends us."""
        while True:
            pid, status = os.wait()
            if pid in self.started:
                sys.exit(f"{self.started[pid]} ended with status {status}; see its log")


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    node = Node(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve())
    node.mounts()
    node.network()
    node.pki()
    node.control_plane()
    node.containerd()
    node.registry()
    node.identities(sys.argv[3])
    node.csi()
    if (node.programs / "coredns").exists():
        node.dns()
    while not os.path.exists("/run/containerd/containerd.sock"):
        time.sleep(0.1)
    node.kubelet()
    node.proxy()
    node.wait()


if __name__ == "__main__":
    main()
