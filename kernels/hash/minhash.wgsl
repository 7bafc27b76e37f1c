// Signatures of many sets: the least hash of a set's words under each of k functions.
//
//   words [T]   offsets [n+1]   constants [k]   →   signatures [n, k]
//
// Set i is the words offsets[i] … offsets[i+1]−1. Nothing is as large as the minimum of no words. One
// workgroup per (functions, set), a lane a function: all lanes read the same word at a time. The three
// schemes are those of src/hashing/minhash/schemes.ts, to the bit.

override SCHEME: u32 = 0u; // 0 fmix32, 1 datasketch, 2 csharp-fnv

struct Params {
  k: u32,
  tiles: u32,       // of functions: ceil(k/64)
  workgroups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> words: array<u32>;
@group(0) @binding(2) var<storage, read> offsets: array<u32>;
@group(0) @binding(3) var<storage, read> constants: array<vec4u>;
@group(0) @binding(4) var<storage, read_write> signatures: array<u32>;

const LANES: u32 = 64u;

fn fmix32(word: u32) -> u32 {
  var h = word;
  h = (h ^ (h >> 16u)) * 0x85ebca6bu;
  h = (h ^ (h >> 13u)) * 0xc2b2ae35u;
  return h ^ (h >> 16u);
}

// The upper 32 bits of a product, by 16-bit halves: WGSL has no 64-bit integers.
fn multiplyHigh(a: u32, b: u32) -> u32 {
  let aLow = a & 0xffffu;
  let aHigh = a >> 16u;
  let bLow = b & 0xffffu;
  let bHigh = b >> 16u;
  let first = aHigh * bLow + ((aLow * bLow) >> 16u);
  let second = aLow * bHigh + (first & 0xffffu);
  return aHigh * bHigh + (first >> 16u) + (second >> 16u);
}

// (a·word + b mod 2^64) mod 2^61 − 1, its lower 32 bits; a = (x, y) and b = (z, w), upper words first.
fn permuted(word: u32, constant: vec4u) -> u32 {
  let low = constant.y * word + constant.w;
  let carry = u32(low < constant.w);
  let high = multiplyHigh(constant.y, word) + constant.x * word + constant.z + carry;
  // 2^61 is 1 modulo the prime: what stands above bit 61 is added below.
  let sum = low + (high >> 29u);
  let rest = (high & 0x1fffffffu) + u32(sum < low);
  let tooLarge = rest > 0x1fffffffu || (rest == 0x1fffffffu && sum == 0xffffffffu);
  return sum + u32(tooLarge);
}

fn hash(word: u32, constant: vec4u) -> u32 {
  if (SCHEME == 1u) {
    return permuted(word, constant);
  }
  let mixed = word ^ constant.x;
  if (SCHEME == 2u) {
    return mixed;
  }
  return fmix32(mixed);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.x + group.y * groups.x;
  let row = index / params.tiles;
  let i = index % params.tiles * LANES + lane;
  if (index >= params.workgroups || i >= params.k) {
    return;
  }
  let constant = constants[i];
  let end = offsets[row + 1u];
  var least = 0xffffffffu;
  for (var at = offsets[row]; at < end; at++) {
    least = min(least, hash(words[at], constant));
  }
  signatures[row * params.k + i] = least;
}
