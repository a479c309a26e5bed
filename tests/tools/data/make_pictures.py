#!/usr/bin/env python3
"""Writes the small pictures beside this script, for picture_test.cpp (needs Pillow and NumPy).

Each shows 32x16 pixels in four flat quarters: red and green above, blue and white below (grey ones: 50, 100, 150, 250).
"""
import os

import numpy
from PIL import Image

os.chdir(os.path.dirname(os.path.abspath(__file__)))
COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]


def quarters(values, dtype=numpy.uint8):
    values = [numpy.array(v, dtype) for v in values]
    shape = (8, 16) + values[0].shape
    rows = [numpy.concatenate([numpy.broadcast_to(v, shape) for v in pair], 1) for pair in (values[:2], values[2:])]
    return numpy.concatenate(rows, 0)


rgb = Image.fromarray(quarters(COLOURS))
grey = Image.fromarray(quarters([50, 100, 150, 250]))
rgb.save('rgb.png')
rgb.save('rgb.bmp')
rgb.save('rgb.ppm')
rgb.save('rgb.tga')
rgb.save('rgb.gif')
rgb.save('rgb.jpg', quality=95, subsampling=0)
rgb.save('progressive.jpg', quality=95, progressive=True)
rgb.convert('CMYK').save('cmyk.jpg', quality=95)
rgb.convert('P', palette=Image.Palette.ADAPTIVE, colors=4).save('palette.png')
grey.save('grey.png')
grey.convert('LA').save('grey_alpha.png')
grey.save('grey.jpg', quality=95)
Image.fromarray(quarters([50 * 257, 100 * 257, 150 * 257, 250 * 257], numpy.uint16)).save('grey16.png')
with open('grey16.pgm', 'wb') as f:  # big-endian
    f.write(b'P5\n32 16\n65535\n' + quarters([50 * 257, 100 * 257, 150 * 257, 250 * 257], '>u2').tobytes())
# Half transparent: the colours must come out as they are.
Image.fromarray(quarters([c + (128,) for c in COLOURS])).save('alpha.png')
for orientation in (6, 3):
    exif = Image.Exif()
    exif[0x0112] = orientation
    rgb.save('orientation%d.jpg' % orientation, quality=95, exif=exif)
