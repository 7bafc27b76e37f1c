// New tokens attend to the earlier tokens that share a bucket with them in any round, and to nothing
// else in the cache: the lists of their buckets are followed, link by link.
//
//   qk [BH, capacity, D]   v [BH, capacity, E]   buckets, links [BH, R, capacity]
//   →   out [BH, T, E]   lse [BH, T]
//
// A list goes back in time, so what it holds is causal. With CORRECT a token met in an earlier round
// too is skipped: each counts once.
//
// One workgroup per (b·h, new token), 64 lanes: up to 64 rounds gather 64 candidates between them, a
// lane computes the logit of one, and then the lanes stand for value columns e, e + 64, ….
// Logits are in units of log2.

override CORRECT: bool = true;

struct Params {
  T: u32,
  D: u32,
  E: u32,
  R: u32,
  length: u32,       // tokens before the new ones
  capacity: u32,
  workgroups: u32,
  qkStart: u32,      // elements between a binding's start and the first row of this batch
  vStart: u32,
  bucketsStart: u32,
  linksStart: u32,
  outStart: u32,
  lseStart: u32,
  scale: f32,        // of the logits, times log2(e)
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qk: array<f32>;
@group(0) @binding(2) var<storage, read> v: array<f32>;
@group(0) @binding(3) var<storage, read> buckets: array<i32>;
@group(0) @binding(4) var<storage, read> links: array<u32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(0) @binding(6) var<storage, read_write> lse: array<f32>;

const LANES: u32 = 64u;
const MAX_DEPTH: u32 = 256u;
const NOTHING: f32 = -1e38; // log-sum-exp of a query that has seen no key
const LN_2: f32 = 0.6931471805599453;

var<workgroup> query: array<vec4f, MAX_DEPTH / 4u>; // zero beyond D
var<workgroup> candidates: array<u32, LANES>;       // position + 1, or 0
var<workgroup> logits: array<f32, LANES>;
var<workgroup> weights: array<f32, LANES>;
var<workgroup> gathered: u32;

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

/// sqrt(|q|² + D·1e-6), from four sums of squares.
fn lengthOf(squares: vec4f) -> f32 {
  return sqrt(squares.x + squares.y + (squares.z + squares.w) + f32(params.D) * 1e-6);
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
  let D = params.D;
  let E = params.E;
  let R = params.R;
  let row = index / params.T;
  let token = params.length + index % params.T;
  let vectors = (D + 3u) / 4u;
  let qkRow = params.qkStart + row * params.capacity * D;
  let vRow = params.vStart + row * params.capacity * E;
  let bucketsRow = params.bucketsStart + row * R * params.capacity;
  let linksRow = params.linksStart + row * R * params.capacity;

  // The query at unit length, its length with the scale: products with it cannot overflow.
  if (lane < vectors) {
    query[lane] = loadQk(qkRow + token * D, 4u * lane);
  }
  workgroupBarrier();
  var querySquares = vec4f();
  for (var i = 0u; i < vectors; i++) {
    querySquares += query[i] * query[i];
  }
  let queryLength = lengthOf(querySquares);
  workgroupBarrier();
  if (lane < vectors) {
    query[lane] /= queryLength;
  }

  var largest = NOTHING;
  var total = 0.0;
  var sums = vec4f();
  for (var firstRound = 0u; firstRound < R; firstRound += LANES) {
    let rounds = min(LANES, R - firstRound);
    let share = LANES / rounds; // candidates that a round's list gives at a time
    let round = firstRound + lane / share;
    let list = linksRow + (firstRound + lane) * params.capacity;
    var next = 0u;
    if (lane < rounds) {
      next = links[list + token];
    }
    loop {
      workgroupBarrier();
      if (lane < rounds) {
        for (var i = 0u; i < share; i++) {
          candidates[lane * share + i] = next;
          if (next > 0u) {
            // A list goes back in time; one that does not would never end.
            let before = links[list + next - 1u];
            next = select(0u, before, before < next);
          }
        }
      }
      workgroupBarrier();
      if (lane == 0u) {
        var any = 0u;
        for (var i = 0u; i < rounds; i++) {
          any |= candidates[i * share];
        }
        gathered = any;
      }
      if (workgroupUniformLoad(&gathered) == 0u) {
        break;
      }

      var logit = NOTHING;
      var counts = lane < rounds * share && candidates[lane] > 0u;
      if (counts) {
        let j = candidates[lane] - 1u;
        if (CORRECT) {
          for (var r = 0u; r < round; r++) {
            let at = bucketsRow + r * params.capacity;
            counts = counts && buckets[at + j] != buckets[at + token];
          }
        }
        if (counts) {
          var products = vec4f();
          var squares = vec4f();
          for (var i = 0u; i < vectors; i++) {
            let k = loadQk(qkRow + j * D, 4u * i);
            products += query[i] * k;
            squares += k * k;
          }
          let product = products.x + products.y + (products.z + products.w);
          logit = product / lengthOf(squares) * queryLength * params.scale;
        }
      }
      logits[lane] = logit;
      workgroupBarrier();

      var most = largest;
      for (var i = 0u; i < LANES; i++) {
        most = max(most, logits[i]);
      }
      weights[lane] = select(0.0, exp2(min(logit - most, 0.0)), counts);
      workgroupBarrier();
      let fade = exp2(largest - most);
      largest = most;
      total *= fade;
      sums *= fade;
      for (var i = 0u; i < LANES; i++) {
        let weight = weights[i];
        if (weight > 0.0) {
          total += weight;
          let at = vRow + (candidates[i] - 1u) * E + lane;
          for (var c = 0u; LANES * c + lane < E; c++) {
            sums[c] += weight * v[at + LANES * c];
          }
        }
      }
    }
  }

  let seen = total > 0.0;
  for (var c = 0u; LANES * c + lane < E; c++) {
    let e = LANES * c + lane;
    // Nothing in any round: self is all there is (a first token has no one else; paper, section 3).
    var result = v[vRow + token * E + e];
    if (seen) {
      result = sums[c] / total;
    }
    out[params.outStart + index * E + e] = result;
  }
  if (lane == 0u) {
    var state = NOTHING;
    if (seen) {
      state = (largest + log2(total)) * LN_2;
    }
    lse[params.lseStart + index] = state;
  }
}
