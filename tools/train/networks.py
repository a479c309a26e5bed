"""The networks that are trained here: members of Dunlin's registry, with timm's tensor names.

What they compute is the same as in models/*.cpp; `dunlin evaluate` on the exported weights is the proof.
"""

import torch
from torch import nn
from torch.nn import functional


def rounded(channels, divisor=8):
    """To a multiple of `divisor`, never more than a tenth below (MobileNetV2's rule)."""
    result = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return result + divisor if result < 0.9 * channels else result


class SqueezeExcite(nn.Module):
    def __init__(self, channels, reduced):
        super().__init__()
        self.conv_reduce = nn.Conv2d(channels, reduced, 1)
        self.conv_expand = nn.Conv2d(reduced, channels, 1)

    def forward(self, x):
        gate = self.conv_expand(functional.relu(self.conv_reduce(x.mean((2, 3), keepdim=True))))
        return x * functional.hardsigmoid(gate)


class Separable(nn.Module):
    """Depthwise, then pointwise convolution: the first block of the MobileNets."""

    def __init__(self, inputs, outputs, kernel, stride, act, reduced):
        super().__init__()
        self.conv_dw = nn.Conv2d(inputs, inputs, kernel, stride, kernel // 2, groups=inputs, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.se = SqueezeExcite(inputs, reduced) if reduced else nn.Identity()
        self.conv_pw = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.act = act
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        y = self.se(self.act(self.bn1(self.conv_dw(x))))
        y = self.bn2(self.conv_pw(y))
        return x + y if self.residual else y


class InvertedResidual(nn.Module):
    def __init__(self, inputs, hidden, outputs, kernel, stride, act, reduced):
        super().__init__()
        self.conv_pw = nn.Conv2d(inputs, hidden, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.conv_dw = nn.Conv2d(hidden, hidden, kernel, stride, kernel // 2, groups=hidden, bias=False)
        self.bn2 = nn.BatchNorm2d(hidden)
        self.se = SqueezeExcite(hidden, reduced) if reduced else nn.Identity()
        self.conv_pwl = nn.Conv2d(hidden, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.act = act
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        y = self.act(self.bn1(self.conv_pw(x)))
        y = self.se(self.act(self.bn2(self.conv_dw(y))))
        y = self.bn3(self.conv_pwl(y))
        return x + y if self.residual else y


class MobileNetV2(nn.Module):
    """Sandler et al. 2018, table 2."""

    # expansion, channels, repeats, stride
    STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))

    def __init__(self, classes, width, dropout=0.2):
        super().__init__()
        channels = rounded(32 * width)
        self.conv_stem = nn.Conv2d(3, channels, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        stages = []
        for expansion, outputs, repeats, stride in self.STAGES:
            outputs = rounded(outputs * width)
            blocks = []
            for repeat in range(repeats):
                step = stride if repeat == 0 else 1
                if expansion == 1:
                    blocks.append(Separable(channels, outputs, 3, step, functional.relu6, 0))
                else:
                    hidden = rounded(channels * expansion)
                    blocks.append(InvertedResidual(channels, hidden, outputs, 3, step, functional.relu6, 0))
                channels = outputs
            stages.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*stages)
        head = max(1280, rounded(1280 * width))
        self.conv_head = nn.Conv2d(channels, head, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(head)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(head, classes)

    def forward(self, x):
        x = self.blocks(functional.relu6(self.bn1(self.conv_stem(x))))
        x = functional.relu6(self.bn2(self.conv_head(x)))
        return self.classifier(self.dropout(x.mean((2, 3))))


class ConvNormAct(nn.Module):
    """MobileNetV3's last convolution, `blocks.5.0`."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return functional.hardswish(self.bn1(self.conv(x)))


class MobileNetV3Small(nn.Module):
    """Howard et al. 2019, table 2."""

    # kernel, hidden, outputs, squeeze-excite, hard-swish, stride, grouped as timm numbers the stages
    STAGES = (
        ((3, 72, 24, False, False, 2), (3, 88, 24, False, False, 1)),
        ((5, 96, 40, True, True, 2), (5, 240, 40, True, True, 1), (5, 240, 40, True, True, 1)),
        ((5, 120, 48, True, True, 1), (5, 144, 48, True, True, 1)),
        ((5, 288, 96, True, True, 2), (5, 576, 96, True, True, 1), (5, 576, 96, True, True, 1)),
    )

    def __init__(self, classes, dropout=0.2):
        super().__init__()
        self.conv_stem = nn.Conv2d(3, 16, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        stages = [nn.Sequential(Separable(16, 16, 3, 2, functional.relu, 8))]
        channels = 16
        for stage in self.STAGES:
            blocks = []
            for kernel, hidden, outputs, squeeze, hard, stride in stage:
                act = functional.hardswish if hard else functional.relu
                reduced = rounded(hidden / 4) if squeeze else 0
                blocks.append(InvertedResidual(channels, hidden, outputs, kernel, stride, act, reduced))
                channels = outputs
            stages.append(nn.Sequential(*blocks))
        stages.append(nn.Sequential(ConvNormAct(channels, 576)))
        self.blocks = nn.Sequential(*stages)
        self.conv_head = nn.Conv2d(576, 1024, 1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(1024, classes)

    def forward(self, x):
        x = self.blocks(functional.hardswish(self.bn1(self.conv_stem(x))))
        x = functional.hardswish(self.conv_head(x.mean((2, 3), keepdim=True))).flatten(1)
        return self.classifier(self.dropout(x))


class ConvNorm(nn.Module):
    """Convolution, BatchNorm and, unless `act` is off, SiLU."""

    def __init__(self, inputs, outputs, kernel, stride=1, groups=1, act=True):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.act = act

    def forward(self, x):
        x = self.bn(self.conv(x))
        return functional.silu(x) if self.act else x


class Bottleneck(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        hidden = 2 * inputs
        self.conv1_1x1 = ConvNorm(inputs, hidden, 1)
        self.conv2_kxk = ConvNorm(hidden, hidden, 3, stride, hidden)
        self.conv3_1x1 = ConvNorm(hidden, outputs, 1, act=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        y = self.conv3_1x1(self.conv2_kxk(self.conv1_1x1(x)))
        return x + y if self.residual else y


class Attention(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x):
        batch, tokens, channels = x.shape
        query, key, value = self.qkv(x).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-2, -1) * (channels // self.heads) ** -0.5
        return self.proj((scores.softmax(-1) @ value).transpose(1, 2).reshape(batch, tokens, channels))


class Mlp(nn.Module):
    def __init__(self, channels, hidden):
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x):
        return self.fc2(functional.silu(self.fc1(x)))


class Encoder(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn = Attention(channels, 4)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Mlp(channels, 2 * channels)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class MobileVitBlock(nn.Module):
    """Mehta and Rastegari 2021, figure 1b: attention among the pixels that share a place in their 2x2 patches."""

    def __init__(self, channels, dimension, depth):
        super().__init__()
        self.conv_kxk = ConvNorm(channels, channels, 3)
        self.conv_1x1 = nn.Conv2d(channels, dimension, 1, bias=False)
        self.transformer = nn.Sequential(*(Encoder(dimension) for _ in range(depth)))
        self.norm = nn.LayerNorm(dimension)
        self.conv_proj = ConvNorm(dimension, channels, 1)
        self.conv_fusion = ConvNorm(2 * channels, channels, 3)

    def forward(self, x):
        y = self.conv_1x1(self.conv_kxk(x))
        batch, dimension, height, width = y.shape
        rows, columns = height // 2, width // 2
        y = y.view(batch, dimension, rows, 2, columns, 2).permute(0, 3, 5, 2, 4, 1)
        y = self.norm(self.transformer(y.reshape(batch * 4, rows * columns, dimension)))
        y = y.view(batch, 2, 2, rows, columns, dimension).permute(0, 5, 3, 1, 4, 2)
        y = self.conv_proj(y.reshape(batch, dimension, height, width))
        return self.conv_fusion(torch.cat((x, y), 1))


class MobileVitXxs(nn.Module):
    def __init__(self, classes, dropout=0.0):
        super().__init__()
        self.stem = ConvNorm(3, 16, 3, 2)
        self.stages = nn.Sequential(
            nn.Sequential(Bottleneck(16, 16, 1)),
            nn.Sequential(Bottleneck(16, 24, 2), Bottleneck(24, 24, 1), Bottleneck(24, 24, 1)),
            nn.Sequential(Bottleneck(24, 48, 2), MobileVitBlock(48, 64, 2)),
            nn.Sequential(Bottleneck(48, 64, 2), MobileVitBlock(64, 80, 4)),
            nn.Sequential(Bottleneck(64, 80, 2), MobileVitBlock(80, 96, 3)),
        )
        self.final_conv = ConvNorm(80, 320, 1)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.ModuleDict({"fc": nn.Linear(320, classes)})

    def forward(self, x):
        x = self.final_conv(self.stages(self.stem(x)))
        return self.head["fc"](self.dropout(x.mean((2, 3))))
