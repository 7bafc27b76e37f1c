// Hash every token in every round by pseudo-random rotations: sign flips and fast Hadamard transforms
// in place of the matrix of rotate.wgsl, O(D log D) a block instead of O(D·columns).
//
//   qk [BH, L, D]   signs [H, R, K, 3, Dp] of ±1   mask [B, L]   →   buckets [BH, R, L]
//
// Dp is D rounded up to a power of two. Block k of a round is y = Hd·S3·Hd·S2·Hd·S1·q, its Dp columns
// the round's columns k·Dp … (k+1)·Dp−1; F of them are used. From there it is rotate.wgsl: bucket =
// index of the first maximum of [y, −y], by slices of f1/2, f2/2, … columns for factored buckets; a
// slice may begin and end in the middle of a block. (Andoni et al. 2015, arXiv 1509.02897.)
//
// One workgroup per (tokens, round, b·h), as many tokens as 2048 numbers hold but at most 64. A sweep
// takes up to four levels of butterflies in registers, a lane 16 numbers 2^level apart: a transform is
// two sweeps of the workgroup's memory at any depth above 16. Where fewer levels are left, the 16 reach
// into other tokens, and are not combined over those. Then 64 / tokens lanes walk the columns of each
// token.

override MASKED: bool = false;

struct Params {
  H: u32,
  L: u32,
  D: u32,
  R: u32,
  F: u32,
  N: u32,
  tiles: u32,            // token tiles in a row: ceil(L / tokens)
  workgroups: u32,
  firstRow: u32,         // first b·h of this batch of rows
  qkStart: u32,          // elements between the binding's start and the first row
  bucketsStart: u32,
  halves: array<vec4u, 5>, // f/2 of each factor, in order: 2^20 buckets have at most 20
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qk: array<f32>;
@group(0) @binding(2) var<storage, read> signs: array<f32>;
@group(0) @binding(3) var<storage, read> mask: array<i32>;
@group(0) @binding(4) var<storage, read_write> buckets: array<i32>;

const LANES: u32 = 64u;
const NUMBERS: u32 = 2048u;
const TRANSFORMS: u32 = 3u;

// One place in 17 is empty: lanes that take 16 numbers each begin in different banks.
var<workgroup> rotated: array<f32, NUMBERS + NUMBERS / 16u>;
var<workgroup> sizes: array<f32, LANES>;
var<workgroup> indices: array<u32, LANES>;

// The place of number i of the tile, counted token by token.
fn place(i: u32) -> u32 {
  return i + i / 16u;
}

struct Tile {
  firstToken: u32,
  rowStart: u32,   // of qk
  logDepth: u32,   // Dp = 2^logDepth
  count: u32,      // numbers: tokens · Dp
}

fn coordinate(i: u32, tile: Tile) -> f32 {
  let d = i & ((1u << tile.logDepth) - 1u);
  if (d >= params.D) {
    return 0.0;
  }
  let token = min(tile.firstToken + (i >> tile.logDepth), params.L - 1u);
  return qk[tile.rowStart + token * params.D + d];
}

fn coordinates(i: u32, stride: u32, tile: Tile) -> vec4f {
  return vec4f(
    coordinate(i, tile), coordinate(i + stride, tile),
    coordinate(i + 2u * stride, tile), coordinate(i + 3u * stride, tile));
}

fn flips(i: u32, stride: u32, depth: u32, diagonal: u32) -> vec4f {
  let last = depth - 1u;
  return vec4f(
    signs[diagonal + (i & last)], signs[diagonal + ((i + stride) & last)],
    signs[diagonal + ((i + 2u * stride) & last)], signs[diagonal + ((i + 3u * stride) & last)]);
}

fn gather4(at: u32, pitch: u32) -> vec4f {
  return vec4f(rotated[at], rotated[at + pitch], rotated[at + 2u * pitch], rotated[at + 3u * pitch]);
}

fn scatter4(at: u32, pitch: u32, v: vec4f) {
  rotated[at] = v.x;
  rotated[at + pitch] = v.y;
  rotated[at + 2u * pitch] = v.z;
  rotated[at + 3u * pitch] = v.w;
}

// The lower two of up to four levels: between the four numbers of a vector.
fn butterflies(v: vec4f, levels: u32) -> vec4f {
  var w = v;
  if (levels > 0u) {
    w = vec4f(w.x + w.y, w.x - w.y, w.z + w.w, w.z - w.w);
  }
  if (levels > 1u) {
    w = vec4f(w.xy + w.zw, w.xy - w.zw);
  }
  return w;
}

// Up to four levels of a transform, from `level` up; `fresh` numbers come from qk, others from the sweep
// before. Levels are Kronecker factors of Sylvester's matrix: they may come in any order.
fn sweep(lane: u32, tile: Tile, level: u32, fresh: bool, flipped: bool, diagonal: u32) {
  let levels = min(4u, tile.logDepth - level);
  let depth = 1u << tile.logDepth;
  let stride = 1u << level;
  let pitch = place(stride);
  for (var portion = lane; portion < tile.count / 16u; portion += LANES) {
    // Bits below the level stay, the others make room for the four that count the 16 numbers.
    let i = ((portion >> level) << (level + 4u)) | (portion & (stride - 1u));
    let at = place(i);
    var v0 = vec4f();
    var v1 = vec4f();
    var v2 = vec4f();
    var v3 = vec4f();
    if (fresh) {
      v0 = coordinates(i, stride, tile);
      v1 = coordinates(i + 4u * stride, stride, tile);
      v2 = coordinates(i + 8u * stride, stride, tile);
      v3 = coordinates(i + 12u * stride, stride, tile);
    } else {
      v0 = gather4(at, pitch);
      v1 = gather4(at + 4u * pitch, pitch);
      v2 = gather4(at + 8u * pitch, pitch);
      v3 = gather4(at + 12u * pitch, pitch);
    }
    if (flipped) {
      v0 *= flips(i, stride, depth, diagonal);
      v1 *= flips(i + 4u * stride, stride, depth, diagonal);
      v2 *= flips(i + 8u * stride, stride, depth, diagonal);
      v3 *= flips(i + 12u * stride, stride, depth, diagonal);
    }
    v0 = butterflies(v0, levels);
    v1 = butterflies(v1, levels);
    v2 = butterflies(v2, levels);
    v3 = butterflies(v3, levels);
    if (levels > 2u) {
      let a = v0;
      let b = v2;
      v0 = a + v1;
      v1 = a - v1;
      v2 = b + v3;
      v3 = b - v3;
    }
    if (levels > 3u) {
      let a = v0;
      let b = v1;
      v0 = a + v2;
      v2 = a - v2;
      v1 = b + v3;
      v3 = b - v3;
    }
    scatter4(at, pitch, v0);
    scatter4(at + 4u * pitch, pitch, v1);
    scatter4(at + 8u * pitch, pitch, v2);
    scatter4(at + 12u * pitch, pitch, v3);
  }
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
  let logDepth = 32u - countLeadingZeros(params.D - 1u);
  let depth = 1u << logDepth;
  let tokens = min(NUMBERS / depth, LANES);
  let firstToken = index % params.tiles * tokens;
  let round = index / params.tiles % params.R;
  let localRow = index / params.tiles / params.R;
  let row = params.firstRow + localRow;
  let rowStart = params.qkStart + localRow * params.L * params.D;
  let tile = Tile(firstToken, rowStart, logDepth, tokens * depth);
  let K = (params.F + depth - 1u) / depth;
  let sweeps = max(1u, (logDepth + 3u) / 4u); // of a transform
  var diagonal = (row % params.H * params.R + round) * K * TRANSFORMS * depth;

  // The walk over the columns: this lane's token, and which of the token's lanes it is.
  let share = LANES / tokens;
  let walker = lane / share;
  let offset = lane % share;
  var bucket = 0u;
  var stride = 1u;
  var factor = 0u;
  var column = 0u;
  var best = -1.0;
  var bestIndex = 0u;

  for (var k = 0u; k < K; k++) {
    workgroupBarrier();
    for (var t = 0u; t < TRANSFORMS; t++) {
      // Higher levels first: neighbouring lanes then read neighbouring numbers of qk.
      for (var s = sweeps; s > 0u; s--) {
        let first = s == sweeps;
        sweep(lane, tile, 4u * (s - 1u), first && t == 0u, first, diagonal);
        workgroupBarrier();
      }
      diagonal += depth;
    }

    // The part of a slice that this block holds, and the next, until either ends.
    let width = min(depth, params.F - k * depth);
    var done = 0u;
    while (done < width) {
      let half = params.halves[factor / 4u][factor % 4u];
      let part = min(half - column, width - done);
      for (var c = offset; c < part; c += share) {
        let value = rotated[place(walker * depth + done + c)];
        let size = abs(value);
        // y ≥ 0 stands at its column, y < 0 in the mirrored half; of equals, the lower index wins.
        let candidate = select(column + c + half, column + c, value >= 0.0);
        if (size > best || (size == best && candidate < bestIndex)) {
          best = size;
          bestIndex = candidate;
        }
      }
      done += part;
      column += part;
      if (column == half) {
        workgroupBarrier();
        sizes[lane] = best;
        indices[lane] = bestIndex;
        workgroupBarrier();
        for (var other = walker * share; other < (walker + 1u) * share; other++) {
          if (sizes[other] > best || (sizes[other] == best && indices[other] < bestIndex)) {
            best = sizes[other];
            bestIndex = indices[other];
          }
        }
        bucket += bestIndex * stride;
        stride *= 2u * half;
        factor += 1u;
        column = 0u;
        best = -1.0;
        bestIndex = 0u;
      }
    }
  }

  let token = firstToken + walker;
  if (offset == 0u && token < params.L) {
    if (MASKED) {
      if (mask[row / params.H * params.L + token] == 0) {
        bucket = params.N;
      }
    }
    buckets[params.bucketsStart + (localRow * params.R + round) * params.L + token] = i32(bucket);
  }
}
