enable subgroups;
diagnostic(off, subgroup_uniformity); // branches around subgroup operations are alike in a subgroup's lanes

// rotate.wgsl for devices with subgroups: every token in every round, bucket = index of the first maximum
// of [y, −y], y = q·M. Same buffers, same parameters, same buckets but where rounding decides.
//
//   qk [BH, L, D]   rotations [H or 1, D, R, F]   mask [B, L]   →   buckets [BH, R, L]
//
// A lane owns ROWS tokens, q in its registers. The lanes of a subgroup take 8 columns of a factor at a
// time: each holds a vec4 of the 8 columns of 4 depths, and by shuffles all lanes get them all.
//
// One workgroup per (64·ROWS tokens, some rounds, b·h), 64 lanes.

override MASKED: bool = false;
override FLIPPED: u32 = 0u; // bits of a bucket that are turned over

struct Params {
  H: u32,
  L: u32,
  D: u32,
  R: u32,
  F: u32,
  N: u32,
  tiles: u32,            // token tiles in a row: ceil(L / (64·ROWS))
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

const ROWS: u32 = 2u;           // tokens of a lane
const DEPTH_VECTORS: u32 = 16u; // ceil(D / 4)

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
  @builtin(subgroup_invocation_id) member: u32,
) {
  let index = group.x + group.y * groups.x;
  if (index >= params.workgroups) {
    return;
  }
  let depth = (params.D + 3u) / 4u; // not a constant: loops stay loops, and compile fast
  let shares = (params.R + params.together - 1u) / params.together;
  let firstToken = (index % params.tiles * 64u + lane) * ROWS;
  let firstRound = index / params.tiles % shares * params.together;
  let endRound = min(firstRound + params.together, params.R);
  let localRow = index / params.tiles / shares;
  let row = params.firstRow + localRow;
  let D = params.D;
  let L = params.L;
  let F = params.F;
  let matrix = row % params.rotationHeads * D * params.R * F;
  // The vec4 that this lane loads: of the 8 columns of 4 depths, a row after the other.
  let ownDepth = member % 8u / 2u;
  let ownColumn = member % 2u * 4u;

  var q: array<vec4f, ROWS * DEPTH_VECTORS> = array<vec4f, ROWS * DEPTH_VECTORS>();
  for (var d = 0u; d < depth; d++) {
    for (var a = 0u; a < ROWS; a++) {
      let start = params.qkStart + (localRow * L + min(firstToken + a, L - 1u)) * D;
      q[d * ROWS + a] = vec4f(
        query(start, 4u * d), query(start, 4u * d + 1u), query(start, 4u * d + 2u), query(start, 4u * d + 3u));
    }
  }

  for (var round = firstRound; round < endRound; round++) {
    var bucket: array<u32, ROWS> = array<u32, ROWS>();
    var stride = 1u;
    var factor = 0u;
    for (var factorStart = 0u; factorStart < F;) {
      let half = params.halves[factor / 4u][factor % 4u];
      var best: array<f32, ROWS> = array<f32, ROWS>();
      var bestIndex: array<u32, ROWS> = array<u32, ROWS>();
      for (var a = 0u; a < ROWS; a++) {
        best[a] = -1.0;
      }
      var first = 0u;
      loop {
        var left: array<vec4f, ROWS> = array<vec4f, ROWS>(); // columns first … first + 3
        var right: array<vec4f, ROWS> = array<vec4f, ROWS>(); // … and the next four
        let start = matrix + round * F + factorStart;
        var d = 0u;
        loop {
          let at = 4u * d + ownDepth;
          let c = first + ownColumn;
          let held = vec4f(
            direction(start, at, c, half), direction(start, at, c + 1u, half),
            direction(start, at, c + 2u, half), direction(start, at, c + 3u, half));
          for (var i = 0u; i < 4u; i++) {
            let m = subgroupShuffle(held, 2u * i);
            let n = subgroupShuffle(held, 2u * i + 1u);
            for (var a = 0u; a < ROWS; a++) {
              let own = q[d * ROWS + a][i];
              left[a] = fma(vec4f(own), m, left[a]);
              right[a] = fma(vec4f(own), n, right[a]);
            }
          }
          continuing {
            d += 1u;
            break if (d >= depth);
          }
        }
        for (var c = 0u; c < 8u; c++) {
          let column = first + c;
          for (var a = 0u; a < ROWS; a++) {
            let value = select(left[a], right[a], c >= 4u)[c % 4u];
            // y ≥ 0 stands at its column, y < 0 in the mirrored half; of equals, the lower index wins.
            let candidate = column + select(half, 0u, value >= 0.0);
            let better = column < half
              && (abs(value) > best[a] || (abs(value) == best[a] && candidate < bestIndex[a]));
            best[a] = select(best[a], abs(value), better);
            bestIndex[a] = select(bestIndex[a], candidate, better);
          }
        }
        continuing {
          first += 8u;
          break if (first >= half);
        }
      }
      for (var a = 0u; a < ROWS; a++) {
        bucket[a] += bestIndex[a] * stride;
      }
      stride *= 2u * half;
      factor += 1u;
      factorStart += half;
    }
    for (var a = 0u; a < ROWS; a++) {
      let token = firstToken + a;
      if (token < L) {
        var id = bucket[a] ^ FLIPPED;
        if (MASKED) {
          if (mask[row / params.H * L + token] == 0) {
            id = params.N;
          }
        }
        buckets[params.bucketsStart + (localRow * params.R + round) * L + token] = i32(id);
      }
    }
  }
}
