# SPDX-License-Identifier: MIT
"""Certificates, made once a session by openssl: an authority, and leaves that it signed."""

import pathlib
import ssl
import subprocess


def _openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


class Certificates:
    """A folder of PEM files: NAME.crt (the leaf and its authority), NAME.key, ca.crt."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        _openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                 "-nodes", "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj",
                 "/CN=Weir test authority")
        self.make("localhost", "DNS:localhost,IP:127.0.0.1,IP:::1")
        self.make("one", "DNS:one.example")
        self.make("two", "DNS:two.example,DNS:two.test")
        self.make("wildcard", "DNS:*.wild.example")
        self.make("wrong", "DNS:somebody.else.example")

    def make(self, name, alternatives):
        """A leaf for these subject alternative names; None: it has its common name, NAME, alone."""
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternatives}\n" if alternatives else
                              "keyUsage=digitalSignature\n", encoding="ascii")
        _openssl(self.folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                 "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        _openssl(self.folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey",
                 "ca.key", "-CAcreateserial", "-days", "2", "-extfile", extensions.name,
                 "-out", f"{name}.leaf")
        leaf = (self.folder / f"{name}.leaf").read_text(encoding="ascii")
        authority = (self.folder / "ca.crt").read_text(encoding="ascii")
        (self.folder / f"{name}.crt").write_text(leaf + authority, encoding="ascii")

    @property
    def ca(self):
        return self.folder / "ca.crt"

    def chain(self, name):
        return self.folder / f"{name}.crt"

    def key(self, name):
        return self.folder / f"{name}.key"

    def block(self, name, title=None):
        """A certificate block of a listener's configuration."""
        return (f'certificate "{title or name}" {{ chain = "{self.chain(name)}"  '
                f'key = "{self.key(name)}" }}')

    def server(self, name="localhost"):
        """A context for servers of the harness."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain(name), self.key(name))
        return context

    def client(self, version=None, alpn=None, verify=True):
        """A context for clients that trust the authority; `version` is ssl.TLSVersion."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if verify:
            context.load_verify_locations(self.ca)
        else:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if version is not None:
            context.minimum_version = context.maximum_version = version
        if alpn is not None:
            context.set_alpn_protocols(alpn)
        return context
