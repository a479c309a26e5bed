#!/usr/bin/env python3
"""Writes preprocess_golden.inc: what Pillow makes of small pictures, for preprocess_test.cpp.

usage: make_preprocess_golden.py > preprocess_golden.inc      (needs Pillow and NumPy)

The pictures are a formula that the test repeats. Resize and crop sizes follow torchvision's Resize and CenterCrop, and
timm's ResizeKeepRatio where the crop is not square.
"""
import math

import numpy
from PIL import Image

CASES = [  # width, height, out width, out height, crop fraction, filter
    (40, 30, 8, 8, 0.875, 'Bilinear'),
    (40, 30, 8, 8, 0.875, 'Bicubic'),
    (5, 7, 12, 12, 0.875, 'Bilinear'),
    (5, 7, 12, 12, 0.875, 'Bicubic'),
    (9, 9, 9, 9, 1.0, 'Bilinear'),
    (9, 9, 9, 9, 1.0, 'Bicubic'),
    (1, 1, 6, 6, 0.875, 'Bilinear'),
    (1, 1, 6, 6, 0.875, 'Bicubic'),
    (1, 1000, 8, 8, 0.875, 'Bilinear'),
    (1000, 1, 8, 8, 0.875, 'Bicubic'),
    (3, 997, 8, 8, 0.5, 'Bicubic'),
    (64, 48, 16, 10, 0.9, 'Bilinear'),
    (48, 64, 10, 16, 0.9, 'Bicubic'),
    (301, 197, 14, 14, 0.875, 'Bilinear'),
    (301, 197, 14, 14, 0.95, 'Bicubic'),
]


def picture(width, height):
    y, x, c = numpy.mgrid[0:height, 0:width, 0:3].astype(numpy.uint32)
    mixed = (x * 2654435761 + y * 2246822519 + c * 3266489917) & 0xffffffff
    noise = ((mixed ^ (mixed >> 15)) * 668265263 & 0xffffffff) >> 24
    return Image.fromarray(((noise + x * 5 + y * 3) % 256).astype(numpy.uint8))


def resized_size(width, height, out_width, out_height, fraction):
    target_width, target_height = math.floor(out_width / fraction), math.floor(out_height / fraction)
    if target_width != target_height:
        ratio = min(width / target_width, height / target_height)
        return round(width / ratio), round(height / ratio)
    short, long = min(width, height), max(width, height)
    new_long = int(target_width * long / short)
    return (target_width, new_long) if width <= height else (new_long, target_width)


print('// Written by make_preprocess_golden.py with Pillow %s; rows of RGB bytes as hexadecimal text.' % Image.__version__)
for width, height, out_width, out_height, fraction, kind in CASES:
    size = resized_size(width, height, out_width, out_height, fraction)
    resized = picture(width, height).resize(size, getattr(Image.Resampling, kind.upper()))
    left, top = round((size[0] - out_width) / 2.0), round((size[1] - out_height) / 2.0)
    crop = resized.crop((left, top, left + out_width, top + out_height)).tobytes()
    print('{%d, %d, %d, %d, %s, Interpolation::%s, %d, %d, %d, %d,' %
          (width, height, out_width, out_height, fraction, kind, *size, left, top))
    text = crop.hex()
    print('\n'.join(' "%s"' % text[i:i + 112] for i in range(0, len(text), 112)) + '},')
