// Copies lines of words into lines of another length: new tokens into the decoding cache, and the
// cache into a larger or reordered one. A word is 32 bits of anything.
//
//   source [lines, sourceStride]   indices [entries]   →   copied [lines, targetStride]
//
// Words 0 … count of a source line come to stand from targetOffset on. With `entries` above 0 the
// lines belong to batch entries, linesPerEntry each, and target entry b is source entry indices[b].
// Source lines that this binding does not hold are left to the pass that binds them.
//
// One lane per word, 256 a workgroup.

struct Params {
  lines: u32,          // target lines of this pass
  count: u32,          // words of a line to copy
  sourceStride: u32,
  targetStride: u32,
  targetOffset: u32,
  sourceStart: u32,    // elements between a binding's start and its first line
  targetStart: u32,
  firstSource: u32,    // the first line that a binding holds
  sourceLines: u32,
  firstTarget: u32,
  entries: u32,        // batch entries of the source; 0: lines stay in order
  linesPerEntry: u32,
  workgroups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read> indices: array<i32>;
@group(0) @binding(3) var<storage, read_write> copied: array<u32>;

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
  let i = index * 256u + lane;
  if (i >= params.lines * params.count) {
    return;
  }
  let line = i / params.count;
  let word = i % params.count;
  var origin = params.firstTarget + line;
  if (params.entries > 0u) {
    // Indices that only the GPU knows were checked by no one: the nearest entry stands in.
    let entry = clamp(indices[origin / params.linesPerEntry], 0, i32(params.entries) - 1);
    origin = u32(entry) * params.linesPerEntry + origin % params.linesPerEntry;
  }
  let sourceLine = origin - params.firstSource; // below zero it wraps, beyond all lines
  if (sourceLine < params.sourceLines) {
    copied[params.targetStart + line * params.targetStride + params.targetOffset + word] =
      source[params.sourceStart + sourceLine * params.sourceStride + word];
  }
}
