#!/usr/bin/env python3
"""`make test-compose`: the real docker-compose.yml, driven with the README's own lines. Says what it measured.

    run.py ENVOY-BINARY        the binary goes into an image of our own, unless ENVOY_IMAGE names one

QUICK=1 builds the router with less optimisation, in half the time.
"""

import os
import pathlib
import re
import signal
import sys
import tempfile
import time

import engine
import image
from engine import Failed, run
from stack import DOCKERFILES, Stack
from streams import Streams

LIMIT_SECONDS = 1500
STREAMS = 40
EVENTS, GAP_MS = 40, 100
POLICY = "envoy/compose/policies/chat.yaml"


def say(text):
    print(text, flush=True)


def expect(what, found, wanted):
    if found != wanted:
        raise Failed(f"{what}: {found!r} instead of {wanted!r}")


def readme_lines():
    """The lines of the README's block marked `sh compose`, in their order, by what they do."""
    text = (engine.ROOT / "README.md").read_text()
    block = re.search(r"\n```sh compose\n(.*?)\n```", text, re.S)[1]
    lines = [line for line in block.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    names = ("up", "ask", "fail", "heal", "status", "edit", "down")
    expect("lines in the README", len(lines), len(names))
    return dict(zip(names, lines))


def served(stack, lines, count):
    """The models that answered so many of the README's requests."""
    answers = [stack.shell(lines["ask"]) for _ in range(count)]
    return [re.search(r'"model":\s*"([^"]+)"', answer)[1] if '"choices"' in answer else answer for answer in answers]


def bring_up(stack, lines):
    expect("the README's first line", lines["up"], "docker compose up --build")
    began = time.monotonic()
    stack("build", timeout=1200)
    how = " without optimisation (QUICK)" if stack.arguments else ""
    say(f"built      {time.monotonic() - began:.0f} s{how}")
    for name in DOCKERFILES:
        stack.keep_stage(name, "quick" if stack.arguments else "release")
    stack("up", "--detach")
    say(f"healthy    {stack.wait_healthy():.1f} s after `up` had started everything")
    stack.until("an answer", lambda status, _: status == 200)


def check_socket(stack):
    """What joins the two is open to their user alone. Envoy's image has a shell to ask."""
    modes = stack("exec", "-T", "envoy", "stat", "-c", "%a %u", "/run/model-router/router.sock").stdout.strip()
    expect("mode and owner of the socket", modes, "600 65532")
    say("socket     mode 600, owner 65532")


def check_turns(stack, lines):
    models = served(stack, lines, 6)
    if models[0::2] != [models[0]] * 3 or sorted(set(models)) != ["gpt-4o", "o1-mini"] or models[1::2] != [models[1]] * 3:
        raise Failed(f"the models do not take turns: {models}")
    say(f"in turn    {' '.join(models)}")


def check_failover(stack, lines):
    told = stack.shell(lines["fail"])
    expect("east's answer to its order", told, "east answers 503 for every model\n")
    expect("while east fails", served(stack, lines, 6), ["o1-mini"] * 6)
    status = stack.shell(lines["status"])
    if not re.search(r"gpt-4o.*east.*(suspended|prob)", status):
        raise Failed(f"the status shows no suspension\n{status}")
    stack.shell(lines["heal"])
    seconds = stack.until("east's return", lambda status, answer: (status, answer.get("model")) == (200, "gpt-4o"))
    say(f"failover   6 of 6 served by west while east answered 503; east is back {seconds:.1f} s after it was well")


def check_edit(stack, lines):
    stack.shell(lines["edit"])
    seconds = stack.until("the edited policy", lambda status, answer: answer.get("model") == "gpt-4o-mini")
    if seconds > 1.5:
        raise Failed(f"the policy that was edited on the host was live after {seconds:.1f} s only")
    say(f"edited     live {seconds:.2f} s after the file was saved on the host")


def check_kill(stack):
    """Streams that are under way outlive the router; new requests get an error that says why, until it is back."""
    for port in ("EAST_PORT", "WEST_PORT"):
        order = f'{{"status": 200, "events": {EVENTS}, "gap_ms": {GAP_MS}}}'
        stack.shell(f"curl -s http://127.0.0.1:{stack.ports[port]}/_script -d '{order}'")
    streams = Streams(stack, STREAMS)
    stack("kill", "router")
    under_way = streams.under_way()
    expect("streams under way when the router was killed", under_way, STREAMS)
    seconds = stack.until("a 503", lambda status, answer: status == 503 and "error" in answer)
    under_way = streams.under_way()
    ends = streams.all_ends()
    whole = ends.count((200, EVENTS, True))
    if whole != STREAMS:
        raise Failed(f"{STREAMS - whole} of {STREAMS} streams were cut: {[end for end in ends if end != (200, EVENTS, True)][:3]}")
    stack("start", "router")
    back = stack.until("the router", lambda status, _: status == 200)
    say(f"killed     0 of {STREAMS} streams cut, {under_way} of them under way after the kill; 503 to others {seconds:.1f} s later")
    say(f"back       {back:.1f} s after it was started again")


def check_broken(stack):
    """A policy that can't be used, from the start: the router says so and ends, Envoy answers."""
    stack("down", "--volumes", "--timeout", "5")
    file = stack.directory / POLICY
    good = file.read_text()
    file.write_text(good.replace("model: gpt-4o-mini, endpoint: west", "model: gpt-4, endpoint: west"))
    stack("up", "--detach")
    status = run("docker", "wait", stack.container("router"), timeout=30).stdout.strip()
    expect("the router's exit status", status, "1")
    report = re.search(r"(/etc/model-router/chat\.yaml:\d+:\d+: error: .*)", stack.logs("router"))
    if not report:
        raise Failed(f"the router does not say what is wrong\n{stack.logs('router')}")
    stack.wait_healthy("envoy")
    seen = stack.ask()
    expect("Envoy's answer", (seen[0], seen[1].get("error", {}).get("code")), (503, "service_unavailable"))
    say(f"broken     exit status {status}; {report[1]}")
    say(f"           Envoy answers {seen[0]}: {seen[1]['error']['message']}")
    file.write_text(good)
    stack("up", "--detach")
    stack.until("the repaired policy", lambda status, _: status == 200, limit=30)
    say("repaired   served again after `up`")


def bring_down(stack, lines):
    began = time.monotonic()
    stack.shell(lines["down"])
    expect("what is left", stack.left(), [])
    say(f"down       {time.monotonic() - began:.1f} s; no container, network or volume is left")


def report_image(stack):
    name = stack.images["MODEL_ROUTER"]
    say(f"image      {image.size(name)}")
    files = image.contents(name)
    say(f"contents   {len(files)} files, no shell: {' '.join(files[:14])}{' ...' if len(files) > 14 else ''}")
    policies = stack.directory / "confined"
    policies.mkdir()
    text = (stack.directory / POLICY).read_text()
    (policies / "chat.yaml").write_text(re.sub(r"file: /run/secrets/(\w+)", lambda key: f"env: {key[1].upper()}_KEY", text))
    say(f"confined   serves with {' '.join(image.CONFINED[:7])}: SERVING after {image.runs_confined(name, policies):.1f} s")
    say(f"rebuilt    {image.rebuild(stack):.0f} s after a change of one line; no dependency was compiled")


def drive(stack):
    lines = readme_lines()
    bring_up(stack, lines)
    check_socket(stack)
    check_turns(stack, lines)
    check_failover(stack, lines)
    check_edit(stack, lines)
    check_kill(stack)
    check_broken(stack)
    bring_down(stack, lines)
    report_image(stack)


def stopped(number, _):
    raise Failed(f"stopped by {signal.Signals(number).name}" if number != signal.SIGALRM else f"not through in {LIMIT_SECONDS} s")


def main():
    compose, why = engine.compose_command()
    if not compose:
        say(f"left out: {why}")
        return 0
    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stopped)
    signal.alarm(LIMIT_SECONDS)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="model-router-compose-") as directory:
        stack = None
        try:
            images = engine.bases(sys.argv[1])
            say(f"bases      {time.monotonic() - began:.0f} s: {' '.join(images.values()) or 'the public ones'}")
            engine.copy_to(pathlib.Path(directory))
            stack = Stack(compose, pathlib.Path(directory), images, quick=bool(os.environ.get("QUICK")))
            drive(stack)
        except Failed as failed:
            say(f"FAILED     {failed}")
            return 1
        finally:
            signal.alarm(0)
            if stack:
                stack.clean()
    say(f"all as it should be, after {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
