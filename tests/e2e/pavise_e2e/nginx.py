"""nginx on a host of a lab."""

from . import settings


def start(lab, host, http, *ports, name="nginx"):
    """With the text of its http block; up when this returns."""
    config = lab.write(f"{name}.conf", f"""
        daemon off; worker_processes 1; pid {lab.path(f'{name}.pid')}; error_log stderr;
        events {{ worker_connections 64; }}
        http {{ access_log off; {http} }}
    """)
    lab.start(name, [settings.program("nginx"), "-c", config, "-p", lab.directory], host=host)
    for port in ports:
        lab.wait_port(host, host.v4, port)
