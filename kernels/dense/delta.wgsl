// What the backward kernels ask of a query: facts = (log-sum-exp in units of log2, delta).
//
//   out, grad [BH, L, E]   lse, lseGrad [BH, L]   →   facts [BH, L]
//
// delta = grad·out − lseGrad: what every pair's slope loses, since its query's weights sum to 1.
//
// One lane per query, 64 a workgroup: no lane waits for another.

struct Params {
  E: u32,
  tokens: u32,       // BH·L
  workgroups: u32,
  outStart: u32,
  gradStart: u32,
  lseStart: u32,
  lseGradStart: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> out: array<vec4f>;
@group(0) @binding(2) var<storage, read> grad: array<vec4f>;
@group(0) @binding(3) var<storage, read> lse: array<f32>;
@group(0) @binding(4) var<storage, read> lseGrad: array<f32>;
@group(0) @binding(5) var<storage, read_write> facts: array<vec2f>;

const LOG2_E: f32 = 1.4426950408889634;

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
  let columns = params.E / 4u;
  let outRow = params.outStart / 4u + token * columns;
  let gradRow = params.gradStart / 4u + token * columns;
  // Four sums: shorter chains of additions.
  var sums = vec4f();
  for (var e = 0u; e < columns; e++) {
    sums = fma(out[outRow + e], grad[gradRow + e], sums);
  }
  let delta = sums.x + sums.y + (sums.z + sums.w) - lseGrad[params.lseGradStart + token];
  facts[token] = vec2f(lse[params.lseStart + token] * LOG2_E, delta);
}
