"""Every contender, in the order of the table."""

from . import envoy, ghostunnel, haproxy, hitch, nginx, pavise, plain, stunnel

ALL = [plain.Direct(), plain.Plain(), plain.Plain("plain again"),
       pavise.Tunnel("pavise"), pavise.Tunnel("pavise boringssl", "boringssl"),
       pavise.Mutual("pavise mutual"),
       haproxy.Haproxy(), haproxy.Haproxy(65536), nginx.Nginx(16), nginx.Nginx(64),
       stunnel.Stunnel(), hitch.Hitch(), envoy.TcpProxy(), envoy.Tunnel(),
       ghostunnel.Ghostunnel()]
