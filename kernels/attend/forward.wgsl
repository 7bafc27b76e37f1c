// One round of LSH attention, merged in place into the rounds before it.
//
//   qk [BH, L, D]   inverseNorms [BH, L]   v [BH, L, E]
//   order, buckets, chunks [BH, R, L]   →   out [BH, L, E]   lse [BH, L]
//
// A tile is 32 consecutive slots of the sorted row as queries, against the slots of all their
// windows as keys, 32 at a time. It need not start at a chunk's edge: a pair outside its window is
// excluded like any other. (out, lse) of earlier rounds *is* a state of the online softmax, with
// maximum lse and sum 1, so a round goes on where the last one stopped. A token is a query of
// exactly one tile in a round: no two workgroups meet, and nothing grows with R.
//
// One workgroup per (tile, b·h), 8×8 lanes. Lane (x, y) owns queries y + 8a with keys 4x … 4x+3 of
// a 32×32 tile of logits, then the same queries with value columns 4x … 4x+3 of every 32.
// Logits are in units of log2, the scale folded into the query.

override D: u32 = 64u;
override E: u32 = 64u;
override CAUSAL: bool = false;
override WRAP: bool = false;
override ACROSS_BUCKETS: bool = true;
override CORRECT: bool = true;

struct Params {
  L: u32,
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
  outStart: u32,
  lseStart: u32,
  scale: f32,              // of the logits, times log2(e)
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qk: array<f32>;
@group(0) @binding(2) var<storage, read> inverseNorms: array<f32>;
@group(0) @binding(3) var<storage, read> v: array<f32>;
@group(0) @binding(4) var<storage, read> order: array<u32>;
@group(0) @binding(5) var<storage, read> buckets: array<i32>;
@group(0) @binding(6) var<storage, read> chunks: array<u32>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;
@group(0) @binding(8) var<storage, read_write> lse: array<f32>;

const TILE: u32 = 32u;         // queries, and keys, of a tile
const PITCH: u32 = 9u;         // vec4 a staged row of 32 floats, plus one against bank conflicts
const VALUE_PITCH: u32 = 17u;  // likewise for 64 floats
const COLUMN_VECTORS: u32 = 2u; // set to ceil(E / 32): vec4 of output a lane holds for each query

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

fn loadQk(start: u32, d: u32) -> vec4f {
  let at = start + d;
  if (d + 4u <= D) {
    return vec4f(qk[at], qk[at + 1u], qk[at + 2u], qk[at + 3u]);
  }
  var row: vec4f = vec4f();
  for (var i = 0u; d + i < D; i++) {
    row[i] = qk[at + i];
  }
  return row;
}

fn loadV(start: u32, e: u32) -> vec4f {
  let at = start + e;
  if (e + 4u <= E) {
    return vec4f(v[at], v[at + 1u], v[at + 2u], v[at + 3u]);
  }
  var row: vec4f = vec4f();
  for (var i = 0u; e + i < E; i++) {
    row[i] = v[at + i];
  }
  return row;
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.x + group.y * groups.x;
  if (index >= params.workgroups) {
    return;
  }
  let x = lane % 8u;
  let y = lane / 8u;
  let L = params.L;
  let C = params.C;
  let row = index / params.tiles;
  let firstSlot = index % params.tiles * TILE;
  let endSlot = min(firstSlot + TILE, L);
  let qkRow = params.qkStart + row * L * D;
  let vRow = params.vStart + row * L * E;
  let indexRow = row * params.R * L;
  let bucketRow = params.bucketsStart + indexRow;
  let roundStart = params.round * L;

  // The slots that the tile's windows cover. With WRAP they run on through the rounds, and back
  // from the last to the first; chunks are counted from the first one covered.
  let chunkFirst = firstSlot / C;
  let chunkLast = (endSlot - 1u) / C;
  var keysFirst = 0u;
  var keys = 0u;
  var queryChunkBase = 0u; // what a query's chunk in its row is less, counted as the keys' are
  if (WRAP) {
    let all = params.R * (L / C);
    keysFirst = (params.round * (L / C) + chunkFirst + all - params.P % all) % all * C;
    keys = (chunkLast - chunkFirst + 1u + params.P + params.A) * C;
    queryChunkBase = params.P - chunkFirst; // may be below zero: unsigned arithmetic wraps, the sum does not
  } else {
    let chunkStart = chunkFirst - min(params.P, chunkFirst);
    keysFirst = roundStart + chunkStart * C;
    keys = min((chunkLast + params.A + 1u) * C, L) - chunkStart * C;
    queryChunkBase = 0u - chunkStart;
  }

  // This lane's queries, and the state that earlier rounds left for them. Of the eight lanes that
  // share a query, the first carries the sum.
  var token: array<u32, 4> = array<u32, 4>();
  var bucket: array<u32, 4> = array<u32, 4>();
  var chunk: array<u32, 4> = array<u32, 4>();
  var largest: array<f32, 4> = array<f32, 4>();
  var sum: array<f32, 4> = array<f32, 4>();
  var sums: array<vec4f, 4u * COLUMN_VECTORS> = array<vec4f, 4u * COLUMN_VECTORS>();
  for (var a = 0u; a < 4u; a++) {
    let slot = min(firstSlot + y + 8u * a, endSlot - 1u);
    token[a] = order[indexRow + roundStart + slot];
    bucket[a] = u32(buckets[bucketRow + roundStart + token[a]]);
    chunk[a] = slot / C + queryChunkBase;
    largest[a] = NOTHING;
    if (params.round > 0u) {
      largest[a] = lse[params.lseStart + row * L + token[a]];
      if (largest[a] > NOTHING) {
        if (x == 0u) {
          sum[a] = 1.0;
        }
        for (var c = 0u; c < COLUMN_VECTORS; c++) {
          let e = 32u * c + 4u * x;
          for (var i = 0u; i < 4u && e + i < E; i++) {
            sums[a * COLUMN_VECTORS + c][i] = out[params.outStart + (row * L + token[a]) * E + e + i];
          }
        }
      }
    }
  }

  for (var firstKey = 0u; firstKey < keys; firstKey += TILE) {
    workgroupBarrier();
    if (lane < TILE) {
      var j = NONE;
      var keysBucket = 0u;
      var scale = 0.0;
      if (firstKey + lane < keys) {
        var slot = keysFirst + firstKey + lane;
        if (WRAP) {
          slot %= params.R * L;
        }
        j = order[indexRow + slot];
        keysBucket = u32(buckets[bucketRow + slot / L * L + j]);
        scale = inverseNorms[row * L + j];
        if (keysBucket >= params.N) {
          j = NONE;
        }
        if (WRAP) {
          keysBucket += (slot / L + params.R - params.round) % params.R * (params.N + 1u);
        }
      }
      keyToken[lane] = j;
      keyBucket[lane] = keysBucket;
      keyChunk[lane] = (firstKey + lane) / C;
      keyScale[lane] = scale;
    }
    workgroupBarrier();

    // Logits: depth in slices of 32, keys scaled to unit length as they are staged. A key's row
    // stands where the lane that reads it meets no bank conflict: key 4x + b at b·8 + x.
    var logits: array<vec4f, 4> = array<vec4f, 4>();
    for (var d = 0u; d < D; d += 32u) {
      if (d > 0u) {
        workgroupBarrier();
      }
      for (var i = lane; i < TILE * 8u; i += 64u) {
        let r = i / 8u;
        let depth = d + i % 8u * 4u;
        let slot = min(firstSlot + r, endSlot - 1u);
        let q = order[indexRow + roundStart + slot];
        staged[r * PITCH + i % 8u] = loadQk(qkRow + q * D, depth) * params.scale;
        var k: vec4f = vec4f();
        if (keyToken[r] != NONE) {
          k = loadQk(qkRow + keyToken[r] * D, depth) * keyScale[r];
        }
        staged[(TILE + r % 4u * 8u + r / 4u) * PITCH + i % 8u] = k;
      }
      workgroupBarrier();
      for (var c = 0u; c < 8u; c++) {
        let k0 = staged[(TILE + x) * PITCH + c];
        let k1 = staged[(TILE + 8u + x) * PITCH + c];
        let k2 = staged[(TILE + 16u + x) * PITCH + c];
        let k3 = staged[(TILE + 24u + x) * PITCH + c];
        for (var a = 0u; a < 4u; a++) {
          let q = staged[(y + 8u * a) * PITCH + c];
          logits[a] += vec4f(dot(q, k0), dot(q, k1), dot(q, k2), dot(q, k3));
        }
      }
    }

    // Which of the lane's pairs count. Self never does here: it is a last resort, decided at the end.
    var counts: array<vec4<bool>, 4> = array<vec4<bool>, 4>();
    for (var a = 0u; a < 4u; a++) {
      var most = NOTHING;
      for (var b = 0u; b < 4u; b++) {
        let j = keyToken[4u * x + b];
        let apart = keyChunk[4u * x + b] + params.P - chunk[a]; // 0 … P + A inside the window
        var admitted = j != NONE && bucket[a] < params.N && j != token[a] && apart <= params.P + params.A;
        if (CAUSAL) {
          admitted = admitted && j < token[a];
        }
        if (!ACROSS_BUCKETS) {
          admitted = admitted && keyBucket[4u * x + b] == bucket[a];
        }
        if (CORRECT && admitted) {
          // Each key once: a pair that an earlier round has seen is not seen again.
          for (var r = 0u; r < params.round; r++) {
            let at = indexRow + r * L;
            var seen = chunks[at + j] + params.P - chunks[at + token[a]] <= params.P + params.A;
            if (!ACROSS_BUCKETS) {
              let rounds = params.bucketsStart + at;
              seen = seen && buckets[rounds + j] == buckets[rounds + token[a]];
            }
            admitted = admitted && !seen;
          }
        }
        counts[a][b] = admitted;
        if (admitted) {
          most = max(most, logits[a][b]);
        }
      }
      partial[(y + 8u * a) * 8u + x] = most;
    }
    workgroupBarrier();

    for (var a = 0u; a < 4u; a++) {
      var most = largest[a];
      for (var i = 0u; i < 8u; i++) {
        most = max(most, partial[(y + 8u * a) * 8u + i]);
      }
      let weight = select(vec4f(), exp2(min(logits[a] - most, vec4f())), counts[a]);
      let fade = exp2(largest[a] - most);
      weights[(y + 8u * a) * PITCH + x] = weight;
      largest[a] = most;
      sum[a] = sum[a] * fade + weight.x + weight.y + weight.z + weight.w;
      for (var c = 0u; c < COLUMN_VECTORS; c++) {
        sums[a * COLUMN_VECTORS + c] *= fade;
      }
    }

    // Weighted values, 64 columns at a time, in the memory that held queries and keys.
    for (var c = 0u; c < COLUMN_VECTORS; c += 2u) {
      workgroupBarrier();
      for (var i = lane; i < TILE * 16u; i += 64u) {
        let r = i / 16u;
        var value: vec4f = vec4f();
        if (keyToken[r] != NONE) {
          value = loadV(vRow + keyToken[r] * E, 32u * c + i % 16u * 4u);
        }
        staged[r * VALUE_PITCH + i % 16u] = value;
      }
      workgroupBarrier();
      for (var k = 0u; k < TILE / 4u; k++) {
        for (var half = 0u; half < min(2u, COLUMN_VECTORS - c); half++) {
          let v0 = staged[(4u * k) * VALUE_PITCH + 8u * half + x];
          let v1 = staged[(4u * k + 1u) * VALUE_PITCH + 8u * half + x];
          let v2 = staged[(4u * k + 2u) * VALUE_PITCH + 8u * half + x];
          let v3 = staged[(4u * k + 3u) * VALUE_PITCH + 8u * half + x];
          for (var a = 0u; a < 4u; a++) {
            let w = weights[(y + 8u * a) * PITCH + k];
            sums[a * COLUMN_VECTORS + c + half] += w.x * v0 + w.y * v1 + w.z * v2 + w.w * v3;
          }
        }
      }
    }
  }

  for (var a = 0u; a < 4u; a++) {
    partial[(y + 8u * a) * 8u + x] = sum[a];
  }
  workgroupBarrier();
  for (var a = 0u; a < 4u; a++) {
    if (firstSlot + y + 8u * a >= endSlot) {
      continue;
    }
    var total = 0.0;
    for (var i = 0u; i < 8u; i++) {
      total += partial[(y + 8u * a) * 8u + i];
    }
    let seen = total > 0.0;
    let last = params.round + 1u == params.R;
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
      var result: vec4f = vec4f();
      if (seen) {
        result = sums[a * COLUMN_VECTORS + c] / total;
      } else if (last) {
        // Nothing in any round: self is all there is (algorithm: a first token returns its own v).
        result = loadV(vRow + token[a] * E, e);
      }
      for (var i = 0u; i < 4u && e + i < E; i++) {
        out[params.outStart + at * E + e + i] = result[i];
      }
    }
  }
}
