// Hash every token in every round: y = q·M, bucket = index of the first maximum of [y, −y].
// y lives in registers and workgroup memory only: the rotated vectors never reach a buffer.
//
//   qk [BH, L, D]   rotations [H or 1, D, R, F]   mask [B, L]   →   buckets [BH, R, L]
//
// F columns make one round; with factored buckets they are slices of f1/2, f2/2, … columns, and
// bucket = a1 + f1·a2 + f1·f2·a3. A padded token goes into bucket N, after all others.
//
// One workgroup per (64 tokens, round, b·h), 8×8 lanes. Lane (x, y) accumulates tokens y + 8a and
// columns 4x … 4x+3 of a 64×32 tile of y; then one lane per token walks the tile's columns.

override MASKED: bool = false;

struct Params {
  H: u32,
  L: u32,
  D: u32,
  R: u32,
  F: u32,
  N: u32,
  tiles: u32,            // token tiles in a row: ceil(L / 64)
  workgroups: u32,
  firstRow: u32,         // first b·h of this batch of rows
  rotationHeads: u32,    // H, or 1 when all heads share one rotation
  qkStart: u32,          // elements between the binding's start and the first row
  bucketsStart: u32,
  halves: array<vec4u, 5>, // f/2 of each factor, in order: 2^20 buckets have at most 20
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qk: array<f32>;
@group(0) @binding(2) var<storage, read> rotations: array<f32>;
@group(0) @binding(3) var<storage, read> mask: array<i32>;
@group(0) @binding(4) var<storage, read_write> buckets: array<i32>;

const TOKENS: u32 = 64u;
const COLUMNS: u32 = 32u;
const SLICE: u32 = 16u;    // depth staged at a time
const Q_PITCH: u32 = 5u;   // vec4 a token: SLICE / 4, plus one against bank conflicts
const Y_PITCH: u32 = 33u;

var<workgroup> queries: array<vec4f, TOKENS * Q_PITCH>;
var<workgroup> directions: array<vec4f, SLICE * COLUMNS / 4u>;
var<workgroup> rotated: array<f32, TOKENS * Y_PITCH>;

fn query(start: u32, d: u32) -> f32 {
  if (d >= params.D) {
    return 0.0;
  }
  return qk[start + d];
}

fn direction(start: u32, d: u32, column: u32) -> f32 {
  if (d >= params.D || column >= params.F) {
    return 0.0;
  }
  return rotations[start + d * params.R * params.F + column];
}

fn product(q: vec4f, m0: vec4f, m1: vec4f, m2: vec4f, m3: vec4f) -> vec4f {
  return q.x * m0 + q.y * m1 + q.z * m2 + q.w * m3;
}

fn keep(start: u32, y: vec4f) {
  rotated[start] = y.x;
  rotated[start + 1u] = y.y;
  rotated[start + 2u] = y.z;
  rotated[start + 3u] = y.w;
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
  let firstToken = index % params.tiles * TOKENS;
  let round = index / params.tiles % params.R;
  let localRow = index / params.tiles / params.R;
  let tokens = min(TOKENS, params.L - firstToken);
  let row = params.firstRow + localRow;
  let x = lane % 8u;
  let y = lane / 8u;
  let D = params.D;
  let rowStart = params.qkStart + localRow * params.L * D;
  let matrixStart = row % params.rotationHeads * D * params.R * params.F + round * params.F;

  // The walk over the columns, one token a lane.
  var bucket = 0u;
  var stride = 1u;
  var factor = 0u;
  var column = 0u;
  var best = -1.0;
  var bestIndex = 0u;

  for (var firstColumn = 0u; firstColumn < params.F; firstColumn += COLUMNS) {
    var sum0 = vec4f();
    var sum1 = vec4f();
    var sum2 = vec4f();
    var sum3 = vec4f();
    var sum4 = vec4f();
    var sum5 = vec4f();
    var sum6 = vec4f();
    var sum7 = vec4f();
    for (var d = 0u; d < D; d += SLICE) {
      workgroupBarrier();
      for (var i = lane; i < tokens * SLICE / 4u; i += 64u) {
        let start = rowStart + (firstToken + i / 4u) * D;
        let depth = d + i % 4u * 4u;
        queries[i / 4u * Q_PITCH + i % 4u] = vec4f(
          query(start, depth), query(start, depth + 1u),
          query(start, depth + 2u), query(start, depth + 3u));
      }
      for (var i = lane; i < SLICE * COLUMNS / 4u; i += 64u) {
        let depth = d + i / 8u;
        let c = firstColumn + i % 8u * 4u;
        directions[i] = vec4f(
          direction(matrixStart, depth, c), direction(matrixStart, depth, c + 1u),
          direction(matrixStart, depth, c + 2u), direction(matrixStart, depth, c + 3u));
      }
      workgroupBarrier();
      for (var k = 0u; k < SLICE / 4u; k++) {
        let m0 = directions[(4u * k) * 8u + x];
        let m1 = directions[(4u * k + 1u) * 8u + x];
        let m2 = directions[(4u * k + 2u) * 8u + x];
        let m3 = directions[(4u * k + 3u) * 8u + x];
        sum0 += product(queries[y * Q_PITCH + k], m0, m1, m2, m3);
        if (tokens <= 8u) {
          continue; // decoding hashes a few tokens at a time
        }
        sum1 += product(queries[(y + 8u) * Q_PITCH + k], m0, m1, m2, m3);
        sum2 += product(queries[(y + 16u) * Q_PITCH + k], m0, m1, m2, m3);
        sum3 += product(queries[(y + 24u) * Q_PITCH + k], m0, m1, m2, m3);
        sum4 += product(queries[(y + 32u) * Q_PITCH + k], m0, m1, m2, m3);
        sum5 += product(queries[(y + 40u) * Q_PITCH + k], m0, m1, m2, m3);
        sum6 += product(queries[(y + 48u) * Q_PITCH + k], m0, m1, m2, m3);
        sum7 += product(queries[(y + 56u) * Q_PITCH + k], m0, m1, m2, m3);
      }
    }
    keep(y * Y_PITCH + 4u * x, sum0);
    keep((y + 8u) * Y_PITCH + 4u * x, sum1);
    keep((y + 16u) * Y_PITCH + 4u * x, sum2);
    keep((y + 24u) * Y_PITCH + 4u * x, sum3);
    keep((y + 32u) * Y_PITCH + 4u * x, sum4);
    keep((y + 40u) * Y_PITCH + 4u * x, sum5);
    keep((y + 48u) * Y_PITCH + 4u * x, sum6);
    keep((y + 56u) * Y_PITCH + 4u * x, sum7);
    workgroupBarrier();
    let columns = min(COLUMNS, params.F - firstColumn);
    for (var c = 0u; c < columns; c++) {
      let half = params.halves[factor / 4u][factor % 4u];
      let value = rotated[lane * Y_PITCH + c];
      let size = abs(value);
      // y ≥ 0 stands at its column, y < 0 in the mirrored half; of equals, the lower index wins.
      let candidate = select(column + half, column, value >= 0.0);
      if (size > best || (size == best && candidate < bestIndex)) {
        best = size;
        bestIndex = candidate;
      }
      column += 1u;
      if (column == half) {
        bucket += bestIndex * stride;
        stride *= 2u * half;
        factor += 1u;
        column = 0u;
        best = -1.0;
        bestIndex = 0u;
      }
    }
  }

  let token = firstToken + lane;
  if (token < params.L) {
    if (MASKED) {
      if (mask[row / params.H * params.L + token] == 0) {
        bucket = params.N;
      }
    }
    buckets[params.bucketsStart + (localRow * params.R + round) * params.L + token] = i32(bucket);
  }
}
