from itertools import pairwise
from xml.etree import ElementTree

from bench.plots import Panel, Plot, svg

SVG = "{http://www.w3.org/2000/svg}"
CHEAP = {1: [10.0, 11.0, 12.0], 10: [90.0, 100.0, 120.0], 250: [900.0, 1000.0, 2000.0]}
DEAR = {size: [cost * 5 for cost in costs] for size, costs in CHEAP.items()}


def drawn(**curves) -> ElementTree.Element:
    return ElementTree.fromstring(svg(Plot("availability", "Availability", "SKUs", [Panel("µs <CPU>", curves)])))


def words(picture: ElementTree.Element) -> dict[str, tuple[float, float]]:
    texts = picture.iter(f"{SVG}text")
    return {str(each.text): (float(each.attrib["x"]), float(each.attrib["y"])) for each in texts}


def test_a_plot_names_sizes_costs_and_sides():
    found = words(drawn(ours=CHEAP, Mercurius=DEAR))

    assert {"Availability", "µs <CPU>", "SKUs", "1", "10", "250", "100", "1,000", "ours", "Mercurius"} <= found.keys()


def test_what_costs_less_lies_lower_and_every_median_has_a_point():
    points = [
        (float(each.attrib["cx"]), float(each.attrib["cy"])) for each in drawn(a=CHEAP, b=DEAR).iter(f"{SVG}circle")
    ]

    cheap, dear = points[:3], points[3:]
    assert [x for x, _ in cheap] == [x for x, _ in dear] == sorted(x for x, _ in cheap)
    assert all(low > high for (_, low), (_, high) in zip(cheap, dear, strict=True))  # downwards in SVG


def test_names_of_lines_that_end_together_are_written_below_each_other():
    found = words(drawn(a=CHEAP, b=CHEAP, c={1: [10.0], 250: [1001.0]}))

    heights = sorted(found[name][1] for name in "abc")
    assert all(lower - upper >= 12 for upper, lower in pairwise(heights))


def test_a_curve_of_one_cost_is_drawn_too():
    assert len(list(drawn(ours={1: [100.0], 5: [100.0]}).iter(f"{SVG}circle"))) == 2
