// SPDX-License-Identifier: BSD-3-Clause
// Classes of digits in JavaScript, from raw bytes.
//
//   nervure train digits && nervure export runs/digits-1 --out digits.onnx
//   npm install onnxruntime-web
//   node predict.mjs digits.onnx images.bin
//
// images.bin holds images one after the other, 64 bytes of 8 x 8 pixels each.
import { readFile } from "node:fs/promises";
import * as ort from "onnxruntime-web"; // or "onnxruntime-node"

const [model, images] = process.argv.slice(2);
const bytes = new Uint8Array(await readFile(images));
const rows = Math.floor(bytes.length / 64);
const session = await ort.InferenceSession.create(new Uint8Array(await readFile(model)));
const pixels = bytes.subarray(0, rows * 64);
const X = new ort.Tensor("uint8", pixels, [rows, 8, 8, 1]);
const { label, probabilities } = await session.run({ X });
const classes = probabilities.dims[1];
for (let row = 0; row < rows; row++) {
  const own = probabilities.data.subarray(row * classes, (row + 1) * classes);
  console.log(`${label.data[row]} ${Math.max(...own).toFixed(4)}`);
}
