# SPDX-License-Identifier: BSD-3-Clause
"""All architectures of the zoo."""

from __future__ import annotations

from nervure.zoo._architecture import Architecture
from nervure.zoo.alexnet import AlexNet, AlexNet2012
from nervure.zoo.inception import GoogLeNet, InceptionBN
from nervure.zoo.lenet import LeNet1, LeNet4, LeNet5
from nervure.zoo.resnet import PreActivationResNet, ResNet
from nervure.zoo.vgg import VGG

_MNIST, _CIFAR = (28, 28, 1), (32, 32, 3)
_LECUN89 = "LeCun et al. 1989"
_LECUN95 = "LeCun et al. 1995"
_LECUN98 = "LeCun et al. 1998"
_VGG = "Simonyan and Zisserman 2015"
_RESNET = "He et al. 2016, CVPR"
_PREACT = "He et al. 2016, ECCV"

lenet1 = LeNet1("lenet1", _LECUN89, _MNIST, 10)
lenet4 = LeNet4("lenet4", _LECUN95, _MNIST, 10)
lenet5 = LeNet5("lenet5", _LECUN98, _MNIST, 10)

alexnet_2012 = AlexNet2012("alexnet_2012", "Krizhevsky et al. 2012")
alexnet = AlexNet("alexnet", "Krizhevsky 2014")

vgg11 = VGG("vgg11", _VGG, depths=(1, 1, 2, 2, 2))
vgg13 = VGG("vgg13", _VGG, depths=(2, 2, 2, 2, 2))
vgg16 = VGG("vgg16", _VGG, depths=(2, 2, 3, 3, 3))
vgg19 = VGG("vgg19", _VGG, depths=(2, 2, 4, 4, 4))
vgg11_bn = VGG("vgg11_bn", _VGG, depths=(1, 1, 2, 2, 2), batch_norm=True)
vgg13_bn = VGG("vgg13_bn", _VGG, depths=(2, 2, 2, 2, 2), batch_norm=True)
vgg16_bn = VGG("vgg16_bn", _VGG, depths=(2, 2, 3, 3, 3), batch_norm=True)
vgg19_bn = VGG("vgg19_bn", _VGG, depths=(2, 2, 4, 4, 4), batch_norm=True)

googlenet = GoogLeNet("googlenet", "Szegedy et al. 2015")
inception_v1 = GoogLeNet("inception_v1", "Szegedy et al. 2015", batch_norm=False)
inception_bn = InceptionBN("inception_bn", "Ioffe and Szegedy 2015")

resnet18 = ResNet("resnet18", _RESNET, depths=(2, 2, 2, 2))
resnet34 = ResNet("resnet34", _RESNET, depths=(3, 4, 6, 3))
resnet50 = ResNet("resnet50", _RESNET, depths=(3, 4, 6, 3), bottleneck=True)
resnet101 = ResNet("resnet101", _RESNET, depths=(3, 4, 23, 3), bottleneck=True)
resnet152 = ResNet("resnet152", _RESNET, depths=(3, 8, 36, 3), bottleneck=True)


def _cifar(depth: int) -> ResNet:
    blocks = ((depth - 2) // 6,) * 3
    name = f"resnet{depth}"
    return ResNet(name, _RESNET, _CIFAR, 10, depths=blocks, width=16, thin=True)


resnet20, resnet32, resnet44 = _cifar(20), _cifar(32), _cifar(44)
resnet56, resnet110 = _cifar(56), _cifar(110)


def _preact(depth: int, depths: tuple[int, ...], bottleneck: bool) -> Architecture:
    name = f"preact_resnet{depth}"
    return PreActivationResNet(name, _PREACT, depths=depths, bottleneck=bottleneck)


preact_resnet18 = _preact(18, (2, 2, 2, 2), bottleneck=False)
preact_resnet34 = _preact(34, (3, 4, 6, 3), bottleneck=False)
preact_resnet50 = _preact(50, (3, 4, 6, 3), bottleneck=True)
preact_resnet101 = _preact(101, (3, 4, 23, 3), bottleneck=True)
preact_resnet152 = _preact(152, (3, 8, 36, 3), bottleneck=True)
preact_resnet164 = PreActivationResNet(
    "preact_resnet164",
    _PREACT,
    _CIFAR,
    10,
    depths=(18, 18, 18),
    bottleneck=True,
    width=16,
    thin=True,
)

ARCHITECTURES: dict[str, Architecture] = {
    value.name: value
    for value in list(globals().values())
    if isinstance(value, Architecture)
}
"""All architectures by name, oldest first."""
