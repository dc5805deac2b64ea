"""Execution of a scan: in this process, in local processes, on a Ray cluster."""
