# SPDX-License-Identifier: MIT
"""Finds the programs that a run needs, and builds our helpers where no build tree has them."""

import hashlib
import os
import pathlib
import shlex
import shutil
import subprocess

from .process import BenchError

SOURCE = pathlib.Path(__file__).resolve().parent.parent
HELPERS = {"origin": [], "grpc_origin": ["-lnghttp2"], "floor": [], "load": ["-lssl", "-lcrypto"],
           "open_load": ["-lm"], "scripted": ["-lm"]}
FLAGS = ["-std=gnu11", "-O2", "-g"]


def system_program(name, package):
    """A program of the distribution; administrators' folders are searched too."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin")
    if path is None:
        raise BenchError(f"{name} is not installed (Debian package {package}); "
                         "./bootstrap --bench installs it")
    return path


def _cache_dir():
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "weir-bench"


def _compile(name):
    """Builds one helper into the cache, under a name that its source and compiler make."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    key = hashlib.sha256(repr((compiler, FLAGS)).encode())
    for source in (SOURCE / f"{name}.c", *sorted(SOURCE.glob("*.h"))):
        key.update(source.read_bytes())
    target = _cache_dir() / f"{name}-{key.hexdigest()[:16]}"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    half_made = target.with_name(f"{target.name}.{os.getpid()}")
    command = [*compiler, *FLAGS, "-o", str(half_made), str(SOURCE / f"{name}.c"), *HELPERS[name]]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise BenchError(f"no C compiler '{compiler[0]}' to build {name}.c; set CC") from None
    if result.returncode != 0:
        raise BenchError(f"{' '.join(command)} failed:\n{result.stderr}")
    half_made.rename(target)
    return target


def helpers(build_dir, names=("origin", "grpc_origin", "floor", "load")):
    """Paths of helpers by name: from the build tree if it has them, else compiled."""
    found = {}
    for name in names:
        built = build_dir / "tests" / "bench" / name if build_dir else None
        found[name] = built if built and os.access(built, os.X_OK) else _compile(name)
    return found


def weir(build_dir, program, module_dir):
    """Weir's program and module folder: as told, else from the build tree."""
    program = pathlib.Path(program) if program else build_dir and build_dir / "weir"
    module_dir = pathlib.Path(module_dir) if module_dir else (
        build_dir and build_dir / "modules" / "built")
    if not program or not os.access(program, os.X_OK):
        raise BenchError(f"no program weir at {program or 'any build tree'}: build it, or say "
                         "--weir PATH or --build-dir DIR, or leave it out by --contenders")
    if not module_dir or not module_dir.is_dir():
        raise BenchError(f"no folder of Weir's modules at {module_dir}: say --module-dir DIR")
    return program.resolve(), module_dir.resolve()


def certificate(folder):
    """A self-signed certificate for localhost with a P-256 key; returns (chain, key, both)."""
    chain, key, both = folder / "server.crt", folder / "server.key", folder / "server.pem"
    result = subprocess.run(
        [system_program("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", chain],
        capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise BenchError(f"openssl could not make a certificate:\n{result.stderr}")
    both.write_bytes(chain.read_bytes() + key.read_bytes())
    return chain, key, both
