// How many multiply-adds a device can do by the second: 12 chains of them in every lane, in registers,
// 4 steps a turn of the loop. No kernel computes faster.
//
//   →   sums [workgroups · 64]
//
// One workgroup is 64 lanes; each does 2 · 12 · 4 operations a turn.

struct Params {
  turns: u32,
  workgroups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;

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
  let x = vec4f(1.0 - f32(lane + 1u) * 1e-6);
  let y = vec4f(0.5);
  var a = vec4f(f32(index));
  var b = a + 1.0;
  var c = a + 2.0;
  // Steps are written out: a loop of its own would be counted as arithmetic.
  for (var turn = 0u; turn < params.turns; turn++) {
    a = fma(a, x, y);
    b = fma(b, x, y);
    c = fma(c, x, y);
    a = fma(a, x, y);
    b = fma(b, x, y);
    c = fma(c, x, y);
    a = fma(a, x, y);
    b = fma(b, x, y);
    c = fma(c, x, y);
    a = fma(a, x, y);
    b = fma(b, x, y);
    c = fma(c, x, y);
  }
  sums[index * 64u + lane] = dot(a + b + c, vec4f(1.0));
}
