"""Helpers of the end-to-end tests: the shipped binary, hosts, real programs, small applications.

Nothing here knows how Pavise works inside: a test sees what a user sees, that is sockets, files,
exit codes, log lines and the status port.
"""
