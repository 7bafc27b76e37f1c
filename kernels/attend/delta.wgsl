// What the backward kernels ask of a query: facts = (1/|k|, log-sum-exp in units of log2, delta, 0).
//
//   inverseNorms, lse, lseGrad [BH, L]   out, grad [BH, L, E]   →   facts [BH, L]
//
// delta = grad·out − lseGrad: what every pair's slope loses, since its query's weights sum to 1.
//
// One lane per token, 64 a workgroup: no lane waits for another.

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
@group(0) @binding(1) var<storage, read> inverseNorms: array<f32>;
@group(0) @binding(2) var<storage, read> out: array<f32>;
@group(0) @binding(3) var<storage, read> grad: array<f32>;
@group(0) @binding(4) var<storage, read> lse: array<f32>;
@group(0) @binding(5) var<storage, read> lseGrad: array<f32>;
@group(0) @binding(6) var<storage, read_write> facts: array<vec4f>;

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
  let E = params.E;
  let outRow = params.outStart + token * E;
  let gradRow = params.gradStart + token * E;
  // Four sums, as in normalise.wgsl.
  var sums = vec4f();
  for (var e = 0u; e + 4u <= E; e += 4u) {
    sums += vec4f(out[outRow + e], out[outRow + e + 1u], out[outRow + e + 2u], out[outRow + e + 3u])
      * vec4f(grad[gradRow + e], grad[gradRow + e + 1u], grad[gradRow + e + 2u], grad[gradRow + e + 3u]);
  }
  for (var e = E / 4u * 4u; e < E; e++) {
    sums.x += out[outRow + e] * grad[gradRow + e];
  }
  let delta = sums.x + sums.y + (sums.z + sums.w) - lseGrad[params.lseGradStart + token];
  facts[token] = vec4f(inverseNorms[token], lse[params.lseStart + token] * LOG2_E, delta, 0.0);
}
