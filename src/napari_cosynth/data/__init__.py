"""Names that programs written for earlier folders import: the same modules, where they lie now."""

import sys
from importlib import import_module

for _old, _new in {
    "base": "records.base",
    "shards": "datasets.shards",
    "stack": "datasets.stack",
}.items():
    sys.modules[f"{__name__}.{_old}"] = import_module(f"napari_cosynth.{_new}")
