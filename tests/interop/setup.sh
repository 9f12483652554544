#!/bin/sh
# Builds the real peers into FOLDER/bin: setup.sh FOLDER. What cannot be had leaves NAME.reason
# there instead, one line. What is there already for the same versions is not built again.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
folder=$1
bin=$folder/bin
mkdir -p "$bin"
export GOPATH="$folder/gopath" GOCACHE="$folder/gocache" GOTOOLCHAIN=local
export GOFLAGS='-mod=readonly -buildvcs=false'
export CGO_ENABLED=1 # SPIRE's server keeps its data in SQLite

# Go's version as a number, 1.26 -> 126; 0 without Go.
go_version() {
    command -v go >/dev/null 2>&1 || { echo 0; return; }
    go env GOVERSION | sed -n 's/^go\([0-9]*\)\.\([0-9]*\).*/\1 \2/p' |
        awk '{ print $1 * 100 + $2 } END { if (!NR) print 0 }'
}

# reason NAME...: the last line of standard input is why they are not there.
reason() {
    why=$(tail -n 1 | tr -d '"' | cut -c 1-300)
    for name in "$@"; do
        rm -f "$bin/$name"
        printf '%s\n' "$why" >"$bin/$name.reason"
    done
}

# build MODULE NAME PACKAGE [NAME PACKAGE]: programs of a module of ours, which pins all versions.
build() {
    module=$1
    shift
    stamp=$(cd "$here/$module" && cat go.mod go.sum $(find . -name '*.go' | sort) | sha256sum)
    while [ $# -gt 0 ]; do
        if [ ! -x "$bin/$1" ] || [ "$(cat "$bin/$1.stamp" 2>/dev/null)" != "$stamp" ]; then
            log=$bin/$1.log
            if (cd "$here/$module" && go build -o "$bin/$1" -ldflags '-s -w' "$2") \
                >"$log" 2>&1; then
                printf '%s\n' "$stamp" >"$bin/$1.stamp"
                rm -f "$bin/$1.reason"
            else
                reason "$1" <"$log"
            fi
        fi
        shift 2
    done
}

# The applications of Spring Cloud: Maven builds without the network once it has fetched.
spring() {
    command -v mvn >/dev/null 2>&1 || { echo "no mvn" | reason spring; return; }
    command -v javac >/dev/null 2>&1 || { echo "no JDK" | reason spring; return; }
    stamp=$(cd "$here/spring" && cat $(find . -name '*.xml' -o -name '*.java' | sort) | sha256sum)
    [ "$(cat "$bin/spring.stamp" 2>/dev/null)" != "$stamp" ] || [ ! -d "$bin/spring" ] || return 0
    rm -rf "$folder/spring" "$bin/spring"
    cp -R "$here/spring" "$folder/spring"
    log=$bin/spring.log
    export MAVEN_OPTS="${MAVEN_OPTS:--Xmx256m}"
    set -- timeout 900 mvn -q -B -f "$folder/spring/pom.xml" "-Dmaven.repo.local=$folder/m2" package
    if "$@" -o >"$log" 2>&1 || "$@" >"$log" 2>&1; then
        ln -s "$folder/spring" "$bin/spring"
        printf '%s\n' "$stamp" >"$bin/spring.stamp"
        rm -f "$bin/spring.reason"
    else
        grep -m 1 ERROR "$log" | reason spring
    fi
}

spring
if [ "$(go_version)" -lt 126 ]; then
    echo "no Go 1.26 or newer" | reason spire-server spire-agent spiffe-peer ghostunnel istio-ca \
        kube
    exit 0
fi
build spire spire-server github.com/spiffe/spire/cmd/spire-server \
    spire-agent github.com/spiffe/spire/cmd/spire-agent
build peers spiffe-peer .
build istioca istio-ca .
build kube kube .
if [ ! -x "$bin/ghostunnel" ]; then
    CGO_ENABLED=0 GOFLAGS='' GOBIN="$bin" go install github.com/ghostunnel/ghostunnel@v1.11.1 \
        >"$bin/ghostunnel.log" 2>&1 || {
        echo "not to be had from the Go module proxy" | reason ghostunnel
    }
fi
