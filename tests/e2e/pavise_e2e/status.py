"""A client of the status port."""

import http.client
import json
import re

from .waiting import wait_until


class Status:
    def __init__(self, host, port=15020, address="127.0.0.1"):
        self._host = host
        self._address = address
        self.port = port

    def request(self, method, path):
        """(status code, body text)"""
        client = http.client.HTTPConnection(self._address, self.port)
        client.sock = self._host.connect(self._address, self.port)
        try:
            client.request(method, path)
            answer = client.getresponse()
            return answer.status, answer.read().decode()
        finally:
            client.close()

    def get(self, path):
        return self.request("GET", path)

    def post(self, path):
        return self.request("POST", path)

    def json(self, path):
        code, body = self.get(path)
        assert code == 200, f"{path}: {code} {body}"
        return json.loads(body)

    def rows(self, path):
        """The list of /connections, /tunnels, /listeners, /destinations, /refusals."""
        return self.json(path)[path.strip("/")]

    def is_ready(self):
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def serial(self):
        return self.json("/identity")["svids"][0]["serial"]

    def metric(self, name, **labels):
        """The sum of the samples of a name that carry these labels."""
        total, found = 0.0, False
        for line in self.get("/metrics")[1].splitlines():
            match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if match is None or match.group(1) != name:
                continue
            have = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match.group(2) or ""))
            if all(have.get(key) == value for key, value in labels.items()):
                total, found = total + float(match.group(3)), True
        assert found, f"no sample of {name} {labels}"
        return total

    def reasons(self):
        return [row["reason"] for row in self.rows("/refusals")]

    def wait_for_refusal(self, *reasons):
        """The newest refusal with one of these reasons."""
        def find():
            return next((row for row in self.rows("/refusals") if row["reason"] in reasons), None)

        return wait_until(f"/refusals says {' or '.join(reasons)}", find)
