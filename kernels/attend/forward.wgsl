// One round of LSH attention, merged in place into the rounds before it.
//
//   qk [BH, L, D]   inverseNorms [BH, L]   v [BH, L, E]   buckets [BH, R, L]
//   index: token at each slot [BH, R, L]; from windowsStart on, chunk of each token [BH, R, L], or
//   with bucketWindow the first slot of each bucket [BH, R, N+2]
//   →   out [BH, L, E]   lse [BH, L]
//
// A tile is 32 consecutive slots of the sorted row as queries, against the slots of all their
// windows as keys, 32 at a time. It need not start at a chunk's edge: a pair outside its window is
// excluded like any other. (out, lse) of earlier rounds *is* a state of the online softmax, with
// maximum lse and sum 1, so a round goes on where the last one stopped. A token is a query of
// exactly one tile in a round: no two workgroups meet, and nothing grows with R.
//
// With bucketWindow the tile takes its buckets one by one, keys from the first of the bucket on: what
// a query adds up, and in which order, then depends on its own bucket alone, to the last bit.
//
// One workgroup per (tile, b·h), 8×8 lanes. Lane (x, y) owns queries y + 8a with keys 4x … 4x+3 of
// a 32×32 tile of logits, then the same queries with value columns 4x … 4x+3 of every 32.
// Logits are in units of log2, the scale folded into the query.

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
  outStart: u32,
  lseStart: u32,
  scale: f32,              // of the logits, times log2(e)
  firstRow: u32,           // first b·h of this batch of rows
  H: u32,
  seed: u32,
  dropBelow: u32,          // a pair whose random word is below this is dropped
  keep: f32,               // 1 / (1 − dropout)
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qk: array<f32>;
@group(0) @binding(2) var<storage, read> inverseNorms: array<f32>;
@group(0) @binding(3) var<storage, read> v: array<f32>;
@group(0) @binding(4) var<storage, read> buckets: array<i32>;
@group(0) @binding(5) var<storage, read> index: array<u32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
@group(0) @binding(7) var<storage, read_write> lse: array<f32>;

const TILE: u32 = 32u;         // queries, and keys, of a tile
const PITCH: u32 = 9u;         // vec4 a staged row of 32 floats, plus one against bank conflicts
const VALUE_PITCH: u32 = 17u;  // likewise for 64 floats
const COLUMN_VECTORS: u32 = 2u; // set to ceil(E / 32), or more: vec4 of output a lane holds for each query

const NONE: u32 = 0xffffffffu; // no token: beyond the row, or padding
const NOTHING: f32 = -1e38;    // log-sum-exp of a query that has seen no key
const LN_2: f32 = 0.6931471805599453;

var<workgroup> staged: array<vec4f, 2u * TILE * PITCH>; // query and key slices; then values
var<workgroup> weights: array<vec4f, TILE * PITCH>;
var<workgroup> partial: array<f32, TILE * 8u>;
var<workgroup> keyToken: array<u32, TILE>;
var<workgroup> keyChunk: array<u32, TILE>;
var<workgroup> keyBucket: array<u32, TILE>;
var<workgroup> keyScale: array<f32, TILE>;
var<workgroup> keyWord: array<u32, TILE>;

fn loadQk(start: u32, d: u32) -> vec4f {
  let at = start + d;
  if (d + 4u <= params.D) {
    return vec4f(qk[at], qk[at + 1u], qk[at + 2u], qk[at + 3u]);
  }
  var row: vec4f = vec4f();
  for (var i = 0u; d + i < params.D; i++) {
    row[i] = qk[at + i];
  }
  return row;
}

fn loadV(start: u32, e: u32) -> vec4f {
  let at = start + e;
  if (e + 4u <= params.E) {
    return vec4f(v[at], v[at + 1u], v[at + 2u], v[at + 3u]);
  }
  var row: vec4f = vec4f();
  for (var i = 0u; e + i < params.E; i++) {
    row[i] = v[at + i];
  }
  return row;
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

/// Of four keys, those in the window of a query in chunk `own`, by this round or an earlier one.
fn inWindow(own: u32, ownBucket: u32, keyChunks: vec4u, keyBuckets: vec4u) -> vec4<bool> {
  if (params.bucketWindow != 0u) {
    return keyBuckets == vec4u(ownBucket);
  }
  let near = keyChunks + params.P - own <= vec4u(params.P + params.A); // 0 … P + A; below zero wraps
  if (params.acrossBuckets != 0u) {
    return near;
  }
  return near & (keyBuckets == vec4u(ownBucket));
}

/// Of four keys, those that a query may see at all. Self never: it is a last resort, decided at the end.
fn visible(token: u32, ownBucket: u32, keys: vec4u) -> vec4<bool> {
  let real = (keys != vec4u(NONE)) & vec4<bool>(ownBucket < params.N);
  if (params.causal != 0u) {
    return real & (keys < vec4u(token));
  }
  return real & (keys != vec4u(token));
}

/// The largest of four logits that count.
fn largestOf(logits: vec4f, counts: vec4<bool>) -> f32 {
  let those = select(vec4f(NOTHING), logits, counts);
  return max(max(those.x, those.y), max(those.z, those.w));
}

/// The largest of a query's logits, from the largest of its eight lanes.
fn largestOfRow(query: u32) -> f32 {
  var most = NOTHING;
  for (var i = 0u; i < 8u; i++) {
    most = max(most, partial[8u * query + i]);
  }
  return most;
}

fn weightsOf(logits: vec4f, most: f32, counts: vec4<bool>) -> vec4f {
  return select(vec4f(), exp2(min(logits - most, vec4f())), counts);
}

/// A random word of a counter (O'Neill's PCG as a hash; Jarzynski and Olano 2020).
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
  let indexRow = row * params.R * L;
  let bucketRow = params.bucketsStart + indexRow;
  let roundStart = params.round * L;

  // This lane's queries, and the state that earlier rounds left for them. Of the eight lanes that
  // share a query, the first carries the sum.
  let slots = min(firstSlot + vec4u(y, y + 8u, y + 16u, y + 24u), vec4u(endSlot - 1u));
  let slotsAt = indexRow + roundStart + slots;
  let token = vec4u(index[slotsAt.x], index[slotsAt.y], index[slotsAt.z], index[slotsAt.w]);
  let bucket = bucketsOf(bucketRow + roundStart, token);
  let ofRound = roundWord(params.firstRow + row, params.round);
  let word = vec4u(
    pcg(ofRound + token.x), pcg(ofRound + token.y), pcg(ofRound + token.z), pcg(ofRound + token.w));
  var largest = vec4f(NOTHING);
  var sum = vec4f();
  var sums: array<vec4f, 4u * COLUMN_VECTORS> = array<vec4f, 4u * COLUMN_VECTORS>();
  if (params.round > 0u) {
    let at = params.lseStart + row * L + token;
    largest = vec4f(lse[at.x], lse[at.y], lse[at.z], lse[at.w]);
    sum = select(vec4f(), vec4f(1.0), (largest > vec4f(NOTHING)) & vec4<bool>(x == 0u));
    for (var a = 0u; a < 4u; a++) {
      for (var c = 0u; c < COLUMN_VECTORS; c++) {
        let e = 32u * c + 4u * x;
        for (var i = 0u; i < 4u && e + i < E; i++) {
          sums[4u * c + a][i] = out[params.outStart + (row * L + token[a]) * E + e + i];
        }
      }
    }
  }

  // A segment of the tile: with bucketWindow the queries of one bucket, else all of them.
  for (var segment = firstSlot; segment < endSlot;) {
    let span = spanOf(row, segment, firstSlot, endSlot, params.P, params.A, false);
    segment = span.next;
    let chunk = slots / C + span.chunkBase;

    for (var firstKey = 0u; firstKey < span.count; firstKey += TILE) {
      workgroupBarrier();
      if (lane < TILE) {
        var j = NONE;
        var ofBucket = 0u;
        var scale = 0.0;
        if (firstKey + lane < span.count) {
          var slot = span.first + firstKey + lane;
          if (params.wrap != 0u) {
            slot %= params.R * L;
          }
          j = index[indexRow + slot];
          ofBucket = u32(buckets[bucketRow + slot / L * L + j]);
          scale = inverseNorms[row * L + j];
          if (ofBucket >= params.N) {
            j = NONE;
          }
          if (params.wrap != 0u) {
            // Another round's buckets are others: none is equal to one of this round.
            ofBucket += (slot / L + params.R - params.round) % params.R * (params.N + 1u);
          }
        }
        keyToken[lane] = j;
        keyBucket[lane] = ofBucket;
        keyChunk[lane] = (firstKey + lane) / C;
        keyScale[lane] = scale;
        keyWord[lane] = pcg(j); // of dropout
      }
      workgroupBarrier();

      // Logits: depth in slices of 32, keys scaled to unit length as they are staged. A key's row
      // stands where the lane that reads it meets no bank conflict: key 4x + b at b·8 + x.
      var logits0 = vec4f();
      var logits1 = vec4f();
      var logits2 = vec4f();
      var logits3 = vec4f();
      for (var d = 0u; d < D; d += 32u) {
        if (d > 0u) {
          workgroupBarrier();
        }
        for (var i = lane; i < TILE * 8u; i += 64u) {
          let r = i / 8u;
          let depth = d + i % 8u * 4u;
          let q = index[indexRow + roundStart + min(firstSlot + r, endSlot - 1u)];
          staged[r * PITCH + i % 8u] = loadQk(qkRow + q * D, depth) * params.scale;
          var k = vec4f();
          if (keyToken[r] != NONE) {
            k = loadQk(qkRow + keyToken[r] * D, depth) * keyScale[r];
          }
          staged[(TILE + r % 4u * 8u + r / 4u) * PITCH + i % 8u] = k;
        }
        workgroupBarrier();
        for (var c = 0u; 4u * c < min(D - d, 32u); c++) {
          let k0 = staged[(TILE + x) * PITCH + c];
          let k1 = staged[(TILE + 8u + x) * PITCH + c];
          let k2 = staged[(TILE + 16u + x) * PITCH + c];
          let k3 = staged[(TILE + 24u + x) * PITCH + c];
          let q0 = staged[y * PITCH + c];
          let q1 = staged[(y + 8u) * PITCH + c];
          let q2 = staged[(y + 16u) * PITCH + c];
          let q3 = staged[(y + 24u) * PITCH + c];
          logits0 += vec4f(dot(q0, k0), dot(q0, k1), dot(q0, k2), dot(q0, k3));
          logits1 += vec4f(dot(q1, k0), dot(q1, k1), dot(q1, k2), dot(q1, k3));
          logits2 += vec4f(dot(q2, k0), dot(q2, k1), dot(q2, k2), dot(q2, k3));
          logits3 += vec4f(dot(q3, k0), dot(q3, k1), dot(q3, k2), dot(q3, k3));
        }
      }

      // Which of the lane's pairs count.
      let first = 4u * x;
      let j4 = vec4u(keyToken[first], keyToken[first + 1u], keyToken[first + 2u], keyToken[first + 3u]);
      let chunk4 = vec4u(keyChunk[first], keyChunk[first + 1u], keyChunk[first + 2u], keyChunk[first + 3u]);
      let bucket4 = vec4u(keyBucket[first], keyBucket[first + 1u], keyBucket[first + 2u], keyBucket[first + 3u]);
      let word4 = vec4u(keyWord[first], keyWord[first + 1u], keyWord[first + 2u], keyWord[first + 3u]);
      var counts0 = visible(token.x, bucket.x, j4) & inWindow(chunk.x, bucket.x, chunk4, bucket4);
      var counts1 = visible(token.y, bucket.y, j4) & inWindow(chunk.y, bucket.y, chunk4, bucket4);
      var counts2 = visible(token.z, bucket.z, j4) & inWindow(chunk.z, bucket.z, chunk4, bucket4);
      var counts3 = visible(token.w, bucket.w, j4) & inWindow(chunk.w, bucket.w, chunk4, bucket4);
      if (params.correct != 0u) {
        // Each key once: a pair that an earlier round has seen is not seen again.
        let j = min(j4, vec4u(L - 1u));
        for (var r = 0u; r < params.round; r++) {
          var theirs = vec4u();
          var ours = vec4u();
          var theirBuckets = vec4u();
          var ourBuckets = vec4u();
          if (params.bucketWindow == 0u) {
            theirs = chunksOf(indexRow + r * L, j);
            ours = chunksOf(indexRow + r * L, token);
          }
          if (params.bucketWindow != 0u || params.acrossBuckets == 0u) {
            theirBuckets = bucketsOf(bucketRow + r * L, j);
            ourBuckets = bucketsOf(bucketRow + r * L, token);
          }
          counts0 &= !inWindow(ours.x, ourBuckets.x, theirs, theirBuckets);
          counts1 &= !inWindow(ours.y, ourBuckets.y, theirs, theirBuckets);
          counts2 &= !inWindow(ours.z, ourBuckets.z, theirs, theirBuckets);
          counts3 &= !inWindow(ours.w, ourBuckets.w, theirs, theirBuckets);
        }
      }
      partial[8u * y + x] = largestOf(logits0, counts0);
      partial[8u * (y + 8u) + x] = largestOf(logits1, counts1);
      partial[8u * (y + 16u) + x] = largestOf(logits2, counts2);
      partial[8u * (y + 24u) + x] = largestOf(logits3, counts3);
      workgroupBarrier();

      let most = max(largest, vec4f(
        largestOfRow(y), largestOfRow(y + 8u), largestOfRow(y + 16u), largestOfRow(y + 24u)));
      let fade = exp2(largest - most);
      largest = most;
      let weights0 = weightsOf(logits0, most.x, counts0);
      let weights1 = weightsOf(logits1, most.y, counts1);
      let weights2 = weightsOf(logits2, most.z, counts2);
      let weights3 = weightsOf(logits3, most.w, counts3);
      weights[y * PITCH + x] = weights0 * kept(vec4u(word.x), word4);
      weights[(y + 8u) * PITCH + x] = weights1 * kept(vec4u(word.y), word4);
      weights[(y + 16u) * PITCH + x] = weights2 * kept(vec4u(word.z), word4);
      weights[(y + 24u) * PITCH + x] = weights3 * kept(vec4u(word.w), word4);
      let ones = vec4f(1.0);
      sum = sum * fade + vec4f(dot(weights0, ones), dot(weights1, ones), dot(weights2, ones), dot(weights3, ones));

      // Weighted values, 64 columns at a time, in the memory that held queries and keys.
      for (var c = 0u; c < COLUMN_VECTORS; c += 2u) {
        workgroupBarrier();
        for (var i = lane; i < TILE * 16u; i += 64u) {
          let r = i / 16u;
          var value = vec4f();
          if (keyToken[r] != NONE) {
            value = loadV(vRow + keyToken[r] * E, 32u * c + i % 16u * 4u);
          }
          staged[r * VALUE_PITCH + i % 16u] = value;
        }
        workgroupBarrier();
        for (var half = 0u; half < min(2u, COLUMN_VECTORS - c); half++) {
          let at = 4u * (c + half);
          var sum0 = sums[at] * fade.x;
          var sum1 = sums[at + 1u] * fade.y;
          var sum2 = sums[at + 2u] * fade.z;
          var sum3 = sums[at + 3u] * fade.w;
          for (var k = 0u; 4u * k < min(span.count - firstKey, TILE); k++) {
            let start = 4u * k * VALUE_PITCH + 8u * half + x;
            let v0 = staged[start];
            let v1 = staged[start + VALUE_PITCH];
            let v2 = staged[start + 2u * VALUE_PITCH];
            let v3 = staged[start + 3u * VALUE_PITCH];
            let w0 = weights[y * PITCH + k];
            let w1 = weights[(y + 8u) * PITCH + k];
            let w2 = weights[(y + 16u) * PITCH + k];
            let w3 = weights[(y + 24u) * PITCH + k];
            sum0 += w0.x * v0 + w0.y * v1 + w0.z * v2 + w0.w * v3;
            sum1 += w1.x * v0 + w1.y * v1 + w1.z * v2 + w1.w * v3;
            sum2 += w2.x * v0 + w2.y * v1 + w2.z * v2 + w2.w * v3;
            sum3 += w3.x * v0 + w3.y * v1 + w3.z * v2 + w3.w * v3;
          }
          sums[at] = sum0;
          sums[at + 1u] = sum1;
          sums[at + 2u] = sum2;
          sums[at + 3u] = sum3;
        }
      }
    }
  }

  // All lanes of a query add up, and write its output and log-sum-exp.
  partial[8u * y + x] = sum.x;
  partial[8u * (y + 8u) + x] = sum.y;
  partial[8u * (y + 16u) + x] = sum.z;
  partial[8u * (y + 24u) + x] = sum.w;
  workgroupBarrier();
  let last = params.round + 1u == params.R;
  for (var a = 0u; a < 4u; a++) {
    let query = y + 8u * a;
    if (firstSlot + query >= endSlot) {
      continue;
    }
    var total = 0.0;
    for (var i = 0u; i < 8u; i++) {
      total += partial[8u * query + i];
    }
    let seen = total > 0.0;
    let at = row * L + token[a];
    if (x == 0u) {
      var state = NOTHING;
      if (seen) {
        state = (largest[a] + log2(total)) * select(1.0, LN_2, last);
      }
      lse[params.lseStart + at] = state;
    }
    for (var c = 0u; c < COLUMN_VECTORS; c++) {
      let e = 32u * c + 4u * x;
      var result = vec4f();
      if (seen) {
        result = sums[4u * c + a] / total;
      } else if (last) {
        // Nothing in any round: self is all there is (a first token has no one else; paper, section 3).
        result = loadV(vRow + token[a] * E, e);
      }
      for (var i = 0u; i < 4u && e + i < E; i++) {
        out[params.outStart + at * E + e + i] = result[i];
      }
    }
  }
}
