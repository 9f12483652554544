#!/bin/sh
# Builds a Kubernetes cluster's programs into FOLDER/bin: setup.sh FOLDER. The first time takes
# about half an hour of two cores; what is there already for the same versions is not built again.
# Ends with the reason when one of them cannot be had.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
folder=$1
bin=$folder/bin
mkdir -p "$bin"
export GOPATH="$folder/gopath" GOCACHE="$folder/gocache" GOTOOLCHAIN=local
export GOFLAGS='-mod=readonly -buildvcs=false -p=2'

die() {
    printf 'tests/cluster: %s\n' "$*" >&2
    exit 1
}

# build MODULE NAME PACKAGE [OPTION...]: a program of a module of ours, which pins all versions.
build() {
    module=$1 name=$2 package=$3
    shift 3
    stamp=$(cd "$here/$module" && { cat go.mod go.sum $(find . -name '*.go' | sort)
        echo "$@"; } | sha256sum)
    if [ -x "$bin/$name" ] && [ "$(cat "$bin/$name.stamp" 2>/dev/null)" = "$stamp" ]; then
        return
    fi
    printf 'building %s\n' "$name"
    (cd "$here/$module" && go build -o "$bin/$name" "$@" "$package") >"$bin/$name.log" 2>&1 ||
        die "$name: $(tail -n 1 "$bin/$name.log" | cut -c 1-300)"
    printf '%s\n' "$stamp" >"$bin/$name.stamp"
}

command -v go >/dev/null 2>&1 || die "no Go; 1.26 or newer is needed"
go env GOVERSION | awk '{ split(substr($1, 3), v, "."); exit v[1] * 100 + v[2] < 126 }' ||
    die "Go is older than 1.26"

# The API server and the kubelet ask each other for their versions.
version=$(sed -n 's|^.*k8s.io/kubernetes v\([0-9.]*\).*$|\1|p' "$here/kube/go.mod")
set_version="-s -w -X k8s.io/component-base/version.gitVersion=v$version"
export CGO_ENABLED=0
build etcd etcd go.etcd.io/etcd/server/v3 -ldflags '-s -w'
for name in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
    build kube "$name" "k8s.io/kubernetes/cmd/$name" -ldflags "$set_version"
done
build kube kustomize sigs.k8s.io/kustomize/kustomize/v5 -ldflags '-s -w'
build kube csi ./csi -ldflags '-s -w'
build kube signer ./signer -ldflags '-s -w'
for name in containerd containerd-shim-runc-v2; do
    build containerd "$name" "github.com/containerd/containerd/v2/cmd/$name" -ldflags '-s -w' \
        -tags no_btrfs,no_devmapper,no_zfs
done
build coredns coredns . -ldflags '-s -w'
export CGO_ENABLED=1 # libseccomp
build runc runc github.com/opencontainers/runc -ldflags '-s -w' -tags seccomp
if [ ! -e "$bin/pause.c" ]; then
    (cd "$here/kube" && go mod download k8s.io/kubernetes) || die "no source of Kubernetes' pause"
    source=$(cd "$here/kube" && go list -m -f '{{.Dir}}' k8s.io/kubernetes)
    cp "$source/build/pause/linux/pause.c" "$bin/pause.c"
fi
