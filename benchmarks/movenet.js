// MoveNet multipose in TensorFlow.js on one CPU thread, for benchmarks/movenet.py:
//   node movenet.js MODEL.json MODEL.bin SHAPES.json PIXELS.bin > FOUND.json
// SHAPES.json has [height, width] of each photo, PIXELS.bin their bytes, red, green, blue.
// FOUND.json has, for each photo, the 6 * 56 numbers of the model and the milliseconds they took.
const fs = require('fs');
const tf = require('@tensorflow/tfjs-core');
const { loadGraphModel } = require('@tensorflow/tfjs-converter');
require('@tensorflow/tfjs-backend-wasm');

const RUNS = 2; // the first one of a shape is slower

async function main([modelFile, weightsFile, shapesFile, pixelsFile]) {
  await tf.setBackend('wasm');
  const description = JSON.parse(fs.readFileSync(modelFile));
  const weights = fs.readFileSync(weightsFile);
  const model = await loadGraphModel(tf.io.fromMemory({
    modelTopology: description.modelTopology,
    weightSpecs: description.weightsManifest[0].weights,
    weightData: weights.buffer.slice(weights.byteOffset, weights.byteOffset + weights.length),
  }));
  const pixels = fs.readFileSync(pixelsFile);
  let start = 0;
  const found = [];
  for (const [height, width] of JSON.parse(fs.readFileSync(shapesFile))) {
    const length = height * width * 3;
    const photo = Int32Array.from(pixels.subarray(start, start + length));
    start += length;
    let best = Infinity;
    let values;
    for (let run = 0; run < RUNS; run += 1) {
      const began = performance.now();
      const input = tf.tensor(photo, [1, height, width, 3], 'int32');
      const output = model.execute(input);
      values = await output.data();
      best = Math.min(best, performance.now() - began);
      tf.dispose([input, output]);
    }
    found.push({ values: Array.from(values), ms: best });
  }
  fs.writeFileSync(1, JSON.stringify(found));
}

main(process.argv.slice(2));
