// The length that turns a query into a key: inverseNorms = 1 / sqrt(|q|² + D·1e-6).
//
//   qk [BH, L, D]   →   inverseNorms [BH, L]
//
// One workgroup per 16 tokens, 16 lanes a token.

override D: u32 = 64u;

struct Params {
  tokens: u32,       // BH·L
  workgroups: u32,
  qkStart: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qk: array<f32>;
@group(0) @binding(2) var<storage, read_write> inverseNorms: array<f32>;

const LANES: u32 = 16u;

var<workgroup> sums: array<f32, 16u * LANES>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.x + group.y * groups.x;
  if (index >= params.workgroups) {
    return;
  }
  let token = index * 16u + lane / LANES;
  var sum = 0.0;
  if (token < params.tokens) {
    for (var d = lane % LANES; d < D; d += LANES) {
      let q = qk[params.qkStart + token * D + d];
      sum += q * q;
    }
  }
  sums[lane] = sum;
  workgroupBarrier();
  if (lane % LANES == 0u && token < params.tokens) {
    var square = f32(D) * 1e-6;
    for (var i = 0u; i < LANES; i++) {
      square += sums[lane + i];
    }
    inverseNorms[token] = 1.0 / sqrt(square);
  }
}
