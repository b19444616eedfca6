# SPDX-License-Identifier: MIT
"""Pieces of configurations. `@NAME@` stands for a port that the harness chooses, the same for each
configuration of one weir."""

MODULES = ("balance_round_robin", "balance_least_conn", "balance_hash", "balance_random",
           "balance_ewma", "balance_first", "sticky_cookie", "health_http", "health_passive")


def server(name, where, extra=""):
    """A server block; `where` is a URL or a server of the harness."""
    return f'  server "{name}" {{ url = "{getattr(where, "url", where)}"  {extra} }}\n'


def pool(name, servers, extra="", balance="round_robin", balance_options=""):
    """A pool; `servers` maps ids to URLs, servers of the harness, or pairs of one and more options."""
    blocks = "".join(server(key, *(value if isinstance(value, tuple) else (value,)))
                     for key, value in servers.items())
    options = f"{{ {balance_options} }}" if balance_options else "{}"
    return f'pool "{name}" {{\n  balance "{balance}" {options}\n  {extra}\n{blocks}}}\n'


def listener(extra="", name="main", bind=None):
    """A listener on a port of its name."""
    bind = bind or f'"127.0.0.1:@{name}@"'
    return f'listener "{name}" {{\n  bind = {{{bind}}}\n  {extra}\n}}\n'


def routes(**targets):
    """The router's block, from rules in the configuration's own words: `routes(web='"/"')`."""
    rules = "".join(f'  route {path} {{ pool = "{name}" }}\n' for name, path in targets.items())
    return f'module "route_path" {{\n{rules}}}\n'


def modules(*names):
    """Module blocks without options; all that pools can use by default."""
    return "".join(f'module "{name}" {{}}\n' for name in names or MODULES)


def one_pool(servers, pool_options="", listener_options="", balance="round_robin", extra="",
             balance_options=""):
    """What most tests need: one listener, all requests to one pool."""
    return (listener(listener_options) + modules() + routes(web='"/"') +
            pool("web", servers, pool_options, balance, balance_options) + extra)
