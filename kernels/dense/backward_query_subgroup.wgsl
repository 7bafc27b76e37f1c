enable subgroups;

// backward_query.wgsl for devices with subgroups of one size: dq_i = scale · Σ_j dS_ij · k_j.
//
//   q [BH, L, D]   k [BH, Lk, D]   v [BH, Lk, E]   mask as in forward   grad [BH, L, E]   facts [BH, L]
//   →   dq [BH, L, D]
//
// Rows in lanes and keys by shuffles, as in forward_subgroup.wgsl: one workgroup per (64·ROWS queries, b·h).

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
/// Whether depths are walked by loops with run-time bounds: short to compile, and as fast where registers
/// are memory. Else the loops are unrolled, and rows stay in registers.
override LOOPED: bool = true;

const ROWS: u32 = 1u;            // queries of a lane
const SUBGROUP: u32 = 8u;        // lanes of a subgroup: 8, 16, 32 or 64
const DEPTH_VECTORS: u32 = 16u;  // set to D / 4, or more
const COLUMN_VECTORS: u32 = 16u; // set to E / 4, or more
const LANES: u32 = 64u;
const OTHERS: u32 = 16u;         // keys that are taken at a time
const HELD: u32 = (OTHERS + SUBGROUP - 1u) / SUBGROUP; // vec4 of one depth that a lane loads at a time …
const COLUMNS: u32 = (SUBGROUP + OTHERS - 1u) / OTHERS; // … or depths that a subgroup loads at a time

const NOTHING: f32 = -1e38;      // an exponent that gives 0

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

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_invocation_id) place: u32,
) {
  let ordinal = group.x + group.y * groups.x;
  if (ordinal >= params.workgroups) {
    return;
  }
  let L = params.L;
  let Lk = params.Lk;
  let depths = params.D / 4u;
  let columns = params.E / 4u;
  let depthBound = select(DEPTH_VECTORS, depths, LOOPED);
  let columnBound = select(COLUMN_VECTORS, columns, LOOPED);
  let row = ordinal / params.tiles;
  let qRow = params.qStart / 4u + row * L * depths;
  let kRow = params.kStart / 4u + row * Lk * depths;
  let vRow = params.vStart / 4u + row * Lk * columns;
  let gradRow = params.gradStart / 4u + row * L * columns;
  let ofRow = roundWord(params.firstRow + row, 0u);
  let maskRow = maskOf(params.firstRow + row);

  let firstQuery = ordinal % params.tiles * LANES * ROWS;
  var end = Lk;
  if (params.causal != 0u) {
    end = u32(clamp(i32(min(firstQuery + LANES * ROWS, L) + Lk) - i32(L), 0, i32(Lk)));
  }
  var queries: array<vec4f, ROWS * DEPTH_VECTORS> = array<vec4f, ROWS * DEPTH_VECTORS>();
  var grads: array<vec4f, ROWS * COLUMN_VECTORS> = array<vec4f, ROWS * COLUMN_VECTORS>();
  var sums: array<vec4f, ROWS * DEPTH_VECTORS> = array<vec4f, ROWS * DEPTH_VECTORS>();
  var ownFacts: array<vec2f, ROWS> = array<vec2f, ROWS>();
  var words: array<u32, ROWS> = array<u32, ROWS>();
  for (var a = 0u; a < ROWS; a++) {
    let query = min(firstQuery + a * LANES + lane, L - 1u);
    ownFacts[a] = facts[row * L + query];
    for (var c = 0u; c < depths; c++) {
      queries[a * DEPTH_VECTORS + c] = q[qRow + query * depths + c] * params.logitScale;
    }
    for (var c = 0u; c < columns; c++) {
      grads[a * COLUMN_VECTORS + c] = grad[gradRow + query * columns + c];
    }
  }

  for (var first = 0u; first < end; first += 32u) {
    for (var a = 0u; a < ROWS; a++) {
      words[a] = visibleKeys(maskRow, firstQuery + a * LANES + lane, first);
    }
    for (var base = first; base < min(first + 32u, end); base += OTHERS) {
      var logits: array<f32, ROWS * OTHERS> = array<f32, ROWS * OTHERS>();
      var slopes: array<f32, ROWS * OTHERS> = array<f32, ROWS * OTHERS>(); // grad·v
      for (var c = 0u; c < depthBound; c += COLUMNS) {
        var held: array<vec4f, HELD> = array<vec4f, HELD>();
        for (var h = 0u; h < HELD; h++) {
          let other = min(base + h * SUBGROUP + place % OTHERS, Lk - 1u);
          held[h] = k[kRow + other * depths + min(c + place / OTHERS, depths - 1u)];
        }
        for (var d = 0u; d < COLUMNS; d++) {
          for (var n = 0u; n < OTHERS; n++) {
            let other = subgroupShuffle(held[n / SUBGROUP], d * OTHERS + n % SUBGROUP);
            for (var a = 0u; a < ROWS; a++) {
              let own = queries[a * DEPTH_VECTORS + c + d];
              let before = logits[a * OTHERS + n];
              logits[a * OTHERS + n] =
                fma(own.w, other.w, fma(own.z, other.z, fma(own.y, other.y, fma(own.x, other.x, before))));
            }
          }
        }
      }
      for (var c = 0u; c < columnBound; c += COLUMNS) {
        var held: array<vec4f, HELD> = array<vec4f, HELD>();
        for (var h = 0u; h < HELD; h++) {
          let other = min(base + h * SUBGROUP + place % OTHERS, Lk - 1u);
          held[h] = v[vRow + other * columns + min(c + place / OTHERS, columns - 1u)];
        }
        for (var d = 0u; d < COLUMNS; d++) {
          for (var n = 0u; n < OTHERS; n++) {
            let other = subgroupShuffle(held[n / SUBGROUP], d * OTHERS + n % SUBGROUP);
            for (var a = 0u; a < ROWS; a++) {
              let own = grads[a * COLUMN_VECTORS + c + d];
              let before = slopes[a * OTHERS + n];
              slopes[a * OTHERS + n] =
                fma(own.w, other.w, fma(own.z, other.z, fma(own.y, other.y, fma(own.x, other.x, before))));
            }
          }
        }
      }

      for (var a = 0u; a < ROWS; a++) {
        let word = words[a] >> (base - first);
        let query = vec4u(firstQuery + a * LANES + lane);
        for (var n = 0u; n < OTHERS; n += 4u) {
          let kept = keptPairs(ofRow, query, base + n + vec4u(0u, 1u, 2u, 3u));
          for (var m = 0u; m < 4u; m++) {
            let at = a * OTHERS + n + m;
            let seen = (word & (1u << (n + m))) != 0u;
            let weight = exp2(min(select(NOTHING, logits[at] - ownFacts[a].x, seen), 0.0));
            slopes[at] = weight * (kept[m] * slopes[at] - ownFacts[a].y);
          }
        }
      }

      for (var c = 0u; c < depthBound; c += COLUMNS) {
        var held: array<vec4f, HELD> = array<vec4f, HELD>();
        for (var h = 0u; h < HELD; h++) {
          let other = min(base + h * SUBGROUP + place % OTHERS, Lk - 1u);
          held[h] = k[kRow + other * depths + min(c + place / OTHERS, depths - 1u)];
        }
        for (var d = 0u; d < COLUMNS; d++) {
          var part: array<vec4f, ROWS> = array<vec4f, ROWS>();
          for (var a = 0u; a < ROWS; a++) {
            part[a] = sums[a * DEPTH_VECTORS + c + d];
          }
          for (var n = 0u; n < OTHERS; n++) {
            let other = subgroupShuffle(held[n / SUBGROUP], d * OTHERS + n % SUBGROUP);
            for (var a = 0u; a < ROWS; a++) {
              part[a] = fma(vec4f(slopes[a * OTHERS + n]), other, part[a]);
            }
          }
          for (var a = 0u; a < ROWS; a++) {
            sums[a * DEPTH_VECTORS + c + d] = part[a];
          }
        }
      }
    }
  }

  for (var a = 0u; a < ROWS; a++) {
    let query = firstQuery + a * LANES + lane;
    if (query < L) {
      for (var c = 0u; c < depths; c++) {
        dq[params.dqStart / 4u + (row * L + query) * depths + c] = sums[a * DEPTH_VECTORS + c] * params.scale;
      }
    }
  }
}
