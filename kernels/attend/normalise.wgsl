// The factor that makes a key of a query: inverseNorms = 1 / sqrt(|q|² + D·1e-6).
//
//   qk [BH, L, D]   →   inverseNorms [BH, L]
//
// One lane per token, 64 a workgroup: no lane waits for another.

struct Params {
  D: u32,
  tokens: u32,       // BH·L
  workgroups: u32,
  qkStart: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qk: array<f32>;
@group(0) @binding(2) var<storage, read_write> inverseNorms: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let token = (group.x + group.y * groups.x) * 64u + lane;
  if (token >= params.tokens) {
    return;
  }
  let D = params.D;
  let start = params.qkStart + token * D;
  // Four sums: shorter chains of additions, and rounding errors that do not grow with all of D.
  var sums = vec4f();
  for (var d = 0u; d + 4u <= D; d += 4u) {
    let q = vec4f(qk[start + d], qk[start + d + 1u], qk[start + d + 2u], qk[start + d + 3u]);
    sums += q * q;
  }
  for (var d = D / 4u * 4u; d < D; d++) {
    sums.x += qk[start + d] * qk[start + d];
  }
  inverseNorms[token] = 1.0 / sqrt(sums.x + sums.y + (sums.z + sums.w) + f32(D) * 1e-6);
}
