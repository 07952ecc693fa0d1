"""Checks manifests against Kubernetes' schemas, and monitors against the Prometheus Operator's."""

import json
import pathlib
import sys

import jsonschema
import kubernetes_validate
import yaml

VERSIONS = ("1.30", kubernetes_validate.latest_version())  # the oldest that the manifests are for, and the newest
MONITORS = json.loads((pathlib.Path(__file__).parent / "monitors.json").read_text())


def problem(document, version):
    """Returns what is wrong with a document, or None."""
    try:
        if document["apiVersion"].startswith("monitoring.coreos.com/"):
            jsonschema.validate(document, MONITORS[document["kind"]])
        else:
            kubernetes_validate.validate(document, version, strict=True)
    except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
        return f"{'.'.join(str(key) for key in error.path)}: {error.message}"
    return None


def check(name, text, version):
    """Returns the number of documents; ends the program at one that does not fit."""
    documents = [document for document in yaml.safe_load_all(text) if document]
    for document in documents:
        found = problem(document, version)
        if found:
            sys.exit(f"{name}: {document['kind']} {document['metadata']['name']}: {found} (Kubernetes {version})")
    return len(documents)


def main():
    files = [(name, pathlib.Path(name).read_text()) for name in sys.argv[1:]] or [("stdin", sys.stdin.read())]
    for version in VERSIONS:
        count = sum(check(name, text, version) for name, text in files)
        print(f"{count} objects of {len(files)} files fit Kubernetes {version}")
    if not count:
        sys.exit("there are no objects")


if __name__ == "__main__":
    main()
