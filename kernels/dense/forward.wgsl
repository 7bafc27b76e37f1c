// Exact attention: the online softmax over tiles of keys, never a matrix of logits.
//
//   q [BH, L, D]   k [BH, Lk, D]   v [BH, Lk, E]   mask [B or 1, H or 1, L or 1, Lk], 0 = hidden
//   →   out [BH, L, E]   lse [BH, L]
//
// Causal queries are aligned to the end of the keys: query i sees the keys up to Lk − L + i, and tiles
// of keys beyond the last query's are not visited. A query that sees nothing returns zeros and -1e38,
// or with sharedQk its own value.
//
// One workgroup per (8·ROWS queries, b·h), 8×8 lanes. Lane (x, y) owns queries y + 8a with keys
// x + 8b of a tile of logits, then the same queries with vec4 x + 8c of the values' columns.
// Logits are in units of log2, the scale folded into them.

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
  outStart: u32,
  lseStart: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> k: array<vec4f>;
@group(0) @binding(3) var<storage, read> v: array<vec4f>;
@group(0) @binding(4) var<storage, read> mask: array<i32>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> lse: array<f32>;

/// Fixed for a pipeline: software adapters run what an `if` skips, and these are many words.
override DROPOUT: bool = false;

const ROWS: u32 = 4u;           // queries of a lane
const KEY_VECTORS: u32 = 2u;    // vec4 of keys that a lane meets at a time
const COLUMN_VECTORS: u32 = 2u; // set to ceil(E / 32), or more: vec4 of output a lane holds for each query
const QUERIES: u32 = 8u * ROWS;
const KEYS: u32 = 32u * KEY_VECTORS;
const SLICE: u32 = 8u;   // vec4 of depth that are staged at a time
const PITCH: u32 = 9u;   // plus one against bank conflicts
const WEIGHT_PITCH: u32 = 8u * KEY_VECTORS + 1u;

const NOTHING: f32 = -1e38;     // log-sum-exp of a query that has seen no key
const LN_2: f32 = 0.6931471805599453;
const LEAST: f32 = 1.2e-38;     // above it no GPU flushes to zero

var<workgroup> staged: array<vec4f, (QUERIES + KEYS) * PITCH>; // slices of queries and keys; then weights
var<workgroup> partial: array<f32, QUERIES * 8u>;
var<workgroup> words: array<u32, QUERIES * KEY_VECTORS>;       // visibleKeys of each query
var<workgroup> maxima: array<f32, QUERIES>;

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
  let lastQuery = min(firstQuery + QUERIES, L) - 1u;
  var end = i32(Lk);
  if (params.causal != 0u) {
    end = min(end, i32(lastQuery + Lk) - i32(L) + 1);
  }

  let ofRow = roundWord(params.firstRow + row, 0u);
  let maskRow = maskOf(params.firstRow + row);
  var largest: array<f32, ROWS> = array<f32, ROWS>();
  var sum: array<f32, ROWS> = array<f32, ROWS>();
  var sums: array<vec4f, ROWS * COLUMN_VECTORS> = array<vec4f, ROWS * COLUMN_VECTORS>();
  for (var a = 0u; a < ROWS; a++) {
    largest[a] = NOTHING;
  }

  for (var firstKey = 0u; i32(firstKey) < end; firstKey += KEYS) {
    // The words of the tile before were read before its last barrier.
    if (lane < QUERIES * KEY_VECTORS) {
      words[lane] = visibleKeys(maskRow, firstQuery + lane / KEY_VECTORS, firstKey + lane % KEY_VECTORS * 32u);
    }
    var logits: array<vec4f, ROWS * KEY_VECTORS> = array<vec4f, ROWS * KEY_VECTORS>();
    for (var d = 0u; d < depths; d += SLICE) {
      workgroupBarrier();
      for (var n = lane; n < (QUERIES + KEYS) * SLICE; n += 64u) {
        let r = n / SLICE;
        let c = d + n % SLICE;
        var part = vec4f();
        if (c < depths) {
          if (r < QUERIES) {
            part = q[qRow + min(firstQuery + r, L - 1u) * depths + c];
          } else {
            part = k[kRow + min(firstKey + r - QUERIES, Lk - 1u) * depths + c];
          }
        }
        staged[r * PITCH + n % SLICE] = part;
      }
      workgroupBarrier();
      for (var c = 0u; c < min(SLICE, depths - d); c++) {
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
            logits[to] = fma(vec4f(own[a].x), other[0], logits[to]);
            logits[to] = fma(vec4f(own[a].y), other[1], logits[to]);
            logits[to] = fma(vec4f(own[a].z), other[2], logits[to]);
            logits[to] = fma(vec4f(own[a].w), other[3], logits[to]);
          }
        }
      }
    }

    for (var a = 0u; a < ROWS; a++) {
      var most = vec4f(NOTHING);
      for (var g = 0u; g < KEY_VECTORS; g++) {
        let seen = fourOf(words[(y + 8u * a) * KEY_VECTORS + g], x);
        logits[a * KEY_VECTORS + g] = select(vec4f(NOTHING), logits[a * KEY_VECTORS + g] * params.logitScale, seen);
        most = max(most, logits[a * KEY_VECTORS + g]);
      }
      partial[8u * (y + 8u * a) + x] = max(max(most.x, most.y), max(most.z, most.w));
    }
    workgroupBarrier();
    for (var a = 0u; a < ROWS; a++) {
      let query = y + 8u * a;
      var most = largest[a];
      for (var n = 0u; n < 8u; n++) {
        most = max(most, partial[8u * query + n]);
      }
      let fade = exp2(largest[a] - most);
      largest[a] = most;
      sum[a] *= fade;
      for (var c = 0u; c < COLUMN_VECTORS; c++) {
        sums[a * COLUMN_VECTORS + c] *= fade;
      }
      for (var g = 0u; g < KEY_VECTORS; g++) {
        let seen = fourOf(words[query * KEY_VECTORS + g], x);
        let weights = select(vec4f(), exp2(logits[a * KEY_VECTORS + g] - most), seen);
        sum[a] += dot(weights, vec4f(1.0));
        let keys = vec4u(firstKey + 32u * g + x) + vec4u(0u, 8u, 16u, 24u);
        staged[query * WEIGHT_PITCH + 8u * g + x] = weights * keptPairs(ofRow, vec4u(firstQuery + query), keys);
      }
    }
    workgroupBarrier();
    for (var n = 0u; n < min(8u * KEY_VECTORS, (Lk - firstKey + 31u) / 32u * 8u); n++) {
      let at = firstKey + n / 8u * 32u + n % 8u;
      let rows = vRow + min(vec4u(at, at + 8u, at + 16u, at + 24u), vec4u(Lk - 1u)) * columns;
      var weights: array<vec4f, ROWS> = array<vec4f, ROWS>();
      for (var a = 0u; a < ROWS; a++) {
        weights[a] = staged[(y + 8u * a) * WEIGHT_PITCH + n];
      }
      for (var c = 0u; c < COLUMN_VECTORS; c++) {
        let column = min(8u * c + x, columns - 1u);
        let others = mat4x4f(
          v[rows.x + column], v[rows.y + column],
          v[rows.z + column], v[rows.w + column]);
        for (var a = 0u; a < ROWS; a++) {
          let to = a * COLUMN_VECTORS + c;
          sums[to] = fma(vec4f(weights[a].x), others[0], sums[to]);
          sums[to] = fma(vec4f(weights[a].y), others[1], sums[to]);
          sums[to] = fma(vec4f(weights[a].z), others[2], sums[to]);
          sums[to] = fma(vec4f(weights[a].w), others[3], sums[to]);
        }
      }
    }
  }

  // All lanes of a query add up, and write its log-sum-exp.
  workgroupBarrier();
  for (var a = 0u; a < ROWS; a++) {
    partial[8u * (y + 8u * a) + x] = sum[a];
    maxima[y + 8u * a] = largest[a];
  }
  workgroupBarrier();
  for (var n = lane; n < QUERIES; n += 64u) {
    var total = 0.0;
    for (var m = 0u; m < 8u; m++) {
      total += partial[8u * n + m];
    }
    partial[8u * n] = total;
    if (firstQuery + n < L) {
      lse[params.lseStart + row * L + firstQuery + n] =
        select(NOTHING, (maxima[n] + log2(max(total, LEAST))) * LN_2, total > 0.0);
    }
  }
  // Outputs go through workgroup memory: one store for all, not one for each that a lane holds.
  for (var c = 0u; c < COLUMN_VECTORS; c++) {
    workgroupBarrier();
    for (var a = 0u; a < ROWS; a++) {
      staged[(y + 8u * a) * PITCH + x] = sums[a * COLUMN_VECTORS + c];
    }
    workgroupBarrier();
    for (var n = lane; n < QUERIES * SLICE; n += 64u) {
      let query = firstQuery + n / SLICE;
      let column = SLICE * c + n % SLICE;
      let total = partial[n / SLICE * 8u];
      var result = staged[n / SLICE * PITCH + n % SLICE] / max(total, LEAST);
      if (params.sharedQk != 0u && total == 0.0) {
        // Self is all there is (a first token has no one else; paper, section 3).
        result = v[vRow + min(query, Lk - 1u) * columns + min(column, columns - 1u)];
      }
      if (query < L && column < columns) {
        out[params.outStart / 4u + (row * L + query) * columns + column] = result;
      }
    }
  }
}
