"""The picture of a flow diagram."""

from xml.etree import ElementTree

from engine.review.report.flowchart import _CHARACTERS, Step, draw_flowchart

SVG = "{http://www.w3.org/2000/svg}"


def test_text_stays_inside_the_boxes() -> None:
    long = "W" * 200
    steps = [Step("Identification", ("Found:", f"  A very long name {long} (n = 123,456,789,012)"), ("Removed: <&>",))]
    root = ElementTree.fromstring(draw_flowchart("Flow", [*steps, Step("Included", ("x",))]))
    boxes = [
        tuple(float(node.attrib[key]) for key in ("x", "y", "width", "height"))
        for node in root.iter(f"{SVG}rect")
        if node.attrib["class"] == "box"
    ]
    lines = [node for node in root.iter(f"{SVG}text") if node.attrib["class"] == "text"]
    assert len(boxes) == 3 and len(lines) > 6
    for node in lines:
        x, y, text = float(node.attrib["x"]), float(node.attrib["y"]), str(node.text)
        inside = [b for b in boxes if b[0] < x < b[0] + b[2] and b[1] < y < b[1] + b[3]]
        assert len(inside) == 1 and len(text) <= _CHARACTERS
        assert x + len(text) * 13 * (0.94 if "W" in text else 0.3) < inside[0][0] + inside[0][2]
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    assert all(x + w < width and y + h < height for x, y, w, h in boxes)


def test_texts_stay_texts_and_the_file_stays_xml() -> None:
    hostile = "<script>alert(1)</script> \x00\x1b[31m\ud800\ufffe\n\r]]> &amp; \"'"
    root = ElementTree.fromstring(draw_flowchart("Flow", [Step("Screening", (hostile,), (f"  {hostile}",))]))
    assert not root.findall(f".//{SVG}script")
    lines = " ".join(str(node.text) for node in root.iter(f"{SVG}text"))
    assert "<script>alert(1)</script>" in lines and "]]> &amp; \"'" in lines
