# SPDX-License-Identifier: MIT
"""Pools whose servers a scripted name server names."""

from . import conf


def one_pool(dns, url, extra="", pool_options=""):
    """One server block, asked for at `dns`."""
    return dns.option + conf.one_pool({"shop": (url, extra)}, pool_options)


def same_port(http_server, *hosts):
    """Servers at several addresses of this machine, on one port."""
    first = http_server(hosts[0], host=hosts[0])
    return [first] + [http_server(host, host=host, port=first.port) for host in hosts[1:]]


def served_by(weir, count=12):
    """Who answers so many requests."""
    with weir.client() as client:
        return {client.get("/").text for _ in range(count)}
