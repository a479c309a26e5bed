#!/usr/bin/env python3
"""Draws the digits of models/samples/digits: `python3 models/samples/draw_digits.py [FOLDER]`, which needs numpy and Pillow.

No font and no photograph is used: each digit is a list of strokes, each stroke a smooth curve through points written down
here. A hand chooses slant, pen, trembling, paper and light. Seeds are fixed, so every run gives the same pixels. The class
is the name of the folder: digits/3/hand-b.png.
"""

import os
import sys

import numpy
from PIL import Image

# Points of curves in a box one high: x to the right, y downwards. A stroke with "line" goes straight from point to point,
# one with "curve" through its points as a Catmull-Rom spline, whose doubled points are corners.
CURVE, LINE = "curve", "line"

CONSTRUCTIONS = {
    0: [
        # A narrow oval, closed.
        [(CURVE, [(0.36, 0.02), (0.16, 0.14), (0.08, 0.48), (0.15, 0.84), (0.35, 0.98), (0.54, 0.86), (0.62, 0.50), (0.55, 0.15),
                  (0.36, 0.02)])],
        # A round one whose end passes its beginning.
        [(CURVE, [(0.50, 0.06), (0.26, 0.08), (0.06, 0.34), (0.06, 0.68), (0.26, 0.96), (0.52, 0.94), (0.70, 0.68), (0.69, 0.32),
                  (0.52, 0.06), (0.36, 0.03)])],
    ],
    1: [
        [(LINE, [(0.36, 0.0), (0.34, 1.0)])],
        # With a flag and a foot.
        [(CURVE, [(0.14, 0.26), (0.26, 0.17), (0.38, 0.02), (0.38, 0.02), (0.385, 0.5), (0.38, 0.97)]),
         (LINE, [(0.14, 0.98), (0.62, 0.97)])],
    ],
    2: [
        # A flat foot behind a corner.
        [(CURVE, [(0.08, 0.24), (0.16, 0.07), (0.36, 0.00), (0.56, 0.10), (0.60, 0.29), (0.48, 0.52), (0.26, 0.76), (0.06, 0.97),
                  (0.06, 0.97), (0.36, 0.955), (0.68, 0.97)])],
        # A loop in the corner.
        [(CURVE, [(0.10, 0.20), (0.20, 0.05), (0.38, 0.01), (0.55, 0.11), (0.57, 0.32), (0.44, 0.60), (0.24, 0.88), (0.10, 0.93),
                  (0.07, 0.83), (0.18, 0.78), (0.34, 0.87), (0.50, 0.96), (0.68, 0.90)])],
    ],
    3: [
        [(CURVE, [(0.10, 0.15), (0.24, 0.02), (0.44, 0.03), (0.55, 0.18), (0.48, 0.36), (0.28, 0.46), (0.28, 0.46), (0.50, 0.52),
                  (0.61, 0.70), (0.52, 0.91), (0.30, 0.99), (0.08, 0.88)])],
        # A flat top and a sharp turn.
        [(CURVE, [(0.10, 0.04), (0.32, 0.035), (0.58, 0.03), (0.58, 0.03), (0.44, 0.20), (0.28, 0.38), (0.28, 0.38), (0.50, 0.45),
                  (0.62, 0.64), (0.54, 0.88), (0.32, 0.99), (0.07, 0.90)])],
    ],
    4: [
        # Open at the top: two strokes.
        [(CURVE, [(0.17, 0.04), (0.14, 0.26), (0.10, 0.52), (0.10, 0.52), (0.34, 0.53), (0.64, 0.49)]),
         (CURVE, [(0.55, 0.06), (0.51, 0.50), (0.47, 1.0)])],
        # Closed: a triangle on a stem.
        [(LINE, [(0.47, 0.02), (0.05, 0.66), (0.70, 0.655)]), (LINE, [(0.47, 0.02), (0.475, 0.99)])],
    ],
    5: [
        # The bar on top is a stroke of its own.
        [(CURVE, [(0.18, 0.05), (0.16, 0.22), (0.13, 0.44), (0.13, 0.44), (0.34, 0.38), (0.56, 0.50), (0.60, 0.72), (0.47, 0.93),
                  (0.26, 0.98), (0.07, 0.89)]),
         (LINE, [(0.17, 0.045), (0.60, 0.02)])],
        # One stroke from the end of the bar.
        [(CURVE, [(0.60, 0.03), (0.40, 0.035), (0.20, 0.05), (0.20, 0.05), (0.15, 0.24), (0.12, 0.47), (0.12, 0.47), (0.36, 0.41),
                  (0.58, 0.55), (0.58, 0.80), (0.38, 0.97), (0.10, 0.95)])],
    ],
    6: [
        [(CURVE, [(0.52, 0.02), (0.30, 0.16), (0.13, 0.42), (0.09, 0.72), (0.20, 0.94), (0.40, 0.98), (0.57, 0.84), (0.56, 0.63),
                  (0.40, 0.53), (0.22, 0.60), (0.11, 0.76)])],
        # A straight back and a small bowl.
        [(CURVE, [(0.40, 0.0), (0.25, 0.32), (0.12, 0.66), (0.12, 0.84), (0.26, 0.98), (0.46, 0.93), (0.55, 0.76), (0.44, 0.60),
                  (0.28, 0.60), (0.13, 0.74)])],
    ],
    7: [
        [(LINE, [(0.07, 0.05), (0.62, 0.04)]), (CURVE, [(0.62, 0.04), (0.62, 0.04), (0.46, 0.34), (0.33, 0.66), (0.27, 1.0)])],
        # With a bar, and a hook at its beginning.
        [(CURVE, [(0.08, 0.17), (0.10, 0.06), (0.10, 0.06), (0.34, 0.075), (0.64, 0.03), (0.64, 0.03), (0.46, 0.38), (0.30, 0.99)]),
         (LINE, [(0.22, 0.52), (0.60, 0.49)])],
    ],
    8: [
        # One stroke that crosses itself.
        [(CURVE, [(0.56, 0.14), (0.40, 0.02), (0.20, 0.06), (0.13, 0.22), (0.24, 0.40), (0.44, 0.54), (0.57, 0.74), (0.50, 0.93),
                  (0.30, 0.98), (0.13, 0.88), (0.12, 0.70), (0.28, 0.52), (0.48, 0.37), (0.57, 0.22), (0.54, 0.12)])],
        # Two rings.
        [(CURVE, [(0.36, 0.46), (0.19, 0.40), (0.15, 0.20), (0.26, 0.03), (0.44, 0.03), (0.55, 0.19), (0.52, 0.38), (0.36, 0.46)]),
         (CURVE, [(0.36, 0.46), (0.14, 0.58), (0.08, 0.78), (0.20, 0.96), (0.44, 0.98), (0.61, 0.82), (0.57, 0.58), (0.36, 0.46)])],
    ],
    9: [
        # A curved tail.
        [(CURVE, [(0.56, 0.18), (0.44, 0.03), (0.24, 0.04), (0.11, 0.20), (0.14, 0.40), (0.30, 0.48), (0.48, 0.40), (0.57, 0.18),
                  (0.57, 0.18), (0.60, 0.46), (0.54, 0.76), (0.38, 0.96), (0.14, 0.95)])],
        # A straight stem.
        [(CURVE, [(0.55, 0.16), (0.38, 0.02), (0.17, 0.08), (0.09, 0.27), (0.20, 0.45), (0.40, 0.43), (0.54, 0.24), (0.55, 0.16),
                  (0.55, 0.16), (0.545, 0.5), (0.52, 1.0)])],
    ],
}


class Hand:
    """How somebody writes, with what and on what. Lengths are shares of the digit's height."""

    def __init__(self, side, construction, slant, width, pressure, tremble, ink, paper, shadow, grain):
        self.side, self.construction = side, construction  # pixels of the square picture; which way of writing a digit
        self.slant = slant  # to the right at the top
        self.width, self.pressure, self.tremble = width, pressure, tremble  # of the pen; its variation; deviation of points
        self.ink, self.paper = numpy.array(ink, float), numpy.array(paper, float)
        self.shadow, self.grain = shadow, grain  # how much darker one corner is; standard deviation of the paper's values


HANDS = {
    # Chalk-like, white on black, as MNIST has them.
    "a": Hand(56, 0, 0.06, 0.105, 0.10, 0.012, (255, 255, 255), (0, 0, 0), 0.0, 0.0),
    # A fountain pen on cream-white paper.
    "b": Hand(72, 1, 0.22, 0.088, 0.28, 0.010, (28, 38, 92), (252, 248, 238), 0.05, 0.8),
    # A soft pencil on white paper, upright to backward.
    "c": Hand(64, 1, -0.08, 0.098, 0.18, 0.016, (50, 50, 54), (248, 249, 251), 0.04, 1.5),
    # A felt pen on white paper.
    "d": Hand(80, 0, 0.13, 0.125, 0.08, 0.009, (22, 20, 24), (255, 253, 248), 0.08, 0.6),
}
# Who writes which digit: two hands a digit, who construct it differently; five digits a hand.
WRITERS = ["ab", "cd", "bd", "ac", "cd", "ab", "bd", "ac", "ab", "cd"]


def spline(points, per_span=24):
    """A Catmull-Rom spline through the points."""
    points = numpy.array(points, float)
    padded = numpy.concatenate((points[:1], points, points[-1:]))
    t = numpy.arange(per_span)[:, None] / per_span
    spans = []
    for p0, p1, p2, p3 in zip(padded, padded[1:], padded[2:], padded[3:]):
        spans.append(0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3))
    return numpy.concatenate(spans + [points[-1:]])


def straight(points, per_span=24):
    points = numpy.array(points, float)
    t = numpy.arange(per_span)[:, None] / per_span
    return numpy.concatenate([p + (q - p) * t for p, q in zip(points, points[1:])] + [points[-1:]])


def strokes_of(digit, hand, random):
    """Paths of [N, 2] points in the box one high, as this hand writes them this time."""
    paths = []
    lean = hand.slant + random.normal(0, 0.02)
    wide = random.uniform(0.94, 1.08)
    for kind, points in CONSTRUCTIONS[digit][hand.construction]:
        # A corner, which is a doubled point, moves as one.
        moved = {point: numpy.array(point) + random.normal(0, hand.tremble, 2) for point in dict.fromkeys(points)}
        path = (spline if kind == CURVE else straight)([moved[point] for point in points])
        # A straight line by hand bends a little.
        t = numpy.linspace(0, numpy.pi, len(path))
        path = path + numpy.sin(t)[:, None] * random.normal(0, hand.tremble, 2)
        path[:, 0] = path[:, 0] * wide + (0.5 - path[:, 1]) * lean
        paths.append(path)
    return paths


def coverage(paths, hand, random):
    """[S, S]: how much of each pixel is inked. Each piece of a path is a capsule whose radius is half the pen's width."""
    side, height = hand.side, 0.70 * hand.side
    everything = numpy.concatenate(paths)
    centre = (everything.min(0) + everything.max(0)) / 2
    y, x = numpy.mgrid[0:side, 0:side] + 0.5
    inked = numpy.zeros((side, side))
    for path in paths:
        pixels = (path - centre) * height + side / 2 + random.normal(0, 0.004 * side, 2)
        wave, start = random.uniform(1.5, 3.0), random.uniform(0, 2 * numpy.pi)
        along = numpy.linspace(0, 1, len(pixels))
        radii = 0.5 * hand.width * height * (1 + hand.pressure * numpy.sin(start + wave * 2 * numpy.pi * along) * 0.8)
        radii *= 1 - hand.pressure * 0.9 * numpy.maximum(0, along - 0.8) / 0.2  # the pen is lifted
        for p, q, radius in zip(pixels, pixels[1:], radii):
            span = q - p
            t = ((x - p[0]) * span[0] + (y - p[1]) * span[1]) / max(span @ span, 1e-12)
            t = numpy.clip(t, 0, 1)
            distance = numpy.hypot(x - p[0] - t * span[0], y - p[1] - t * span[1])
            inked = numpy.maximum(inked, numpy.clip(radius - distance + 0.5, 0, 1))
    return inked


def light(hand, random):
    """[S, S, 1]: one at the lamp, less at the corner away from it."""
    angle = random.uniform(0, 2 * numpy.pi)
    y, x = (numpy.mgrid[0:hand.side, 0:hand.side] + 0.5) / hand.side - 0.5
    away = (x * numpy.cos(angle) + y * numpy.sin(angle)) / 1.42 + 0.5
    return (1 - hand.shadow * away**1.5)[:, :, None]


def draw(digit, name):
    hand = HANDS[name]
    random = numpy.random.Generator(numpy.random.PCG64([digit, ord(name)]))
    inked = coverage(strokes_of(digit, hand, random), hand, random)[:, :, None]
    paper = hand.paper + random.normal(0, 1, (hand.side, hand.side, 1)) * hand.grain
    return numpy.clip((paper * (1 - inked) + hand.ink * inked) * light(hand, random) + 0.5, 0, 255).astype(numpy.uint8)


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "digits")
    for digit, writers in enumerate(WRITERS):
        folder = os.path.join(root, str(digit))
        os.makedirs(folder, exist_ok=True)
        for name in writers:
            picture = Image.fromarray(draw(digit, name))
            if HANDS[name].ink[0] == HANDS[name].paper[0] + 255:  # white on black is grey
                picture = picture.convert("L")
            picture.save(os.path.join(folder, f"hand-{name}.png"), optimize=True)


if __name__ == "__main__":
    main()
