"""Renders the chart with each set of values, checks what comes of it, and compares it with what is stored.

BLESS=1 stores it anew. Usage: chart.py HELM
"""

import os
import pathlib
import subprocess
import sys

import yaml

import check

HERE = pathlib.Path(__file__).parent
CHART = HERE.parent.parent / "deploy/helm/model-router"
HELM = sys.argv[1]

# Flags, and what is said of them.
REFUSED = [
    ([], "give a policy"),
    (["--set", "policy.existingConfigMap=x", "--set", "mode=shared"], "mode shared needs tls.secret"),
    (["--set", "policy.existingConfigMap=x", "--set", "mode=daemon"], "mode"),
    (["--set", "policy.existingConfigMap=x", "--set", "replica=2"], "replica"),
]


def helm(*arguments):
    return subprocess.run([HELM, *map(str, arguments)], capture_output=True, text=True, timeout=60)


def render(*flags):
    return helm("template", "llm", CHART, "--namespace", "default", *flags)


def objects(text):
    """Returns the objects, in an order that does not depend on Helm's version."""
    found = [document for document in yaml.safe_load_all(text) if document]
    return sorted(found, key=lambda document: (document["kind"], document["metadata"]["name"]))


def references(name, documents):
    """Ends the program if a pod mounts what is neither made nor named by the values, or a selector fits no pod."""
    made = {(document["kind"], document["metadata"]["name"]) for document in documents}
    (deployment,) = [document for document in documents if document["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]
    labels = pod["metadata"]["labels"].items()
    values = (HERE / "values" / f"{name}.yaml").read_text()
    for volume in pod["spec"]["volumes"]:
        for kind, key in (("configMap", "name"), ("secret", "secretName")):
            wanted = volume.get(kind, {}).get(key)
            if wanted and (kind[0].upper() + kind[1:], wanted) not in made and wanted not in values:
                sys.exit(f"{name}: nobody makes the {kind} {wanted}")
    containers = pod["spec"].get("initContainers", []) + pod["spec"]["containers"]
    ports = {port["name"] for container in containers for port in container.get("ports", [])}
    for document in documents:
        selector = document["spec"].get("selector", {}) if document["kind"] == "Service" else {}
        if not selector.items() <= labels:
            sys.exit(f"{name}: the selector of the service {document['metadata']['name']} fits no pod")
        wanted = {port["targetPort"] for port in document["spec"]["ports"]} if selector else set()
        if not wanted <= ports:
            sys.exit(f"{name}: no container has the ports {wanted - ports}")


def main():
    for name in sorted(path.stem for path in (HERE / "values").glob("*.yaml")):
        values = HERE / "values" / f"{name}.yaml"
        for problem in (helm("lint", "--strict", CHART, "--values", values), rendered := render("--values", values)):
            if problem.returncode:
                sys.exit(f"{name}: {problem.stdout}{problem.stderr}")
        stored = HERE / "rendered" / f"{name}.yaml"
        if os.environ.get("BLESS"):
            stored.parent.mkdir(exist_ok=True)
            stored.write_text(rendered.stdout)
        fresh = objects(rendered.stdout)
        if fresh != objects(stored.read_text()):
            sys.exit(f"{stored} is stale: BLESS=1 make test-kubernetes, and look at what changed")
        references(name, [document | {"spec": document.get("spec", {})} for document in fresh])
        for version in check.VERSIONS:
            check.check(name, rendered.stdout, version)
        print(f"{name}: {len(fresh)} objects fit Kubernetes {' and '.join(check.VERSIONS)}")
    for flags, told in REFUSED:
        refused = render(*flags)
        if refused.returncode == 0 or told not in refused.stderr:
            sys.exit(f"{flags}: {refused.stderr or 'not refused'} instead of {told}")
    print(f"{len(REFUSED)} mistakes are refused")


if __name__ == "__main__":
    main()
