# SPDX-License-Identifier: BSD-3-Clause
"""What `nervure train digits` does, as a short PyTorch script.

``python digits_torch.py EPOCHS BATCH_SIZE UNITS [UNITS ...]``
"""

import sys

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

epochs, batch_size, *units = map(int, sys.argv[1:])
torch.manual_seed(0)
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    torch.tensor(X, dtype=torch.float32) / 16,
    torch.tensor(y),
    test_size=0.1,
    random_state=0,
)
layers: list[nn.Module] = []
for below, above in zip([64, *units], units, strict=False):
    layers += [nn.Linear(below, above), nn.ReLU()]
model = nn.Sequential(*layers, nn.Linear(units[-1], 10))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
for _ in range(epochs):
    for index in torch.randperm(len(y_train)).split(batch_size):
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(model(X_train[index]), y_train[index])
        loss.backward()
        optimizer.step()
with torch.no_grad():
    right = (model(X_test).argmax(1) == y_test).float().mean()
torch.save(model.state_dict(), "model.pt")
print(f"accuracy {right:.4f}")
