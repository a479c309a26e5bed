"""MNIST and CIFAR-10 as tensors, and their augmentation in whole batches."""

import os
import struct

import numpy
import torch
from PIL import Image
from torch.nn import functional

DIGITS = [str(digit) for digit in range(10)]


def read_idx(path):
    """An MNIST file: two zero bytes, the type (8: uint8), the number of dimensions, the dimensions, the bytes."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:3] != b"\0\0\x08":
        raise ValueError(f"{path} is no IDX file of bytes")
    shape = struct.unpack_from(f">{data[3]}I", data, 4)
    return numpy.frombuffer(data, numpy.uint8, offset=4 + 4 * data[3]).reshape(shape)


def digits(folder, split):
    """[N, 3, 28, 28] bytes and [N] classes; `folder` holds the four files of MNIST."""
    stem = {"train": "train", "test": "t10k"}[split]
    images = read_idx(os.path.join(folder, f"{stem}-images-idx3-ubyte"))
    classes = read_idx(os.path.join(folder, f"{stem}-labels-idx1-ubyte"))
    return torch.tensor(images)[:, None].repeat(1, 3, 1, 1), torch.tensor(classes, dtype=torch.int64), DIGITS


def pictures(folder, split):
    """[N, 3, H, W] bytes and [N] classes of a folder of class folders, whose pictures all have one size."""
    root = os.path.join(folder, split)
    names = sorted(os.listdir(root))
    images, classes = [], []
    for index, name in enumerate(names):
        for file in sorted(os.listdir(os.path.join(root, name))):
            with Image.open(os.path.join(root, name, file)) as picture:
                images.append(numpy.asarray(picture.convert("RGB")))
            classes.append(index)
    stacked = torch.tensor(numpy.stack(images)).permute(0, 3, 1, 2).contiguous()
    return stacked, torch.tensor(classes), names


def warp_digits(images, generator):
    """Random rotation, size, slant and place; every second one dark on light, as on paper. [N, 3, S, S] in 0..1."""

    def uniform(low, high):
        return torch.rand(len(images), generator=generator) * (high - low) + low

    angle, slant = uniform(-0.22, 0.22), uniform(-0.2, 0.2)
    wide, high = uniform(0.88, 1.15), uniform(0.88, 1.15)
    cosine, sine = angle.cos(), angle.sin()
    rows = torch.stack((
        torch.stack((cosine / wide, (slant * cosine - sine) / wide, uniform(-0.12, 0.12)), 1),
        torch.stack((sine / high, (slant * sine + cosine) / high, uniform(-0.12, 0.12)), 1),
    ), 1)
    grid = functional.affine_grid(rows, images.shape, align_corners=False)
    warped = functional.grid_sample(images, grid, align_corners=False)
    dark = (torch.rand(len(images), generator=generator) < 0.5)[:, None, None, None]
    return torch.where(dark, 1 - warped, warped)


def vary_pictures(images, generator):
    """Random mirror image, shift by up to an eighth, brightness, contrast, saturation, and a square cut out of half of them.

    [N, 3, S, S] in 0..1.
    """
    count, _, side, _ = images.shape

    def uniform(low, high):
        return (torch.rand(count, generator=generator) * (high - low) + low)[:, None, None, None]

    pad = side // 8
    padded = functional.pad(images, (pad, pad, pad, pad), mode="reflect")
    along = torch.arange(side)
    rows = torch.randint(0, 2 * pad + 1, (count, 1), generator=generator) + along
    columns = torch.randint(0, 2 * pad + 1, (count, 1), generator=generator) + along
    mirrored = torch.rand(count, 1, generator=generator) < 0.5
    columns = torch.where(mirrored, columns.flip(1), columns)
    varied = padded.permute(0, 2, 3, 1)[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    varied = varied.permute(0, 3, 1, 2)

    grey = varied.mean(1, keepdim=True)
    varied = grey + (varied - grey) * uniform(0.7, 1.3)
    mean = grey.mean((2, 3), keepdim=True)
    varied = (mean + (varied - mean) * uniform(0.75, 1.25)) * uniform(0.8, 1.2)

    hole = side // 4
    top = torch.randint(1 - hole, side, (count, 1), generator=generator)
    left = torch.randint(1 - hole, side, (count, 1), generator=generator)
    top = torch.where(torch.rand(count, 1, generator=generator) < 0.5, top, torch.full_like(top, 2 * side))
    inside = ((along >= top) & (along < top + hole))[:, :, None] & ((along >= left) & (along < left + hole))[:, None, :]
    return torch.where(inside[:, None], mean, varied).clamp(0, 1)
