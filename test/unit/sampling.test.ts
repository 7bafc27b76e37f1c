import { describe, expect, test } from 'vitest';
import { draw, likeliest, probabilities, randomNumber } from '../../src/reformer/generate/sampling.js';
import { normals } from '../inputs.js';
import { at } from '../oracle/shape.js';

/** By sorting whole lists and cutting them: the definition. */
function reference(logits: number[], temperature: number, topK: number, topP: number): number[] {
  const most = Math.max(...logits);
  const weights = logits.map((x) => Math.exp((x - most) / temperature));
  const ranked = weights.map((weight, token) => ({ weight, token })).sort((a, b) => b.weight - a.weight);
  const first = ranked.slice(0, topK);
  const total = first.reduce((sum, { weight }) => sum + weight, 0);
  let count = 0;
  for (let sum = 0; count < first.length && sum < topP * total; count++) {
    sum += first[count]?.weight ?? 0;
  }
  const left = first.slice(0, count);
  const sum = left.reduce((before, { weight }) => before + weight, 0);
  return weights.map((weight, token) => (left.some((other) => other.token === token) ? weight / sum : 0));
}

describe('the distribution', () => {
  const logits = [...normals(40, 11, false)].map((x) => 3 * x);
  test.each([
    [1, 40, 1],
    [0.7, 5, 1],
    [2, 40, 0.8],
    [1.3, 10, 0.5],
    [1, 1, 1],
    [1, 400, 0.01],
  ])('at temperature %d with top-k %d and top-p %d is the definition', (temperature, topK, topP) => {
    const found = probabilities(logits, { temperature, topK, topP });
    const wanted = reference(logits, temperature, topK, topP);
    for (const [token, p] of wanted.entries()) {
      expect(at(found, token)).toBeCloseTo(p, 12);
      expect(at(found, token) === 0).toBe(p === 0);
    }
  });

  test('holds where logits are far apart, or temperatures small', () => {
    expect([...probabilities([1e30, 0, -1e30], { temperature: 1 })]).toEqual([1, 0, 0]);
    expect([...probabilities([2, 1], { temperature: 1e-6 })]).toEqual([1, 0]);
  });
});

test('draws have the distribution, and depend on seed, text and token alone', () => {
  const p = Float64Array.of(0.1, 0, 0.6, 0.3);
  const counts = [0, 0, 0, 0];
  const draws = 20_000;
  for (let token = 0; token < draws; token++) {
    const drawn = draw(p, randomNumber(5, 1, token));
    counts[drawn] = at(counts, drawn) + 1;
  }
  expect(counts[1]).toBe(0);
  for (const [token, count] of counts.entries()) {
    // Four standard deviations.
    expect(Math.abs(count / draws - at(p, token))).toBeLessThan(4 * Math.sqrt(0.25 / draws));
  }
  expect(randomNumber(5, 1, 2)).toBe(randomNumber(5, 1, 2));
  const others = [randomNumber(6, 1, 2), randomNumber(5, 2, 2), randomNumber(5, 1, 3)];
  expect(new Set([randomNumber(5, 1, 2), ...others]).size).toBe(4);
  expect(draw(p, 0)).toBe(0);
  expect(draw(p, 1 - 2 ** -53)).toBe(3);
});

test('the likeliest is the first of equals', () => {
  expect(likeliest([1, 3, 3, 2])).toBe(1);
});
