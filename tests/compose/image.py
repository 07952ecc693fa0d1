"""What the image is: its size, what is in it, under how little it runs, how long a rebuild takes."""

import re
import time

from engine import Failed, run

"""The narrowest that Docker offers; any user will do."""
CONFINED = (
    "--read-only", "--user", "65534", "--cap-drop", "ALL", "--network", "none", "--security-opt", "no-new-privileges",
    "--tmpfs", "/run/model-router:uid=65534,mode=0700",
)


def size(image):
    """In MB, with and without its base."""
    layers = run("docker", "history", "--format", "{{.Size}}|{{.CreatedBy}}", "--no-trunc", image).stdout
    binary = next((line.split("|")[0] for line in layers.splitlines() if "/usr/local/bin/model-router" in line and "COPY" in line), "?")
    total = int(run("docker", "image", "inspect", "-f", "{{.Size}}", image).stdout) / 1e6
    return f"{total:.1f} MB, of that {binary} the program, the rest the runtime base"


def contents(image):
    """The files in it, without those that Docker mounts over."""
    container = run("docker", "create", image).stdout.strip()
    try:
        listing = run("bash", "-c", f"docker export {container} | tar -t", timeout=60).stdout.split()
    finally:
        run("docker", "rm", container)
    mounted = re.compile(r"^(dev|proc|sys)/|^etc/(hosts|hostname|resolv.conf|mtab)$|^\.dockerenv$|/$")
    files = [name for name in (name.removeprefix("./") for name in listing) if name and not mounted.search(name)]
    shells = [name for name in files if name.rsplit("/", 1)[-1] in ("sh", "bash", "dash", "busybox", "ash")]
    if shells:
        raise Failed(f"there is a shell in the image: {shells}")
    return files


def runs_confined(image, policies):
    """It serves where it may do next to nothing; the seconds until it is healthy."""
    environment = ("-e", "EAST_KEY=a", "-e", "WEST_KEY=b", "-v", f"{policies}:/etc/model-router:ro")
    container = run("docker", "run", "--detach", *CONFINED, *environment, image).stdout.strip()
    began = time.monotonic()
    try:
        while run("docker", "exec", container, "/usr/local/bin/model-router", "health", check=False).stdout != "SERVING\n":
            if time.monotonic() - began > 20:
                raise Failed(f"confined, it does not serve\n{run('docker', 'logs', container).stdout}")
        return time.monotonic() - began
    finally:
        run("docker", "rm", "--force", container)


def rebuild(stack):
    """Seconds for a build after one line of the source has changed; nothing else may be compiled."""
    source = stack.directory / "src/main.rs"
    source.write_text(source.read_text().replace("fn main()", "// A change.\nfn main()"))
    before = run("docker", "images", "--quiet", stack.images["MODEL_ROUTER"]).stdout.strip()
    began = time.monotonic()
    output = stack("build", "envoy-config", timeout=900).stdout
    took = time.monotonic() - began
    stack.keep_stage("router", "changed")
    stack.drop_stage("router", "changed")
    run("docker", "rmi", before, check=False)  # nameless since
    plain = re.sub(r"\x1b\[[0-9;]*m", "", output)
    compiled = re.findall(r"Compiling ([\w-]+) v", plain)
    if compiled != ["model-router"]:
        raise Failed(f"a changed line compiles {compiled or 'nothing'}\n{output[-2000:]}")
    return took
