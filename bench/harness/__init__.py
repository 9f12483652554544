"""The benchmark: contenders side by side in one run; docs/performance.md says how and why."""
