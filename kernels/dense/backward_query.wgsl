// The gradient of exact attention by its queries: dq_i = scale · Σ_j dS_ij · k_j.
//
//   q [BH, L, D]   k [BH, Lk, D]   v [BH, Lk, E]   mask as in forward   grad [BH, L, E]   facts [BH, L]
//   →   dq [BH, L, D]
//
// Weights are recomputed from the log-sum-exp: w = exp(s − lse), dS = w·(kept·(grad·v) − delta).
//
// Tiles and lanes as in forward: one workgroup per (8·ROWS queries, b·h), which walks their keys.

struct Params {
  L: u32,                  // queries
  Lk: u32,                 // keys
  D: u32,
  E: u32,
  tiles: u32,              // workgroups of a row b·h
  workgroups: u32,
  qStart: u32,             // elements between a binding's start and the first row of this batch
  kStart: u32,
  vStart: u32,
  causal: u32,             // the options, 0 or 1
  sharedQk: u32,           // queries and keys are one sequence: none sees itself, padding sees nothing
  masked: u32,
  maskBatch: u32,          // elements of the mask from batch to batch, head to head, query to query
  maskHead: u32,
  maskQuery: u32,
  firstRow: u32,           // first b·h of this batch of rows
  H: u32,
  seed: u32,
  dropBelow: u32,          // a pair whose random word is below this is dropped
  keep: f32,               // 1 / (1 − dropout)
  logitScale: f32,         // of the logits, times log2(e)
  gradStart: u32,
  dqStart: u32,
  dkStart: u32,
  dvStart: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> k: array<vec4f>;
@group(0) @binding(3) var<storage, read> v: array<vec4f>;
@group(0) @binding(4) var<storage, read> mask: array<i32>;
@group(0) @binding(5) var<storage, read> grad: array<vec4f>;
@group(0) @binding(6) var<storage, read> facts: array<vec2f>;
@group(0) @binding(7) var<storage, read_write> dq: array<vec4f>;

/// Fixed for a pipeline: software adapters run what an `if` skips, and these are many words.
override DROPOUT: bool = false;

const ROWS: u32 = 4u;          // queries of a lane
const KEY_VECTORS: u32 = 2u;   // vec4 of keys, set so that ROWS · KEY_VECTORS is 8
const DEPTH_VECTORS: u32 = 2u; // set to ceil(D / 32), or more: vec4 of dq a lane holds for each query
const QUERIES: u32 = 8u * ROWS;
const KEYS: u32 = 32u * KEY_VECTORS;
const SLICE: u32 = 8u;   // vec4 of depth that are staged at a time
const PITCH: u32 = 9u;   // plus one against bank conflicts
const WEIGHT_PITCH: u32 = 8u * KEY_VECTORS + 1u;

const NOTHING: f32 = -1e38;    // an exponent that gives 0

var<workgroup> staged: array<vec4f, (QUERIES + KEYS) * PITCH>; // slices of both sides; then slopes
var<workgroup> words: array<u32, QUERIES * KEY_VECTORS>;       // visibleKeys of each query

/// The lowest `count` bits, of which there may be fewer than none or more than all.
fn lowest(count: i32) -> u32 {
  return select((1u << u32(clamp(count, 0, 31))) - 1u, 0xffffffffu, count >= 32);
}

/// Where the mask of a row b·h begins.
fn maskOf(seedRow: u32) -> u32 {
  return seedRow / params.H * params.maskBatch + seedRow % params.H * params.maskHead;
}

/// Bit n tells whether query i of a row with its mask at `maskRow` sees key first + n, for n below 32.
fn visibleKeys(maskRow: u32, i: u32, first: u32) -> u32 {
  var end = i32(params.Lk);
  if (params.causal != 0u) {
    end = min(end, i32(i + params.Lk) - i32(params.L) + 1); // the last query stands beside the last key
  }
  var word = select(0u, lowest(end - i32(first)), i < params.L);
  if (params.sharedQk != 0u && i - first < 32u) {
    word &= ~(1u << (i - first));
  }
  if (params.masked != 0u && word != 0u) {
    let start = maskRow + i * params.maskQuery;
    for (var n = 0u; n < min(params.Lk - first, 32u); n++) {
      word &= ~select(0u, 1u << n, mask[start + first + n] == 0);
    }
    if (params.sharedQk != 0u && mask[start + i] == 0) {
      word = 0u;
    }
  }
  return word;
}

/// Of a lane's four columns x, x + 8, x + 16 and x + 24, those whose bit is set.
fn fourOf(word: u32, x: u32) -> vec4<bool> {
  return ((vec4u(word) >> (vec4u(0u, 8u, 16u, 24u) + x)) & vec4u(1u)) != vec4u();
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

fn pcg4(counters: vec4u) -> vec4u {
  return vec4u(pcg(counters.x), pcg(counters.y), pcg(counters.z), pcg(counters.w));
}

/// What dropout makes of four weights of 1, by the row's word and the queries and keys.
fn keptPairs(ofRow: u32, queries: vec4u, keys: vec4u) -> vec4f {
  if (!DROPOUT) {
    return vec4f(1.0);
  }
  let words = pcg4(pcg4(ofRow + queries) + pcg4(keys));
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
  let Lk = params.Lk;
  let depths = params.D / 4u;
  let columns = params.E / 4u;
  let row = ordinal / params.tiles;
  let firstQuery = ordinal % params.tiles * QUERIES;
  let qRow = params.qStart / 4u + row * L * depths;
  let kRow = params.kStart / 4u + row * Lk * depths;
  let vRow = params.vStart / 4u + row * Lk * columns;
  let gradRow = params.gradStart / 4u + row * L * columns;
  let lastQuery = min(firstQuery + QUERIES, L) - 1u;
  var end = i32(Lk);
  if (params.causal != 0u) {
    end = min(end, i32(lastQuery + Lk) - i32(L) + 1);
  }

  let ofRow = roundWord(params.firstRow + row, 0u);
  let maskRow = maskOf(params.firstRow + row);
  var ownFacts: array<vec2f, ROWS> = array<vec2f, ROWS>();
  for (var a = 0u; a < ROWS; a++) {
    ownFacts[a] = facts[row * L + min(firstQuery + y + 8u * a, lastQuery)];
  }
  var sums: array<vec4f, ROWS * DEPTH_VECTORS> = array<vec4f, ROWS * DEPTH_VECTORS>();

  for (var firstKey = 0u; i32(firstKey) < end; firstKey += KEYS) {
    // The words of the tile before were read before its last barrier.
    words[lane] = visibleKeys(maskRow, firstQuery + lane / KEY_VECTORS, firstKey + lane % KEY_VECTORS * 32u);
    var logits: array<vec4f, ROWS * KEY_VECTORS> = array<vec4f, ROWS * KEY_VECTORS>();
    var slopes: array<vec4f, ROWS * KEY_VECTORS> = array<vec4f, ROWS * KEY_VECTORS>(); // grad·v
    // Both products by one loop over slices: of queries with keys, then of grad with values.
    let slices = (depths + SLICE - 1u) / SLICE;
    for (var s = 0u; s < slices + (columns + SLICE - 1u) / SLICE; s++) {
      let second = s >= slices;
      let d = select(s, s - slices, second) * SLICE;
      let width = select(depths, columns, second);
      if (s == slices) {
        logits = slopes;
        slopes = array<vec4f, ROWS * KEY_VECTORS>();
      }
      workgroupBarrier();
      for (var n = lane; n < (QUERIES + KEYS) * SLICE; n += 64u) {
        let r = n / SLICE;
        let c = min(d + n % SLICE, width - 1u);
        let own = min(firstQuery + r, L - 1u) * width + c;
        let other = min(firstKey + r - QUERIES, Lk - 1u) * width + c;
        var part = vec4f();
        if (second) {
          if (r < QUERIES) {
            part = grad[gradRow + own];
          } else {
            part = v[vRow + other];
          }
        } else if (r < QUERIES) {
          part = q[qRow + own];
        } else {
          part = k[kRow + other];
        }
        staged[r * PITCH + n % SLICE] = part;
      }
      workgroupBarrier();
      for (var c = 0u; c < min(SLICE, width - d); c++) {
        var own: array<vec4f, ROWS> = array<vec4f, ROWS>();
        for (var a = 0u; a < ROWS; a++) {
          own[a] = staged[(y + 8u * a) * PITCH + c];
        }
        for (var g = 0u; g < KEY_VECTORS; g++) {
          let at = (QUERIES + 32u * g + x) * PITCH + c;
          let other = transpose(mat4x4f(
            staged[at], staged[at + 8u * PITCH], staged[at + 16u * PITCH], staged[at + 24u * PITCH]));
          for (var a = 0u; a < ROWS; a++) {
            let to = a * KEY_VECTORS + g;
            slopes[to] = fma(vec4f(own[a].x), other[0], slopes[to]);
            slopes[to] = fma(vec4f(own[a].y), other[1], slopes[to]);
            slopes[to] = fma(vec4f(own[a].z), other[2], slopes[to]);
            slopes[to] = fma(vec4f(own[a].w), other[3], slopes[to]);
          }
        }
      }
    }
    workgroupBarrier();
    for (var a = 0u; a < ROWS; a++) {
      let query = y + 8u * a;
      for (var g = 0u; g < KEY_VECTORS; g++) {
        let at = a * KEY_VECTORS + g;
        let seen = fourOf(words[query * KEY_VECTORS + g], x);
        let known = select(vec4f(NOTHING), logits[at] * params.logitScale - ownFacts[a].x, seen);
        let weights = exp2(min(known, vec4f())); // huge logits are off by more than their log-sum-exp tells
        let keys = vec4u(firstKey + 32u * g + x) + vec4u(0u, 8u, 16u, 24u);
        let kept = keptPairs(ofRow, vec4u(firstQuery + query), keys);
        staged[query * WEIGHT_PITCH + 8u * g + x] = weights * (kept * slopes[at] - ownFacts[a].y);
      }
    }
    workgroupBarrier();
    for (var n = 0u; n < min(8u * KEY_VECTORS, (Lk - firstKey + 31u) / 32u * 8u); n++) {
      let at = firstKey + n / 8u * 32u + n % 8u;
      let rows = kRow + min(vec4u(at, at + 8u, at + 16u, at + 24u), vec4u(Lk - 1u)) * depths;
      var weights: array<vec4f, ROWS> = array<vec4f, ROWS>();
      for (var a = 0u; a < ROWS; a++) {
        weights[a] = staged[(y + 8u * a) * WEIGHT_PITCH + n];
      }
      for (var c = 0u; c < DEPTH_VECTORS; c++) {
        let column = min(8u * c + x, depths - 1u);
        let others = mat4x4f(
          vec4f(k[rows.x + column]), vec4f(k[rows.y + column]),
          vec4f(k[rows.z + column]), vec4f(k[rows.w + column]));
        for (var a = 0u; a < ROWS; a++) {
          let to = a * DEPTH_VECTORS + c;
          sums[to] = fma(vec4f(weights[a].x), others[0], sums[to]);
          sums[to] = fma(vec4f(weights[a].y), others[1], sums[to]);
          sums[to] = fma(vec4f(weights[a].z), others[2], sums[to]);
          sums[to] = fma(vec4f(weights[a].w), others[3], sums[to]);
        }
      }
    }
  }

  // Through workgroup memory: one store for all, not one for each that a lane holds.
  for (var c = 0u; c < DEPTH_VECTORS; c++) {
    workgroupBarrier();
    for (var a = 0u; a < ROWS; a++) {
      staged[(y + 8u * a) * PITCH + x] = sums[a * DEPTH_VECTORS + c] * params.scale;
    }
    workgroupBarrier();
    for (var n = lane; n < QUERIES * SLICE; n += 64u) {
      let query = firstQuery + n / SLICE;
      let column = SLICE * c + n % SLICE;
      if (query < L && column < depths) {
        dq[params.dqStart / 4u + (row * L + query) * depths + column] = staged[n / SLICE * PITCH + n % SLICE];
      }
    }
  }
}
