"""Commands, each with a time limit, and the images that they need."""

import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BASES = ("RUST_IMAGE", "RUNTIME_IMAGE", "ENVOY_IMAGE")
"""What a build copies, and what a test reads."""
PARTS = (
    "Cargo.toml", "Cargo.lock", "build.rs", "proto", "envoy", "src", "tests/rig", "tests/compose/provider",
    "Dockerfile", ".dockerignore", "docker-compose.yml",
)


class Failed(Exception):
    """What is not as it should be."""


def run(*command, timeout=60, check=True, **more):
    """The finished command with its output as text; fails with its output, or after `timeout` seconds."""
    try:
        done = subprocess.run(
            command, timeout=timeout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **more
        )
    except subprocess.TimeoutExpired as expired:
        raise Failed(f"{' '.join(command)} took longer than {timeout} s\n{tail(expired.stdout or b'')}") from expired
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(command)} exits with {done.returncode}\n{tail(done.stdout)}")
    return done


def tail(output):
    text = output.decode(errors="replace") if isinstance(output, bytes) else output
    return "\n".join(text.splitlines()[-30:])


def answers(*command):
    """Whether a command is there and succeeds."""
    try:
        return run(*command, timeout=20, check=False).returncode == 0
    except (OSError, Failed):
        return False


def compose_command():
    """Compose as a plugin, or the older program; nothing if there is no engine, with the reason."""
    if not answers("docker", "version"):
        return None, "no container engine answers"
    for command in (["docker", "compose"], ["docker-compose"]):
        if answers(*command, "version"):
            return command, ""
    return None, "there is no docker compose"


def bases(envoy):
    """The base images: those that the environment names, else ones made here, else the public ones."""
    given = {name: os.environ[name] for name in BASES if os.environ.get(name)}
    can_make = os.geteuid() == 0 and (shutil.which("debootstrap") or shutil.which("apt-get"))
    if given or not can_make:
        return given
    made = run(str(ROOT / "tests/compose/bases.sh"), envoy, timeout=300).stdout
    lines = [line.split("=", 1) for line in made.splitlines()]
    return {line[0]: line[1] for line in lines if line[0] in BASES}


def copy_to(directory):
    """What is built and started is a copy: the test edits it."""
    for part in PARTS:
        source, to = ROOT / part, directory / part
        to.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, to, ignore=shutil.ignore_patterns("target"))
        else:
            shutil.copy2(source, to)
