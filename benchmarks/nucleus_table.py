"""The quality dock's table: milliseconds to measure, show, sort, filter and mark many nuclei.

    xvfb-run -a python benchmarks/nucleus_table.py [--side 100]

Side x side nuclei of 5 x 5 pixels on a canvas of 8 pixels each. Prints medians of five runs as JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_cosynth.records.base import make_record
from napari_cosynth.types import ClassTable, Record
from napari_cosynth.widget.result.nuclei import nucleus_table
from napari_cosynth.widget.result.nuclei_model import AREA, NucleusModel
from napari_cosynth.widget.result.nuclei_view import EVERY_CLASS, NucleusView


def grid_of_nuclei(side: int) -> Record:
    """A record of side x side square nuclei of two classes."""
    grid = np.arange(side * side, dtype=np.int32).reshape(side, side) + 1
    instances = np.zeros((8 * side, 8 * side), np.int32)
    for dy in range(1, 6):
        for dx in range(1, 6):
            instances[dy::8, dx::8] = grid
    labels = np.where(instances > 0, 1 + instances % 2, 0).astype(np.uint8)
    image = np.zeros((*instances.shape, 3), np.uint8)
    return make_record(image, instances, labels, ClassTable.of("one", "other"), 0.5)


def milliseconds(action: Callable[[], object]) -> float:
    """The median of five runs, with what Qt draws of it."""
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        action()
        QApplication.processEvents()
        times.append(1000 * (time.perf_counter() - begun))
    return round(statistics.median(times), 1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--side", type=int, default=100)
    options = parser.parse_args()
    app = QApplication.instance() or QApplication([])
    record = grid_of_nuclei(options.side)
    table = nucleus_table(record)
    model = NucleusModel()
    view = NucleusView(model)
    view.resize(480, 600)
    view.show()
    orders = [Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder]

    def sort() -> None:
        orders.reverse()
        view.sortByColumn(AREA, orders[0])

    result = {
        "nuclei": len(table),
        "measure (off the GUI thread)": milliseconds(lambda: nucleus_table(record)),
        "show": milliseconds(lambda: model.show(table)),
        "sort by area": milliseconds(sort),
        "filter by class": milliseconds(lambda: view.shown.choose("one", "all nuclei")),
        "show all again": milliseconds(lambda: view.shown.choose(EVERY_CLASS, "all nuclei")),
        "mark one": milliseconds(lambda: model.mark([1], on=1 not in model.marked)),
    }
    print(json.dumps(result, indent=1, ensure_ascii=False))
    app.quit()


if __name__ == "__main__":
    main()
