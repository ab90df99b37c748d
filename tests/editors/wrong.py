# SPDX-License-Identifier: BSD-3-Clause
"""Calls that are wrong: type checkers find a fault in each line that says so."""

from __future__ import annotations

import nervure as nv

net = nv.Network([nv.Input(4), nv.Dense(3)])
nv.Dense(3, unitz=4)  # wrong
nv.Dense("three")  # wrong
nv.Dense()  # wrong
nv.Dense(3, initializer=0.1)  # wrong
nv.Densse(3)  # wrong
nv.Conv2D(4, 3, padding=None)  # wrong
nv.Adam(learnin_rate=1e-3)  # wrong
nv.SGD(0.1, momentum="much")  # wrong
nv.CrossEntropy(smoothing=0.1)  # wrong
nv.EarlyStopping(patience="long")  # wrong
nv.schedules.Cosinus(1e-3)  # wrong
nv.augmentation.Shift(pixel=2)  # wrong
nv.fit(net, [[1.0]], [1.0], epoch=3)  # wrong
nv.fit(net, [[1.0]], [1.0], epochs="many")  # wrong
losses = nv.fit(net, [[1.0]], [1.0]).histroy  # wrong
nv.load("net.safetensors").predikt([[1.0]])  # wrong
nv.data.load("digits").rows()  # wrong
nv.zoo.resnet18(class_count=10)  # wrong
net.summry()  # wrong
