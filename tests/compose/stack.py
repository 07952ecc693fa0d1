"""A compose project of our own: its containers, its ports, its images, its end."""

import contextlib
import http.client
import json
import os
import socket
import time

from engine import Failed, answers, run

SERVICES = ("envoy", "router", "east", "west")
CHAT = "/v1/chat/completions"
DOCKERFILES = {"router": "Dockerfile", "provider": "tests/compose/provider/Dockerfile"}
"""Built faster, into a larger and slower program: for where only the behaviour matters."""
QUICK = {
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "1",
}


class Stack:
    """What `docker-compose.yml` describes, under a name and on ports that nothing else has."""

    def __init__(self, compose, directory, images, quick):
        self.compose, self.directory, self.bases = compose, directory, images
        self.arguments = QUICK if quick else {}
        if quick:
            build = {"build": {"context": ".", "args": QUICK}}
            override = {"services": {"envoy-config": build}}
            (directory / "docker-compose.override.yml").write_text(json.dumps(override))
        self.project = f"model-router-test-{os.getpid()}"
        self.images = {name: f"model-router-test/{name.lower()}:{os.getpid()}" for name in ("MODEL_ROUTER", "PROVIDER")}
        self.ports = dict(zip(("ENVOY_PORT", "EAST_PORT", "WEST_PORT"), free_ports(3)))
        self.env = {**os.environ, **images, "COMPOSE_PROJECT_NAME": self.project}
        self.env |= {name: str(port) for name, port in self.ports.items()}
        self.env |= {f"{name}_IMAGE": image for name, image in self.images.items()}

    def __call__(self, *arguments, timeout=120, check=True):
        """Compose with these arguments."""
        return run(*self.compose, *arguments, timeout=timeout, check=check, cwd=self.directory, env=self.env)

    def shell(self, line):
        """A line of the README, with this project's ports and this machine's compose."""
        for default, port in zip((10000, 10001, 10002), self.ports.values()):
            line = line.replace(f"localhost:{default}/", f"127.0.0.1:{port}/")
        line = line.replace("docker compose exec", f"{' '.join(self.compose)} exec -T")
        line = line.replace("docker compose", " ".join(self.compose))
        return run("bash", "-c", line, cwd=self.directory, env=self.env).stdout

    def container(self, service):
        return self("ps", "-q", service).stdout.strip()

    def health(self, service):
        """`healthy`, or how far it is."""
        container = self.container(service)
        if not container:
            return "not there"
        return run("docker", "inspect", "-f", "{{.State.Health.Status}}", container).stdout.strip()

    def wait_healthy(self, *services, limit=60):
        """Seconds until all are healthy."""
        began = time.monotonic()
        while True:
            states = {service: self.health(service) for service in services or SERVICES}
            if set(states.values()) == {"healthy"}:
                return time.monotonic() - began
            if time.monotonic() - began > limit:
                raise Failed(f"not healthy within {limit} s: {states}\n{self.logs()}")
            time.sleep(0.2)

    def logs(self, service=""):
        return self("logs", "--no-color", "--tail", "40", *([service] if service else []), check=False).stdout

    @contextlib.contextmanager
    def request(self, body, timeout=30):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["ENVOY_PORT"], timeout=timeout)
        try:
            connection.request("POST", CHAT, json.dumps(body), {"content-type": "application/json"})
            yield connection.getresponse()
        finally:
            connection.close()

    def ask(self):
        """Status and JSON of the answer to a chat request."""
        with self.request({"model": "any", "messages": [{"role": "user", "content": "Hello"}]}) as answer:
            return answer.status, json.loads(answer.read())

    def until(self, what, fits, limit=10):
        """Asks until an answer fits; seconds."""
        began = time.monotonic()
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                last = self.ask()
                if fits(*last):
                    return time.monotonic() - began
            if time.monotonic() - began > limit:
                raise Failed(f"waited {limit} s for {what}\n{self.logs()}")
            time.sleep(0.02)

    def left(self):
        """What there still is of the project."""
        label = f"label=com.docker.compose.project={self.project}"
        kinds = (["ps", "-aq"], ["network", "ls", "-q"], ["volume", "ls", "-q"])
        return " ".join(run("docker", *kind, "--filter", label).stdout for kind in kinds).split()

    def keep_stage(self, name, tag):
        """Names what the image `name` was built in, so that the next run finds its layers; the one before goes.

        Only the older builder leaves an image of it, nameless, behind."""
        if answers("docker", "buildx", "version"):
            return
        image = f"model-router-test/{name}-stage:{tag}"
        before = run("docker", "images", "--quiet", "--no-trunc", image).stdout.strip()
        arguments = [f"--build-arg={key}={value}" for key, value in {**self.bases, **self.arguments}.items() if key != "ENVOY_IMAGE"]
        command = ("docker", "build", "--quiet", "--target", "build", "--tag", image, "--file", DOCKERFILES[name])
        run(*command, *arguments, ".", cwd=self.directory, timeout=900, env={**self.env, "DOCKER_BUILDKIT": "0"})
        if before and before != run("docker", "images", "--quiet", "--no-trunc", image).stdout.strip():
            run("docker", "rmi", before, check=False)

    def drop_stage(self, name, tag):
        run("docker", "rmi", f"model-router-test/{name}-stage:{tag}", check=False)

    def clean(self):
        """Takes everything down that is up, whatever has happened, and its two images."""
        self("down", "--volumes", "--remove-orphans", "--timeout", "5", check=False)
        for image in self.images.values():
            run("docker", "rmi", image, check=False)


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
