// Hash every token in every round: y = q·M, bucket = index of the first maximum of [y, −y].
// y lives in registers and workgroup memory only: the rotated vectors never reach a buffer.
//
//   qk [BH, L, D]   rotations [H or 1, D, R, F]   mask [B, L]   →   buckets [BH, R, L]
//
// F columns make one round; with factored buckets they are slices of f1/2, f2/2, … columns, and
// bucket = a1 + f1·a2 + f1·f2·a3. A padded token goes into bucket N, after all others.
//
// One workgroup per (8·ROWS tokens, some rounds, b·h), 8×8 lanes. The rounds' columns lie side by side, 64
// a tile. Lane (x, y) accumulates tokens y + 8a and columns 4x … 4x+3 of both halves of the tile; then
// one lane per token walks the columns, half a tile at a time.

override MASKED: bool = false;
override FLIPPED: u32 = 0u; // bits of a bucket that are turned over

struct Params {
  H: u32,
  L: u32,
  D: u32,
  R: u32,
  F: u32,
  N: u32,
  tiles: u32,            // token tiles in a row: ceil(L / (8·ROWS))
  workgroups: u32,
  firstRow: u32,         // first b·h of this batch of rows
  rotationHeads: u32,    // H, or 1 when all heads share one rotation
  qkStart: u32,          // elements between the binding's start and the first row
  bucketsStart: u32,
  together: u32,         // rounds that a workgroup takes
  halves: array<vec4u, 8>, // f/2 of each factor, in order: a code of 32 bits has 32
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qk: array<f32>;
@group(0) @binding(2) var<storage, read> rotations: array<f32>;
@group(0) @binding(3) var<storage, read> mask: array<i32>;
@group(0) @binding(4) var<storage, read_write> buckets: array<i32>;

const ROWS: u32 = 8u;      // tokens a lane
const TOKENS: u32 = 8u * ROWS;
const COLUMNS: u32 = 64u;
const SLICE: u32 = 16u;    // depth staged at a time
const Q_PITCH: u32 = 5u;   // vec4 a token: SLICE / 4, plus one against bank conflicts
const Y_PITCH: u32 = 9u;   // likewise for half a tile of y: COLUMNS / 8, plus one
const DIRECTIONS: u32 = TOKENS * Q_PITCH;

// A slice of tokens and, from DIRECTIONS on, of rotations; then half of their product.
var<workgroup> staged: array<vec4f, DIRECTIONS + SLICE * COLUMNS / 4u>;

fn query(start: u32, d: u32) -> f32 {
  return select(0.0, qk[start + min(d, params.D - 1u)], d < params.D);
}

fn direction(start: u32, d: u32, column: u32, columns: u32) -> f32 {
  let inside = d < params.D && column < columns;
  return select(0.0, rotations[start + select(0u, d * params.R * params.F + column, inside)], inside);
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
  let shares = (params.R + params.together - 1u) / params.together;
  let firstToken = index % params.tiles * TOKENS;
  let firstRound = index / params.tiles % shares * params.together;
  let localRow = index / params.tiles / shares;
  let row = params.firstRow + localRow;
  let x = lane % 8u;
  let y = lane / 8u;
  let D = params.D;
  let F = params.F;
  let rowStart = params.qkStart + localRow * params.L * D;
  let columns = min(params.together, params.R - firstRound) * F;
  let matrixStart = row % params.rotationHeads * D * params.R * F + firstRound * F;
  let token = firstToken + lane;
  let mine = lane < TOKENS && token < params.L;
  var padding = false;
  if (MASKED) {
    padding = mine && mask[row / params.H * params.L + min(token, params.L - 1u)] == 0;
  }

  // The walk over the columns, one token a lane.
  var round = firstRound;
  var bucket = 0u;
  var stride = 1u;
  var factor = 0u;
  var walked = 0u; // columns of the round
  var column = 0u; // of the factor
  var best = -1.0;
  var bestIndex = 0u;

  for (var firstColumn = 0u; firstColumn < columns; firstColumn += COLUMNS) {
    var sums: array<vec4f, 2u * ROWS> = array<vec4f, 2u * ROWS>();
    for (var d = 0u; d < D; d += SLICE) {
      workgroupBarrier();
      for (var i = lane; i < TOKENS * SLICE / 4u; i += 64u) {
        let start = rowStart + min(firstToken + i / 4u, params.L - 1u) * D;
        let depth = d + i % 4u * 4u;
        staged[i / 4u * Q_PITCH + i % 4u] = vec4f(
          query(start, depth), query(start, depth + 1u),
          query(start, depth + 2u), query(start, depth + 3u));
      }
      for (var i = lane; i < SLICE * COLUMNS / 4u; i += 64u) {
        let depth = d + i / 16u;
        let c = firstColumn + i % 16u * 4u;
        staged[DIRECTIONS + i] = vec4f(
          direction(matrixStart, depth, c, columns), direction(matrixStart, depth, c + 1u, columns),
          direction(matrixStart, depth, c + 2u, columns), direction(matrixStart, depth, c + 3u, columns));
      }
      workgroupBarrier();
      for (var k = 0u; 4u * k < min(D - d, SLICE); k++) {
        var m: array<vec4f, 8> = array<vec4f, 8>(); // four depths, two halves of the columns
        for (var i = 0u; i < 8u; i++) {
          m[i] = staged[DIRECTIONS + (4u * k + i / 2u) * 16u + i % 2u * 8u + x];
        }
        for (var a = 0u; a < ROWS; a++) {
          let q = staged[(y + 8u * a) * Q_PITCH + k];
          for (var half = 0u; half < 2u; half++) {
            var sum = fma(vec4f(q.x), m[half], sums[2u * a + half]);
            sum = fma(vec4f(q.y), m[2u + half], sum);
            sum = fma(vec4f(q.z), m[4u + half], sum);
            sums[2u * a + half] = fma(vec4f(q.w), m[6u + half], sum);
          }
        }
      }
    }

    for (var half = 0u; half < 2u; half++) {
      workgroupBarrier();
      for (var a = 0u; a < ROWS; a++) {
        staged[(y + 8u * a) * Y_PITCH + x] = select(sums[2u * a], sums[2u * a + 1u], half == 1u);
      }
      workgroupBarrier();
      // The part of a factor that this half holds, and the next, until either ends.
      let width = min(COLUMNS / 2u, columns - min(columns, firstColumn + COLUMNS / 2u * half));
      for (var done = 0u; done < width;) {
        let size = params.halves[factor / 4u][factor % 4u];
        let part = min(size - column, width - done);
        for (var c = 0u; c < part; c++) {
          let value = staged[lane % TOKENS * Y_PITCH + (done + c) / 4u][(done + c) % 4u];
          // y ≥ 0 stands at its column, y < 0 in the mirrored half; of equals, the lower index wins.
          let candidate = column + c + select(size, 0u, value >= 0.0);
          let better = abs(value) > best || (abs(value) == best && candidate < bestIndex);
          best = select(best, abs(value), better);
          bestIndex = select(bestIndex, candidate, better);
        }
        done += part;
        column += part;
        walked += part;
        if (column == size) {
          bucket += bestIndex * stride;
          stride *= 2u * size;
          factor += 1u;
          column = 0u;
          best = -1.0;
          bestIndex = 0u;
        }
        if (walked == F) {
          if (mine) {
            buckets[params.bucketsStart + (localRow * params.R + round) * params.L + token] =
              i32(select(bucket ^ FLIPPED, params.N, padding));
          }
          round += 1u;
          bucket = 0u;
          stride = 1u;
          factor = 0u;
          walked = 0u;
        }
      }
    }
  }
}
