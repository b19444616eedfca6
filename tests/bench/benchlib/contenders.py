# SPDX-License-Identifier: MIT
"""The proxies under test. Each serves one plain and one TLS port from one thread or worker,
keeps idle connections to the origin, and writes no access log. What is set beyond a program's
defaults is there so that no limit of a default ends a measurement (requests a connection,
connections, idle time), or because it is what an operator who wants speed would set."""

import os
import time

from .process import BenchError, Child, free_ports, wait_for_line
from . import exchange, programs

IDLE_SECONDS = 600  # nobody closes an idle connection during a row


class Contender:
    """A running proxy. `supports_tls` is false for the floor, which reads nothing it relays."""

    name = ""
    supports_tls = True
    grpc = False  # towards the origin of gRPC, by HTTP/2

    def __init__(self, bench):
        self.bench = bench
        self.child = None
        self.plain_port = 0
        self.tls_port = 0

    def prepare(self, folder):
        """Writes configuration into `folder` and returns the command to run."""
        raise NotImplementedError

    def start(self, folder):
        """Runs it, and returns once it passes requests on, on each port."""
        folder.mkdir(parents=True)
        for attempt in range(3):
            self.plain_port, self.tls_port = free_ports(2)
            self.child = Child(self.name, self.prepare(folder), {self.bench.proxy_cpu},
                               folder / "log")
            try:
                self.wait_ready()
                return
            except BenchError:
                # It may have ended because somebody else took the port meanwhile: once more.
                ended = self.child.popen.poll() is not None
                self.stop()
                if not ended or attempt == 2:
                    raise

    def wait_ready(self):
        deadline = time.monotonic() + 10
        for port, tls in ((self.plain_port, False), (self.tls_port, True)):
            while port and (self.supports_tls or not tls):
                try:
                    if not self.grpc:
                        exchange.check_answer(port, tls, "/1k", 1024)
                    elif tls:
                        exchange.check_grpc(self.bench, port)
                    break
                except (OSError, exchange.WrongAnswer) as error:
                    self.child.require_alive()
                    if time.monotonic() > deadline:
                        raise self.child.complaint(f"no right answer on port {port}: {error}") \
                            from None
                    time.sleep(0.02)

    def stop(self):
        if self.child:
            self.child.stop()


class Floor(Contender):
    """Our relay that parses nothing: what moving the bytes costs, and no more."""

    name = "floor"
    supports_tls = False

    def prepare(self, folder):
        return [self.bench.helpers["floor"], self.bench.origin_port, self.plain_port]

    @staticmethod
    def version(_bench):
        return "tests/bench/floor.c"


class HAProxy(Contender):
    """Splicing is on, which its defaults leave off and which large bodies gain by."""

    name = "haproxy"

    def prepare(self, folder):
        forwarded = ""
        if self.bench.forwarded:
            forwarded = """
    option forwardfor
    http-request set-header X-Forwarded-Proto http unless { ssl_fc }
    http-request set-header X-Forwarded-Proto https if { ssl_fc }
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Port %[dst_port]"""
        server = (f"127.0.0.1:{self.bench.grpc_port} proto h2" if self.grpc
                  else f"127.0.0.1:{self.bench.origin_port}")
        path = folder / "haproxy.cfg"
        path.write_text(f"""global
    nbthread 1
    maxconn {self.bench.connections}
    ssl-default-bind-options ssl-min-ver TLSv1.3

defaults
    mode http
    timeout connect 5s
    timeout client {IDLE_SECONDS}s
    timeout server {IDLE_SECONDS}s
    timeout http-keep-alive {IDLE_SECONDS}s

frontend in
    bind 127.0.0.1:{self.plain_port}
    bind 127.0.0.1:{self.tls_port} ssl crt {self.bench.certificate[2]} alpn h2,http/1.1{forwarded}
    default_backend origin

backend origin
    http-reuse always
    option splice-request
    option splice-response
    server origin {server}
""")
        return [programs.system_program("haproxy", "haproxy"), "-db", "-f", path]

    @staticmethod
    def version(bench):
        return bench.first_line([programs.system_program("haproxy", "haproxy"), "-v"])


class Nginx(Contender):
    """Where the defaults lose, what is faster was taken: bodies of requests are passed on as they
    come, 64 KiB at a time, instead of through a file, and bodies of responses never go through
    one. Response buffering is on and its buffers are the defaults: larger ones were slower."""

    name = "nginx"

    def prepare(self, folder):
        forwarded = ""
        if self.bench.forwarded:
            forwarded = """
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Port $server_port;"""
        port = self.bench.grpc_port if self.grpc else self.bench.origin_port
        passing = "grpc_pass grpc://origin;" if self.grpc else f"""proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_request_buffering off;
            client_body_buffer_size 64k;
            proxy_max_temp_file_size 0;{forwarded}"""
        path = folder / "nginx.conf"
        path.write_text(f"""daemon off;
worker_processes 1;
{"user root;" if os.geteuid() == 0 else ""}
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
events {{ worker_connections {2 * self.bench.connections}; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_timeout {IDLE_SECONDS}s;
    keepalive_requests 1000000000;
    upstream origin {{
        server 127.0.0.1:{port};
        keepalive 256;
        keepalive_requests 1000000000;
        keepalive_timeout {IDLE_SECONDS}s;
        keepalive_time 24h;
    }}
    server {{
        listen 127.0.0.1:{self.plain_port} backlog=4096;
        listen 127.0.0.1:{self.tls_port} ssl http2 backlog=4096;
        keepalive_time 24h;
        ssl_certificate {self.bench.certificate[0]};
        ssl_certificate_key {self.bench.certificate[1]};
        ssl_protocols TLSv1.3;
        client_max_body_size 0;
        location / {{
            {passing}
        }}
    }}
}}
""")
        return [programs.system_program("nginx", "nginx"), "-e", folder / "error.log", "-c", path]

    @staticmethod
    def version(bench):
        return bench.first_line([programs.system_program("nginx", "nginx"), "-v"])


class Weir(Contender):
    name = "weir"

    def prepare(self, folder):
        program, module_dir = self.bench.weir
        port = self.bench.grpc_port if self.grpc else self.bench.origin_port
        protocol = 'protocol = "h2"' if self.grpc else ""
        conf_d = folder / "conf.d"
        conf_d.mkdir(exist_ok=True)
        (folder / "state").mkdir(exist_ok=True)
        (folder / "weir.conf").write_text(f"""workers    = 1
state_dir  = "{folder}/state"
module_dir = "{module_dir}"
log_level  = "info"
""")
        (conf_d / "10-listeners.conf").write_text(f"""listener "plain" {{
  bind = {{"127.0.0.1:{self.plain_port}"}}
  idle_timeout = {IDLE_SECONDS}s
}}
listener "tls" {{
  bind = {{"127.0.0.1:{self.tls_port}"}}
  idle_timeout = {IDLE_SECONDS}s
  tls {{
    certificate "default" {{
      chain = "{self.bench.certificate[0]}"
      key   = "{self.bench.certificate[1]}"
    }}
    minimum_version = "1.3"
  }}
}}
""")
        (conf_d / "20-modules.conf").write_text("""module "route_path" {
  route "/" { pool = "origin" }
}
module "balance_round_robin" {}
""")
        (conf_d / "80-pools.conf").write_text(f"""pool "origin" {{
  balance "round_robin" {{}}
  idle_timeout = {IDLE_SECONDS}s
  {protocol}
  server "origin-1" {{ url = "http://127.0.0.1:{port}" }}
}}
""")
        return [program, "-c", folder / "weir.conf"]

    def wait_ready(self):
        wait_for_line(self.child, "ready")
        super().wait_ready()

    @staticmethod
    def version(bench):
        return bench.first_line([bench.weir[0], "-V"])


ALL = {kind.name: kind for kind in (Floor, HAProxy, Nginx, Weir)}
PEERS = ("haproxy", "nginx")
