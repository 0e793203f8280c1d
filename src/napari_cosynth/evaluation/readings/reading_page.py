"""The page of a blind reading: one HTML file that needs no network and does not contain the key."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from skimage.segmentation import find_boundaries

from napari_cosynth.evaluation.readings.reading import COLUMNS, Item, reading_id
from napari_cosynth.types import ClassTable, Record

_STYLE = """
:root { color-scheme: light }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 1180px; padding: 0 1em 2em;
  color: #1b1b1b; background: #fff }
header { display: flex; gap: 1em; align-items: center; flex-wrap: wrap; padding: .7em 0;
  border-bottom: 1px solid #ddd }
header h1 { font-size: 1.15em; margin: 0 auto 0 0 }
.pair { display: flex; gap: 12px; margin: 1em 0 .4em }
.pair figure { margin: 0; flex: 1; min-width: 0 }
.pair img { width: 100%; image-rendering: pixelated; display: block }
.over { position: relative } #drawn { position: absolute; inset: 0 }
figcaption, .hint { color: #555; font-size: .9em }
.legend span { margin-right: 1.2em; white-space: nowrap }
.legend i { display: inline-block; width: .8em; height: .8em; margin-right: .4em; border-radius: 50%;
  border: 1px solid #555 }
fieldset { border: 1px solid #ccc; border-radius: 6px; margin: .6em 0; padding: .4em 1em .6em }
fieldset.now { border-color: #0072b2; background: #f1f7fb }
fieldset label { margin-right: 1.4em; cursor: pointer; white-space: nowrap }
input:focus-visible, button:focus-visible { outline: 2px solid #0072b2; outline-offset: 2px }
button { font: inherit; padding: .25em .9em; cursor: pointer }
nav { display: flex; flex-wrap: wrap; gap: 3px; margin-top: 1em }
nav button { padding: .1em .4em; min-width: 2.6em; border: 1px solid #bbb; background: #fff }
nav button.done { background: #d5ebdf } nav button.part { background: #fdf0cf }
nav button.here { outline: 2px solid #0072b2 }
kbd { border: 1px solid #bbb; border-radius: 3px; padding: 0 .3em; font-size: .85em }
"""

_BODY = """
<header><h1>Blind reading</h1>
<label>Reader <input id="reader" size="16" autocomplete="off"></label>
<span id="progress" role="status"></span><button id="save">Save CSV</button></header>
<div class="pair"><figure><img id="plain" alt="image"><figcaption>The image</figcaption></figure>
<figure><div class="over"><img id="under" alt=""><img id="drawn" alt="the same image, nuclei outlined">
</div><figcaption>Its nuclei, outlined in the
colour of their class</figcaption></figure></div>
<div class="legend" id="legend"></div>
<form id="form">
<fieldset id="f-origin"><legend>1. Is this image real or synthetic?</legend></fieldset>
<fieldset id="f-labels"><legend>2. Do the outlines agree with the nuclei of the image?</legend></fieldset>
<fieldset id="f-classes"><legend>3. Are the classes of the outlined nuclei right?</legend></fieldset>
</form>
<p><button id="back">&larr; Previous</button> <button id="next">Next &rarr;</button>
<span class="hint">Keys: <kbd>r</kbd> real, <kbd>s</kbd> synthetic, <kbd>1</kbd>&ndash;<kbd>5</kbd> for
the framed question, <kbd>&larr;</kbd> <kbd>&rarr;</kbd> previous and next pair. Answers are kept in this
browser until you save them.</span></p>
<nav id="all" aria-label="pairs"></nav>
"""

_SCRIPT = """
'use strict';
const QUESTIONS = ['origin', 'labels', 'classes'];
const CHOICES = {
  origin: [['real', 'real'], ['synthetic', 'synthetic']],
  labels: [['1', '1 not at all'], ['2', '2'], ['3', '3 about half'], ['4', '4'], ['5', '5 everywhere']],
  classes: [['1', '1 none'], ['2', '2'], ['3', '3 about half'], ['4', '4'], ['5', '5 all']],
};
const STORE = 'cosynth-reading-' + READING.id;
const $ = (id) => document.getElementById(id);
let state = { reader: '', at: 0, answers: {} };
try {
  const kept = JSON.parse(localStorage.getItem(STORE));
  if (kept && typeof kept.answers === 'object' && kept.answers) state = Object.assign(state, kept);
} catch (error) { /* a browser may forbid it: the answers then live as long as the page */ }
if (!(Number.isInteger(state.at) && READING.items[state.at])) state.at = 0;

function keep() {
  try { localStorage.setItem(STORE, JSON.stringify(state)); } catch (error) { /* as above */ }
}
function answersOf(i) {
  const name = READING.items[i].item;
  return state.answers[name] || (state.answers[name] = {});
}
function count(i) {
  const found = state.answers[READING.items[i].item] || {};
  return QUESTIONS.filter((q) => found[q]).length;
}
function answer(question, value) {
  answersOf(state.at)[question] = value;
  keep();
  show();
}
function go(i) {
  state.at = Math.min(Math.max(i, 0), READING.items.length - 1);
  keep();
  show();
}
function show() {
  const item = READING.items[state.at], found = answersOf(state.at);
  $('plain').src = item.image;
  $('under').src = item.image;
  $('drawn').src = item.outlines;
  let now = null;
  for (const q of QUESTIONS) {
    for (const radio of $('f-' + q).querySelectorAll('input')) radio.checked = found[q] === radio.value;
    if (!now && !found[q]) now = q;
    $('f-' + q).classList.toggle('now', q === now);
  }
  const done = READING.items.filter((_, i) => count(i) === QUESTIONS.length).length;
  $('progress').textContent =
    'Pair ' + (state.at + 1) + ' of ' + READING.items.length + ', ' + done + ' complete';
  $('back').disabled = state.at === 0;
  $('next').disabled = state.at === READING.items.length - 1;
  [...$('all').children].forEach((button, i) => {
    const answered = count(i);
    button.className = (answered === 3 ? 'done' : answered ? 'part' : '')
      + (i === state.at ? ' here' : '');
  });
}
for (const q of QUESTIONS) {
  for (const [value, text] of CHOICES[q]) {
    const label = document.createElement('label'), radio = document.createElement('input');
    radio.type = 'radio';
    radio.name = q;
    radio.value = value;
    radio.addEventListener('change', () => answer(q, value));
    label.append(radio, ' ' + text);
    $('f-' + q).append(label);
  }
}
for (const [name, colour] of READING.classes) {
  const entry = document.createElement('span'), dot = document.createElement('i');
  dot.style.background = colour;
  entry.append(dot, name);
  $('legend').append(entry);
}
READING.items.forEach((item, i) => {
  const button = document.createElement('button');
  button.textContent = String(i + 1);
  button.addEventListener('click', () => go(i));
  $('all').append(button);
});
$('form').addEventListener('submit', (event) => event.preventDefault());
$('back').addEventListener('click', () => go(state.at - 1));
$('next').addEventListener('click', () => go(state.at + 1));
$('reader').value = state.reader;
$('reader').addEventListener('input', (event) => { state.reader = event.target.value; keep(); });
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target === $('reader')) return;
  const found = answersOf(state.at), rating = QUESTIONS.slice(1).find((q) => !found[q]);
  if (event.key === 'r') answer('origin', 'real');
  else if (event.key === 's') answer('origin', 'synthetic');
  else if (event.key >= '1' && event.key <= '5' && event.key.length === 1) {
    if (rating) answer(rating, event.key);
  } else if (event.key === 'ArrowLeft') go(state.at - 1);
  else if (event.key === 'ArrowRight') go(state.at + 1);
  else return;
  event.preventDefault();
});
function csv() {
  const cell = (text) => '"' + String(text).replaceAll('"', '""') + '"';
  const lines = [READING.columns.join(',')];
  for (const { item } of READING.items) {
    const found = state.answers[item] || {};
    const row = [READING.id, state.reader.trim(), item, ...QUESTIONS.map((q) => found[q] || '')];
    lines.push(row.map(cell).join(','));
  }
  return lines.join('\\r\\n') + '\\r\\n';
}
$('save').addEventListener('click', () => {
  if (!state.reader.trim()) { $('reader').focus(); $('reader').placeholder = 'your name first'; return; }
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([csv()], { type: 'text/csv' }));
  link.download = 'reading-' + state.reader.trim().replace(/[^A-Za-z0-9_-]+/g, '-') + '.csv';
  link.click();
});
show();
"""


def reading_page(items: Sequence[Item]) -> str:
    """The HTML of a reading's page, with all pairs inside and without their origins.

    Images are stored without compression, so that all take equally many bytes. Noise compresses worse
    than tissue, so compressed sizes could reveal the origin.
    """
    classes = items[0].record.classes
    content = {
        "id": reading_id(items),
        "columns": list(COLUMNS),
        "classes": _legend(classes, items),
        "items": [
            {
                "item": item.name,
                "image": _png(item.record.image),
                "outlines": _png(outlines(item.record), classes),
            }
            for item in items
        ],
    }
    data = json.dumps(content).replace("<", "\\u003c")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{html.escape('Blind reading')}</title><style>{_STYLE}</style></head><body>{_BODY}"
        f"<script>const READING = {data};</script><script>{_SCRIPT}</script></body></html>\n"
    )


def _legend(classes: ClassTable, items: Sequence[Item]) -> list[list[str]]:
    """Name and colour of the classes that occur."""
    present = np.unique(np.concatenate([np.unique(i.record.labels) for i in items]))
    return [[classes.names[k], "#" + classes.colors[k].tobytes().hex()] for k in present if k > 0]


def outlines(record: Record) -> npt.NDArray[np.uint8]:
    """The class of each nucleus along its rim, uint8 (2H, 2W), twice the image's size; 0 elsewhere."""
    instances, labels = (a.repeat(2, 0).repeat(2, 1) for a in (record.instances, record.labels))
    rim = find_boundaries(instances, mode="thick") & (instances > 0)
    return np.where(rim, labels, np.uint8(0))


def _png(image: npt.NDArray[np.uint8], classes: ClassTable | None = None) -> str:
    """A data URI of an RGB image, or of classes (H, W) in their colours on a transparent background."""
    from PIL import Image

    picture, buffer = Image.fromarray(image), io.BytesIO()
    if classes is not None:
        picture.putpalette(classes.colors.tobytes().ljust(768, b"\0"))
        picture.info["transparency"] = 0
    picture.save(buffer, "PNG", compress_level=0)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
