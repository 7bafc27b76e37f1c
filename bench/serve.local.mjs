import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';
import { createInterface } from 'node:readline';
const D = process.env.DIST;
const { lshAttention, denseAttention } = await import(`${D}/index.js`);
const { useWebGPU } = await import(`${D}/node.js`);
const { profile, useOwnDevice } = await import(`${D}/webgpu.js`);
const [variant, what, Ls, causal, back] = process.argv.slice(2);
const { exposeWebGPU } = await import(`${D}/node.js`); await exposeWebGPU(); await import('@tensorflow/tfjs-backend-webgpu'); await tf.setBackend('webgpu');
if (variant === 'best') await useOwnDevice();
const L = Number(Ls), H = Number(process.env.H ?? 8);
const qk = tf.randomNormal([1, H, L, 64], 0, 1, 'float32', 1);
const v = tf.randomNormal([1, H, L, 64], 0, 1, 'float32', 2);
const f = what === 'dense' ? denseAttention : lshAttention;
const opt = { causal: causal === 'causal', ...(process.env.OPT ? JSON.parse(process.env.OPT) : {}) };
const call = () => f(qk, v, opt);
const go = back ? () => tf.tidy(() => tf.grads((a, b) => f(a, b, opt))([qk, v], v)) : call;
const t0 = performance.now();
let r = go(); await (Array.isArray(r) ? r[0] : r).data(); tf.dispose(r);
console.log(JSON.stringify({ first: performance.now() - t0 }));
for await (const _ of createInterface({ input: process.stdin })) {
  const p = await profile(go); tf.dispose(p.result);
  const one = {};
  for (const k of p.passes) one[k.kernel] = (one[k.kernel] ?? 0) + k.milliseconds;
  console.log(JSON.stringify(one));
}
process.exit(0);
