"""Asks URL again and again for SECONDS, each time with a new connection: load.py URL SECONDS."""

import sys
import time
import urllib.request

url, seconds = sys.argv[1], float(sys.argv[2])
asked, failures = 0, []
end = time.monotonic() + seconds
while time.monotonic() < end:
    asked += 1
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            answer.read()
    except OSError as error:
        failures.append(f"{asked}: {error}")
    time.sleep(0.01)
print(f"asked {asked}, failed {len(failures)}", *failures[:5], sep="\n", flush=True)
sys.exit(1 if failures or not asked else 0)
