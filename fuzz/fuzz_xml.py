"""Outlines in the XML of Aperio (MoNuSeg, MoNuSAC) and of ASAP, with entities that grow without end."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np
from hypothesis import strategies as st
from skimage.io import imsave

from harness import NUMBERS, TEXTS, Reader, damaged, main
from napari_cosynth.datasets.published.monuseg import MonusegDataset

RING = ((2, 2), (9, 2), (9, 9), (2, 9))
_VERTICES = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in RING)
_REGIONS = "".join(
    f'<Region Id="{i}" NegativeROA="{i // 2}"><Vertices>{_VERTICES}</Vertices></Region>'
    for i in (1, 2)
)
_CORNERS = "".join(f'<Coordinate Order="{i}" X="{x}" Y="{y}"/>' for i, (x, y) in enumerate(RING))
CONTENTS = (
    f'<?xml version="1.0"?><Annotations MicronsPerPixel="0.252"><Annotation Id="1" Name="a">'
    f'<Attributes><Attribute Name="b"/></Attributes><Regions>{_REGIONS}</Regions></Annotation>'
    f"<Annotation><Regions>{_REGIONS}</Regions></Annotation></Annotations>",
    '<?xml version="1.0"?><ASAP_Annotations><Annotations>'
    f'<Annotation Name="n" Type="Polygon" PartOfGroup="Tumor"><Coordinates>{_CORNERS}</Coordinates>'
    f'</Annotation><Annotation Type="Dot"><Coordinates>{_CORNERS}</Coordinates></Annotation>'
    '</Annotations><AnnotationGroups><Group Name="Tumor"/></AnnotationGroups></ASAP_Annotations>',
)
_GROWING = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12))
_DOCTYPES = (
    f'<!DOCTYPE Annotations [<!ENTITY e0 "aaaaaaaaaa">{_GROWING}]>',
    '<!DOCTYPE Annotations [<!ENTITY e0 SYSTEM "file:///etc/passwd">]>',
    '<!DOCTYPE Annotations [<!ENTITY e0 SYSTEM "http://127.0.0.1:9/x">]>',
    '<!DOCTYPE Annotations [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x"> %p;]>',
    '<!DOCTYPE Annotations SYSTEM "http://127.0.0.1:9/x.dtd">',
    f'<!DOCTYPE Annotations [<!ENTITY e0 "{"a" * 100_000}">]>',
)
_ENCODINGS = ("utf-16", "utf-32", "utf-7", "ascii", "cp037", "x-unknown", "shift_jis", "latin-1")


def entities(data: st.DataObject, content: str) -> bytes:
    """A document that declares entities and asks for one of them."""
    name = data.draw(st.sampled_from(["e0", "e1", "e5", "e11", "e12"]))
    content = content.replace("?>", "?>" + data.draw(st.sampled_from(_DOCTYPES)), 1)
    content = content.replace(data.draw(st.sampled_from(['"2"', ">", '"a"'])), f'"&{name};"', 1)
    at = data.draw(st.sampled_from(["<Regions>", "<Annotation", "</Annotations>"]))
    many = data.draw(st.sampled_from([1, 5000]))
    return content.replace(at, f"&{name};" * many + at, 1).encode()


def spoiled_values(data: st.DataObject, content: str) -> bytes:
    """A document some of whose elements and attributes are others, gone, or a thousand times there."""
    root, copies = ElementTree.fromstring(content), 1000
    for _ in range(data.draw(st.integers(1, 4))):
        elements = list(root.iter())
        element = data.draw(st.sampled_from(elements))
        kind = data.draw(
            st.sampled_from(["value"] * 4 + ["attribute", "tag", "gone", "many", "in itself"])
        )
        if kind == "value" and element.attrib:
            key = data.draw(st.sampled_from(sorted(element.attrib)))
            value = data.draw(st.sampled_from([*map(str, NUMBERS), *TEXTS]))
            element.set(key, "".join(c for c in value if c.isprintable() and c != "\ud800"))
        elif kind == "attribute" and element.attrib:
            del element.attrib[data.draw(st.sampled_from(sorted(element.attrib)))]
        elif kind == "tag":
            element.tag = data.draw(st.sampled_from(["Annotation", "Region", "Vertex", "x"]))
        elif kind == "gone" and len(element):
            del element[data.draw(st.integers(0, len(element) - 1))]
        elif kind == "many" and len(element):
            element.extend([element[0]] * copies)
            copies = 1  # a thousand times a thousand is a file of gigabytes
        elif kind == "in itself":
            copy = ElementTree.fromstring(ElementTree.tostring(element))
            element.append(copy)
    return ElementTree.tostring(root)


def write(folder: Path, data: st.DataObject) -> None:
    imsave(folder / "a.png", np.full((24, 32, 3), 200, np.uint8), check_contrast=False)
    content = data.draw(st.sampled_from(CONTENTS))
    kind = data.draw(
        st.sampled_from(["values"] * 4 + ["bytes"] * 3 + ["entities", "deep", "encoding"])
    )
    if kind == "values":
        made = spoiled_values(data, content)
    elif kind == "bytes":
        made = damaged(data, content.encode())
    elif kind == "entities":
        made = entities(data, content)
    elif kind == "deep":
        depth = data.draw(st.sampled_from([50, 900, 5000, 100_000]))
        name = data.draw(st.sampled_from(["Annotation", "Region"]))
        made = b"<Annotations>" + f"<{name}>".encode() * depth
        if data.draw(st.booleans()):
            made += f"</{name}>".encode() * depth + b"</Annotations>"
    else:
        stated = data.draw(st.sampled_from(_ENCODINGS)) + data.draw(
            st.sampled_from(["", "", "\0", quoteattr("x")])
        )
        used = data.draw(st.sampled_from(["utf-8", "utf-16", "utf-32", "cp037"]))
        text = content.replace('version="1.0"', f'version="1.0" encoding="{stated}"')
        made = text.encode(used)
    (folder / "a.xml").write_bytes(made)


XML = Reader("MoNuSeg and ASAP, XML", write, lambda folder: list(MonusegDataset(folder)))
READERS = (XML,)

if __name__ == "__main__":
    main(*READERS)
