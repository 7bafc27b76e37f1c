// Gradient of one round of LSH attention with respect to keys and values, added to the rounds before it.
//
//   qk [BH, L, D]   v, grad [BH, L, E]   buckets [BH, R, L]
//   facts [BH, L]: 1/|k|, log-sum-exp over all rounds in units of log2, delta
//   index, as in forward.wgsl
//   →   dqk [BH, L, D], to which the key’s part is added; dv [BH, L, E]
//
// The pairs of backward_query.wgsl from the other side: a tile is 32 consecutive slots as keys, against
// the slots of all queries whose windows hold them, 32 at a time. A key in chunk c is seen from chunks
// c − A … c + P, in bucket mode from its bucket. So a workgroup owns its keys, and needs no atomics:
//   w = exp(s − lse),  dv += w·grad,  dS = w·(grad·v − delta),  dk += scale·dS·q,
// and through the key's normalisation, k = q/n:  dqk += (dk − k(k·dk))/n, which is linear in dk, so
// that each round adds its own part.
//
// One workgroup per (tile, b·h), 8×8 lanes. Lane (x, y) owns keys y + 8a with queries 4x … 4x+3, then
// the same keys with columns 4x … 4x+3 of every 32.

struct Params {
  L: u32,
  D: u32,
  E: u32,
  R: u32,
  C: u32,
  P: u32,
  A: u32,
  N: u32,
  round: u32,
  tiles: u32,              // ceil(L / 32)
  workgroups: u32,
  qkStart: u32,            // elements between a binding's start and the first row of this batch
  vStart: u32,
  bucketsStart: u32,
  windowsStart: u32,       // elements of index before the windows
  bucketWindow: u32,       // the options, 0 or 1
  causal: u32,
  wrap: u32,
  acrossBuckets: u32,
  correct: u32,
  gradStart: u32,
  dqkStart: u32,
  dvStart: u32,
  logitScale: f32,         // of the logits, times log2(e)
  scale: f32,              // of the logits
  firstRow: u32,           // first b·h of this batch of rows
  H: u32,
  seed: u32,
  dropBelow: u32,          // a pair whose random word is below this is dropped
  keep: f32,               // 1 / (1 − dropout)
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qk: array<vec4f>;
@group(0) @binding(2) var<storage, read> v: array<vec4f>;
@group(0) @binding(3) var<storage, read> grad: array<vec4f>;
@group(0) @binding(4) var<storage, read> facts: array<vec4f>;
@group(0) @binding(5) var<storage, read> buckets: array<i32>;
@group(0) @binding(6) var<storage, read> index: array<u32>;
@group(0) @binding(7) var<storage, read_write> dqk: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> dv: array<vec4f>;

const TILE: u32 = 32u;         // queries, and keys, of a tile
const PITCH: u32 = 9u;         // vec4 a staged row of 32 floats, plus one against bank conflicts
const COLUMN_PITCH: u32 = 17u; // likewise for 64 floats
const COLUMN_VECTORS: u32 = 2u; // set to ceil(E / 32), or more: vec4 of dv a lane holds for each key
const DEPTH_VECTORS: u32 = 2u; // set to ceil(D / 32), or more: likewise of dk

const NONE: u32 = 0xffffffffu; // no token: beyond the row, or padding
const NOTHING: f32 = -1e38;    // log-sum-exp of a query that has seen no key

/// Of a lane's four rows, four columns each.
struct Tile {
  row0: vec4f,
  row1: vec4f,
  row2: vec4f,
  row3: vec4f,
}

var<workgroup> staged: array<vec4f, 2u * TILE * PITCH>; // rows of keys and queries; then columns
var<workgroup> weights: array<vec4f, TILE * PITCH>;
var<workgroup> partial: array<f32, TILE * 8u>;
var<workgroup> keyToken: array<u32, TILE>;
var<workgroup> keyScale: array<f32, TILE>;
var<workgroup> queryToken: array<u32, TILE>;
var<workgroup> queryChunk: array<u32, TILE>;
var<workgroup> queryBucket: array<u32, TILE>;
var<workgroup> queryFacts: array<vec4f, TILE>;
var<workgroup> queryWord: array<u32, TILE>;

/// Four numbers of a row from column d on; 0 beyond its end.
fn qkAt(start: u32, d: u32) -> vec4f {
  return select(vec4f(), qk[(start + min(d, params.D - 4u)) / 4u], d < params.D);
}

fn vAt(start: u32, e: u32) -> vec4f {
  return select(vec4f(), v[(start + min(e, params.E - 4u)) / 4u], e < params.E);
}

fn gradAt(start: u32, e: u32) -> vec4f {
  return select(vec4f(), grad[(start + min(e, params.E - 4u)) / 4u], e < params.E);
}

fn chunksOf(round: u32, tokens: vec4u) -> vec4u {
  let at = params.windowsStart + round + tokens;
  return vec4u(index[at.x], index[at.y], index[at.z], index[at.w]);
}

fn bucketsOf(round: u32, tokens: vec4u) -> vec4u {
  let at = round + tokens;
  return vec4u(vec4i(buckets[at.x], buckets[at.y], buckets[at.z], buckets[at.w]));
}

/// The slots that the windows of a segment cover, counted through all rounds.
struct Span {
  first: u32,
  count: u32,
  chunkBase: u32, // added to a slot's chunk in its row; may be below zero, where unsigned sums wrap
  next: u32,      // the slot at which the next segment begins
}

/// The span of the tile's segment that begins at a slot. With bucketWindow a segment is the tokens of
/// one bucket, else the whole tile. `before` and `after` are the chunks that windows reach; `later`
/// says whether the others of a causal pair are the later tokens.
fn spanOf(row: u32, segment: u32, firstSlot: u32, endSlot: u32, before: u32, after: u32, later: bool) -> Span {
  let L = params.L;
  let C = params.C;
  let roundStart = params.round * L;
  if (params.bucketWindow != 0u) {
    let token = index[row * params.R * L + roundStart + segment];
    let bucket = u32(buckets[params.bucketsStart + row * params.R * L + roundStart + token]);
    if (bucket >= params.N) {
      return Span(0u, 0u, 0u, endSlot); // padding, which sees nothing, is all that follows
    }
    let edge = params.windowsStart + (row * params.R + params.round) * (params.N + 2u) + bucket;
    let next = index[edge + 1u];
    // A bucket is in order of position: a causal pair's other is not on the far side of the tile.
    let causal = params.causal != 0u;
    let first = select(index[edge], segment, causal && later);
    let end = select(next, min(next, endSlot), causal && !later);
    return Span(roundStart + first, end - first, 0u, next);
  }
  let chunkFirst = firstSlot / C;
  let chunkLast = (endSlot - 1u) / C;
  if (params.wrap != 0u) {
    // Windows run on through the rounds, and back from the last to the first.
    let all = params.R * (L / C);
    let first = (params.round * (L / C) + chunkFirst + all - before % all) % all * C;
    return Span(first, (chunkLast - chunkFirst + 1u + before + after) * C, before - chunkFirst, endSlot);
  }
  let chunkStart = chunkFirst - min(before, chunkFirst);
  let end = min((chunkLast + after + 1u) * C, L);
  return Span(roundStart + chunkStart * C, end - chunkStart * C, 0u - chunkStart, endSlot);
}

/// Of four queries, those whose windows, of this round or an earlier one, hold a key in chunk `own`.
fn windowHolds(own: u32, ownBucket: u32, queryChunks: vec4u, queryBuckets: vec4u) -> vec4<bool> {
  if (params.bucketWindow != 0u) {
    return queryBuckets == vec4u(ownBucket);
  }
  let near = vec4u(own + params.P) - queryChunks <= vec4u(params.P + params.A);
  if (params.acrossBuckets != 0u) {
    return near;
  }
  return near & (queryBuckets == vec4u(ownBucket));
}

/// Of four queries, those that may see a key at all.
fn visibleTo(token: u32, ownBucket: u32, queries: vec4u) -> vec4<bool> {
  let real = (queries != vec4u(NONE)) & vec4<bool>(ownBucket < params.N);
  if (params.causal != 0u) {
    return real & (vec4u(token) < queries);
  }
  return real & (queries != vec4u(token));
}

/// A random word of a counter, as in forward.wgsl.
fn pcg(counter: u32) -> u32 {
  let state = counter * 747796405u + 2891336453u;
  let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
  return (word >> 22u) ^ word;
}

/// The random word of a row's round; the seed's stream is named "drop".
fn roundWord(seedRow: u32, round: u32) -> u32 {
  return pcg(pcg(pcg(pcg(params.seed ^ 0x64726f70u) + seedRow / params.H) + seedRow % params.H) + round);
}

/// What dropout makes of four weights of 1, from the random words of their queries and keys.
fn kept(queryWords: vec4u, keyWords: vec4u) -> vec4f {
  if (params.dropBelow == 0u) {
    return vec4f(1.0);
  }
  let counters = queryWords + keyWords;
  let words = vec4u(pcg(counters.x), pcg(counters.y), pcg(counters.z), pcg(counters.w));
  return select(vec4f(params.keep), vec4f(), words < vec4u(params.dropBelow));
}

/// Rows of keys at unit length, and of queries, from column d on. A query's row stands where the lane that
/// reads it meets no bank conflict: query 4x + b at b·8 + x.
fn stageKeysAndQueries(lane: u32, qkRow: u32, d: u32) {
  for (var i = lane; i < TILE * 8u; i += 64u) {
    let r = i / 8u;
    let column = d + i % 8u * 4u;
    staged[r * PITCH + i % 8u] = qkAt(qkRow + keyToken[r] * params.D, column) * keyScale[r];
    var q = vec4f();
    if (queryToken[r] != NONE) {
      q = qkAt(qkRow + queryToken[r] * params.D, column) * params.logitScale;
    }
    staged[(TILE + r % 4u * 8u + r / 4u) * PITCH + i % 8u] = q;
  }
}

/// The same for rows of values, and of the output's gradient.
fn stageValuesAndSlopes(lane: u32, gradRow: u32, vRow: u32, e: u32) {
  for (var i = lane; i < TILE * 8u; i += 64u) {
    let r = i / 8u;
    let column = e + i % 8u * 4u;
    staged[r * PITCH + i % 8u] = vAt(vRow + keyToken[r] * params.E, column);
    var slope = vec4f();
    if (queryToken[r] != NONE) {
      slope = gradAt(gradRow + queryToken[r] * params.E, column);
    }
    staged[(TILE + r % 4u * 8u + r / 4u) * PITCH + i % 8u] = slope;
  }
}

/// Adds a row's products with four others, number by number: in the order of the forward kernels, whose
/// log-sum-exp is off by as much.
fn chained(a: vec4f, others: mat4x4f, before: vec4f) -> vec4f {
  let two = fma(vec4f(a.y), others[1], fma(vec4f(a.x), others[0], before));
  return fma(vec4f(a.w), others[3], fma(vec4f(a.z), others[2], two));
}

/// Adds the products of a lane's four own rows with its four others, over the columns staged: 32 or fewer.
fn multiply(x: u32, y: u32, columns: u32, before: Tile) -> Tile {
  var sums = before;
  for (var c = 0u; 4u * c < min(columns, 32u); c++) {
    let b0 = staged[(TILE + x) * PITCH + c];
    let b1 = staged[(TILE + 8u + x) * PITCH + c];
    let b2 = staged[(TILE + 16u + x) * PITCH + c];
    let b3 = staged[(TILE + 24u + x) * PITCH + c];
    let a0 = staged[y * PITCH + c];
    let a1 = staged[(y + 8u) * PITCH + c];
    let a2 = staged[(y + 16u) * PITCH + c];
    let a3 = staged[(y + 24u) * PITCH + c];
    let b = transpose(mat4x4f(b0, b1, b2, b3));
    sums.row0 = chained(a0, b, sums.row0);
    sums.row1 = chained(a1, b, sums.row1);
    sums.row2 = chained(a2, b, sums.row2);
    sums.row3 = chained(a3, b, sums.row3);
  }
  return sums;
}

/// Leaves a lane's part of a tile of weights where all lanes can read it.
fn share(x: u32, y: u32, tile: Tile) {
  weights[y * PITCH + x] = tile.row0;
  weights[(y + 8u) * PITCH + x] = tile.row1;
  weights[(y + 16u) * PITCH + x] = tile.row2;
  weights[(y + 24u) * PITCH + x] = tile.row3;
}

/// Adds the shared weights times 32 of the 64 columns staged, for the lane's four own rows. Of the tile's
/// others there may be fewer than 32.
fn weigh(x: u32, y: u32, half: u32, others: u32, before: Tile) -> Tile {
  var sums = before;
  for (var k = 0u; 4u * k < min(others, TILE); k++) {
    let start = 4u * k * COLUMN_PITCH + 8u * half + x;
    let b0 = staged[start];
    let b1 = staged[start + COLUMN_PITCH];
    let b2 = staged[start + 2u * COLUMN_PITCH];
    let b3 = staged[start + 3u * COLUMN_PITCH];
    let w0 = weights[y * PITCH + k];
    let w1 = weights[(y + 8u) * PITCH + k];
    let w2 = weights[(y + 16u) * PITCH + k];
    let w3 = weights[(y + 24u) * PITCH + k];
    sums.row0 += w0.x * b0 + w0.y * b1 + w0.z * b2 + w0.w * b3;
    sums.row1 += w1.x * b0 + w1.y * b1 + w1.z * b2 + w1.w * b3;
    sums.row2 += w2.x * b0 + w2.y * b1 + w2.z * b2 + w2.w * b3;
    sums.row3 += w3.x * b0 + w3.y * b1 + w3.z * b2 + w3.w * b3;
  }
  return sums;
}

/// Of four queries of a key, the weights; 0 where they do not count.
fn finalWeights(logits: vec4f, lse: vec4f, counts: vec4<bool>) -> vec4f {
  return select(vec4f(), exp2(min(logits - lse, vec4f())), counts);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let ordinal = group.x + group.y * groups.x;
  if (ordinal >= params.workgroups) {
    return;
  }
  let x = lane % 8u;
  let y = lane / 8u;
  let L = params.L;
  let D = params.D;
  let E = params.E;
  let C = params.C;
  let row = ordinal / params.tiles;
  let firstSlot = ordinal % params.tiles * TILE;
  let endSlot = min(firstSlot + TILE, L);
  let qkRow = params.qkStart + row * L * D;
  let vRow = params.vStart + row * L * E;
  let gradRow = params.gradStart + row * L * E;
  let indexRow = row * params.R * L;
  let bucketRow = params.bucketsStart + indexRow;
  let roundStart = params.round * L;

  // This lane's keys.
  let slots = min(firstSlot + vec4u(y, y + 8u, y + 16u, y + 24u), vec4u(endSlot - 1u));
  let slotsAt = indexRow + roundStart + slots;
  let token = vec4u(index[slotsAt.x], index[slotsAt.y], index[slotsAt.z], index[slotsAt.w]);
  let bucket = bucketsOf(bucketRow + roundStart, token);
  let word = vec4u(pcg(token.x), pcg(token.y), pcg(token.z), pcg(token.w));
  if (lane < TILE) {
    let j = index[indexRow + roundStart + min(firstSlot + lane, endSlot - 1u)];
    keyToken[lane] = j;
    keyScale[lane] = facts[row * L + j].x;
  }
  var valueSums: array<Tile, COLUMN_VECTORS> = array<Tile, COLUMN_VECTORS>();
  var keySums: array<Tile, DEPTH_VECTORS> = array<Tile, DEPTH_VECTORS>();

  // A segment of the tile: with bucketWindow the keys of one bucket, else all of them.
  for (var segment = firstSlot; segment < endSlot;) {
    let span = spanOf(row, segment, firstSlot, endSlot, params.A, params.P, true);
    segment = span.next;
    let chunk = slots / C + span.chunkBase;

    for (var firstQuery = 0u; firstQuery < span.count; firstQuery += TILE) {
      workgroupBarrier();
      if (lane < TILE) {
        var i = NONE;
        var ofBucket = 0u;
        var known = vec4f();
        var ofRound = params.round;
        if (firstQuery + lane < span.count) {
          var slot = span.first + firstQuery + lane;
          if (params.wrap != 0u) {
            slot %= params.R * L;
          }
          ofRound = slot / L;
          i = index[indexRow + slot];
          ofBucket = u32(buckets[bucketRow + ofRound * L + i]);
          known = facts[row * L + i];
          if (ofBucket >= params.N) {
            i = NONE;
          }
          if (params.wrap != 0u) {
            // Another round's buckets are others: none is equal to one of this round.
            ofBucket += (ofRound + params.R - params.round) % params.R * (params.N + 1u);
          }
        }
        queryToken[lane] = i;
        queryBucket[lane] = ofBucket;
        queryChunk[lane] = (firstQuery + lane) / C;
        queryFacts[lane] = known;
        queryWord[lane] = pcg(roundWord(params.firstRow + row, ofRound) + i);
      }
      workgroupBarrier();

      var logits = Tile();
      for (var d = 0u; d < D; d += 32u) {
        stageKeysAndQueries(lane, qkRow, d);
        workgroupBarrier();
        logits = multiply(x, y, D - d, logits);
        workgroupBarrier();
      }
      var products = Tile();
      for (var e = 0u; e < E; e += 32u) {
        stageValuesAndSlopes(lane, gradRow, vRow, e);
        workgroupBarrier();
        products = multiply(x, y, E - e, products);
        workgroupBarrier();
      }

      // Which of the lane's pairs count.
      let first = 4u * x;
      let i4 = vec4u(queryToken[first], queryToken[first + 1u], queryToken[first + 2u], queryToken[first + 3u]);
      let chunk4 = vec4u(queryChunk[first], queryChunk[first + 1u], queryChunk[first + 2u], queryChunk[first + 3u]);
      let bucket4 = vec4u(queryBucket[first], queryBucket[first + 1u], queryBucket[first + 2u], queryBucket[first + 3u]);
      let word4 = vec4u(queryWord[first], queryWord[first + 1u], queryWord[first + 2u], queryWord[first + 3u]);
      var counts0 = visibleTo(token.x, bucket.x, i4) & windowHolds(chunk.x, bucket.x, chunk4, bucket4);
      var counts1 = visibleTo(token.y, bucket.y, i4) & windowHolds(chunk.y, bucket.y, chunk4, bucket4);
      var counts2 = visibleTo(token.z, bucket.z, i4) & windowHolds(chunk.z, bucket.z, chunk4, bucket4);
      var counts3 = visibleTo(token.w, bucket.w, i4) & windowHolds(chunk.w, bucket.w, chunk4, bucket4);
      if (params.correct != 0u) {
        // Each key once: a pair that an earlier round has seen is not seen again.
        let i = min(i4, vec4u(L - 1u));
        for (var r = 0u; r < params.round; r++) {
          var theirs = vec4u();
          var ours = vec4u();
          var theirBuckets = vec4u();
          var ourBuckets = vec4u();
          if (params.bucketWindow == 0u) {
            theirs = chunksOf(indexRow + r * L, i);
            ours = chunksOf(indexRow + r * L, token);
          }
          if (params.bucketWindow != 0u || params.acrossBuckets == 0u) {
            theirBuckets = bucketsOf(bucketRow + r * L, i);
            ourBuckets = bucketsOf(bucketRow + r * L, token);
          }
          counts0 &= !windowHolds(ours.x, ourBuckets.x, theirs, theirBuckets);
          counts1 &= !windowHolds(ours.y, ourBuckets.y, theirs, theirBuckets);
          counts2 &= !windowHolds(ours.z, ourBuckets.z, theirs, theirBuckets);
          counts3 &= !windowHolds(ours.w, ourBuckets.w, theirs, theirBuckets);
        }
      }

      let f0 = queryFacts[first];
      let f1 = queryFacts[first + 1u];
      let f2 = queryFacts[first + 2u];
      let f3 = queryFacts[first + 3u];
      let lse4 = vec4f(f0.y, f1.y, f2.y, f3.y);
      let delta4 = vec4f(f0.z, f1.z, f2.z, f3.z);
      let scales = vec4f(keyScale[y], keyScale[y + 8u], keyScale[y + 16u], keyScale[y + 24u]);
      let w0 = finalWeights(logits.row0, lse4, counts0);
      let w1 = finalWeights(logits.row1, lse4, counts1);
      let w2 = finalWeights(logits.row2, lse4, counts2);
      let w3 = finalWeights(logits.row3, lse4, counts3);
      let keep0 = kept(word4, vec4u(word.x));
      let keep1 = kept(word4, vec4u(word.y));
      let keep2 = kept(word4, vec4u(word.z));
      let keep3 = kept(word4, vec4u(word.w));

      // Weights times the output's gradient, 64 columns at a time.
      share(x, y, Tile(w0 * keep0, w1 * keep1, w2 * keep2, w3 * keep3));
      for (var c = 0u; c < COLUMN_VECTORS; c += 2u) {
        workgroupBarrier();
        for (var i = lane; i < TILE * 16u; i += 64u) {
          let r = i / 16u;
          var slope = vec4f();
          if (queryToken[r] != NONE) {
            slope = gradAt(gradRow + queryToken[r] * E, 32u * c + i % 16u * 4u);
          }
          staged[r * COLUMN_PITCH + i % 16u] = slope;
        }
        workgroupBarrier();
        for (var half = 0u; half < min(2u, COLUMN_VECTORS - c); half++) {
          valueSums[c + half] = weigh(x, y, half, span.count - firstQuery, valueSums[c + half]);
        }
      }
      workgroupBarrier();

      // dS times queries, likewise; divided by |k| at once, since the product of large values and queries may have no float.
      share(x, y, Tile(
        scales.x * w0 * (keep0 * products.row0 - delta4), scales.y * w1 * (keep1 * products.row1 - delta4),
        scales.z * w2 * (keep2 * products.row2 - delta4), scales.w * w3 * (keep3 * products.row3 - delta4)));
      for (var c = 0u; c < DEPTH_VECTORS; c += 2u) {
        workgroupBarrier();
        for (var i = lane; i < TILE * 16u; i += 64u) {
          let r = i / 16u;
          var q = vec4f();
          if (queryToken[r] != NONE) {
            q = qkAt(qkRow + queryToken[r] * D, 32u * c + i % 16u * 4u);
          }
          staged[r * COLUMN_PITCH + i % 16u] = q;
        }
        workgroupBarrier();
        for (var half = 0u; half < min(2u, DEPTH_VECTORS - c); half++) {
          keySums[c + half] = weigh(x, y, half, span.count - firstQuery, keySums[c + half]);
        }
      }
    }
  }

  // k·dk of every key, from its eight lanes.
  for (var a = 0u; a < 4u; a++) {
    var along = 0.0;
    for (var c = 0u; c < DEPTH_VECTORS; c++) {
      let tile = keySums[c];
      let rows = array<vec4f, 4>(tile.row0, tile.row1, tile.row2, tile.row3);
      let k = qkAt(qkRow + token[a] * D, 32u * c + 4u * x) * keyScale[y + 8u * a];
      along += dot(k, rows[a]);
    }
    partial[8u * (y + 8u * a) + x] = along;
  }
  workgroupBarrier();

  for (var a = 0u; a < 4u; a++) {
    if (firstSlot + y + 8u * a >= endSlot) {
      continue;
    }
    let scale = keyScale[y + 8u * a];
    var along = 0.0;
    for (var i = 0u; i < 8u; i++) {
      along += partial[8u * (y + 8u * a) + i];
    }
    for (var c = 0u; c < DEPTH_VECTORS; c++) {
      let d = 32u * c + 4u * x;
      let tile = keySums[c];
      let rows = array<vec4f, 4>(tile.row0, tile.row1, tile.row2, tile.row3);
      let k = qkAt(qkRow + token[a] * D, d) * scale;
      let slope = params.scale * (rows[a] - k * along);
      if (d < D) {
        dqk[(params.dqkStart + (row * L + token[a]) * D + d) / 4u] += slope;
      }
    }
    // A query that saw nothing returned its own v: so does its gradient.
    let alone = params.round == 0u && facts[row * L + token[a]].y <= NOTHING;
    for (var c = 0u; c < COLUMN_VECTORS; c++) {
      let e = 32u * c + 4u * x;
      let tile = valueSums[c];
      let rows = array<vec4f, 4>(tile.row0, tile.row1, tile.row2, tile.row3);
      if (e < E) {
        let at = (params.dvStart + (row * L + token[a]) * E + e) / 4u;
        var before = vec4f();
        if (params.round > 0u) {
          before = dv[at];
        } else if (alone) {
          before = gradAt(gradRow + token[a] * E, e);
        }
        dv[at] = before + rows[a];
      }
    }
  }
}
