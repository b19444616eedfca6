# SPDX-License-Identifier: MIT
"""Builds for the tests: a copy of the checkout's sources, and a build folder a kind of build."""

import dataclasses
import os
import pathlib
import shutil
import signal
import subprocess

# Longer than any honest step on two slow cores; what takes longer hangs.
COMMAND_SECONDS = 1500
TAIL_LINES = 60
GENERATED = (".o", ".a", ".so", ".pyc", ".log", ".trs")


class CommandFailed(Exception):
    """A command that had to succeed did not; the text says which, and where its output is."""


@dataclasses.dataclass
class Context:
    """What a run was asked for, and where it works."""

    source: pathlib.Path
    work: pathlib.Path
    jobs: int
    pattern: str | None
    sanitize: str | None
    keep_going: bool
    verbose: bool

    def run(self, command, log_name, cwd=None, env=None, check=True):
        """Runs a command with its output in logs/LOG_NAME.log; returns its exit code.

        Its whole process group ends with it. With check, a failure prints the log's end and raises.
        """
        log = self.work / "logs" / f"{log_name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "wb") as output:
            process = subprocess.Popen([str(part) for part in command], cwd=cwd, env=env,
                                       stdin=subprocess.DEVNULL, start_new_session=True,
                                       stdout=None if self.verbose else output,
                                       stderr=None if self.verbose else subprocess.STDOUT)
            try:
                code = process.wait(timeout=COMMAND_SECONDS)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise
        if code != 0:
            self.show_tail(log)
            if check:
                raise CommandFailed(f"{pathlib.Path(str(command[0])).name} failed ({code}); "
                                    f"all output: {log}")
        return code

    def show_tail(self, log):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        for line in lines[-TAIL_LINES:]:
            print(f"   | {line}")


def source_files(source):
    """Paths of the sources, relative: what git knows or would know, without git all but what is
    made."""
    if (source / ".git").exists() and shutil.which("git"):
        listed = subprocess.run(
            ["git", "-c", f"safe.directory={source}", "ls-files", "-z", "--cached", "--others",
             "--exclude-standard"], cwd=source, check=True, capture_output=True).stdout
        names = {pathlib.PurePosixPath(os.fsdecode(name)) for name in listed.split(b"\0") if name}
    else:
        names = {pathlib.PurePosixPath(path.relative_to(source)) for path in source.rglob("*")
                 if path.suffix not in GENERATED and
                 not {".run", "autom4te.cache", ".deps"} & set(path.parts)}
    # A build folder inside the checkout, as `mkdir build && cd build && ../configure` makes it.
    builds = {name.parent for name in names if name.name == "config.status" and name.parent.name}
    return sorted(name for name in names
                  if (source / name).is_file() and not builds & set(name.parents))


def snapshot(context):
    """Brings work/src up to date with the checkout.

    The copy keeps builds apart from a configure run in the checkout itself, which would forbid all
    others. What did not change is not touched; what did gets a new time, so that make sees it.
    """
    target = context.work / "src"
    wanted = source_files(context.source)
    for name in wanted:
        data = (context.source / name).read_bytes()
        copy = target / name
        mode = (context.source / name).stat().st_mode & 0o777
        if not copy.is_file() or copy.read_bytes() != data:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(data)
        copy.chmod(mode)
    manifest = context.work / "manifest"
    if manifest.exists():
        for name in set(manifest.read_text(encoding="utf-8").splitlines()) - set(map(str, wanted)):
            (target / name).unlink(missing_ok=True)
    manifest.write_text("".join(f"{name}\n" for name in wanted), encoding="utf-8")
    if not (target / "configure").exists():
        context.run(["autoreconf", "-fi"], "autoreconf", cwd=target)
    return target


def ready_build(context, sanitize):
    """Configures and makes one build; returns its folder. Later calls only make what changed."""
    source = snapshot(context)
    kind = sanitize.replace(",", "-") if sanitize else "plain"
    folder = context.work / f"build-{kind}"
    if not (folder / "Makefile").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [source / "configure", "--enable-werror", f"--prefix={folder}/installed"]
        if sanitize:
            command += [f"--enable-sanitizers={sanitize}", "CFLAGS=-O1 -g"]
        context.run(command, f"configure-{kind}", cwd=folder)
    context.run(["make", f"-j{context.jobs}", "all", "test-programs"], f"make-{kind}", cwd=folder)
    return folder
