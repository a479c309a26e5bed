#!/usr/bin/env python3
"""Draws the scenes of models/samples/photos: `python3 models/samples/draw_scenes.py [FOLDER]`, which needs numpy and Pillow.

Scenes of CIFAR-10's classes in the way photographs look when they are small: soft outlines, light from above, textured
ground, a little noise. They are drawn five times as large as they are saved. Seeds are fixed, so every run gives the same
pixels. The class is the name of the folder: photos/ship/freighter.png.
"""

import os
import sys

import numpy
from PIL import Image, ImageDraw, ImageFilter

SIDE, SCALE = 96, 5  # pixels of a picture; how much larger it is drawn
LARGE = SIDE * SCALE


class Scene:
    """Colours in 0..255 on a square whose sides are one long: x to the right, y downwards."""

    def __init__(self, name):
        self.random = numpy.random.Generator(numpy.random.PCG64([ord(letter) for letter in name]))
        self.pixels = numpy.zeros((LARGE, LARGE, 3))
        self.y, self.x = (numpy.mgrid[0:LARGE, 0:LARGE] + 0.5) / LARGE

    # Masks: [LARGE, LARGE] in 0..1.

    def mask(self, draw, blur=0.0):
        image = Image.new("L", (LARGE, LARGE))
        draw(ImageDraw.Draw(image))
        if blur:
            image = image.filter(ImageFilter.GaussianBlur(blur * LARGE))
        return numpy.asarray(image) / 255

    def polygon(self, points, blur=0.0):
        return self.mask(lambda draw: draw.polygon([(x * LARGE, y * LARGE) for x, y in points], fill=255), blur)

    def ellipse(self, x, y, rx, ry, blur=0.0, angle=0.0):
        t = numpy.linspace(0, 2 * numpy.pi, 90)
        ex, ey = rx * numpy.cos(t), ry * numpy.sin(t)
        return self.polygon(list(zip(x + ex * numpy.cos(angle) - ey * numpy.sin(angle),
                                     y + ex * numpy.sin(angle) + ey * numpy.cos(angle))), blur)

    def smooth(self, points, blur=0.0):
        """A closed Catmull-Rom spline through the points."""
        p = numpy.array(points, float)
        t = numpy.linspace(0, 1, 16, endpoint=False)[:, None]
        spans = []
        for i in range(len(p)):
            a, b, c, d = p[i - 1], p[i], p[(i + 1) % len(p)], p[(i + 2) % len(p)]
            spans.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
        return self.polygon([tuple(q) for q in numpy.concatenate(spans)], blur)

    def line(self, points, width, blur=0.0):
        """A limb or a rope: `width` is one number, or one for each end."""
        begin, end = width if isinstance(width, tuple) else (width, width)

        def draw(image):
            widths = numpy.linspace(begin, end, len(points))
            for (p, q), (w, v) in zip(zip(points, points[1:]), zip(widths, widths[1:])):
                for t in numpy.linspace(0, 1, 40):
                    x, y, r = p[0] + (q[0] - p[0]) * t, p[1] + (q[1] - p[1]) * t, (w + (v - w) * t) / 2
                    image.ellipse([(x - r) * LARGE, (y - r) * LARGE, (x + r) * LARGE, (y + r) * LARGE], fill=255)

        return self.mask(draw, blur)

    def noise(self, cells_x, cells_y=None, octaves=4):
        """Smooth noise of mean zero and deviation one."""
        total = numpy.zeros((LARGE, LARGE))
        for octave in range(octaves):
            nx, ny = cells_x * 2**octave, (cells_y or cells_x) * 2**octave
            if max(nx, ny) > LARGE:
                break
            grid = Image.fromarray(self.random.normal(0, 1, (ny + 1, nx + 1)).astype(numpy.float32))
            total += numpy.asarray(grid.resize((LARGE, LARGE), Image.BICUBIC)) * 0.55**octave
        return (total - total.mean()) / total.std()

    # Painting.

    def gradient(self, top, bottom, begin=0.0, end=1.0):
        t = numpy.clip((self.y - begin) / (end - begin), 0, 1)[:, :, None]
        return numpy.array(top, float) * (1 - t) + numpy.array(bottom, float) * t

    def paint(self, mask, colour):
        colour = numpy.broadcast_to(numpy.array(colour, float), self.pixels.shape)
        self.pixels = self.pixels * (1 - mask[:, :, None]) + colour * mask[:, :, None]

    def body(self, mask, light, dark, texture=0.0, cells=12):
        """A solid: lit from above, with a darker lower edge."""
        rows = numpy.where(mask.max(1) > 0.5)[0] / LARGE
        colour = self.gradient(light, dark, rows.min(), max(rows.max(), rows.min() + 0.01))
        if texture:
            colour = colour * (1 + texture * self.noise(cells))[:, :, None]
        self.paint(mask, colour)

    def shade(self, mask, amount):
        self.pixels *= (1 - amount * mask)[:, :, None]

    def picture(self, blur=0.6, grain=1.5):
        """The photograph: uneven light, the lens's softness, the sensor's noise."""
        vignette = 1 - 0.16 * ((self.x - 0.5) ** 2 + (self.y - 0.5) ** 2) * 2
        values = numpy.clip(self.pixels * vignette[:, :, None], 0, 255).astype(numpy.uint8)
        image = Image.fromarray(values).filter(ImageFilter.GaussianBlur(blur * SCALE)).resize((SIDE, SIDE), Image.BOX)
        values = numpy.asarray(image) + self.random.normal(0, grain, (SIDE, SIDE, 1))
        return Image.fromarray(numpy.clip(values + 0.5, 0, 255).astype(numpy.uint8))

    # Surroundings.

    def sky(self, top=(92, 140, 200), bottom=(196, 214, 228), clouds=0.5):
        self.pixels = self.gradient(top, bottom, 0.0, 0.75)
        cover = numpy.clip(self.noise(3, 5) * 0.5 + clouds - 0.5, 0, 1) * 0.9
        self.paint(cover, (240, 242, 245))

    def sea(self, horizon, near=(38, 70, 96), far=(98, 134, 156)):
        below = (self.y > horizon).astype(float)
        depth = numpy.clip((self.y - horizon) / (1 - horizon), 0, 1)
        waves = self.noise(6, 40, 3) * 0.6 + self.noise(10, 90, 2) * 0.4
        colour = self.gradient(far, near, horizon, 1.0) + (waves * (6 + 14 * depth))[:, :, None] * numpy.array([0.8, 1.0, 1.05])
        self.paint(below, colour)

    def ground(self, horizon, far, near, texture=0.08, cells=24):
        below = numpy.clip((self.y - horizon) * LARGE / 6, 0, 1)
        colour = self.gradient(far, near, horizon, 1.0) * (1 + texture * self.noise(cells, cells * 2, 4))[:, :, None]
        self.paint(below, colour)

    def trees(self, horizon, height, colour):
        line = horizon - height * (0.6 + 0.25 * self.noise(9, 1, 4)[LARGE // 2])
        mask = ((self.y > line[None, :]) & (self.y < horizon + 0.01)).astype(float)
        self.paint(mask, numpy.array(colour, float) * (1 + 0.22 * self.noise(20, 20, 4))[:, :, None])

    def wheel(self, x, y, r, squash=1.0):
        self.paint(self.ellipse(x, y, r * squash, r), (24, 24, 26))
        self.paint(self.ellipse(x, y, r * squash * 0.62, r * 0.62), (150, 152, 156))
        self.paint(self.ellipse(x, y, r * squash * 0.50, r * 0.50), (92, 94, 98))
        self.paint(self.ellipse(x, y, r * squash * 0.18, r * 0.18), (170, 172, 176))


def freighter(scene):
    scene.sky(clouds=0.35)
    scene.sea(0.58)
    hull = scene.polygon([(0.06, 0.545), (0.95, 0.525), (0.90, 0.66), (0.13, 0.665)])
    scene.body(hull, (72, 40, 44), (40, 20, 26))
    scene.paint(scene.polygon([(0.10, 0.632), (0.915, 0.622), (0.90, 0.66), (0.13, 0.665)]), (128, 44, 38))
    scene.paint(scene.polygon([(0.06, 0.545), (0.95, 0.525), (0.948, 0.538), (0.065, 0.558)]), (214, 214, 210))
    house = scene.polygon([(0.13, 0.36), (0.27, 0.36), (0.28, 0.55), (0.13, 0.55)])
    scene.body(house, (246, 246, 242), (206, 208, 210))
    for row in (0.39, 0.44, 0.49):
        scene.paint(scene.polygon([(0.14, row), (0.265, row), (0.265, row + 0.014), (0.14, row + 0.014)]), (70, 82, 96))
    scene.body(scene.polygon([(0.16, 0.26), (0.22, 0.26), (0.225, 0.36), (0.155, 0.36)]), (196, 70, 52), (150, 44, 36))
    scene.paint(scene.polygon([(0.16, 0.26), (0.22, 0.26), (0.22, 0.285), (0.16, 0.285)]), (30, 30, 34))
    colours = [(186, 74, 58), (58, 92, 140), (198, 152, 70), (96, 124, 98), (160, 164, 168), (142, 66, 60)]
    for column in range(7):
        for level in range(2 + (column * 5 % 3 != 0)):
            left, top = 0.32 + column * 0.078, 0.49 - level * 0.052
            box = scene.polygon([(left, top), (left + 0.07, top), (left + 0.07, top + 0.047), (left, top + 0.047)])
            scene.body(box, colours[(column * 2 + level) % 6], [value * 0.75 for value in colours[(column * 2 + level) % 6]])
    scene.paint(scene.line([(0.88, 0.53), (0.88, 0.40)], 0.008), (90, 92, 96))
    wash(scene, 0.07, 0.95, 0.667)


def sailing_boat(scene):
    scene.sky((108, 158, 214), (206, 222, 232), 0.45)
    scene.sea(0.62, (30, 78, 110), (92, 140, 166))
    hull = scene.polygon([(0.20, 0.68), (0.86, 0.665), (0.74, 0.765), (0.30, 0.77)])
    scene.body(hull, (250, 250, 248), (176, 186, 196))
    scene.paint(scene.polygon([(0.205, 0.685), (0.85, 0.67), (0.84, 0.69), (0.22, 0.703)]), (36, 62, 122))
    scene.body(scene.polygon([(0.36, 0.645), (0.58, 0.638), (0.60, 0.67), (0.34, 0.675)]), (240, 240, 236), (198, 200, 204))
    scene.paint(scene.line([(0.515, 0.67), (0.50, 0.08)], 0.010), (110, 96, 84))
    main = scene.smooth([(0.49, 0.10), (0.46, 0.30), (0.37, 0.50), (0.24, 0.615), (0.36, 0.625), (0.49, 0.62), (0.493, 0.36)])
    scene.body(main, (252, 252, 250), (214, 220, 228))
    jib = scene.smooth([(0.515, 0.14), (0.60, 0.34), (0.72, 0.50), (0.82, 0.64), (0.66, 0.635), (0.54, 0.62), (0.525, 0.38)])
    scene.body(jib, (246, 246, 246), (196, 206, 218))
    wash(scene, 0.28, 0.78, 0.772)


def wash(scene, left, right, y):
    """Foam and the reflection at the waterline."""
    scene.shade(scene.ellipse((left + right) / 2, y + 0.035, (right - left) / 2, 0.035, 0.015), 0.45)
    foam = scene.ellipse((left + right) / 2, y + 0.004, (right - left) / 2, 0.010, 0.004)
    scene.paint(foam * numpy.clip(0.55 + 0.4 * scene.noise(30, 60, 3), 0, 1), (226, 234, 238))


def airliner(scene):
    scene.sky((62, 112, 184), (176, 204, 230), 0.42)
    far_wing = scene.polygon([(0.47, 0.45), (0.56, 0.445), (0.70, 0.30), (0.665, 0.295)])
    scene.body(far_wing, (196, 200, 206), (160, 166, 174))
    fuselage = scene.smooth([(0.06, 0.545), (0.10, 0.495), (0.20, 0.465), (0.45, 0.445), (0.70, 0.425), (0.92, 0.395), (0.95, 0.405),
                             (0.80, 0.475), (0.60, 0.525), (0.35, 0.565), (0.15, 0.585), (0.08, 0.575)])
    scene.body(fuselage, (252, 252, 252), (138, 146, 158))
    tail = scene.polygon([(0.80, 0.425), (0.905, 0.395), (0.955, 0.22), (0.90, 0.225)])
    scene.body(tail, (42, 72, 148), (28, 50, 116))
    scene.body(scene.polygon([(0.82, 0.425), (0.92, 0.405), (0.985, 0.455), (0.945, 0.46)]), (210, 214, 220), (150, 156, 166))
    for window in range(24):
        x = 0.20 + window * 0.024
        scene.paint(scene.ellipse(x, 0.497 - (x - 0.2) * 0.088, 0.005, 0.007), (52, 62, 82))
    scene.paint(scene.polygon([(0.090, 0.518), (0.125, 0.498), (0.130, 0.512), (0.096, 0.530)]), (40, 48, 62))
    scene.shade(scene.ellipse(0.47, 0.555, 0.10, 0.03, 0.012), 0.3)
    near_wing = scene.polygon([(0.36, 0.53), (0.54, 0.515), (0.80, 0.70), (0.755, 0.715)])
    scene.body(near_wing, (222, 226, 232), (150, 158, 170))
    for x, y in ((0.475, 0.605), (0.60, 0.675)):
        scene.body(scene.ellipse(x, y, 0.052, 0.027, angle=-0.10), (216, 220, 226), (104, 110, 122))
        scene.paint(scene.ellipse(x - 0.045, y + 0.004, 0.011, 0.022), (44, 50, 62))


def climbing_jet(scene):
    scene.sky((96, 142, 198), (190, 210, 228), 0.3)
    # From below, on its way up to the left.
    grey, dark = (116, 124, 138), (70, 76, 90)
    scene.body(scene.polygon([(0.44, 0.42), (0.56, 0.50), (0.93, 0.36), (0.90, 0.33)]), grey, dark)
    scene.body(scene.polygon([(0.44, 0.46), (0.50, 0.58), (0.30, 0.93), (0.265, 0.91)]), grey, dark)
    scene.body(scene.polygon([(0.71, 0.70), (0.77, 0.74), (0.92, 0.70), (0.90, 0.68)]), grey, dark)
    scene.body(scene.polygon([(0.70, 0.72), (0.74, 0.77), (0.67, 0.92), (0.65, 0.90)]), grey, dark)
    body = scene.line([(0.17, 0.22), (0.24, 0.28), (0.55, 0.56), (0.80, 0.79)], (0.055, 0.055))
    body = numpy.maximum(body, scene.line([(0.15, 0.20), (0.26, 0.30), (0.60, 0.61)], (0.05, 0.10)))
    body = numpy.maximum(body, scene.line([(0.25, 0.29), (0.60, 0.61), (0.85, 0.84)], (0.095, 0.02)))
    scene.body(body, (214, 220, 228), (120, 128, 142))
    for x, y in ((0.63, 0.43), (0.37, 0.66)):
        scene.body(scene.line([(x - 0.05, y - 0.05), (x + 0.01, y + 0.01)], 0.05), (150, 156, 168), (70, 76, 88))


def car(scene):
    scene.sky((150, 178, 206), (214, 222, 228), 0.5)
    scene.trees(0.50, 0.20, (62, 84, 50))
    scene.ground(0.50, (120, 136, 84), (120, 130, 84))
    scene.ground(0.60, (128, 128, 130), (84, 84, 88), 0.05, 40)
    scene.shade(scene.ellipse(0.5, 0.765, 0.43, 0.035, 0.012), 0.65)
    body = scene.smooth([(0.07, 0.66), (0.075, 0.585), (0.12, 0.545), (0.26, 0.52), (0.35, 0.445), (0.44, 0.405), (0.60, 0.40),
                         (0.70, 0.43), (0.80, 0.505), (0.91, 0.53), (0.935, 0.60), (0.93, 0.70), (0.88, 0.735), (0.5, 0.74),
                         (0.13, 0.735), (0.075, 0.71)])
    scene.body(body, (232, 62, 48), (120, 18, 20))
    scene.paint(scene.smooth([(0.30, 0.525), (0.375, 0.455), (0.45, 0.428), (0.515, 0.425), (0.515, 0.53), (0.40, 0.535)]), (46, 56, 68))
    scene.paint(scene.smooth([(0.54, 0.425), (0.60, 0.422), (0.675, 0.448), (0.745, 0.515), (0.65, 0.53), (0.54, 0.53)]), (40, 50, 62))
    scene.paint(scene.polygon([(0.34, 0.505), (0.43, 0.44), (0.46, 0.44), (0.38, 0.515)]), (128, 146, 164))
    scene.paint(scene.line([(0.10, 0.60), (0.30, 0.555), (0.60, 0.55), (0.90, 0.565)], 0.010, 0.003), (250, 132, 116))
    scene.shade(scene.line([(0.53, 0.54), (0.53, 0.71)], 0.006), 0.5)
    scene.paint(scene.ellipse(0.105, 0.588, 0.028, 0.018), (246, 240, 214))
    scene.paint(scene.ellipse(0.922, 0.575, 0.014, 0.020), (120, 8, 12))
    scene.paint(scene.polygon([(0.075, 0.685), (0.93, 0.685), (0.92, 0.725), (0.085, 0.725)]) * 0.75, (40, 14, 16))
    scene.paint(scene.polygon([(0.455, 0.585), (0.495, 0.583), (0.495, 0.592), (0.455, 0.594)]), (60, 10, 12))
    for x in (0.235, 0.765):
        scene.paint(scene.ellipse(x, 0.70, 0.092, 0.092), (30, 10, 12))
        scene.wheel(x, 0.715, 0.078)


def car_from_the_front(scene):
    scene.sky((176, 194, 210), (220, 226, 230), 0.6)
    scene.trees(0.44, 0.26, (74, 88, 66))
    scene.ground(0.44, (150, 150, 150), (92, 92, 96), 0.05, 40)
    scene.shade(scene.ellipse(0.5, 0.83, 0.40, 0.05, 0.015), 0.7)
    for x in (0.205, 0.795):
        scene.paint(scene.polygon([(x - 0.06, 0.66), (x + 0.06, 0.66), (x + 0.055, 0.84), (x - 0.055, 0.84)]), (22, 22, 24))
    roof = scene.smooth([(0.255, 0.44), (0.31, 0.275), (0.40, 0.245), (0.60, 0.245), (0.69, 0.275), (0.745, 0.44), (0.5, 0.47)])
    scene.body(roof, (60, 104, 178), (28, 60, 120))
    glass = scene.smooth([(0.285, 0.43), (0.335, 0.305), (0.42, 0.285), (0.58, 0.285), (0.665, 0.305), (0.715, 0.43), (0.5, 0.45)])
    scene.body(glass, (122, 142, 160), (34, 42, 54))
    body = scene.smooth([(0.13, 0.56), (0.17, 0.475), (0.28, 0.43), (0.5, 0.42), (0.72, 0.43), (0.83, 0.475), (0.87, 0.56), (0.875, 0.70),
                         (0.84, 0.765), (0.5, 0.78), (0.16, 0.765), (0.125, 0.70)])
    scene.body(body, (74, 124, 202), (20, 44, 98))
    scene.paint(scene.smooth([(0.24, 0.475), (0.5, 0.455), (0.76, 0.475), (0.5, 0.49)], 0.006) * 0.6, (166, 198, 240))
    for x in (0.225, 0.775):
        scene.body(scene.ellipse(x, 0.575, 0.068, 0.042, angle=0.25 if x < 0.5 else -0.25), (250, 250, 246), (168, 176, 186))
    scene.body(scene.polygon([(0.34, 0.565), (0.66, 0.565), (0.64, 0.625), (0.36, 0.625)]), (26, 28, 32), (54, 56, 60))
    scene.paint(scene.line([(0.35, 0.595), (0.65, 0.595)], 0.008), (170, 174, 180))
    scene.paint(scene.polygon([(0.20, 0.685), (0.80, 0.685), (0.76, 0.745), (0.24, 0.745)]), (24, 26, 32))
    scene.paint(scene.polygon([(0.42, 0.665), (0.58, 0.665), (0.58, 0.705), (0.42, 0.705)]), (232, 232, 226))
    for x in (0.105, 0.895):
        scene.body(scene.ellipse(x, 0.445, 0.035, 0.022), (60, 104, 178), (28, 60, 120))


def lorry(scene):
    scene.sky((128, 164, 204), (210, 220, 228), 0.45)
    scene.trees(0.56, 0.14, (76, 94, 60))
    scene.ground(0.56, (150, 146, 104), (138, 132, 96))
    scene.ground(0.66, (126, 126, 128), (88, 88, 92), 0.05, 40)
    scene.shade(scene.ellipse(0.5, 0.825, 0.46, 0.03, 0.012), 0.65)
    scene.paint(scene.polygon([(0.10, 0.69), (0.93, 0.69), (0.93, 0.745), (0.10, 0.745)]), (40, 40, 44))
    box = scene.polygon([(0.33, 0.215), (0.955, 0.215), (0.955, 0.695), (0.33, 0.695)])
    scene.body(box, (244, 244, 240), (196, 198, 200))
    for column in range(1, 8):
        scene.shade(scene.line([(0.33 + column * 0.078, 0.225), (0.33 + column * 0.078, 0.69)], 0.003), 0.18)
    scene.paint(scene.polygon([(0.33, 0.40), (0.955, 0.40), (0.955, 0.49), (0.33, 0.49)]), (46, 92, 156))
    scene.shade(scene.polygon([(0.33, 0.215), (0.345, 0.215), (0.345, 0.695), (0.33, 0.695)]), 0.3)
    cab = scene.smooth([(0.055, 0.72), (0.055, 0.57), (0.075, 0.53), (0.115, 0.375), (0.15, 0.345), (0.29, 0.335), (0.315, 0.36), (0.315, 0.73),
                        (0.2, 0.745), (0.075, 0.745)])
    scene.body(cab, (222, 82, 44), (146, 38, 24))
    scene.paint(scene.smooth([(0.105, 0.525), (0.135, 0.40), (0.165, 0.385), (0.265, 0.385), (0.27, 0.525), (0.18, 0.53)]), (48, 60, 74))
    scene.paint(scene.polygon([(0.13, 0.51), (0.165, 0.40), (0.19, 0.40), (0.16, 0.515)]), (140, 158, 174))
    scene.shade(scene.line([(0.285, 0.38), (0.29, 0.71)], 0.005), 0.4)
    scene.paint(scene.polygon([(0.05, 0.70), (0.16, 0.70), (0.16, 0.745), (0.05, 0.745)]), (60, 62, 66))
    scene.paint(scene.ellipse(0.068, 0.645, 0.016, 0.022), (250, 244, 214))
    for x in (0.20, 0.72, 0.86):
        scene.paint(scene.ellipse(x, 0.745, 0.078, 0.078), (22, 20, 22))
        scene.wheel(x, 0.76, 0.066)


def lorry_from_the_front(scene):
    scene.sky((150, 178, 208), (216, 224, 230), 0.45)
    scene.trees(0.55, 0.16, (70, 90, 56))
    scene.ground(0.55, (140, 140, 140), (88, 88, 92), 0.05, 40)
    scene.shade(scene.ellipse(0.52, 0.885, 0.40, 0.045, 0.015), 0.7)
    side = scene.polygon([(0.60, 0.13), (0.955, 0.26), (0.955, 0.73), (0.60, 0.80)])
    scene.body(side, (206, 208, 210), (150, 152, 156))
    scene.body(scene.polygon([(0.15, 0.125), (0.60, 0.125), (0.60, 0.50), (0.15, 0.50)]), (240, 240, 238), (214, 214, 212))
    for x, y, r in ((0.71, 0.79, 0.066), (0.87, 0.755, 0.052)):
        scene.wheel(x, y, r, 0.62)
    for x in (0.20, 0.555):
        scene.paint(scene.polygon([(x - 0.05, 0.74), (x + 0.05, 0.74), (x + 0.05, 0.89), (x - 0.05, 0.89)]), (20, 20, 22))
    cab = scene.smooth([(0.135, 0.79), (0.135, 0.52), (0.165, 0.31), (0.20, 0.275), (0.56, 0.275), (0.595, 0.31), (0.625, 0.52), (0.625, 0.79),
                        (0.58, 0.825), (0.18, 0.825)])
    scene.body(cab, (226, 178, 52), (156, 104, 20))
    scene.body(scene.smooth([(0.175, 0.49), (0.20, 0.335), (0.23, 0.315), (0.53, 0.315), (0.56, 0.335), (0.585, 0.49), (0.38, 0.50)]),
               (104, 124, 142), (36, 44, 56))
    scene.body(scene.polygon([(0.24, 0.565), (0.52, 0.565), (0.52, 0.70), (0.24, 0.70)]), (50, 50, 54), (26, 26, 30))
    for y in (0.59, 0.62, 0.65, 0.68):
        scene.paint(scene.line([(0.25, y), (0.51, y)], 0.007), (180, 182, 186))
    scene.paint(scene.polygon([(0.13, 0.745), (0.63, 0.745), (0.63, 0.80), (0.13, 0.80)]), (184, 186, 190))
    for x in (0.185, 0.575):
        scene.body(scene.ellipse(x, 0.685, 0.036, 0.030), (252, 250, 240), (196, 198, 200))


def songbird(scene):
    scene.pixels = scene.gradient((138, 164, 112), (88, 118, 70)) * (1 + 0.10 * scene.noise(3, 3, 2))[:, :, None]
    branch = scene.line([(0.0, 0.80), (0.35, 0.765), (0.7, 0.78), (1.0, 0.72)], (0.055, 0.035))
    scene.body(branch, (132, 104, 80), (70, 52, 40), 0.12, 40)
    for x in (0.44, 0.52):
        scene.paint(scene.line([(x, 0.66), (x + 0.005, 0.77)], 0.014), (84, 62, 48))
    scene.body(scene.polygon([(0.60, 0.56), (0.69, 0.50), (0.93, 0.74), (0.87, 0.79)]), (92, 80, 70), (58, 48, 42))
    body = scene.smooth([(0.26, 0.36), (0.30, 0.27), (0.40, 0.235), (0.49, 0.28), (0.56, 0.37), (0.67, 0.48), (0.70, 0.58), (0.62, 0.67),
                         (0.48, 0.71), (0.36, 0.66), (0.29, 0.54), (0.285, 0.44)])
    scene.body(body, (124, 108, 92), (206, 190, 170), 0.05, 40)
    breast = scene.smooth([(0.29, 0.40), (0.36, 0.38), (0.44, 0.46), (0.46, 0.58), (0.42, 0.66), (0.34, 0.60), (0.29, 0.50)], 0.012)
    scene.body(breast, (222, 104, 44), (196, 96, 52), 0.05, 40)
    wing = scene.smooth([(0.46, 0.40), (0.56, 0.42), (0.68, 0.53), (0.78, 0.66), (0.66, 0.635), (0.53, 0.58), (0.46, 0.49)])
    scene.body(wing, (104, 88, 74), (66, 54, 46), 0.10, 40)
    scene.paint(scene.polygon([(0.275, 0.315), (0.19, 0.345), (0.275, 0.355)]), (62, 52, 44))
    scene.paint(scene.ellipse(0.345, 0.312, 0.020, 0.020), (14, 12, 12))
    scene.paint(scene.ellipse(0.339, 0.306, 0.006, 0.006), (240, 240, 240))


def horse(scene):
    scene.sky((138, 172, 210), (206, 220, 230), 0.45)
    scene.trees(0.50, 0.16, (66, 88, 54))
    scene.ground(0.50, (134, 152, 82), (98, 124, 56), 0.12, 40)
    scene.shade(scene.ellipse(0.50, 0.885, 0.30, 0.025, 0.015), 0.5)
    coat, under, dark = (150, 92, 54), (92, 52, 30), (42, 28, 22)
    for hip, knee, foot in (((0.36, 0.60), (0.385, 0.74), (0.38, 0.88)), ((0.66, 0.58), (0.715, 0.72), (0.69, 0.87))):
        scene.body(scene.line([hip, knee, foot], (0.085, 0.032)), (96, 56, 34), (48, 30, 24))
    scene.paint(scene.line([(0.745, 0.46), (0.815, 0.56), (0.80, 0.74)], (0.045, 0.065)), dark)
    body = scene.smooth([(0.28, 0.42), (0.36, 0.405), (0.50, 0.435), (0.64, 0.41), (0.74, 0.44), (0.77, 0.54), (0.72, 0.63), (0.58, 0.625),
                         (0.44, 0.64), (0.33, 0.62), (0.275, 0.53)])
    scene.body(body, coat, under, 0.04, 30)
    neck = scene.smooth([(0.29, 0.56), (0.235, 0.44), (0.20, 0.33), (0.185, 0.25), (0.25, 0.19), (0.30, 0.26), (0.36, 0.36), (0.42, 0.44)])
    scene.body(neck, coat, under, 0.04, 30)
    scene.paint(scene.line([(0.255, 0.175), (0.315, 0.25), (0.40, 0.395)], (0.03, 0.045)), dark)
    head = scene.smooth([(0.255, 0.175), (0.275, 0.235), (0.22, 0.295), (0.155, 0.365), (0.105, 0.39), (0.08, 0.36), (0.105, 0.305), (0.17, 0.215)])
    scene.body(head, (158, 98, 58), (100, 58, 36))
    scene.paint(scene.ellipse(0.100, 0.372, 0.024, 0.020, 0.004), (60, 40, 34))
    scene.paint(scene.ellipse(0.190, 0.238, 0.010, 0.009), (16, 12, 12))
    scene.body(scene.polygon([(0.225, 0.185), (0.245, 0.115), (0.268, 0.185)]), coat, under)
    for hip, knee, foot in (((0.32, 0.58), (0.315, 0.74), (0.325, 0.885)), ((0.71, 0.55), (0.765, 0.72), (0.745, 0.885))):
        scene.body(scene.line([hip, knee, foot], (0.105, 0.034)), coat, (58, 36, 28))
        scene.paint(scene.ellipse(foot[0] - 0.004, foot[1], 0.024, 0.018), (28, 22, 20))


def frog(scene):
    scene.pixels = scene.gradient((112, 98, 72), (92, 80, 58)) * (1 + 0.16 * scene.noise(8, 8, 5))[:, :, None]
    scene.shade(scene.ellipse(0.5, 0.80, 0.38, 0.06, 0.03), 0.6)
    skin, under = (120, 158, 62), (66, 98, 34)
    for side in (-1, 1):
        scene.body(scene.smooth([(0.5 + side * x, y) for x, y in ((0.20, 0.50), (0.34, 0.46), (0.42, 0.58), (0.40, 0.74), (0.30, 0.80),
                                                                    (0.22, 0.72))]), (108, 146, 56), (58, 88, 30), 0.10, 30)
        for toe in (0.30, 0.36, 0.42):
            scene.body(scene.line([(0.5 + side * 0.32, 0.77), (0.5 + side * (toe + 0.03), 0.835)], (0.045, 0.022)), skin, under)
    body = scene.smooth([(0.5, 0.36), (0.66, 0.40), (0.76, 0.54), (0.74, 0.72), (0.62, 0.80), (0.5, 0.81), (0.38, 0.80), (0.26, 0.72), (0.24, 0.54),
                         (0.34, 0.40)])
    scene.body(body, skin, (92, 124, 52), 0.08, 24)
    belly = scene.smooth([(0.5, 0.57), (0.64, 0.59), (0.66, 0.70), (0.60, 0.79), (0.5, 0.805), (0.40, 0.79), (0.34, 0.70), (0.36, 0.59)], 0.012)
    scene.body(belly, (222, 216, 160), (178, 172, 118), 0.05, 30)
    head = scene.smooth([(0.5, 0.27), (0.64, 0.28), (0.74, 0.38), (0.755, 0.475), (0.66, 0.555), (0.5, 0.575), (0.34, 0.555), (0.245, 0.475),
                         (0.26, 0.38), (0.36, 0.28)])
    scene.body(head, (140, 178, 74), (94, 132, 46), 0.07, 24)
    scene.paint(scene.line([(0.265, 0.47), (0.36, 0.515), (0.5, 0.525), (0.64, 0.515), (0.735, 0.47)], 0.012), (52, 70, 28))
    for side in (-1, 1):
        x = 0.5 + side * 0.155
        scene.body(scene.ellipse(x, 0.285, 0.082, 0.078), (146, 182, 80), (96, 132, 48))
        scene.paint(scene.ellipse(x + side * 0.010, 0.280, 0.056, 0.054), (214, 176, 54))
        scene.paint(scene.ellipse(x + side * 0.012, 0.280, 0.042, 0.024), (14, 14, 12))
        scene.paint(scene.ellipse(x, 0.262, 0.010, 0.010), (248, 248, 248))
        scene.paint(scene.ellipse(0.5 + side * 0.03, 0.425, 0.008, 0.006), (48, 64, 26))
        scene.body(scene.line([(0.5 + side * 0.16, 0.64), (0.5 + side * 0.20, 0.74), (0.5 + side * 0.16, 0.83)], (0.075, 0.045)), skin, under)
        for toe in (0.11, 0.16, 0.21):
            scene.body(scene.line([(0.5 + side * 0.16, 0.825), (0.5 + side * toe, 0.875)], (0.03, 0.02)), skin, under)


def dog(scene):
    scene.pixels = scene.gradient((128, 150, 96), (98, 126, 68)) * (1 + 0.10 * scene.noise(5, 5, 5))[:, :, None]
    fur, under, dark = (206, 166, 112), (158, 116, 70), (120, 80, 46)
    body = scene.smooth([(0.26, 1.05), (0.24, 0.86), (0.32, 0.70), (0.5, 0.64), (0.68, 0.70), (0.76, 0.86), (0.74, 1.05)])
    scene.body(body, fur, under, 0.08, 40)
    head = scene.smooth([(0.5, 0.17), (0.63, 0.20), (0.70, 0.32), (0.69, 0.45), (0.63, 0.55), (0.60, 0.68), (0.5, 0.73), (0.40, 0.68), (0.37, 0.55),
                         (0.31, 0.45), (0.30, 0.32), (0.37, 0.20)])
    scene.body(head, (216, 178, 126), (184, 142, 94), 0.06, 40)
    for side in (-1, 1):
        ear = [(0.5 + side * x, y) for x, y in ((0.13, 0.20), (0.22, 0.23), (0.275, 0.36), (0.285, 0.52), (0.235, 0.57), (0.185, 0.46), (0.17, 0.32))]
        scene.body(scene.smooth(ear), (150, 104, 62), dark, 0.08, 40)
        x = 0.5 + side * 0.088
        scene.shade(scene.ellipse(x, 0.37, 0.05, 0.045, 0.015), 0.35)
        scene.paint(scene.ellipse(x, 0.375, 0.030, 0.029), (38, 24, 16))
        scene.paint(scene.ellipse(x - 0.008, 0.364, 0.008, 0.008), (240, 240, 240))
    scene.body(scene.smooth([(0.5, 0.42), (0.57, 0.46), (0.605, 0.56), (0.58, 0.66), (0.5, 0.695), (0.42, 0.66), (0.395, 0.56), (0.43, 0.46)], 0.01),
               (236, 212, 174), (214, 184, 142), 0.04, 40)
    scene.paint(scene.smooth([(0.44, 0.495), (0.5, 0.475), (0.56, 0.495), (0.545, 0.545), (0.5, 0.57), (0.455, 0.545)]), (28, 24, 24))
    scene.paint(scene.ellipse(0.48, 0.50, 0.016, 0.008), (110, 106, 106))
    scene.paint(scene.line([(0.5, 0.56), (0.5, 0.60), (0.44, 0.635)], 0.010), (70, 44, 34))
    scene.paint(scene.line([(0.5, 0.60), (0.56, 0.635)], 0.010), (70, 44, 34))
    scene.body(scene.smooth([(0.46, 0.63), (0.5, 0.62), (0.54, 0.63), (0.535, 0.72), (0.5, 0.745), (0.465, 0.72)]), (222, 116, 116), (198, 88, 94))


SCENES = {
    "airplane/airliner": airliner,
    "airplane/climbing": climbing_jet,
    "automobile/red": car,
    "automobile/blue": car_from_the_front,
    "bird/songbird": songbird,
    "dog/retriever": dog,
    "frog/frog": frog,
    "horse/bay": horse,
    "ship/freighter": freighter,
    "ship/sailing": sailing_boat,
    "truck/delivery": lorry,
    "truck/yellow": lorry_from_the_front,
}


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "photos")
    for name, draw in SCENES.items():
        scene = Scene(name)
        draw(scene)
        path = os.path.join(root, name + ".png")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        scene.picture().save(path, optimize=True)


if __name__ == "__main__":
    main()
