// The factor that makes a key of a query: inverseNorms = 1 / sqrt(|q|² + epsilon), epsilon = D·1e-6.
//
//   qk [BH, L, D]   →   inverseNorms [BH, L]
//
// One lane per token, 64 a workgroup: no lane waits for another.

struct Params {
  D: u32,            // a multiple of 4; padded with zeros, hence not the D of epsilon
  tokens: u32,       // BH·L
  workgroups: u32,
  qkStart: u32,
  epsilon: f32,
}

alias Stored = vec4f; // or vec4h: rows as 16-bit floats

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qk: array<Stored>;
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
  let columns = params.D / 4u;
  let start = params.qkStart / 4u + token * columns;
  // Four sums: shorter chains of additions, and rounding errors that do not grow with all of D.
  var sums = vec4f();
  for (var c = 0u; c < columns; c++) {
    let q = vec4f(qk[start + c]);
    sums += q * q;
  }
  inverseNorms[token] = 1.0 / sqrt(sums.x + sums.y + (sums.z + sums.w) + params.epsilon);
}
