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


def warp_digits(images, size, generator):
    """Random rotation, size, slant and place; two thirds as they are, one in ink on paper.

    White on black, [N, 3, S, S] in 0..1, becomes [N, 3, size, size].
    """
    images = resized(images, size)

    def uniform(low, high):
        return torch.rand(len(images), generator=generator, device=images.device) * (high - low) + low

    angle, slant = uniform(-0.22, 0.22), uniform(-0.2, 0.2)
    wide, high = uniform(0.88, 1.15), uniform(0.88, 1.15)
    cosine, sine = angle.cos(), angle.sin()
    rows = torch.stack((
        torch.stack((cosine / wide, (slant * cosine - sine) / wide, uniform(-0.12, 0.12)), 1),
        torch.stack((sine / high, (slant * sine + cosine) / high, uniform(-0.12, 0.12)), 1),
    ), 1)
    grid = functional.affine_grid(rows, images.shape, align_corners=False)
    warped = functional.grid_sample(images, grid, align_corners=False)

    # Paper of some grey under light that falls off to one side, ink darker or lighter than it, a little noise.
    def each(low, high):
        return uniform(low, high)[:, None, None, None]

    contrast = each(0.35, 1.0)
    paper = contrast + (1 - contrast) * each(0, 1)
    written = paper - contrast * warped
    along = torch.linspace(-1, 1, images.shape[-1], device=images.device)
    light = 1 + each(-0.25, 0.25) * along + each(-0.25, 0.25) * along[:, None]
    noise = torch.randn(images.shape, generator=generator, device=images.device) * each(0, 0.04)
    written = (written * light + noise).clamp(0, 1)
    written = torch.where(each(0, 1) < 0.7, written, 1 - written)
    return torch.where(each(0, 1) < 0.65, warped, written)


def resized(images, size):
    """As `dunlin` resizes small pictures: a bilinear filter."""
    if images.shape[-1] == size:
        return images
    return functional.interpolate(images, (size, size), mode="bilinear", align_corners=False)


def vary_pictures(images, size, generator):
    """Random mirror image, shift by up to an eighth, brightness, contrast, saturation; resized; half of them sharpened, as
    photographs are that were made smaller rather than larger; a square cut out of half of them.

    [N, 3, S, S] in 0..1 becomes [N, 3, size, size].
    """
    count, _, side, _ = images.shape
    device = images.device

    def uniform(low, high):
        return (torch.rand(count, generator=generator, device=device) * (high - low) + low)[:, None, None, None]

    def whole(low, high):
        return torch.randint(low, high, (count, 1), generator=generator, device=device)

    pad = side // 8
    padded = functional.pad(images, (pad, pad, pad, pad), mode="reflect")
    along = torch.arange(side, device=device)
    rows = whole(0, 2 * pad + 1) + along
    columns = whole(0, 2 * pad + 1) + along
    columns = torch.where(whole(0, 2) == 1, columns, columns.flip(1))
    each = torch.arange(count, device=device)[:, None, None]
    varied = padded.permute(0, 2, 3, 1)[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    grey = varied.mean(1, keepdim=True)
    varied = grey + (varied - grey) * uniform(0.7, 1.3)
    mean = grey.mean((2, 3), keepdim=True)
    varied = resized((mean + (varied - mean) * uniform(0.75, 1.25)) * uniform(0.8, 1.2), size)
    blurred = functional.avg_pool2d(functional.pad(varied, (1, 1, 1, 1), mode="replicate"), 3, 1)
    varied = varied + (varied - blurred) * uniform(-1.5, 1.5).clamp(0)

    side = size
    along = torch.arange(side, device=device)
    hole = side // 4
    outside = 2 * side  # where half of the holes are
    top = torch.where(whole(0, 2) == 1, whole(1 - hole, side), outside)
    left = whole(1 - hole, side)
    inside = ((along >= top) & (along < top + hole))[:, :, None] & ((along >= left) & (along < left + hole))[:, None, :]
    return torch.where(inside[:, None], mean, varied).clamp(0, 1)
