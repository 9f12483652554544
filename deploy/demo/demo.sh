#!/bin/sh
# Two hosts made of network namespaces, real redis and nginx on one, redis-cli and curl on the
# other, and Pavise between them. Needs root; PAVISE names the built program. Everything it makes
# is in its own namespaces and one temporary directory, and is gone when it ends.
set -u
unset SSL_CERT_FILE SSL_CERT_DIR CURL_CA_BUNDLE REQUESTS_CA_BUNDLE
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL PATH

TRUST_DOMAIN=demo.example
WEB_ID=spiffe://$TRUST_DOMAIN/ns/default/sa/web
DATA_ID=spiffe://$TRUST_DOMAIN/ns/default/sa/data
STRANGER_ID=spiffe://$TRUST_DOMAIN/ns/default/sa/stranger
CONFIG_ID=spiffe://$TRUST_DOMAIN/ns/runtime/sa/config-server
# Users: a caller's uid decides its identity, and an agent's own uid is never captured.
AUTHORITY_UID=1336 WEB_UID=1337 DATA_UID=1338 STRANGER_UID=1339
APP_UID=2001 REDIS_UID=2002 NGINX_UID=2003
ROTATE=2s
LOAD_SECONDS=10
MARKER=MARKER-$$-nobody-else-may-read-this
PLAIN_MARKER=MARKER-$$-anybody-may-read-this

WEB=pavise-demo-$$-web
DATA=pavise-demo-$$-data
STRANGER=pavise-demo-$$-stranger
started=$(date +%s)
dir=
pids=
namespaces=
failed=0

# --- what is said ---------------------------------------------------------------------------------

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$(printf '\033[1m') green=$(printf '\033[32m') red=$(printf '\033[31m')
    dim=$(printf '\033[2m') plain=$(printf '\033[0m')
else
    bold='' green='' red='' dim='' plain=''
fi

heading() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
say() { printf '  %s\n' "$*"; }
indent() { sed "s/^/  $dim|$plain /"; }

pass() {
    printf '  %sPASS%s  %s\n' "$green" "$plain" "$*"
    echo "$*" >>"$dir/passed"
}

# What went wrong, the last lines of every log that is named, and the end.
fail() {
    what=$1
    shift
    printf '\n  %sFAIL%s  %s\n' "$red" "$plain" "$what" >&2
    for log in "$@"; do
        if [ -s "$dir/log/$log" ]; then
            printf '  last lines of %s:\n' "$log" >&2
            tail -n 12 "$dir/log/$log" | cut -c 1-400 | sed 's/^/    /' >&2
        fi
    done
    failed=1
    exit 1
}

# --- making and removing --------------------------------------------------------------------------

end_process() { # PID: politely, then not
    kill "$1" 2>/dev/null
    waited=0
    while kill -0 "$1" 2>/dev/null && [ $waited -lt 30 ]; do
        sleep 0.1
        waited=$((waited + 1))
    done
    kill -9 "$1" 2>/dev/null
    wait "$1" 2>/dev/null
}

clean_up() {
    code=$?
    trap - EXIT INT TERM HUP PIPE
    for pid in $pids; do
        kill "$pid" 2>/dev/null
    done
    for pid in $pids; do
        end_process "$pid"
    done
    # The namespaces are this demo's own, and so is what still runs in them (a load's last command).
    for namespace in $namespaces; do
        for pid in $(ip netns pids "$namespace"); do
            kill -9 "$pid" 2>/dev/null
        done
        ip netns del "$namespace"
    done
    if [ -n "$dir" ]; then
        rm -rf "$dir"
    fi
    if [ "$code" -ne 0 ] && [ $failed -eq 0 ]; then
        printf '\n  %sThe demo did not reach its end.%s\n' "$red" "$plain" >&2
    fi
    exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP PIPE

on() { # NAMESPACE UID COMMAND...
    on_namespace=$1 on_uid=$2
    shift 2
    ip netns exec "$on_namespace" setpriv --reuid="$on_uid" --regid="$on_uid" --clear-groups "$@"
}

# NAME NAMESPACE UID COMMAND...: in the background, its output in log/NAME. `last_pid` is its pid.
# No function in front of the program: the pid must be the program's own.
start() {
    start_name=$1 start_namespace=$2 start_uid=$3
    shift 3
    ip netns exec "$start_namespace" setpriv --reuid="$start_uid" --regid="$start_uid" \
        --clear-groups "$@" </dev/null >"$dir/log/$start_name" 2>&1 &
    last_pid=$!
    pids="$pids $last_pid"
}

forget() { # PID: it has ended
    kept=
    for pid in $pids; do
        [ "$pid" = "$1" ] || kept="$kept $pid"
    done
    pids=$kept
}

wait_until() { # TENTHS COMMAND...
    wait_left=$1
    shift
    while ! "$@" >/dev/null 2>&1; do
        wait_left=$((wait_left - 1))
        [ $wait_left -gt 0 ] || return 1
        sleep 0.1
    done
}

make_namespace() {
    ip netns add "$1" || fail "cannot make a network namespace (ip netns add $1)"
    namespaces="$namespaces $1"
    ip -n "$1" link set lo up
    # nginx does not run as root here.
    ip netns exec "$1" sh -c 'echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start'
}

join() { # NAMESPACE DEVICE ADDRESS NAMESPACE DEVICE ADDRESS
    ip link add "$2" netns "$1" type veth peer name "$5" netns "$4" ||
        fail "cannot make a pair of virtual interfaces"
    ip -n "$1" addr add "$3/24" dev "$2" && ip -n "$1" link set "$2" up
    ip -n "$4" addr add "$6/24" dev "$5" && ip -n "$4" link set "$5" up
}

own_dir() { # UID NAME
    mkdir -p "$dir/$2" && chown "$1:$1" "$dir/$2"
}

# --- what the steps are made of -------------------------------------------------------------------

refuse_to_start() { # EXIT_CODE SENTENCE
    echo "demo: $2" >&2
    failed=1
    exit "$1"
}

check_needs() {
    [ "$(id -u)" = 0 ] || refuse_to_start 3 "needs root (network namespaces, nft)"
    [ -x "${PAVISE:-}" ] || refuse_to_start 2 "PAVISE has to name the built program"
    missing=
    for need in ip:iproute2 nft:nftables setpriv:util-linux tcpdump:tcpdump \
        redis-server:redis-server redis-cli:redis-tools redis-benchmark:redis-tools \
        nginx:nginx curl:curl openssl:openssl; do
        command -v "${need%%:*}" >/dev/null 2>&1 || missing="$missing ${need##*:}"
    done
    [ -z "$missing" ] || refuse_to_start 3 "these Debian packages are missing:$missing"
}

start_capture() { # FILE
    start "tcpdump-$1" "$WEB" 0 \
        tcpdump -i eth0 -U -Z root --immediate-mode -w "$dir/$1.pcap" tcp
    capture_pid=$last_pid
    wait_until 50 grep -q 'listening on' "$dir/log/tcpdump-$1" ||
        fail "tcpdump does not start" "tcpdump-$1"
}

stop_capture() {
    sleep 0.3
    end_process "$capture_pid"
    forget "$capture_pid"
}

occurrences() { # FILE TEXT: how often the capture holds the text
    grep -a -o -F -e "$2" "$dir/$1.pcap" | wc -l
}

write_files() {
    cat >"$dir/nginx.conf" <<END
daemon off;
worker_processes 1;
pid $dir/nginx/pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path $dir/nginx/body;
    proxy_temp_path $dir/nginx/proxy;
    fastcgi_temp_path $dir/nginx/fastcgi;
    uwsgi_temp_path $dir/nginx/uwsgi;
    scgi_temp_path $dir/nginx/scgi;
    default_type text/plain;
    server {
        listen 80;
        return 200 "hello from nginx, you said: \$http_x_note\n";
    }
    server {
        listen 8443 ssl;
        ssl_certificate $dir/nginx/tls.crt;
        ssl_certificate_key $dir/nginx/tls.key;
        ssl_client_certificate $dir/nginx/ca.crt;
        ssl_verify_client on;
        return 200 "settings for certificate \$ssl_client_serial (\$ssl_client_verify)\n";
    }
}
END
    cat >"$dir/entries.yaml" <<END
- {uid: $WEB_UID, spiffeId: "$WEB_ID"}
- {uid: $DATA_UID, spiffeId: "$DATA_ID"}
- {uid: $STRANGER_UID, spiffeId: "$STRANGER_ID"}
END
    cat >"$dir/web.yaml" <<END
identity: {endpoint: "unix://$dir/authority/authority.sock"}
outbound:
  mesh: {networks: [10.0.0.0/24]}
  destinations:
    - name: config-server                # speaks TLS itself and demands a client certificate
      match: {networks: [10.0.0.2], ports: [8443]}
      tls: mutual
      peers: ["$CONFIG_ID"]
intercept: {uid: $WEB_UID}
END
    cat >"$dir/data.yaml" <<END
identity: {endpoint: "unix://$dir/authority/authority.sock"}
inbound:
  mode: strict                           # what comes without a tunnel is refused
  authorization:
    - {action: allow, peers: ["$WEB_ID"], ports: [80, 6379]}
  ports:
    - {port: 6379, deliver: "127.0.0.1:6379"}
    - {port: 8443, tlsMode: disabled}    # nginx checks client certificates itself
intercept: {uid: $DATA_UID}
END
    cat >"$dir/stranger.yaml" <<END
identity: {endpoint: "unix://$dir/authority/authority.sock"}
outbound:
  mesh: {networks: [10.0.1.0/24]}
intercept: {uid: $STRANGER_UID}
END
}

set_up() {
    dir=$(mktemp -d "${TMPDIR:-/tmp}/pavise-demo.XXXXXX") || exit 3
    chmod 755 "$dir"
    mkdir "$dir/log"
    : >"$dir/passed"
    # The users of the demo may not be able to reach the place where it was built.
    cp "$PAVISE" "$dir/pavise" && chmod 755 "$dir/pavise"
    own_dir $AUTHORITY_UID authority
    own_dir $REDIS_UID redis
    own_dir $NGINX_UID nginx
    write_files
    for namespace in "$WEB" "$DATA" "$STRANGER"; do
        make_namespace "$namespace"
    done
    join "$WEB" eth0 10.0.0.1 "$DATA" eth0 10.0.0.2
    join "$STRANGER" eth0 10.0.1.3 "$DATA" eth1 10.0.1.2
}

start_authority() {
    start authority "$DATA" $AUTHORITY_UID "$dir/pavise" authority \
        --socket "$dir/authority/authority.sock" --trust-domain $TRUST_DOMAIN \
        --ttl 1m --rotate-every $ROTATE --entries "$dir/entries.yaml" --state "$dir/authority/state"
    wait_until 100 test -S "$dir/authority/authority.sock" -a -s "$dir/authority/state/ca.crt" ||
        fail "the authority does not start" authority
}

# The config server's own certificate, signed by the same authority.
sign_nginx_certificate() {
    {
        openssl ecparam -name prime256v1 -genkey -noout -out "$dir/nginx/tls.key" &&
            openssl req -new -key "$dir/nginx/tls.key" -subj /CN=config-server \
                -out "$dir/nginx/tls.csr" &&
            printf '%s\n' "subjectAltName=URI:$CONFIG_ID" "basicConstraints=critical,CA:FALSE" \
                "keyUsage=critical,digitalSignature" "extendedKeyUsage=serverAuth,clientAuth" \
                >"$dir/nginx/tls.ext" &&
            openssl x509 -req -in "$dir/nginx/tls.csr" -CA "$dir/authority/state/ca.crt" \
                -CAkey "$dir/authority/state/ca.key" -set_serial 0x$$ -days 1 \
                -extfile "$dir/nginx/tls.ext" -out "$dir/nginx/tls.crt" &&
            cp "$dir/authority/state/ca.crt" "$dir/nginx/ca.crt" &&
            chown $NGINX_UID "$dir"/nginx/tls.*
    } >"$dir/log/openssl" 2>&1 || fail "cannot sign nginx's certificate" openssl
}

start_applications() {
    start redis "$DATA" $REDIS_UID redis-server --bind 127.0.0.1 --dir "$dir/redis" --save ''
    start nginx "$DATA" $NGINX_UID nginx -e stderr -c "$dir/nginx.conf"
    wait_until 100 on "$DATA" $APP_UID redis-cli ping || fail "redis does not answer" redis
    wait_until 100 on "$DATA" $APP_UID curl -sf http://127.0.0.1/ ||
        fail "nginx does not answer" nginx
}

start_agent() { # NAME NAMESPACE UID
    ip netns exec "$2" "$dir/pavise" intercept up --config "$dir/$1.yaml" \
        >"$dir/log/intercept-$1" 2>&1 || fail "pavise intercept up on $1" "intercept-$1"
    start "agent-$1" "$2" "$3" "$dir/pavise" agent --config "$dir/$1.yaml"
    wait_until 100 on "$2" "$3" "$dir/pavise" status --ready ||
        fail "the agent of $1 does not become ready" "agent-$1" authority
}

status() { # NAMESPACE ARGUMENTS...
    status_namespace=$1
    shift
    on "$status_namespace" $APP_UID "$dir/pavise" status "$@"
}

serial() { # NAMESPACE: of the certificate in use
    status "$1" identity -o json | tr ',{}' '\n\n\n' |
        sed -n 's/.*"serial": *"\([^"]*\)".*/\1/p' | head -n 1
}

# --- the steps ------------------------------------------------------------------------------------

step_before() {
    heading "1. Before: two hosts, and no Pavise"
    say "host web 10.0.0.1: curl, redis-cli      host data 10.0.0.2: nginx, redis (loopback only)"
    start_applications
    start_capture before
    say "web\$ curl -H 'X-Note: $PLAIN_MARKER' http://10.0.0.2/"
    on "$WEB" $APP_UID curl -sS -m 5 -H "X-Note: $PLAIN_MARKER" http://10.0.0.2/ \
        >"$dir/log/curl" 2>&1 || fail "curl does not reach nginx" curl nginx
    indent <"$dir/log/curl"
    stop_capture
    seen=$(occurrences before "$PLAIN_MARKER")
    [ "$seen" -ge 2 ] || fail "the capture should have seen the note in plain text" tcpdump-before
    pass "a capture between the hosts reads the note $seen times in plain text"
}

step_start() {
    heading "2. Pavise starts: an authority, an agent on each host, redirect rules"
    start_agent web "$WEB" $WEB_UID
    start_agent data "$DATA" $DATA_UID
    indent <"$dir/log/intercept-web"
    say "web  is $WEB_ID"
    say "data is $DATA_ID"
    pass "both agents are ready; redis, nginx, redis-cli and curl were not touched"
}

step_through() {
    heading "3. The same commands again, through mutual TLS"
    start_capture after
    say "web\$ redis-cli -h 10.0.0.2 SET note $MARKER"
    on "$WEB" $APP_UID redis-cli -h 10.0.0.2 SET note "$MARKER" 2>&1 | indent
    say "web\$ redis-cli -h 10.0.0.2 GET note"
    answer=$(on "$WEB" $APP_UID redis-cli -h 10.0.0.2 GET note 2>&1)
    echo "$answer" | indent
    [ "$answer" = "$MARKER" ] || fail "redis did not give the note back" agent-web agent-data
    say "web\$ curl -H 'X-Note: $MARKER' http://10.0.0.2/"
    answer=$(on "$WEB" $APP_UID curl -sS -m 5 -H "X-Note: $MARKER" http://10.0.0.2/ 2>&1)
    echo "$answer" | indent
    [ "$answer" = "hello from nginx, you said: $MARKER" ] ||
        fail "nginx did not answer" agent-web agent-data
    pass "redis and HTTP work as before"
    stop_capture
    seen=$(occurrences after MARKER-)
    records=$(occurrences after "$(printf '\027\003\003')")
    [ "$seen" -eq 0 ] || fail "the note crossed in plain text $seen times" agent-web agent-data
    [ "$records" -gt 0 ] || fail "no TLS record crossed" agent-web agent-data
    pass "the note crossed 0 times in plain text; $records TLS records did instead"
}

# One line per request: its HTTP status. A connection of its own for each.
start_http_load() { # UNTIL
    start http-load "$WEB" $APP_UID sh -c '
        while [ "$(date +%s)" -lt "$1" ]; do
            curl -s -m 5 -o /dev/null -H "Connection: close" -w "%{http_code}\n" \
                "http://10.0.0.2/?[1-50]"
        done' sh "$1"
}

# One line per run: its number of requests. redis-benchmark ends with an error at the first
# connection that fails.
start_redis_load() { # UNTIL
    start redis-load "$WEB" $APP_UID sh -c '
        while [ "$(date +%s)" -lt "$1" ]; do
            if redis-benchmark -h 10.0.0.2 -c 20 -n 2000 -t set,get -q >/dev/null 2>&1; then
                echo 4000
            else
                echo failed
            fi
        done' sh "$1"
}

step_rotation() {
    heading "4. Certificates rotate every $ROTATE, under load"
    web_before=$(serial "$WEB") data_before=$(serial "$DATA")
    until=$(($(date +%s) + LOAD_SECONDS))
    start_http_load $until
    http_pid=$last_pid
    start_redis_load $until
    redis_pid=$last_pid
    while [ "$(date +%s)" -lt $until ]; do
        serial "$WEB" >>"$dir/serials-web"
        serial "$DATA" >>"$dir/serials-data"
        sleep 0.5
    done
    wait $http_pid
    wait $redis_pid
    forget $http_pid
    forget $redis_pid
    web_after=$(serial "$WEB") data_after=$(serial "$DATA")
    requests=$(grep -c . "$dir/log/http-load")
    bad=$(grep -c -v '^200$' "$dir/log/http-load")
    redis_requests=$(awk '/^[0-9]/ {n += $1} END {print n + 0}' "$dir/log/redis-load")
    redis_bad=$(grep -c failed "$dir/log/redis-load")
    web_count=$(sort -u "$dir/serials-web" | grep -c .)
    data_count=$(sort -u "$dir/serials-data" | grep -c .)
    say "web   serial before ${web_before}  after ${web_after}  ($web_count different ones seen)"
    say "data  serial before ${data_before}  after ${data_after}  ($data_count different ones seen)"
    say "$requests HTTP requests, each with its own connection; $redis_requests redis requests"
    [ "$requests" -gt 0 ] && [ "$redis_requests" -gt 0 ] ||
        fail "there was no load" agent-web agent-data
    [ "$bad" -eq 0 ] && [ "$redis_bad" -eq 0 ] ||
        fail "$bad HTTP requests and $redis_bad redis runs failed" agent-web agent-data
    [ "$web_count" -ge 3 ] && [ "$data_count" -ge 3 ] ||
        fail "the certificates did not rotate" authority agent-web
    pass "0 requests failed while both certificates changed $((web_count - 1)) times"
}

step_refusals() {
    heading "5. Who is not welcome"
    say "host stranger 10.0.1.3 has an agent too, as $STRANGER_ID"
    start_agent stranger "$STRANGER" $STRANGER_UID
    say "stranger\$ redis-cli -h 10.0.1.2 GET note"
    answer=$(on "$STRANGER" $APP_UID timeout 5 redis-cli -h 10.0.1.2 GET note 2>&1)
    echo "$answer" | indent
    case $answer in
    *MARKER*) fail "the stranger read the note" agent-data ;;
    esac
    reason=$(status "$DATA" refusals -o json | tr '{}' '\n\n' | grep -F "$STRANGER_ID" |
        sed -n 's/.*"detail": *"\([^"]*\)".*/\1/p' | head -n 1)
    [ -n "$reason" ] || fail "no reason was given" agent-data agent-stranger
    say "data says why (pavise status refusals):"
    echo "$reason" | indent
    pass "a caller with the wrong identity is refused, with the reason"

    say "web\$ curl http://10.0.0.2/     (past the agent, so without any identity)"
    if on "$WEB" $WEB_UID curl -sS -m 5 http://10.0.0.2/ >"$dir/log/curl" 2>&1; then
        fail "a direct connection was served" curl agent-data
    fi
    indent <"$dir/log/curl"
    pass "a caller without an identity is refused"
}

step_mutual() {
    heading "6. A server that demands client certificates (nginx, ssl_verify_client on)"
    say "web\$ curl http://10.0.0.2:8443/     (plain curl; the rule says tls: mutual)"
    answer=$(on "$WEB" $APP_UID curl -sS -m 5 http://10.0.0.2:8443/ 2>&1)
    echo "$answer" | indent
    case $answer in
    *"settings for certificate"*"(SUCCESS)"*) ;;
    *) fail "plain curl was not let in" agent-web agent-data nginx ;;
    esac
    pass "plain curl is let in: the agent showed web's certificate"
    say "web\$ curl -k https://10.0.0.2:8443/     (past the agent)"
    answer=$(on "$WEB" $WEB_UID curl -k -sS -m 5 https://10.0.0.2:8443/ 2>&1)
    echo "$answer" | grep -i '<title>' | sed 's/<[^>]*>//g' | indent
    case $answer in
    *"No required SSL certificate was sent"*) ;;
    *) echo "$answer" | indent; fail "without the agent, curl was not refused" nginx ;;
    esac
    pass "without the agent the same server refuses"
}

step_status() {
    heading "7. What the agent knows (host data: pavise status)"
    status "$DATA" >"$dir/log/status" 2>&1 || fail "pavise status failed" status agent-data
    cut -c 1-160 "$dir/log/status" | indent
    pass "pavise status answers"
}

step_end() {
    for host in "$WEB" "$DATA" "$STRANGER"; do
        ip netns exec "$host" "$dir/pavise" intercept down >"$dir/log/down" 2>&1 ||
            fail "pavise intercept down" down
        [ -z "$(ip netns exec "$host" nft list ruleset)" ] || fail "rules are left behind"
    done
    pass "pavise intercept down leaves no rule behind"
}

main() {
    check_needs
    set_up
    start_authority
    sign_nginx_certificate
    step_before
    step_start
    step_through
    step_rotation
    step_refusals
    step_mutual
    step_status
    step_end
    heading "Summary ($(($(date +%s) - started)) seconds)"
    while read -r line; do
        printf '  %sPASS%s  %s\n' "$green" "$plain" "$line"
    done <"$dir/passed"
}

main
