# SPDX-License-Identifier: BSD-3-Clause
"""What `nervure train digits` does, as a short scikit-learn script.

``python digits_sklearn.py EPOCHS BATCH_SIZE UNITS [UNITS ...]``
"""

import pickle
import sys
import warnings

from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

epochs, batch_size, *units = map(int, sys.argv[1:])
warnings.simplefilter("ignore", ConvergenceWarning)
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    (X / 16).astype("float32"), y, test_size=0.1, random_state=0
)
model = MLPClassifier(
    units, batch_size=batch_size, max_iter=epochs, n_iter_no_change=epochs, alpha=0,
    random_state=0,
)  # fmt: skip
model.fit(X_train, y_train)
with open("model.pickle", "wb") as file:
    pickle.dump(model, file)
print(f"accuracy {model.score(X_test, y_test):.4f}")
